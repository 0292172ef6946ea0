//! One's own account. Must not show a secret twice.

use app::sign_in::account;
use app::{AppError, SignInError};
use axum::http::StatusCode;
use axum::response::Response;
use identity::{AuthenticationLevel, Pending};
use zeroize::Zeroizing;

use super::answer::{self, redirect, sentence, status_of};
use super::visit::Visit;
use crate::components::{ErrorSummary, Field};
use crate::pages::account::{AccountPage, Codes, Qr};
use crate::pages::sign_in::SignInPage;

fn fields() -> Vec<Field> {
    vec![
        Field::password("current", "Current password", "current-password"),
        Field::password("new", "New password", "new-password")
            .hint("A sentence that only you would think of is good"),
        Field::password("again", "New password again", "new-password"),
    ]
}

fn filled(visit: &Visit, codes: Codes) -> AccountPage {
    let subject = &visit.caller.subject;
    let roles: Vec<String> = subject
        .standings()
        .iter()
        .map(|standing| crate::clinical::code::words(standing.role.as_str()))
        .collect();
    AccountPage {
        shell: visit.shell("My account"),
        problem: None,
        must_change: subject.pending() == Some(Pending::PasswordChange),
        facts: vec![
            ("Name".to_owned(), subject.actor().name.clone()),
            ("Roles".to_owned(), roles.join(", ")),
            ("Organisation".to_owned(), visit.caller.tenant.name.clone()),
        ],
        base: visit.href("/account"),
        password_fields: fields(),
        codes,
    }
}

fn standing(visit: &Visit) -> Codes {
    if visit.session.level == AuthenticationLevel::PasswordAndCode {
        Codes::On
    } else {
        Codes::Off
    }
}

/// The page.
pub async fn page(visit: Visit) -> Response {
    answer::page(StatusCode::OK, &filled(&visit, standing(&visit)))
}

fn refused(visit: &Visit, field: &str, error: &AppError) -> Response {
    let mut shown = filled(visit, standing(visit));
    let text = match error {
        AppError::SignIn(SignInError::Credentials) => {
            "This is not your current password.".to_owned()
        }
        other => sentence(&other.public_text()),
    };
    for one in shown
        .password_fields
        .iter_mut()
        .filter(|one| one.name == field)
    {
        one.error = Some(text.clone());
    }
    shown.problem = ErrorSummary::of(&shown.password_fields);
    page_with(error, &shown)
}

fn page_with(error: &AppError, shown: &AccountPage) -> Response {
    answer::page(status_of(error), shown)
}

/// Changes the password.
pub async fn password(visit: Visit, body: String) -> Response {
    let form = match visit.form(&body) {
        Ok(form) => form,
        Err(error) => return visit.answer(Err(error)),
    };
    if form.exact("new") != form.exact("again") {
        let error =
            AppError::Unprocessable("the two new passwords differ: type them again".to_owned());
        return refused(&visit, "again", &error);
    }
    let secret = |name: &str| Zeroizing::new(form.exact(name).to_owned());
    let keep = Some(visit.session.id);
    match account::change_password(
        visit.app(),
        &visit.caller,
        secret("current"),
        secret("new"),
        keep,
    )
    .await
    {
        Ok(()) => redirect(&visit.href("/account?done=password")),
        Err(error @ AppError::SignIn(_)) => refused(&visit, "current", &error),
        Err(error @ AppError::Unprocessable(_)) => refused(&visit, "new", &error),
        Err(error) => visit.answer(Err(error)),
    }
}

/// Begins to set up one-time codes.
pub async fn begin_codes(visit: Visit, body: String) -> Response {
    if let Err(error) = visit.form(&body) {
        return visit.answer(Err(error));
    }
    let enrolment = match account::begin_second_step(visit.app(), &visit.caller).await {
        Ok(enrolment) => enrolment,
        Err(error) => return visit.answer(Err(error)),
    };
    let qr = Qr::of(&enrolment.uri)
        .ok_or_else(|| AppError::Fault("the address is too long for a picture".to_owned()));
    let shown = qr.map(|qr| {
        let codes = Codes::Enrolling {
            qr,
            uri: enrolment.uri,
            secret: enrolment.typed,
            fields: SignInPage::code_field(),
            hidden: Vec::new(),
        };
        answer::page(StatusCode::OK, &filled(&visit, codes))
    });
    visit.answer(shown)
}

/// Ends the set-up with the first code, and shows the recovery codes once.
pub async fn confirm_codes(visit: Visit, body: String) -> Response {
    let form = match visit.form(&body) {
        Ok(form) => form,
        Err(error) => return visit.answer(Err(error)),
    };
    let code: String = form
        .text("code")
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let confirmed = account::confirm_second_step(visit.app(), &visit.caller, &code).await;
    match confirmed {
        Ok(texts) => answer::page(StatusCode::OK, &filled(&visit, Codes::Recovery(texts))),
        Err(error @ AppError::SignIn(SignInError::Code)) => {
            let mut shown = filled(&visit, Codes::Off);
            shown.problem = Some(ErrorSummary::whole(
                "That code was not right. Set the codes up again, with a new picture.",
            ));
            page_with(&error, &shown)
        }
        Err(error) => visit.answer(Err(error)),
    }
}
