//! What needs no session: assets, help, colours, the front page and what does not exist. Must not say
//! whether an organisation exists.

use app::AppError;
use axum::extract::{Path, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::Web;
use super::answer::{self, page, redirect, set_cookie};
use super::door::outside_shell;
use super::form::{Form, own_path};
use super::visit::{INSTANCE, THEME_COOKIE, Visit, from_our_pages, outside_token_is_right};
use crate::assets;
use crate::pages::Theme;
use crate::pages::message::{ErrorPage, HelpPage};

/// The front page: signing in.
pub async fn root() -> Response {
    redirect("/sign-in")
}

/// The first page of an organisation lies behind a slash, so that cookies and links agree.
pub async fn with_slash(uri: axum::http::Uri) -> Response {
    redirect(&format!("{}/", uri.path()))
}

/// An embedded file, to be kept for a year: its address changes with its content.
pub async fn asset(Path((fingerprint, name)): Path<(String, String)>) -> Response {
    let Some(asset) = assets::find(&fingerprint, &name) else {
        return (StatusCode::NOT_FOUND, "no such file").into_response();
    };
    let mut response = asset.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(asset.content_type),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    response
}

/// Help before signing in.
pub async fn help_outside(State(web): State<Web>, parts: Parts) -> Response {
    let (shell, cookie) = outside_shell(&web, &parts, "Help", "/help");
    let mut response = page(StatusCode::OK, &HelpPage::new(shell));
    set_cookie(&mut response, &cookie);
    response
}

/// Help.
pub async fn help(visit: Visit) -> Response {
    page(StatusCode::OK, &HelpPage::new(visit.shell("Help")))
}

fn themed(web: &Web, form: &Form) -> Response {
    let theme = Theme::named(form.text("theme"));
    let mut response = redirect(own_path(form.text("back")).unwrap_or("/"));
    let secure = if web.secure() { "; Secure" } else { "" };
    let year = 31_536_000;
    let name = theme.name();
    set_cookie(
        &mut response,
        &format!(
            "{THEME_COOKIE}={name}; Path=/; Max-Age={year}; SameSite=Strict; HttpOnly{secure}"
        ),
    );
    response
}

/// Chooses colours before signing in.
pub async fn theme_outside(State(web): State<Web>, parts: Parts, body: String) -> Response {
    let form = Form::parse(&body);
    if from_our_pages(&web, &parts.headers)
        && outside_token_is_right(&parts.headers, form.text("csrf"))
    {
        themed(&web, &form)
    } else {
        redirect(own_path(form.text("back")).unwrap_or("/"))
    }
}

/// Chooses colours.
pub async fn theme(visit: Visit, body: String) -> Response {
    let answer = visit.form(&body).map(|form| themed(&visit.web, &form));
    visit.answer(answer)
}

/// What does not exist.
pub async fn missing(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(_): RawQuery,
    parts: Parts,
) -> Response {
    let accepts_pages = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_none_or(|accept| accept.contains("text/html") || accept.contains("*/*"));
    if !accepts_pages {
        return (StatusCode::NOT_FOUND, "there is nothing here").into_response();
    }
    // Somebody who is signed in keeps the navigation.
    let path = parts.uri.path();
    let slug = match path.strip_prefix("/t/") {
        Some(rest) => rest.split('/').next(),
        None => path.starts_with("/operator/").then_some(INSTANCE),
    };
    if let Some(slug) = slug
        && let Ok(visit) = Visit::enter(&parts, &web, slug.to_owned()).await
    {
        let missing = AppError::NotFound {
            what: "page".to_owned(),
        };
        return visit.answer(Err(missing));
    }
    let (title, what, remedy) = ErrorPage::words(404);
    let (shell, cookie) = outside_shell(&web, &parts, title, "/");
    let shown = ErrorPage {
        shell,
        status: 404,
        what: what.to_owned(),
        remedy: remedy.to_owned(),
        details: Vec::new(),
        id: web.app.ids().uuid().to_string(),
        ways: vec![("/".to_owned(), "Go to the first page".to_owned())],
    };
    let mut response = answer::page(StatusCode::NOT_FOUND, &shown);
    set_cookie(&mut response, &cookie);
    response
}
