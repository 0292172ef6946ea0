//! Users and roles of an organisation, and operators of the instance. Must not keep a password that was
//! made: it is shown once.

use app::AppError;
use app::admin::{branches, users};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use identity::{Branch, Role, RoleAssignment, User, UserState};
use kernel::{BranchId, UserId};
use uuid::Uuid;

use super::answer::{self, redirect, sentence, status_of};
use super::form::Form;
use super::visit::{INSTANCE, Visit};
use super::{last, named};
use crate::clinical::{When, code};
use crate::components::table::PostButton;
use crate::components::{Cell, Choice, ErrorSummary, Field, Paging, Piece, Table, Tone};
use crate::pages::access::{FormPage, ListPage};

/// An id in an address; a malformed one is as missing as any other.
pub fn id_of(text: &str) -> Result<Uuid, AppError> {
    Uuid::try_parse(text).map_err(|_| AppError::NotFound {
        what: "entry".to_owned(),
    })
}

fn user_id(text: &str) -> Result<UserId, AppError> {
    id_of(text).map(UserId::from_uuid)
}

fn standing(user: &User, now: kernel::Timestamp) -> Cell {
    match user.state {
        UserState::Suspended => return Cell::tag(Tone::Plain, "Suspended"),
        UserState::Left => return Cell::tag(Tone::Plain, "Left"),
        UserState::Active => {}
    }
    if let Err(locked) = user.lock_out.check(now) {
        return Cell::tag(
            Tone::Bad,
            &format!("Locked for {}\u{a0}min", locked.minutes()),
        );
    }
    if user.totp.is_on() {
        Cell::tag(Tone::Good, "Password and code")
    } else {
        Cell::tag(Tone::Warn, "Password only")
    }
}

fn roles_of(user: &User, known: &[Branch]) -> Cell {
    let mut cell = Cell::default();
    for assignment in &user.roles {
        cell = cell.and(Piece::Text(code::words(assignment.role.as_str())));
        let names: Vec<&str> = assignment
            .branches
            .iter()
            .flatten()
            .filter_map(|id| {
                known
                    .iter()
                    .find(|branch| branch.id == *id)
                    .map(|branch| branch.name.as_str())
            })
            .collect();
        cell = cell.minor(&names.join(", "));
    }
    cell
}

async fn known_branches(visit: &Visit) -> Result<Vec<Branch>, AppError> {
    if visit.slug == INSTANCE {
        Ok(Vec::new())
    } else {
        branches::list(visit.app(), &visit.caller).await
    }
}

/// The list.
pub async fn list(visit: Visit) -> Response {
    let result = list_of(&visit).await;
    visit.answer(result)
}

async fn list_of(visit: &Visit) -> Result<Response, AppError> {
    let mut users = users::list(visit.app(), &visit.caller).await?;
    let branches = known_branches(visit).await?;
    let asked = visit.query.text("sort");
    let by_made = asked.trim_start_matches('-') == "made";
    let descending = asked.starts_with('-');
    if by_made {
        users.sort_by_key(|user| user.created);
    } else {
        users.sort_by_cached_key(|user| user.display_name.to_lowercase());
    }
    if descending {
        users.reverse();
    }
    let link = |name: &str, current: bool| {
        let down = if current && !descending { "-" } else { "" };
        let now = current.then_some(descending);
        (format!("?sort={down}{name}"), now)
    };
    let (name, made) = (link("name", !by_made), link("made", by_made));
    let mut table = Table::new("Users", &["Name", "Roles", "Sign-in", "Made"], "No users.")
        .sorted_by("Name", name.0, name.1)
        .sorted_by("Made", made.0, made.1)
        .filtered("users-table");
    for user in &users {
        table = table.row(vec![
            Cell::link(
                &visit.href(&format!("/users/{}", user.id)),
                &user.display_name,
            )
            .minor(user.sign_in_name.as_str()),
            roles_of(user, &branches),
            standing(user, visit.app().now()),
            Cell::when(When::at(user.created, visit.zone())),
        ]);
    }
    let operators = visit.slug == INSTANCE;
    let page = ListPage {
        shell: visit.shell(if operators {
            "Operators"
        } else {
            "Users and roles"
        }),
        lead: String::new(),
        action: Some((
            visit.href("/users/new"),
            if operators {
                "Add an operator"
            } else {
                "Add a user"
            }
            .to_owned(),
        )),
        secret: None,
        summary: None,
        sections: vec![("users".to_owned(), "Users".to_owned(), table)],
        paging: Paging::default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

fn role_choices(visit: &Visit, chosen: impl Fn(Role) -> bool) -> Vec<Choice> {
    let operators = visit.slug == INSTANCE;
    let here = |role: &Role| {
        role.is_for_people() && (*role == Role::Operator) == operators && *role != Role::Patient
    };
    let hint = |role: Role| match role {
        Role::Nurse | Role::Carer => "Sees the patients of the branches chosen below",
        Role::Administrator => "Runs the organisation; no clinical content",
        Role::Receptionist => "Demographics and appointments; no clinical content",
        Role::Auditor => "Reads the audit trail and reviews emergency access",
        _ => "",
    };
    let choice = |role: Role| {
        Choice::new(role.as_str(), &code::words(role.as_str()), chosen(role)).hint(hint(role))
    };
    Role::ALL.into_iter().filter(here).map(choice).collect()
}

fn branch_choices(known: &[Branch], chosen: impl Fn(BranchId) -> bool) -> Vec<Choice> {
    known
        .iter()
        .map(|branch| Choice::new(&branch.id.to_string(), &branch.name, chosen(branch.id)))
        .collect()
}

/// Roles and branches of a form. Nurses and carers are bound to the chosen branches, and others too
/// where branches are chosen and the role is one that can be.
fn assignments(form: &Form) -> Result<Vec<RoleAssignment>, AppError> {
    let mut branches = Vec::new();
    for text in form.all("branches") {
        branches.push(BranchId::from_uuid(id_of(text)?));
    }
    let mut roles = Vec::new();
    for text in form.all("roles") {
        let role: Role = text
            .parse()
            .map_err(|error: identity::role::RoleError| AppError::Invalid(error.to_string()))?;
        let bound = matches!(role, Role::Nurse | Role::Carer)
            || (!branches.is_empty()
                && matches!(role, Role::Doctor | Role::Pharmacist | Role::Receptionist));
        roles.push(if bound {
            RoleAssignment::at(role, branches.clone())
        } else {
            RoleAssignment::of(role)
        });
    }
    Ok(roles)
}

struct Shown<'a> {
    title: String,
    action: String,
    user: Option<&'a User>,
    form: Option<&'a Form>,
    problem: Option<&'a AppError>,
}

impl Shown<'_> {
    fn has_role(&self, role: Role) -> bool {
        match (self.form, self.user) {
            (Some(form), _) => form.has("roles", role.as_str()),
            (None, Some(user)) => user.has_role(role),
            (None, None) => false,
        }
    }
    fn has_branch(&self, branch: BranchId) -> bool {
        match (self.form, self.user) {
            (Some(form), _) => form.has("branches", &branch.to_string()),
            (None, Some(user)) => {
                let mut held = user
                    .roles
                    .iter()
                    .flat_map(|role| role.branches.iter().flatten());
                held.any(|id| *id == branch)
            }
            (None, None) => false,
        }
    }
    fn fields(&self, visit: &Visit, known: &[Branch]) -> Vec<Field> {
        let typed = |name: &str| self.form.map_or("", |form| form.text(name));
        let mut fields = Vec::new();
        if self.user.is_none() {
            let name = Field::text("name", "Full name").value(typed("name"));
            let user = Field::text("user", "User name").value(typed("user"));
            fields.push(name.autocomplete("off"));
            fields.push(
                user.hint("Letters, digits and . _ - + @")
                    .autocomplete("off"),
            );
        }
        let roles = role_choices(visit, |role| self.has_role(role));
        fields.push(Field::checkboxes("roles", "Roles", roles));
        if !known.is_empty() {
            let hint = "Nurses and carers need at least one; doctors, pharmacists and receptionists without one see all";
            let branches = branch_choices(known, |branch| self.has_branch(branch));
            fields.push(Field::checkboxes("branches", "Branches", branches).hint(hint));
        }
        fields
    }
}

fn form_page(visit: &Visit, known: &[Branch], shown: &Shown<'_>) -> Response {
    let page = FormPage {
        shell: visit.shell(&shown.title),
        lead: String::new(),
        warning: None,
        running: None,
        problem: shown
            .problem
            .map(|error| ErrorSummary::whole(&sentence(&error.public_text()))),
        action: shown.action.clone(),
        fields: shown.fields(visit, known),
        hidden: Vec::new(),
        button: "Save".to_owned(),
        danger: false,
        facts: shown
            .user
            .map(|user| facts(visit, user))
            .unwrap_or_default(),
        steps: shown
            .user
            .map(|user| steps(visit, user))
            .unwrap_or_default(),
        back: Some((visit.href("/users"), "Back to the list".to_owned())),
    };
    answer::page(shown.problem.map_or(StatusCode::OK, status_of), &page)
}

fn facts(visit: &Visit, user: &User) -> Vec<(String, String)> {
    let state = match user.state {
        UserState::Active => "Active",
        UserState::Suspended => "Suspended",
        UserState::Left => "Left",
    };
    let fact = |label: &str, text: String| (label.to_owned(), text);
    let mut facts = vec![
        fact("User name", user.sign_in_name.as_str().to_owned()),
        fact("State", state.to_owned()),
        fact(
            "One-time codes",
            if user.totp.is_on() {
                "Set up"
            } else {
                "Not set up"
            }
            .to_owned(),
        ),
        fact("Made", When::at(user.created, visit.zone()).text),
    ];
    if let Err(locked) = user.lock_out.check(visit.app().now()) {
        facts.push(fact(
            "Locked",
            format!(
                "For {} more minutes, after failed attempts",
                locked.minutes()
            ),
        ));
    }
    facts
}

fn steps(visit: &Visit, user: &User) -> Vec<(String, String, PostButton)> {
    let button = |step: &str, label: &str, confirm: &str, danger: bool| PostButton {
        action: visit.href(&format!("/users/{}/{step}", user.id)),
        label: label.to_owned(),
        about: format!("for {}", user.display_name),
        csrf: visit.csrf(),
        confirm: confirm.to_owned(),
        hidden: Vec::new(),
        danger,
    };
    let mut steps = Vec::new();
    let mut add =
        |title: &str, words: &str, button| steps.push((title.to_owned(), words.to_owned(), button));
    if user.lock_out.check(visit.app().now()).is_err() {
        add(
            "Unlock",
            "Lets the user try again at once.",
            button("unlock", "Unlock", "", false),
        );
    }
    add(
        "New password",
        "A password is made and shown to you once; it must be changed at the next sign-in. All sessions end.",
        button(
            "password",
            "Make a new password",
            "Make a new password? The present one stops working.",
            false,
        ),
    );
    if user.totp.is_on() {
        add(
            "Lost phone",
            "Switches one-time codes off, so that the password alone is enough until they are set up again.",
            button(
                "codes",
                "Switch one-time codes off",
                "Switch one-time codes off?",
                true,
            ),
        );
    }
    match user.state {
        UserState::Active => add(
            "Suspend",
            "The user can no longer sign in and is signed out everywhere. Nothing is deleted.",
            button("disable", "Suspend", "Suspend this user?", true),
        ),
        _ => add(
            "Readmit",
            "The user may sign in again.",
            button("enable", "Readmit", "", false),
        ),
    }
    steps
}

/// The form of a new user.
pub async fn new_form(visit: Visit) -> Response {
    // The list decides whether the person may manage users at all.
    let allowed = users::list(visit.app(), &visit.caller).await;
    let result = match allowed {
        Ok(_) => known_branches(&visit)
            .await
            .map(|known| new_page(&visit, &known, None, None)),
        Err(error) => Err(error),
    };
    visit.answer(result)
}

fn new_page(
    visit: &Visit,
    known: &[Branch],
    form: Option<&Form>,
    problem: Option<&AppError>,
) -> Response {
    let title = if visit.slug == INSTANCE {
        "Add an operator"
    } else {
        "Add a user"
    };
    form_page(
        visit,
        known,
        &Shown {
            title: title.to_owned(),
            action: visit.href("/users/new"),
            user: None,
            form,
            problem,
        },
    )
}

/// Makes a user.
pub async fn create(visit: Visit, body: String) -> Response {
    let result = create_of(&visit, &body).await;
    visit.answer(result)
}

async fn create_of(visit: &Visit, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let roles = assignments(&form)?;
    let new = users::NewUser {
        sign_in_name: form.text("user").to_owned(),
        display_name: form.text("name").to_owned(),
        roles,
        practitioner: None,
        patients: Vec::new(),
        password: None,
    };
    match users::create(visit.app(), &visit.caller, new).await {
        Ok(made) => Ok(made_page(visit, &made)),
        Err(error @ (AppError::Unprocessable(_) | AppError::Conflict(_))) => Ok(new_page(
            visit,
            &known_branches(visit).await?,
            Some(&form),
            Some(&error),
        )),
        Err(error) => Err(error),
    }
}

fn made_page(visit: &Visit, made: &users::MadeUser) -> Response {
    let password = made
        .password
        .as_ref()
        .map(|password| password.to_string())
        .unwrap_or_default();
    let page = ListPage {
        shell: visit.shell(&made.user.display_name),
        lead: String::new(),
        action: Some((visit.href(&format!("/users/{}", made.user.id)), "Go to the user".to_owned())),
        secret: Some((
            format!("Password for {}", made.user.sign_in_name),
            password,
            "Tell it to the person now. It cannot be shown again, and must be changed at the next sign-in.".to_owned(),
        )),
        summary: None,
        sections: Vec::new(),
        paging: Paging::default(),
    };
    answer::page(StatusCode::OK, &page)
}

/// The form of a user.
pub async fn edit_form(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = edit_page(&visit, last(&params), None, None).await;
    visit.answer(result)
}

async fn edit_page(
    visit: &Visit,
    id: &str,
    form: Option<&Form>,
    problem: Option<&AppError>,
) -> Result<Response, AppError> {
    let user = users::get(visit.app(), &visit.caller, user_id(id)?).await?;
    let known = known_branches(visit).await?;
    let shown = Shown {
        title: user.display_name.clone(),
        action: visit.href(&format!("/users/{id}")),
        user: Some(&user),
        form,
        problem,
    };
    Ok(form_page(visit, &known, &shown))
}

/// Changes roles and branches.
pub async fn edit(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = edit_of(&visit, last(&params), &body).await;
    visit.answer(result)
}

async fn edit_of(visit: &Visit, id: &str, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let roles = assignments(&form)?;
    match users::set_roles(visit.app(), &visit.caller, user_id(id)?, roles).await {
        Ok(_) => Ok(redirect(&visit.href(&format!("/users/{id}?done=saved")))),
        Err(error @ (AppError::Unprocessable(_) | AppError::Conflict(_))) => {
            edit_page(visit, id, Some(&form), Some(&error)).await
        }
        Err(error) => Err(error),
    }
}

/// One of the further steps.
pub async fn step(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = step_of(&visit, named(&params, "id"), named(&params, "step"), &body).await;
    visit.answer(result)
}

async fn step_of(visit: &Visit, id: &str, step: &str, body: &str) -> Result<Response, AppError> {
    visit.form(body)?;
    let (app, caller, user) = (visit.app(), &visit.caller, user_id(id)?);
    let done = match step {
        "password" => {
            let made = users::reset_password(app, caller, user).await?;
            return Ok(made_page(visit, &made));
        }
        "unlock" => users::unlock(app, caller, user).await.map(|_| "unlocked")?,
        "codes" => users::reset_second_step(app, caller, user)
            .await
            .map(|_| "codes-reset")?,
        "disable" => users::set_state(app, caller, user, UserState::Suspended)
            .await
            .map(|_| "disabled")?,
        "enable" => users::set_state(app, caller, user, UserState::Active)
            .await
            .map(|_| "enabled")?,
        _ => {
            return Err(AppError::NotFound {
                what: "step".to_owned(),
            });
        }
    };
    Ok(redirect(&visit.href(&format!("/users/{id}?done={done}"))))
}
