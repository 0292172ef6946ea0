//! Composition `$document` (FHIR R4, composition-operation-document): the composition first, then what it
//! refers to, and what the entries refer to in turn, as one document Bundle; stored where that is asked.

use std::collections::HashSet;

use bytes::Bytes;
use identity::Interaction;
use kernel::LogicalId;
use ledger::leaf::Class;
use store::{ResourceKey, StoredVersion};

use super::everything::{reachable, references};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::record::render::string;
use crate::record::{Outcome, create, name_of, read};

/// Most resources of a document.
const RESOURCES: usize = 500;
/// How far references are followed from the composition.
const STEPS: usize = 2;

/// A document.
#[derive(Debug)]
pub struct Made {
    /// The Bundle.
    pub body: Bytes,
    /// Its version, where it was stored.
    pub stored: Option<Outcome>,
}

/// Makes the document of a composition.
pub async fn document(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    persist: bool,
) -> Result<Made, AppError> {
    let composition = read::read(app, caller, key).await?;
    let patients = app.patients_of(caller, &composition)?;
    let versions = collect(app, caller, composition, &patients).await?;
    let ask = Ask::record(Interaction::Read, key, &patients);
    let allowed = authorise(app, caller, &ask).await?;
    let query = format!("{}/$document", name_of(key));
    let look = Look {
        class: Class::Search,
        object: None,
        query: Some(&query),
        patients: &patients,
        allowed: &allowed,
    };
    let entries = look_entries(app, caller, &look);
    app.store().record_access(&caller.scope, entries).await?;
    let body = Bytes::from(bundle(app, caller, &versions));
    if !persist {
        return Ok(Made { body, stored: None });
    }
    let ty = app.definitions().resource("Bundle");
    let ty = ty.ok_or_else(|| AppError::Fault("the definitions lack Bundle".to_owned()))?;
    let stored = create::create(app, caller, ty, body.clone(), None).await?;
    Ok(Made {
        body: stored.version.body.clone().unwrap_or(body),
        stored: Some(stored),
    })
}

async fn collect(
    app: &App,
    caller: &Caller,
    composition: StoredVersion,
    patients: &[LogicalId],
) -> Result<Vec<StoredVersion>, AppError> {
    let patients: HashSet<LogicalId> = patients.iter().cloned().collect();
    let mut known = HashSet::from([composition.key.clone()]);
    let limit = app.settings().limits.answer_bytes;
    let size = |version: &StoredVersion| version.body.as_ref().map_or(0, Bytes::len);
    let mut bytes = size(&composition);
    let mut versions = vec![composition];
    let mut from = 0;
    for _ in 0..STEPS {
        let mut wanted = Vec::new();
        for version in versions.get(from..).unwrap_or_default() {
            let found = references(app, caller, version)?;
            wanted.extend(found.into_iter().filter(|key| known.insert(key.clone())));
        }
        from = versions.len();
        for key in wanted {
            // What is missing or out of reach leaves a reference that nothing answers.
            let Some(version) = reachable(app, caller, &key, &patients).await? else {
                continue;
            };
            if versions.len() >= RESOURCES {
                return Err(AppError::TooLarge(format!(
                    "the document would have more than {RESOURCES} resources: split the composition"
                )));
            }
            bytes += size(&version);
            if bytes > limit {
                return Err(AppError::TooLarge(format!(
                    "the document would have more than {limit} bytes: split the composition"
                )));
            }
            versions.push(version);
        }
    }
    Ok(versions)
}

fn bundle(app: &App, caller: &Caller, versions: &[StoredVersion]) -> Vec<u8> {
    let bodies = versions.iter().filter_map(|version| version.body.as_ref());
    let mut out = Vec::with_capacity(bodies.map(|body| body.len() + 160).sum::<usize>() + 256);
    out.extend_from_slice(
        b"{\"resourceType\":\"Bundle\",\"identifier\":{\"system\":\"urn:ietf:rfc:3986\",\"value\":",
    );
    string(&mut out, &format!("urn:uuid:{}", app.ids().uuid()));
    out.extend_from_slice(b"},\"type\":\"document\",\"timestamp\":");
    string(&mut out, &app.now().to_fhir_instant());
    out.extend_from_slice(b",\"entry\":[");
    for (place, version) in versions.iter().enumerate() {
        let Some(body) = &version.body else { continue };
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"fullUrl\":");
        let url = format!("{}/{}", caller.context.base, name_of(&version.key));
        string(&mut out, &url);
        out.extend_from_slice(b",\"resource\":");
        out.extend_from_slice(body);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}
