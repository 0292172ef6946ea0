//! `$meta`, `$meta-add` and `$meta-delete` of a resource (FHIR R4, resource-operation-meta): its profiles,
//! tags and security labels; `$meta` of a type and of everything: all that are in use there. A change of
//! them is a version like any other: the ledger has to name it.

use std::collections::BTreeMap;

use fhir::definitions::TypeId;
use fhir::json::{Document, Limits, Value};
use fhir::print::{compact, write_string};
use identity::Interaction;
use kernel::VersionId;
use ledger::leaf::Class;
use store::{ResourceKey, StoreError};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::record::narrow::{self, Reach};
use crate::record::patch::{self, Patch};
use crate::record::{Outcome, read};
use crate::retry::Retry;

/// The members that the operations read and change.
const CODED: [&str; 2] = ["tag", "security"];

/// Values of the index that one answer may come from.
const VALUES: u32 = 4_000;

/// The profiles, tags and security labels in use on a type, or on everything that the caller may search.
///
/// # Errors
/// A caller who may see some of a type only: what others use is not theirs to know. More in use than one
/// answer may hold.
pub async fn in_use(app: &App, caller: &Caller, ty: Option<TypeId>) -> Result<Vec<u8>, AppError> {
    let definitions = app.definitions();
    let all = definitions.resource_types();
    let searched = all.filter(|ty| narrow::reach(app, caller, *ty) != Reach::Nothing);
    let asked: Vec<TypeId> = ty.map_or_else(|| searched.collect(), |ty| vec![ty]);
    let mut params = Vec::new();
    let mut allowed = None;
    for ty in &asked {
        let decided = authorise(app, caller, &Ask::of_type(Interaction::Search, *ty)).await?;
        if narrow::reach(app, caller, *ty) != Reach::All {
            return Err(AppError::Denied {
                reason: "you see some of these resources only, and this operation tells of all: \
                         ask for $meta of one of them"
                    .to_owned(),
                code: "narrowed".to_owned(),
            });
        }
        allowed = Some(decided);
        let codes = ["_profile", "_security", "_tag"].into_iter();
        params.extend(codes.filter_map(|code| Some(definitions.search_param(*ty, code)?.id)));
    }
    let Some(allowed) = allowed else {
        return Ok(b"{}".to_vec());
    };
    let query = match ty {
        Some(ty) => format!("{}/$meta", definitions.resource_name(ty)),
        None => "$meta".to_owned(),
    };
    let look = Look {
        class: Class::Search,
        object: None,
        query: Some(&query),
        patients: &[],
        allowed: &allowed,
    };
    let entries = look_entries(app, caller, &look);
    app.store().record_access(&caller.scope, entries).await?;
    let found = app.store().in_use(&caller.scope, &params, VALUES).await;
    let found = found.map_err(|error| match error {
        StoreError::TooCostly => AppError::TooCostly(
            "too many profiles, tags and labels are in use for one answer: ask for $meta of a type"
                .to_owned(),
        ),
        other => other.into(),
    })?;
    let mut union = Union::default();
    for key in &found {
        let version = app.store().read(&caller.scope, key).await?;
        if let Some(body) = version.and_then(|version| version.body) {
            let document = Document::parse(body.to_vec(), &Limits::default())?;
            union.take(document.root().get("meta"));
        }
    }
    Ok(union.written())
}

/// What is in use, in order.
#[derive(Default)]
struct Union {
    profiles: std::collections::BTreeSet<String>,
    /// By system and code; the first display wins.
    coded: [BTreeMap<(String, String), Vec<u8>>; 2],
}

impl Union {
    fn take(&mut self, meta: Option<Value<'_>>) {
        let profiles = items(meta, "profile");
        let profiles = profiles.iter().filter_map(|one| one.as_str());
        self.profiles
            .extend(profiles.map(std::borrow::Cow::into_owned));
        for (name, known) in CODED.into_iter().zip(&mut self.coded) {
            for one in items(meta, name) {
                let text = |member: &str| one.get_str(member).unwrap_or_default().into_owned();
                known
                    .entry((text("system"), text("code")))
                    .or_insert_with(|| {
                        let mut bytes = Vec::new();
                        compact(one, &mut bytes);
                        bytes
                    });
            }
        }
    }

    fn written(&self) -> Vec<u8> {
        let mut out = vec![b'{'];
        let profiles = self.profiles.iter().map(|profile| {
            let mut bytes = Vec::new();
            write_string(profile, &mut bytes);
            bytes
        });
        let [tags, security] = &self.coded;
        list("profile", profiles, &mut out);
        list("security", security.values().cloned(), &mut out);
        list("tag", tags.values().cloned(), &mut out);
        out.push(b'}');
        out
    }
}

/// A member with the items, where there are some.
fn list(name: &str, values: impl Iterator<Item = Vec<u8>>, out: &mut Vec<u8>) {
    let mut is_first = true;
    for value in values {
        if is_first {
            if out.len() > 1 {
                out.push(b',');
            }
            write_string(name, out);
            out.extend_from_slice(b":[");
        } else {
            out.push(b',');
        }
        is_first = false;
        out.extend_from_slice(&value);
    }
    if !is_first {
        out.push(b']');
    }
}

/// What to do with the given ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Put them there, where they are not.
    Add,
    /// Take them away, where they are.
    Delete,
}

/// The meta of a resource, as JSON.
pub async fn meta(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    version: Option<VersionId>,
) -> Result<Vec<u8>, AppError> {
    let found = match version {
        None => read::read(app, caller, key).await?,
        Some(version) => read::vread(app, caller, key, version).await?,
    };
    meta_of(found.body.as_deref())
}

/// The meta in a resource's bytes.
pub fn meta_of(body: Option<&[u8]>) -> Result<Vec<u8>, AppError> {
    let document = Document::parse(body.unwrap_or(b"{}").to_vec(), &Limits::default())?;
    let mut out = Vec::new();
    match document.root().get("meta") {
        Some(meta) => compact(meta, &mut out),
        None => out.extend_from_slice(b"{}"),
    }
    Ok(out)
}

/// Adds or takes away profiles, tags and security labels.
pub async fn change(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    given: Value<'_>,
    change: Change,
) -> Result<Outcome, AppError> {
    let mut retry = Retry::new();
    loop {
        let found = patch::current(app, caller, key).await?;
        let body = found.body.as_deref().unwrap_or(b"{}");
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        let meta = changed(document.root().get("meta"), given, change);
        let mut source = br#"[{"op":"add","path":"/meta","value":"#.to_vec();
        source.extend_from_slice(&meta);
        source.extend_from_slice(b"}]");
        let patch = Patch::json(app, source)?;
        match patch::patch(app, caller, key, &patch, Some(found.version)).await {
            Err(AppError::Stale { .. }) if retry.again().await => {}
            other => return other,
        }
    }
}

/// The meta with the change made: members that are not concerned stay as they are.
fn changed(meta: Option<Value<'_>>, given: Value<'_>, change: Change) -> Vec<u8> {
    let mut out = vec![b'{'];
    let mut member = |name: &str, value: &[u8]| {
        if out.len() > 1 {
            out.push(b',');
        }
        write_string(name, &mut out);
        out.push(b':');
        out.extend_from_slice(value);
    };
    for (name, value) in meta.into_iter().flat_map(Value::members) {
        if name != "profile" && !CODED.contains(&&*name) {
            let mut bytes = Vec::new();
            compact(value, &mut bytes);
            member(&name, &bytes);
        }
    }
    for name in ["profile", "security", "tag"] {
        let old = items(meta, name);
        let new = items(Some(given), name);
        let is_in = |list: &[Value<'_>], one: Value<'_>| list.iter().any(|other| same(*other, one));
        let mut list: Vec<Value<'_>> = match change {
            Change::Add => old.clone(),
            Change::Delete => old
                .iter()
                .copied()
                .filter(|one| !is_in(&new, *one))
                .collect(),
        };
        if change == Change::Add {
            for one in new {
                if !is_in(&list, one) {
                    list.push(one);
                }
            }
        }
        if !list.is_empty() {
            let mut bytes = vec![b'['];
            for (place, one) in list.into_iter().enumerate() {
                if place > 0 {
                    bytes.push(b',');
                }
                compact(one, &mut bytes);
            }
            bytes.push(b']');
            member(name, &bytes);
        }
    }
    out.push(b'}');
    out
}

fn items<'a>(meta: Option<Value<'a>>, name: &str) -> Vec<Value<'a>> {
    let list = meta.and_then(|meta| meta.get(name));
    list.into_iter().flat_map(Value::items).collect()
}

/// Tags and labels are the same by system and code, whatever their display; profiles by their address.
fn same(a: Value<'_>, b: Value<'_>) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a == b,
        _ => a.get_str("system") == b.get_str("system") && a.get_str("code") == b.get_str("code"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_and_takes_away_by_identity() {
        let parse =
            |text: &str| Document::parse(text.as_bytes().to_vec(), &Limits::default()).unwrap();
        let meta = parse(
            r#"{"versionId":"3","source":"x","tag":[{"system":"s","code":"a","display":"A"}],"profile":["p"]}"#,
        );
        let given = parse(
            r#"{"versionId":"9","tag":[{"system":"s","code":"a"},{"system":"s","code":"b"}],"security":[{"code":"R"}],"profile":["p"]}"#,
        );
        let run = |change| {
            let out = changed(Some(meta.root()), given.root(), change);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            run(Change::Add),
            r#"{"versionId":"3","source":"x","profile":["p"],"security":[{"code":"R"}],"tag":[{"system":"s","code":"a","display":"A"},{"system":"s","code":"b"}]}"#
        );
        assert_eq!(run(Change::Delete), r#"{"versionId":"3","source":"x"}"#);
    }
}
