//! API clients and long-lived tokens. Must not show a token's text but on the page that made it.

use app::AppError;
use app::admin::{clients, tokens};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use identity::{
    ApiClient, InteractionSet, Jwk, LongLivedToken, Role, RoleAssignment, Scope, TokenOwner, Types,
    UserState,
};
use kernel::ClientId;

use super::answer::{self, redirect, sentence, status_of};
use super::form::Form;
use super::users::id_of;
use super::visit::Visit;
use super::{last, named};
use crate::clinical::{When, code};
use crate::components::table::PostButton;
use crate::components::{Cell, Choice, ErrorSummary, Field, Paging, Piece, Table, Tone};
use crate::pages::access::{FormPage, ListPage};

fn button(visit: &Visit, action: String, label: &str, about: &str, danger: bool) -> Piece {
    Piece::Post(Box::new(PostButton {
        action,
        label: label.to_owned(),
        about: about.to_owned(),
        csrf: visit.csrf(),
        confirm: if danger {
            format!("{label} {about}? It stops working at once.")
        } else {
            String::new()
        },
        hidden: Vec::new(),
        danger,
    }))
}

fn scopes_in_words(scopes: &[Scope]) -> String {
    let scope = |scope: &Scope| {
        let types = match &scope.types {
            Types::All => "every type".to_owned(),
            Types::Named(names) => names.join(", "),
        };
        let may: Vec<String> = scope
            .interactions
            .to_string()
            .chars()
            .filter_map(|letter| {
                let known = LETTERS.iter().find(|(known, _)| known.starts_with(letter));
                known.map(|(_, words)| words.to_lowercase())
            })
            .collect();
        code::words(&format!("{} of {types}", may.join(", ")))
    };
    if scopes.is_empty() {
        "Nothing".to_owned()
    } else {
        scopes.iter().map(scope).collect::<Vec<_>>().join("; ")
    }
}

/// The list.
pub async fn list(visit: Visit) -> Response {
    let result = list_page(&visit, None).await;
    visit.answer(result)
}

fn client_table(visit: &Visit, clients: &[ApiClient]) -> Table {
    let columns = ["Client", "May", "Keys", "State", "Action"];
    let mut table = Table::new("API clients", &columns, "No API clients.");
    for client in clients {
        let active = client.state == UserState::Active;
        let (step, label, tone, state) = if active {
            ("disable", "Suspend", Tone::Good, "Active")
        } else {
            ("enable", "Readmit", Tone::Plain, "Suspended")
        };
        let action = visit.href(&format!("/clients/{}/{step}", client.id));
        table = table.row(vec![
            Cell::text(&client.name).and(Piece::Code(client.id.to_string())),
            Cell::text(&scopes_in_words(&client.scopes)),
            Cell::text(&client.jwks.len().to_string()),
            Cell::tag(tone, state),
            Cell(vec![button(visit, action, label, &client.name, active)]),
        ]);
    }
    table
}

fn token_table(visit: &Visit, clients: &[ApiClient], tokens: &[LongLivedToken]) -> Table {
    let zone = visit.zone();
    let columns = ["Token", "Owner", "Made", "Expires", "Last used", "Action"];
    let mut table = Table::new("Tokens", &columns, "No tokens.");
    for token in tokens {
        let owner = match token.owner {
            TokenOwner::Client(id) => clients
                .iter()
                .find(|client| client.id == id)
                .map_or_else(|| id.to_string(), |client| client.name.clone()),
            TokenOwner::User(id) => format!("User {id}"),
        };
        let (tone, state) = if token.is_live(visit.app().now()) {
            (Tone::Good, "In force")
        } else {
            (Tone::Plain, "Expired")
        };
        let used = token.last_used.map(|used| Cell::when(When::at(used, zone)));
        let action = visit.href(&format!("/tokens/{}/revoke", token.id));
        table = table.row(vec![
            Cell::text(&token.name),
            Cell::text(&owner),
            Cell::when(When::at(token.created, zone)),
            Cell::when(When::at(token.expires, zone)).and(Piece::Tag(tone, state.to_owned())),
            used.unwrap_or_else(|| Cell::text("Never")),
            Cell(vec![button(visit, action, "Revoke", &token.name, true)]),
        ]);
    }
    table
}

async fn list_page(
    visit: &Visit,
    secret: Option<(String, String, String)>,
) -> Result<Response, AppError> {
    let clients = clients::list(visit.app(), &visit.caller).await?;
    let tokens = tokens::list(visit.app(), &visit.caller).await?;
    let section = |id: &str, title: &str, table| (id.to_owned(), title.to_owned(), table);
    let kept = token_table(visit, &clients, &tokens);
    let page = ListPage {
        shell: visit.shell("API clients and tokens"),
        lead: "Programs sign in with a signed assertion or with a long-lived token.".to_owned(),
        action: Some((visit.href("/clients/new"), "Add a client".to_owned())),
        secret,
        summary: None,
        sections: vec![
            section("clients", "Clients", client_table(visit, &clients)),
            section("tokens", "Long-lived tokens", kept),
        ],
        paging: Paging::default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

fn form_page(
    visit: &Visit,
    title: &str,
    action: &str,
    fields: Vec<Field>,
    problem: Option<&AppError>,
) -> Response {
    let page = FormPage {
        shell: visit.shell(title),
        lead: String::new(),
        warning: None,
        running: None,
        problem: problem.map(|error| ErrorSummary::whole(&sentence(&error.public_text()))),
        action: visit.href(action),
        fields,
        hidden: Vec::new(),
        button: "Save".to_owned(),
        danger: false,
        facts: Vec::new(),
        steps: Vec::new(),
        back: Some((
            visit.href("/clients"),
            "Back to clients and tokens".to_owned(),
        )),
    };
    answer::page(problem.map_or(StatusCode::OK, status_of), &page)
}

const LETTERS: [(&str, &str); 6] = [
    ("r", "Read"),
    ("s", "Search"),
    ("h", "History"),
    ("c", "Create"),
    ("u", "Update"),
    ("d", "Delete"),
];

fn client_fields(form: &Form) -> Vec<Field> {
    let may = LETTERS
        .iter()
        .map(|(letter, words)| Choice::new(letter, words, form.has("may", letter)))
        .collect();
    vec![
        Field::text("name", "Name")
            .value(form.text("name"))
            .autocomplete("off"),
        Field::checkboxes("may", "What it may do", may),
        Field::text("types", "With which resource types")
            .optional()
            .value(form.text("types"))
            .hint("Names with commas between, such as Patient, Observation; empty for every type"),
        Field::area("key", "Public key (JWK)")
            .optional()
            .value(form.text("key"))
            .hint("One public key as JSON; without it the client needs a long-lived token"),
    ]
}

/// The form of a new client.
pub async fn new_form(visit: Visit) -> Response {
    let allowed = clients::list(visit.app(), &visit.caller).await;
    let shown = allowed.map(|_| {
        form_page(
            &visit,
            "Add a client",
            "/clients/new",
            client_fields(&Form::default()),
            None,
        )
    });
    visit.answer(shown)
}

fn new_client(form: &Form) -> Result<clients::NewClient, AppError> {
    let letters: String = form.all("may").collect();
    let interactions = InteractionSet::parse(&letters)
        .ok_or_else(|| AppError::Unprocessable("choose each thing it may do once".to_owned()))?;
    let names: Vec<String> = form
        .text("types")
        .split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    let types = if names.is_empty() {
        Types::All
    } else {
        Types::Named(names)
    };
    let jwks = if form.text("key").is_empty() {
        Vec::new()
    } else {
        let key: Jwk = serde_json::from_str(form.text("key")).map_err(|_| {
            AppError::Unprocessable("the key is not a JWK: paste one public key as JSON".to_owned())
        })?;
        vec![key]
    };
    Ok(clients::NewClient {
        name: form.text("name").to_owned(),
        roles: vec![RoleAssignment::of(Role::IntegrationService)],
        scopes: vec![Scope {
            types,
            interactions,
        }],
        operations: Vec::new(),
        jwks,
    })
}

/// Makes a client.
pub async fn create(visit: Visit, body: String) -> Response {
    let result = create_of(&visit, &body).await;
    visit.answer(result)
}

async fn create_of(visit: &Visit, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let made = match new_client(&form) {
        Ok(new) => clients::create(visit.app(), &visit.caller, new).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(client) => Ok(redirect(
            &visit.href(&format!("/tokens/new?owner={}", client.id)),
        )),
        Err(error @ (AppError::Unprocessable(_) | AppError::Conflict(_))) => Ok(form_page(
            visit,
            "Add a client",
            "/clients/new",
            client_fields(&form),
            Some(&error),
        )),
        Err(error) => Err(error),
    }
}

/// Suspends or readmits a client.
pub async fn client_step(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = client_step_of(&visit, named(&params, "id"), last(&params), &body).await;
    visit.answer(result)
}

async fn client_step_of(
    visit: &Visit,
    id: &str,
    step: &str,
    body: &str,
) -> Result<Response, AppError> {
    visit.form(body)?;
    let state = match step {
        "disable" => UserState::Suspended,
        "enable" => UserState::Active,
        _ => {
            return Err(AppError::NotFound {
                what: "step".to_owned(),
            });
        }
    };
    clients::set_state(
        visit.app(),
        &visit.caller,
        ClientId::from_uuid(id_of(id)?),
        state,
    )
    .await?;
    Ok(redirect(&visit.href("/clients?done=saved")))
}

async fn token_fields(visit: &Visit, form: &Form) -> Result<Vec<Field>, AppError> {
    let clients = clients::list(visit.app(), &visit.caller).await?;
    let owners = clients
        .iter()
        .map(|client| {
            Choice::new(
                &client.id.to_string(),
                &client.name,
                client.id.to_string() == form.text("owner"),
            )
        })
        .collect();
    let days = [
        ("30", "30 days"),
        ("90", "90 days"),
        ("365", "1 year"),
        ("730", "2 years"),
    ];
    Ok(vec![
        Field::select("owner", "Client", owners),
        Field::text("name", "What it is for")
            .value(form.text("name"))
            .autocomplete("off"),
        Field::select(
            "days",
            "How long it lives",
            days.iter()
                .map(|(value, words)| Choice::new(value, words, *value == "90"))
                .collect(),
        ),
    ])
}

/// The form of a new token.
pub async fn token_form(visit: Visit) -> Response {
    let fields = token_fields(&visit, &visit.query).await;
    let shown = fields.map(|fields| form_page(&visit, "Make a token", "/tokens/new", fields, None));
    visit.answer(shown)
}

/// Makes a token and shows it once.
pub async fn create_token(visit: Visit, body: String) -> Response {
    let result = create_token_of(&visit, &body).await;
    visit.answer(result)
}

async fn create_token_of(visit: &Visit, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let new = tokens::NewToken {
        owner: TokenOwner::Client(ClientId::from_uuid(id_of(form.text("owner"))?)),
        name: form.text("name").to_owned(),
        scopes: None,
        days: form.text("days").parse().unwrap_or(0),
    };
    match tokens::create(visit.app(), &visit.caller, new).await {
        Ok(made) => {
            let what = format!("New token: {}", made.token.name);
            let secret = (
                what,
                made.text.to_string(),
                "Copy it now. It cannot be shown again.".to_owned(),
            );
            list_page(visit, Some(secret)).await
        }
        Err(error @ AppError::Unprocessable(_)) => {
            let fields = token_fields(visit, &form).await?;
            Ok(form_page(
                visit,
                "Make a token",
                "/tokens/new",
                fields,
                Some(&error),
            ))
        }
        Err(error) => Err(error),
    }
}

/// Revokes a token.
pub async fn revoke(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = revoke_of(&visit, named(&params, "id"), &body).await;
    visit.answer(result)
}

async fn revoke_of(visit: &Visit, id: &str, body: &str) -> Result<Response, AppError> {
    visit.form(body)?;
    tokens::revoke(visit.app(), &visit.caller, id_of(id)?).await?;
    Ok(redirect(&visit.href("/clients?done=revoked")))
}
