//! The round on a device without a network: the page, its service worker, taking the round and handing it
//! in with the session of whoever is signed in. Must not put anything about a patient into a page that the
//! browser keeps.

use std::fmt::Write as _;

use app::AppError;
use app::medicines::rounds::{RoundRequest, Taking, bring_back, person, take};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kernel::{LogicalId, Timestamp};
use medication::rounds::Return;
use serde_json::json;

use crate::assets;
use crate::edge::answer;
use crate::edge::visit::{Visit, theme};
use crate::pages::Shell;
use crate::pages::rounds::DevicePage;

/// The modules of the page.
const MODULES: [&str; 6] = [
    "round.js",
    "round-decide.js",
    "round-limits.js",
    "round-store.js",
    "pack-scan.js",
    "scan.js",
];

/// The address of the page for the place that was chosen: that round is taken along, and no other.
pub fn address(visit: &Visit, asked: &RoundRequest) -> String {
    let organization = asked.organization.as_ref().map(LogicalId::as_str);
    let chosen = [
        ("location", asked.location.as_deref()),
        ("organization", organization),
    ];
    let chosen: Vec<String> = chosen
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escaped(value?))))
        .collect();
    let page = visit.href("/medicines/round/device");
    if chosen.is_empty() {
        page
    } else {
        format!("{page}?{}", chosen.join("&"))
    }
}

/// A value of a query.
fn escaped(text: &str) -> String {
    let mut own = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            own.push(char::from(byte));
        } else {
            let _ = write!(own, "%{byte:02X}");
        }
    }
    own
}

/// The page: nobody's name is on it, for the browser keeps it.
pub async fn page(visit: Visit) -> Response {
    let path = visit.href("/medicines/round/device");
    let theme = theme(&visit.parts.headers);
    let mut shell = Shell::outside("Round on this device", theme, &visit.csrf(), &path);
    shell.theme_action = visit.href("/theme");
    let page = DevicePage {
        shell,
        round: visit.href("/medicines/round"),
        script: assets::address("round.js"),
    };
    answer::page(StatusCode::OK, &page)
}

/// The service worker: it keeps the page with its scripts and style, and nothing else.
pub async fn worker(visit: Visit) -> Response {
    let page = visit.href("/medicines/round/device");
    let mut kept: Vec<String> = MODULES.map(assets::address).to_vec();
    kept.extend(["theriac.css", "theriac.js", "icon.svg"].map(assets::address));
    kept.push(page.clone());
    // Every organisation keeps its own, of one build.
    let family = format!("theriac-round{}", visit.href("/"));
    let name = format!("{family}{}", assets::address(""));
    let head = json!({ "name": name, "family": family, "page": page, "kept": kept });
    let text = format!("const own = {head};\n{}", assets::WORKER);
    let scope = visit.href("/medicines/round/device");
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/javascript; charset=utf-8"),
    );
    if let Ok(scope) = HeaderValue::from_str(&scope) {
        headers.insert(HeaderName::from_static("service-worker-allowed"), scope);
    }
    response
}

fn told(body: &serde_json::Value) -> Response {
    let mut response = body.to_string().into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// Whoever is signed in, the token of their forms, and the server's clock.
pub async fn state(visit: Visit) -> Response {
    told(&json!({
        "csrf": visit.csrf(),
        "name": visit.caller.subject.actor().name,
        "person": person(&visit.caller),
        "now": visit.app().now().as_micros(),
    }))
}

/// What a page's script is answered when something is wrong.
fn refused(error: &AppError) -> Response {
    let words: Vec<String> = error
        .issues()
        .iter()
        .map(|own| own.diagnostics.clone())
        .collect();
    let mut response = told(&json!({ "error": words.join("; ") }));
    *response.status_mut() = answer::status_of(error);
    response
}

/// Takes the round along.
pub async fn taken(visit: Visit, body: String) -> Response {
    let result = match visit.form(&body) {
        Ok(form) => {
            let wrong = || AppError::Invalid("the device sent no clock or no id".to_owned());
            let asked = (|| {
                let place = form.text("location").to_owned();
                let organization = Some(form.text("organization")).filter(|own| !own.is_empty());
                let organization = organization.map(str::parse).transpose();
                Ok(Taking {
                    round: RoundRequest {
                        // What cannot be read is not everybody.
                        organization: organization.map_err(|_| {
                            AppError::Invalid("the branch is none: choose it again".to_owned())
                        })?,
                        location: Some(place).filter(|own| !own.is_empty()),
                        ahead: 0,
                    },
                    device: form.text("device").parse().map_err(|_| wrong())?,
                    hours: form.text("hours").parse().unwrap_or(4),
                    clock: clock(form.text("clock")).ok_or_else(wrong)?,
                })
            })();
            match asked {
                Ok(asked) => take(visit.app(), &visit.caller, &asked).await,
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    match result.and_then(|own| Ok(serde_json::to_value(&own)?)) {
        Ok(value) => told(&value),
        Err(error) => refused(&error),
    }
}

/// Microseconds since 1970.
fn clock(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_micros)
}

/// Hands in what was recorded.
pub async fn returned(visit: Visit, body: String) -> Response {
    let result = match visit.form(&body) {
        Ok(form) => match serde_json::from_str::<Return>(form.text("return")) {
            Ok(back) => bring_back(visit.app(), &visit.caller, &back, form.text("signature")).await,
            Err(error) => Err(AppError::Invalid(format!(
                "what the device brings cannot be read: {error}"
            ))),
        },
        Err(error) => Err(error),
    };
    match result.and_then(|own| Ok(serde_json::to_value(&own)?)) {
        Ok(value) => told(&value),
        Err(error) => refused(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn places_are_written_into_addresses() {
        assert_eq!(escaped("North wing & Ä"), "North%20wing%20%26%20%C3%84");
    }
}
