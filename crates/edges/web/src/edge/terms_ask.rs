//! Two questions about a code: whether it is right, and what it is in another code system. Must not take
//! "cannot be told" for "no".

use app::AppError;
use app::operations::input::{Given, Input};
use app::operations::terminology::translate::translate as translated;
use app::operations::terminology::validate_code::{in_set, of_system};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::answer::{self, sentence};
use super::terms::{CHECK, TRANSLATE, blank, code_href};
use super::tools::{Tool, check as may, refused};
use super::visit::Visit;
use crate::clinical::code::words;
use crate::components::{Cell, Field, Notice, Table, Tone};
use crate::pages::tools::ToolPage;

fn long(name: &str, label: &str, value: &str) -> Field {
    let mut field = Field::text(name, label).value(value);
    field.width = "field-long";
    field
}

fn input(pairs: &[(&str, &str)]) -> Input {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    Input {
        parameters: given
            .map(|(name, value)| ((*name).to_owned(), Given::Text((*value).to_owned())))
            .collect(),
    }
}

/// The value of a parameter of an answer.
fn value<'a>(parameters: &'a [Value], name: &str) -> Option<&'a Value> {
    let found = parameters
        .iter()
        .find(|one| one.get("name").and_then(Value::as_str) == Some(name))?;
    let members = found.as_object()?;
    members
        .iter()
        .find(|(key, _)| key.starts_with("value"))
        .map(|(_, value)| value)
}

fn text<'a>(parameters: &'a [Value], name: &str) -> &'a str {
    value(parameters, name)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn parts<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    let parts = of.get(name).and_then(Value::as_array);
    parts.map_or(&[], Vec::as_slice)
}

/// Whether a code is right.
pub async fn check(visit: Visit) -> Response {
    let result = show_check(&visit).await;
    visit.answer(result)
}

async fn show_check(visit: &Visit) -> Result<Response, AppError> {
    may(visit, Tool::Terminology)?;
    let of = |name: &str| visit.query.text(name);
    let mut page = blank(visit, "Check a code", CHECK, "Check");
    page.lead = String::from(
        "Whether a code is in its code system or in a value set, and whether the name given with it is one of its names.",
    );
    page.fields = vec![
        Field::text("code", "Code").value(of("code")),
        long("system", "Code system", of("system")).hint("Its address, such as http://loinc.org"),
        long("display", "Name given with it", of("display")).optional(),
        long("set", "Value set", of("set"))
            .optional()
            .hint("Its address; empty: only the code system is asked"),
    ];
    let mut status = StatusCode::OK;
    if !of("code").is_empty() {
        let (app, caller) = (visit.app(), &visit.caller);
        let (code, display) = (("code", of("code")), ("display", of("display")));
        let answered = if of("set").is_empty() {
            let input = input(&[("url", of("system")), code, display]);
            of_system(app, caller, None, input).await
        } else {
            let pairs = [("url", of("set")), ("system", of("system")), code, display];
            in_set(app, caller, None, input(&pairs)).await
        };
        match answered {
            Ok(body) => page.summary = Some(verdict(&serde_json::from_slice(&body)?)),
            Err(error) => status = refused(&mut page, error)?,
        }
    }
    Ok(answer::page(status, &page))
}

fn verdict(answer: &Value) -> Notice {
    let found = parts(answer, "parameter");
    let right = value(found, "result").and_then(Value::as_bool) == Some(true);
    let (message, display) = (text(found, "message"), text(found, "display"));
    let more = match (message, display) {
        ("", "") => String::new(),
        ("", display) => format!("Its name is {display}."),
        (message, "") => sentence(message),
        (message, display) => format!("{} Its name is {display}.", sentence(message)),
    };
    match (right, message.is_empty()) {
        (true, true) => Notice::new(Tone::Good, "Right", &more),
        (true, false) => Notice::new(Tone::Warn, "Right, with a remark", &more),
        (false, _) => Notice::new(Tone::Bad, "Not right", &more),
    }
}

/// A code in another code system.
pub async fn translate(visit: Visit) -> Response {
    let result = show_translate(&visit).await;
    visit.answer(result)
}

async fn show_translate(visit: &Visit) -> Result<Response, AppError> {
    may(visit, Tool::Terminology)?;
    let of = |name: &str| visit.query.text(name);
    let mut page = blank(visit, "Translate a code", TRANSLATE, "Translate");
    page.fields = vec![
        Field::text("code", "Code").value(of("code")),
        long("system", "Code system", of("system")).hint("Its address, such as http://loinc.org"),
        long("url", "Concept map", of("url"))
            .optional()
            .hint("Its address; empty: every map that leads to the target below"),
        long("target", "Target value set", of("target")).optional(),
    ];
    let mut status = StatusCode::OK;
    if !of("code").is_empty() {
        let pairs = ["code", "system", "url", "target"].map(|name| (name, of(name)));
        match translated(visit.app(), &visit.caller, None, input(&pairs)).await {
            Ok(body) => matches(visit, &mut page, &serde_json::from_slice(&body)?),
            Err(error) => status = refused(&mut page, error)?,
        }
    }
    Ok(answer::page(status, &page))
}

fn matches(visit: &Visit, page: &mut ToolPage, answer: &Value) {
    let columns = ["Code there", "Equivalence", "Code system", "By map"];
    let none = "No map translates this code. It does not follow that there is no such code.";
    let mut table = Table::new("Translations", &columns, none);
    for one in parts(answer, "parameter") {
        if one.get("name").and_then(Value::as_str) != Some("match") {
            continue;
        }
        let found = parts(one, "part");
        let coding = value(found, "concept");
        let of = |name: &str| {
            coding
                .and_then(|coding| coding.get(name)?.as_str())
                .unwrap_or_default()
        };
        let link = code_href(visit, of("system"), "", of("code"));
        let there = match coding {
            Some(_) => Cell::link(&link, of("code")).minor(of("display")),
            None => Cell::text("None"),
        };
        table = table.row(vec![
            there,
            Cell::text(&words(text(found, "equivalence"))),
            Cell::code(of("system")),
            Cell::code(text(found, "source")),
        ]);
    }
    page.sections = vec![("found".to_owned(), "Translations".to_owned(), table)];
}
