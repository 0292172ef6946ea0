//! Signing in and out. Must not tell an unknown organisation or name from a wrong password.

use app::sign_in::SignedIn;
use app::{AppError, SignInError};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use identity::Pending;
use kernel::Categorised as _;
use zeroize::Zeroizing;

use super::Web;
use super::answer::{page, redirect, sentence, set_cookie, status_of};
use super::form::{Form, own_path};
use super::visit::{
    FORM_COOKIE, INSTANCE, SESSION_COOKIE, Visit, base_of, context, cookie, from_our_pages,
    outside_token_is_right, theme,
};
use crate::components::{ErrorSummary, Notice, Tone};
use crate::pages::Shell;
use crate::pages::sign_in::SignInPage;

/// A shell for someone who is not signed in, and the cookie its forms are compared with. A token that is
/// there is kept, so that two open tabs do not disturb each other.
pub fn outside_shell(web: &Web, parts: &Parts, title: &str, here: &str) -> (Shell, String) {
    let known = cookie(&parts.headers, FORM_COOKIE)
        .filter(|known| known.len() == 64 && known.bytes().all(|b| b.is_ascii_hexdigit()));
    let token = known.map_or_else(
        || {
            let mut random = [0; 32];
            web.app.ids().fill(&mut random);
            data_encoding::HEXLOWER.encode(&random)
        },
        str::to_owned,
    );
    let secure = if web.secure() { "; Secure" } else { "" };
    let cookie = format!("{FORM_COOKIE}={token}; Path=/; SameSite=Strict; HttpOnly{secure}");
    (
        Shell::outside(title, theme(&parts.headers), &token, here),
        cookie,
    )
}

fn door(
    web: &Web,
    parts: &Parts,
    operator: bool,
    form: &Form,
    problem: Option<&AppError>,
) -> Response {
    let action = if operator {
        "/operator/sign-in"
    } else {
        "/sign-in"
    };
    let title = if operator {
        "Operator sign in"
    } else {
        "Sign in"
    };
    let (mut shell, cookie) = outside_shell(web, parts, title, action);
    if problem.is_none() && form.has("ended", "1") {
        let words = "Sign in again; you come back to the page you were on. What was typed there and not saved is lost.";
        shell
            .notices
            .push(Notice::new(Tone::Info, "Your session has ended", words));
    }
    let mut fields = SignInPage::fields(form.text("tenant"), form.text("user"));
    if operator {
        fields.remove(0);
    }
    let shown = SignInPage {
        shell,
        problem: problem.map(|error| ErrorSummary::whole(&refusal(error))),
        fields,
        hidden: vec![(
            "next".to_owned(),
            own_path(form.text("next")).unwrap_or_default().to_owned(),
        )],
        action: action.to_owned(),
        button: "Sign in",
        lead: String::new(),
        operator,
    };
    let mut response = page(problem.map_or(StatusCode::OK, status_of), &shown);
    set_cookie(&mut response, &cookie);
    response
}

/// What a refusal says: the same for an unknown organisation, an unknown name and a wrong password.
fn refusal(error: &AppError) -> String {
    match error {
        AppError::NotFound { .. } | AppError::SignIn(SignInError::Credentials) => {
            "The organisation, user name or password is not right. Try again.".to_owned()
        }
        other => sentence(&other.public_text()),
    }
}

/// The form.
pub async fn form(State(web): State<Web>, parts: Parts) -> Response {
    let mut form = Form::parse(parts.uri.query().unwrap_or_default());
    if form.text("tenant").is_empty() {
        // Coming from a page of an organisation, its name need not be typed.
        let named = form
            .text("next")
            .strip_prefix("/t/")
            .and_then(|rest| rest.split('/').next())
            .map(str::to_owned);
        if let Some(named) = named {
            form = Form::parse(form.with("tenant", &named).trim_start_matches('?'));
        }
    }
    door(&web, &parts, false, &form, None)
}

/// The operators' form.
pub async fn operator_form(State(web): State<Web>, parts: Parts) -> Response {
    let form = Form::parse(parts.uri.query().unwrap_or_default());
    door(&web, &parts, true, &form, None)
}

/// Signs in.
pub async fn submit(State(web): State<Web>, parts: Parts, body: String) -> Response {
    let form = Form::parse(&body);
    let slug = form.text("tenant").to_lowercase();
    // Operators have their own door.
    let slug = if slug == INSTANCE {
        String::new()
    } else {
        slug
    };
    enter(&web, &parts, false, &slug, &form).await
}

/// Signs an operator in.
pub async fn operator_submit(State(web): State<Web>, parts: Parts, body: String) -> Response {
    let form = Form::parse(&body);
    enter(&web, &parts, true, INSTANCE, &form).await
}

async fn enter(web: &Web, parts: &Parts, operator: bool, slug: &str, form: &Form) -> Response {
    if !from_our_pages(web, &parts.headers)
        || !outside_token_is_right(&parts.headers, form.text("csrf"))
    {
        return door(
            web,
            parts,
            operator,
            form,
            Some(&SignInError::Forgery.into()),
        );
    }
    let password = Zeroizing::new(form.exact("password").to_owned());
    let context = context(web, parts, slug);
    match app::sign_in::password(&web.app, slug, form.text("user"), password, context).await {
        Ok(signed_in) => welcome(web, slug, &signed_in, form.text("next")),
        Err(error) => {
            // An unknown organisation answers with the status of a wrong password.
            let error = match error {
                AppError::NotFound { .. } => SignInError::Credentials.into(),
                other => other,
            };
            if error.category().is_transient() {
                tracing::warn!(%error, "a sign-in was refused");
            }
            door(web, parts, operator, form, Some(&error))
        }
    }
}

fn welcome(web: &Web, slug: &str, signed_in: &SignedIn, next: &str) -> Response {
    let base = base_of(slug);
    let below = |path: &str| path == base || path.starts_with(&format!("{base}/"));
    let next = own_path(next).filter(|next| below(next));
    let to = match signed_in.pending {
        Some(Pending::SecondStep) => {
            let next = app::record::query_string::print(next.map(|next| ("next", next)));
            format!("{base}/sign-in/code?{next}")
        }
        Some(Pending::PasswordChange) => format!("{base}/account"),
        None => next.map_or_else(|| format!("{base}/"), str::to_owned),
    };
    let mut response = redirect(&to);
    set_cookie(
        &mut response,
        &session_cookie(web, &base, &signed_in.cookie),
    );
    response
}

fn session_cookie(web: &Web, base: &str, value: &str) -> String {
    let secure = if web.secure() { "; Secure" } else { "" };
    format!("{SESSION_COOKIE}={value}; Path={base}; SameSite=Strict; HttpOnly{secure}")
}

fn code_page(visit: &Visit, form: &Form, problem: Option<&AppError>) -> Response {
    let mut fields = SignInPage::code_field();
    if let (Some(error), Some(field)) = (problem, fields.first_mut()) {
        field.error = Some(sentence(&error.public_text()));
    }
    let shown = SignInPage {
        shell: visit.shell("Enter your code"),
        problem: ErrorSummary::of(&fields),
        fields,
        hidden: vec![(
            "next".to_owned(),
            own_path(form.text("next")).unwrap_or_default().to_owned(),
        )],
        action: visit.href("/sign-in/code"),
        button: "Continue",
        lead: "Your phone is lost? Enter one of your recovery codes.".to_owned(),
        operator: false,
    };
    page(problem.map_or(StatusCode::OK, status_of), &shown)
}

/// The form of the second step.
pub async fn code_form(visit: Visit) -> Response {
    if visit.caller.subject.pending() == Some(Pending::SecondStep) {
        code_page(&visit, &visit.query, None)
    } else {
        redirect(&visit.href("/"))
    }
}

/// The second step.
pub async fn code_submit(visit: Visit, body: String) -> Response {
    let form = match visit.form(&body) {
        Ok(form) => form,
        Err(error) => return visit.answer(Err(error)),
    };
    let context = (*visit.caller.context).clone();
    let code: String = form
        .text("code")
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    match app::sign_in::second_step(visit.app(), &visit.slug, &visit.cookie, &code, context).await {
        Ok(signed_in) => welcome(&visit.web, &visit.slug, &signed_in, form.text("next")),
        Err(error @ AppError::SignIn(SignInError::Code | SignInError::Locked(_))) => {
            code_page(&visit, &form, Some(&error))
        }
        Err(error) => visit.answer(Err(error)),
    }
}

/// Signs out. The cookie goes also where the session was over already.
pub async fn sign_out(visit: Visit, body: String) -> Response {
    if let Err(error) = visit.form(&body) {
        return visit.answer(Err(error));
    }
    let context = (*visit.caller.context).clone();
    if let Err(error) =
        app::sign_in::sign_out(visit.app(), &visit.slug, &visit.cookie, context).await
    {
        return visit.answer(Err(error));
    }
    let mut response = redirect(if visit.slug == INSTANCE {
        "/operator/sign-in"
    } else {
        "/sign-in"
    });
    let ended = format!("{}; Max-Age=0", session_cookie(&visit.web, &visit.base, ""));
    set_cookie(&mut response, &ended);
    response
}
