//! Looking around in terminology: what there is, a code system from its top, a value set, a code with what
//! stands above and below it. Must not know codes: the use-cases do.

use app::AppError;
use app::operations::input::{Given, Input};
use app::operations::terminology::browse::{
    self, Concept, Contents, Kind, Level, Named, PAGE, Top,
};
use app::operations::terminology::expand::expand;
use app::record::query_string;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::answer::{self, sentence};
use super::tools::{Tool, check, empty, offset, paged, refused};
use super::visit::Visit;
use crate::clinical::code::words;
use crate::clinical::quantity::dose_number;
use crate::components::{Cell, Choice, Field, Notice, Table, Tone};
use crate::pages::tools::{ToolPage, Tree};

pub const HOME: &str = "/tools/terminology";
const SYSTEM: &str = "/tools/terminology/system";
const SET: &str = "/tools/terminology/set";
const CODE: &str = "/tools/terminology/code";
pub const CHECK: &str = "/tools/terminology/check";
pub const TRANSLATE: &str = "/tools/terminology/translate";

/// An address of these pages with a query.
pub fn href(visit: &Visit, below: &str, pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().copied().filter(|(_, value)| !value.is_empty());
    format!("{}?{}", visit.href(below), query_string::print(pairs))
}

/// The address of a code's page.
pub fn code_href(visit: &Visit, system: &str, version: &str, code: &str) -> String {
    let pairs = [("system", system), ("version", version), ("code", code)];
    href(visit, CODE, &pairs)
}

/// A page of terminology.
pub fn blank(visit: &Visit, title: &str, below: &str, button: &str) -> ToolPage {
    let mut page = empty(visit, title, below, button);
    if below != HOME {
        page.crumbs = vec![
            page.back.clone(),
            (visit.href(HOME), "Terminology".to_owned()),
        ];
    }
    page.links = [
        (CODE, "Look up a code"),
        (CHECK, "Check a code"),
        (TRANSLATE, "Translate a code"),
    ]
    .into_iter()
    .filter(|(link, _)| *link != below)
    .map(|(link, words)| (visit.href(link), words.to_owned()))
    .collect();
    page
}

fn section(page: &mut ToolPage, id: &str, title: &str, table: Table) {
    page.sections.push((id.to_owned(), title.to_owned(), table));
}

/// What there is.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    check(visit, Tool::Terminology)?;
    let (kind, title) = match visit.query.text("kind") {
        "sets" => (Kind::Sets, "Value sets"),
        "maps" => (Kind::Maps, "Concept maps"),
        _ => (Kind::Systems, "Code systems"),
    };
    let (text, offset) = (visit.query.text("words"), offset(visit));
    let mut page = blank(visit, "Terminology", HOME, "Show");
    let choice = |value, label, this| Choice::new(value, label, kind == this);
    page.fields = vec![
        Field::radios(
            "kind",
            "What to show",
            vec![
                choice("systems", "Code systems", Kind::Systems),
                choice("sets", "Value sets", Kind::Sets),
                choice("maps", "Concept maps", Kind::Maps),
            ],
        ),
        Field::search("words", "Words of the address")
            .value(text)
            .hint("Such as snomed, or observation status; empty for all"),
    ];
    let found = browse::contents(visit.app(), &visit.caller, kind, text, offset).await?;
    page.paging = paged(visit, offset, found.things.len(), found.total, PAGE);
    section(&mut page, "things", title, things(visit, kind, &found));
    if !found.faults.is_empty() {
        let mut faults = Table::new("Faults", &["Address", "Why"], "None.");
        for (url, why) in &found.faults {
            faults = faults.raised_row(vec![Cell::code(url), Cell::text(&sentence(why))]);
        }
        section(&mut page, "faults", "Stored, but cannot be used", faults);
    }
    Ok(answer::page(StatusCode::OK, &page))
}

fn things(visit: &Visit, kind: Kind, found: &Contents) -> Table {
    let columns: &[&str] = match kind {
        Kind::Systems => &["Name", "Version", "#Concepts", "How much is here"],
        Kind::Sets => &["Name", "Version", "State"],
        Kind::Maps => &["Map", "Version", "Leads"],
    };
    let none = "None has these words in its address. A code system that is not stored here is loaded with theriac terminology load.";
    let mut table = Table::new("Terminology", columns, none);
    for thing in &found.things {
        let version = thing.version.as_deref().unwrap_or_default();
        let pairs = [("url", thing.url.as_str()), ("version", version)];
        let name = if thing.name.is_empty() || kind == Kind::Maps {
            &thing.url
        } else {
            &thing.name
        };
        let below = match kind {
            Kind::Systems => SYSTEM,
            Kind::Sets => SET,
            Kind::Maps => TRANSLATE,
        };
        let address = if *name == thing.url { "" } else { &thing.url };
        let mut cells = vec![
            Cell::link(&href(visit, below, &pairs), name).minor(address),
            Cell::text(if version.is_empty() { "None" } else { version }),
        ];
        match (kind, thing.content) {
            (Kind::Systems, Some((content, concepts))) => {
                let tone = if content == "complete" {
                    Tone::Good
                } else {
                    Tone::Warn
                };
                cells.push(Cell::text(&dose_number(&concepts.to_string())));
                cells.push(Cell::tag(tone, &words(content)));
            }
            (Kind::Systems, None) => cells.extend([Cell::text("Not known"), Cell::default()]),
            (Kind::Sets, _) => cells.push(Cell::text(&words(&thing.status))),
            (Kind::Maps, _) => cells.push(Cell::text(&thing.name)),
        }
        table = table.row(cells);
    }
    table
}

fn level(visit: &Visit, (system, version): (&str, &str), level: &Level, none: &str) -> Table {
    let mut table = Table::new("Concepts", &["Concept", "Code", "#Below it"], none);
    for named in &level.concepts {
        table = table.row(concept_row(visit, (system, version), named));
    }
    table
}

fn shown(named: &Named) -> &str {
    if named.display.is_empty() {
        &named.code
    } else {
        &named.display
    }
}

fn concept_row(visit: &Visit, (system, version): (&str, &str), named: &Named) -> Vec<Cell> {
    vec![
        Cell::link(
            &code_href(visit, system, version, &named.code),
            shown(named),
        ),
        Cell::code(&named.code),
        Cell::text(&dose_number(&named.below.to_string())),
    ]
}

/// A code system from its top, or what a word finds in it.
pub async fn system(visit: Visit) -> Response {
    let result = show_system(&visit).await;
    visit.answer(result)
}

async fn show_system(visit: &Visit) -> Result<Response, AppError> {
    check(visit, Tool::Terminology)?;
    let (url, version) = (visit.query.text("url"), visit.query.text("version"));
    let (text, offset) = (visit.query.text("words"), offset(visit));
    let wanted = (!version.is_empty()).then_some(version);
    let at = if text.is_empty() { offset } else { 0 };
    let found = browse::top(visit.app(), &visit.caller, url, wanted, at).await?;
    let name = if found.system.name.is_empty() {
        url
    } else {
        &found.system.name
    };
    let mut page = blank(visit, name, SYSTEM, "Search");
    page.lead = url.to_owned();
    page.fields = search_fields(visit);
    page.summary = size(&found);
    let mut status = StatusCode::OK;
    if text.is_empty() {
        let table = level(
            visit,
            (url, version),
            &found.level,
            "No concepts are stored of this code system.",
        );
        let title = if found.flat { "Concepts" } else { "At the top" };
        page.paging = paged(
            visit,
            offset,
            found.level.concepts.len(),
            found.level.total,
            PAGE,
        );
        section(&mut page, "concepts", title, table);
    } else {
        let mut include = json!({ "system": url });
        if let (Some(version), Some(members)) = (wanted, include.as_object_mut()) {
            members.insert("version".to_owned(), version.into());
        }
        let set = json!({
            "resourceType": "ValueSet", "status": "active", "compose": { "include": [include] },
        });
        let set = Given::Resource(set.to_string().into_bytes());
        status = expanded(visit, &mut page, ("valueSet", set), text, offset).await?;
    }
    Ok(answer::page(status, &page))
}

/// How large a code system is, and how much of it is here.
fn size(found: &Top) -> Option<Notice> {
    let (content, concepts) = found.system.content?;
    let version = found.system.version.as_deref().unwrap_or("none");
    let shape = if found.flat {
        "without levels"
    } else {
        "in levels"
    };
    let tone = if content == "complete" {
        Tone::Info
    } else {
        Tone::Warn
    };
    Some(Notice::new(
        tone,
        &format!("{} concepts, {shape}", dose_number(&concepts.to_string())),
        &format!("Version {version}. What is here: {content}."),
    ))
}

fn search_fields(visit: &Visit) -> Vec<Field> {
    let address = visit.query.text("url");
    let mut fields = vec![
        Field::search("words", "Words of a name, or a code")
            .value(visit.query.text("words"))
            .hint("Every word must be in the name, by its beginning"),
        Field::text("url", "Address").value(address),
    ];
    if !visit.query.text("version").is_empty() {
        let version = visit.query.text("version");
        fields.push(Field::text("version", "Version").optional().value(version));
    }
    for field in &mut fields {
        field.width = "field-long";
    }
    fields
}

/// Fills in what an expansion holds.
async fn expanded(
    visit: &Visit,
    page: &mut ToolPage,
    which: (&str, Given),
    text: &str,
    offset: usize,
) -> Result<StatusCode, AppError> {
    let given = |name: &str, value: String| (name.to_owned(), Given::Text(value));
    let mut parameters = vec![
        (which.0.to_owned(), which.1),
        given("offset", offset.to_string()),
        given("count", PAGE.to_string()),
    ];
    if !text.is_empty() {
        parameters.push(given("filter", text.to_owned()));
    }
    let input = Input { parameters };
    let body = match expand(visit.app(), &visit.caller, None, input).await {
        Ok(body) => body,
        Err(error) => return refused(page, error),
    };
    let set: Value = serde_json::from_slice(&body)?;
    let total = set.pointer("/expansion/total").and_then(Value::as_u64);
    let contains = set.pointer("/expansion/contains").and_then(Value::as_array);
    let contains = contains.map_or(&[][..], Vec::as_slice);
    let none = "No concept has these words. Try fewer, or the beginning of a word.";
    let mut table = Table::new("Concepts", &["Concept", "Code", "Code system"], none);
    for one in contains {
        let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = match text("display") {
            "" => text("code"),
            display => display,
        };
        let link = code_href(visit, text("system"), text("version"), text("code"));
        let mut cell = Cell::link(&link, name);
        if one.get("inactive").and_then(Value::as_bool) == Some(true) {
            cell = cell.minor("No longer used");
        }
        table = table.row(vec![
            cell,
            Cell::code(text("code")),
            Cell::code(text("system")),
        ]);
    }
    let total = usize::try_from(total.unwrap_or_default()).unwrap_or(usize::MAX);
    page.paging = paged(visit, offset, contains.len(), total, PAGE);
    section(page, "concepts", "Concepts", table);
    Ok(StatusCode::OK)
}

/// A value set's concepts.
pub async fn set(visit: Visit) -> Response {
    let result = show_set(&visit).await;
    visit.answer(result)
}

async fn show_set(visit: &Visit) -> Result<Response, AppError> {
    check(visit, Tool::Terminology)?;
    let (url, version) = (visit.query.text("url"), visit.query.text("version"));
    let mut page = blank(visit, "Value set", SET, "Search");
    page.lead = url.to_owned();
    page.fields = search_fields(visit);
    page.links.insert(
        0,
        (
            href(visit, CHECK, &[("set", url)]),
            "Check a code against this value set".to_owned(),
        ),
    );
    let canonical = match version {
        "" => url.to_owned(),
        version => format!("{url}|{version}"),
    };
    let which = ("url", Given::Text(canonical));
    let text = visit.query.text("words");
    let status = expanded(visit, &mut page, which, text, offset(visit)).await?;
    Ok(answer::page(status, &page))
}

/// A code.
pub async fn code(visit: Visit) -> Response {
    let result = show_code(&visit).await;
    visit.answer(result)
}

async fn show_code(visit: &Visit) -> Result<Response, AppError> {
    check(visit, Tool::Terminology)?;
    let of = |name: &str| visit.query.text(name);
    let (system, version, code) = (of("system"), of("version"), of("code"));
    let mut page = blank(visit, "Look up a code", CODE, "Look up");
    page.fields = vec![
        Field::text("code", "Code").value(code),
        Field::text("system", "Code system")
            .value(system)
            .hint("Its address, such as http://loinc.org or http://snomed.info/sct"),
    ];
    let mut status = StatusCode::OK;
    if !code.is_empty() || !system.is_empty() {
        let wanted = (!version.is_empty()).then_some(version);
        let asked = (system, wanted);
        match browse::concept(visit.app(), &visit.caller, asked, code, offset(visit)).await {
            Ok(concept) => describe(visit, &mut page, &concept, version),
            Err(error) => status = refused(&mut page, error)?,
        }
    }
    Ok(answer::page(status, &page))
}

fn describe(visit: &Visit, page: &mut ToolPage, concept: &Concept, version: &str) {
    shown(&concept.named).clone_into(&mut page.shell.title);
    let (url, name, _) = &concept.system;
    let code = concept.named.code.as_str();
    page.fields.clear();
    page.crumbs.push((
        href(visit, SYSTEM, &[("url", url), ("version", version)]),
        if name.is_empty() { url } else { name }.clone(),
    ));
    page.links = [
        (CODE, "Look up another code"),
        (CHECK, "Check this code"),
        (TRANSLATE, "Translate this code"),
    ]
    .into_iter()
    .map(|(below, words)| {
        let pairs = [("system", url.as_str()), ("code", code)];
        let link = if below == CODE {
            visit.href(below)
        } else {
            href(visit, below, &pairs)
        };
        (link, words.to_owned())
    })
    .collect();
    let facts = facts(visit, concept, version);
    section(page, "facts", "What is known", facts);
    page.tree = Some(tree(visit, concept, version));
}

/// A way from the top, the concept, and a page of those right below it.
fn tree(visit: &Visit, concept: &Concept, version: &str) -> Tree {
    let url = concept.system.0.as_str();
    let link = |named: &Named| code_href(visit, url, version, &named.code);
    let children = &concept.children;
    let paging = paged(
        visit,
        offset(visit),
        children.concepts.len(),
        children.total,
        PAGE,
    );
    Tree {
        above: concept
            .path
            .iter()
            .map(|named| (link(named), shown(named).to_owned(), named.code.clone()))
            .collect(),
        here: (shown(&concept.named).to_owned(), concept.named.code.clone()),
        below: children
            .concepts
            .iter()
            .map(|named| {
                let count = match named.below {
                    0 => String::new(),
                    below => format!("{} below it", dose_number(&below.to_string())),
                };
                (
                    link(named),
                    shown(named).to_owned(),
                    named.code.clone(),
                    count,
                )
            })
            .collect(),
        none: "Nothing stands below it, or its code system has no levels.".to_owned(),
        paging,
    }
}

fn facts(visit: &Visit, concept: &Concept, version: &str) -> Table {
    let (url, name, known) = &concept.system;
    let row = |name: &str, cell: Cell| vec![Cell::text(name), cell];
    let pairs = [("url", url.as_str()), ("version", version)];
    let system_name = if name.is_empty() { url } else { name };
    let mut facts = Table::new("What is known", &["What", "Recorded"], "")
        .row(row("Code", Cell::code(&concept.named.code)))
        .row(row(
            "Code system",
            Cell::link(&href(visit, SYSTEM, &pairs), system_name).minor(
                &known
                    .as_deref()
                    .map_or_else(String::new, |known| format!("Version {known}")),
            ),
        ));
    let state = match (concept.inactive, concept.is_abstract) {
        (true, _) => Cell::tag(Tone::Warn, "No longer used"),
        (_, true) => Cell::tag(Tone::Info, "Only groups others"),
        _ => Cell::tag(Tone::Good, "May be used"),
    };
    facts = facts.row(row("State", state));
    let first = concept.path.last();
    for parent in concept
        .parents
        .iter()
        .filter(|parent| Some(*parent) != first)
    {
        let link = code_href(visit, url, version, &parent.code);
        let cell = Cell::link(&link, shown(parent)).minor(&parent.code);
        facts = facts.row(row("Stands below this, too", cell));
    }
    if !concept.definition.is_empty() {
        facts = facts.row(row("Definition", Cell::text(&concept.definition)));
    }
    for (language, usage, value) in &concept.names {
        let more = [usage.as_str(), language].join(" ");
        facts = facts.row(row("Other name", Cell::text(value).minor(more.trim())));
    }
    for (code, value, display) in &concept.properties {
        let cell = match display {
            Some(display) => Cell::link(&code_href(visit, url, version, value), display),
            None => Cell::text(value),
        };
        facts = facts.row(row(&words(code), cell));
    }
    facts
}
