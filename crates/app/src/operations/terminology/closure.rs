//! `$closure` (FHIR R4, section 4.7.7): a table of subsumption over the concepts a client has named, kept
//! under a name of its own: nobody else can read it, add to it or begin it anew. Naming new concepts
//! answers what they add; a version answers what came after it.

use serde_json::{Value, json};
use store::{DocExpected, DocKind, DocWrite};
use terminology::closure::{ClosureTable, Member, Pair};

use super::{aside, begin};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::operations::input::{Given, Input};

const KNOWN: [&str; 3] = ["name", "concept", "version"];
const LONGEST_NAME: usize = 150;
/// Tables that one user or client may keep.
const TABLES: u32 = 50;
/// How often an addition is tried again when somebody else's came between.
const TRIES: usize = 4;

/// Begins, extends or reads a table; answers a ConceptMap.
///
/// # Errors
/// Not allowed, no such table, a concept is not known, or the table is full.
pub async fn closure(app: &App, caller: &Caller, input: Input) -> Result<Vec<u8>, AppError> {
    let begun = begin(app, caller, "ConceptMap").await?;
    input.only(&KNOWN)?;
    begun.record(app, caller, "$closure", &input).await?;
    let name = name(&input)?;
    let concepts = members(&input)?;
    let version = input.number("version")?;
    if version.is_some() && !concepts.is_empty() {
        let text = "version and concept do not go together: give one of them";
        return Err(AppError::Invalid(text.to_owned()));
    }
    let library = begun.engine.library().clone();
    let owner = format!("{}/", caller.subject.actor().id.as_uuid());
    let id = format!("{owner}{name}");
    for _ in 0..TRIES {
        let found = app
            .store()
            .doc(&caller.scope, DocKind::Closure, &id)
            .await?;
        let expected = match &found {
            Some(doc) => DocExpected::Version(doc.version),
            None => DocExpected::Absent,
        };
        let known: Option<ClosureTable> = found
            .map(|doc| serde_json::from_slice(&doc.body))
            .transpose()?;
        if let Some(since) = version {
            let table =
                known.ok_or_else(|| AppError::not_found(format!("closure table {name:?}")))?;
            let pairs: Vec<Pair> = table.since(since as u32).cloned().collect();
            return Ok(answer(&name, &table, &pairs));
        }
        if concepts.is_empty() {
            if expected == DocExpected::Absent {
                room(app, caller, &owner).await?;
            }
            let table = ClosureTable::default();
            if save(app, caller, &id, expected, &table).await? {
                return Ok(answer(&name, &table, &[]));
            }
            continue;
        }
        let mut table =
            known.ok_or_else(|| AppError::not_found(format!("closure table {name:?}")))?;
        let (library, more) = (library.clone(), concepts.clone());
        let (table, pairs) = aside(move || {
            let pairs = table.add(&library, &more)?.to_vec();
            Ok((table, pairs))
        })
        .await?;
        if save(app, caller, &id, expected, &table).await? {
            return Ok(answer(&name, &table, &pairs));
        }
    }
    Err(AppError::Conflict(
        "the closure table is being changed by others: repeat".to_owned(),
    ))
}

fn name(input: &Input) -> Result<String, AppError> {
    let name = input.required("name")?.to_owned();
    if name.is_empty() || name.len() > LONGEST_NAME {
        let text = format!("parameter name has no or more than {LONGEST_NAME} bytes: shorten it");
        return Err(AppError::Invalid(text));
    }
    Ok(name)
}

/// Refuses one table more than an owner may keep.
async fn room(app: &App, caller: &Caller, owner: &str) -> Result<(), AppError> {
    let listed = app
        .store()
        .docs(&caller.scope, DocKind::Closure, Some(owner), TABLES)
        .await?;
    let own = listed.iter().filter(|doc| doc.id.starts_with(owner));
    if own.count() >= TABLES as usize {
        return Err(AppError::Conflict(format!(
            "you keep {TABLES} closure tables already: begin one of them anew under its name"
        )));
    }
    Ok(())
}

fn members(input: &Input) -> Result<Vec<Member>, AppError> {
    input
        .all("concept")
        .map(|value| match value {
            Given::Coding(coding) => match (&coding.system, &coding.code) {
                (Some(system), Some(code)) => Ok(Member {
                    system: system.clone(),
                    version: coding.version.clone(),
                    code: code.clone(),
                }),
                _ => Err("a concept has no system or no code: give both"),
            },
            _ => Err("parameter concept is no Coding: post Parameters with valueCoding"),
        })
        .collect::<Result<_, _>>()
        .map_err(|text| AppError::Invalid(text.to_owned()))
}

/// Writes the table; `false` where somebody else's change came between.
async fn save(
    app: &App,
    caller: &Caller,
    id: &str,
    expected: DocExpected,
    table: &ClosureTable,
) -> Result<bool, AppError> {
    let write = DocWrite {
        kind: DocKind::Closure,
        id: id.to_owned(),
        expected,
        body: Some(serde_json::to_vec(table)?),
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    };
    match app.store().operate(&caller.scope, vec![write]).await {
        Ok(()) => Ok(true),
        Err(store::CommitError::DocConflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn answer(name: &str, table: &ClosureTable, pairs: &[Pair]) -> Vec<u8> {
    // One group for each code system; every pair is of one.
    let mut groups: Vec<(&str, Vec<Value>)> = Vec::new();
    for pair in pairs {
        let (Some(narrow), Some(wide)) = (table.member(pair.narrow), table.member(pair.wide))
        else {
            continue;
        };
        let element = json!({
            "code": narrow.code,
            "target": [{ "code": wide.code, "equivalence": "subsumes" }],
        });
        match groups
            .iter_mut()
            .find(|(system, _)| *system == narrow.system)
        {
            Some((_, elements)) => elements.push(element),
            None => groups.push((&narrow.system, vec![element])),
        }
    }
    let groups: Vec<Value> = groups
        .into_iter()
        .map(
            |(system, elements)| json!({ "source": system, "target": system, "element": elements }),
        )
        .collect();
    let mut body = json!({
        "resourceType": "ConceptMap",
        "name": name,
        "version": table.version.to_string(),
        "status": "active",
        "experimental": false,
    });
    if let (false, Some(body)) = (groups.is_empty(), body.as_object_mut()) {
        body.insert("group".to_owned(), groups.into());
    }
    body.to_string().into_bytes()
}
