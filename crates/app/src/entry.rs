//! Ledger entries as use-cases make them: who, what, whom, when, why. Must not commit or record.

use std::borrow::Cow;

use kernel::{LogicalId, VersionId};
use ledger::leaf::{Class, Outcome};
use ledger::payload::{Payload, ResourceFacts};
use sha2::{Digest as _, Sha256};
use store::{ChangeKind, Entry, Log, ResourceKey};

use crate::App;
use crate::authorise::Allowed;
use crate::context::Caller;

/// A change of a resource.
pub(crate) struct Facts<'a> {
    pub kind: ChangeKind,
    pub key: &'a ResourceKey,
    pub version: VersionId,
    pub subject: Option<&'a LogicalId>,
}

/// A look at resources.
pub(crate) struct Look<'a> {
    pub class: Class,
    pub object: Option<(&'a ResourceKey, Option<VersionId>)>,
    pub query: Option<&'a str>,
    /// One entry each; one about nobody where there are none.
    pub patients: &'a [LogicalId],
    pub allowed: &'a Allowed,
}

fn payload(caller: &Caller, interaction: impl Into<Cow<'static, str>>) -> Payload {
    let context = &caller.context;
    let mut payload = Payload::new(caller.subject.actor(), interaction, context.purpose);
    payload.client_address = context.client_address.map(|address| address.to_string());
    payload.request = Some(context.id);
    payload
}

fn resource_facts(app: &App, key: &ResourceKey, version: Option<VersionId>) -> ResourceFacts {
    ResourceFacts {
        ty: Cow::Borrowed(app.definitions().resource_name(key.ty)),
        id: Some(key.id.as_str().to_owned()),
        version: version.map(|version| version.0),
    }
}

/// The entry of a new version.
pub(crate) fn change_entry(app: &App, caller: &Caller, facts: &Facts<'_>) -> Entry {
    let (class, word) = match facts.kind {
        ChangeKind::Create | ChangeKind::CreateByUpdate => (Class::Create, "create"),
        ChangeKind::Update => (Class::Update, "update"),
        ChangeKind::Delete => (Class::Delete, "delete"),
        ChangeKind::Erase => (Class::Erase, "erase"),
    };
    let mut payload = payload(caller, word);
    payload.resource = Some(resource_facts(app, facts.key, Some(facts.version)));
    payload.patient = facts.subject.map(|patient| patient.as_str().to_owned());
    let mut entry = Entry::new(app.ids().uuid(), app.now(), Log::Changes, class, payload);
    entry.subject = facts.subject.cloned();
    entry.object = Some((facts.key.clone(), Some(facts.version)));
    entry
}

/// Bytes of a query that an entry keeps.
const QUERY_BYTES: usize = 4096;

/// A query as entries keep it: whole, or its beginning with the length and SHA-256 of the whole, so that
/// somebody who has the whole can show that it was this one.
fn recorded(query: &str) -> String {
    if query.len() <= QUERY_BYTES {
        return query.to_owned();
    }
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(query.as_bytes()));
    let tail = format!(" ... ({} bytes, sha256 {hash})", query.len());
    let begin = query.floor_char_boundary(QUERY_BYTES.saturating_sub(tail.len()));
    let mut kept = query.get(..begin).unwrap_or_default().to_owned();
    kept.push_str(&tail);
    kept
}

/// The entries of a look: one per patient.
pub(crate) fn look_entries(app: &App, caller: &Caller, look: &Look<'_>) -> Vec<Entry> {
    let query = look.query.map(recorded);
    let one = |patient: Option<&LogicalId>| {
        let mut payload = payload(caller, look.class.as_str());
        payload.resource = look
            .object
            .map(|(key, version)| resource_facts(app, key, version));
        payload.query.clone_from(&query);
        payload.patient = patient.map(|patient| patient.as_str().to_owned());
        let time = app.now();
        let mut entry = Entry::new(app.ids().uuid(), time, Log::Access, look.class, payload);
        entry.subject = patient.cloned();
        entry.object = look.object.map(|(key, version)| (key.clone(), version));
        look.allowed.mark(&mut entry);
        entry
    };
    if look.patients.is_empty() {
        vec![one(None)]
    } else {
        look.patients
            .iter()
            .map(|patient| one(Some(patient)))
            .collect()
    }
}

/// An entry about the house itself: users, tenants, audit, settings. `what` is the word people read.
pub(crate) fn house_entry(
    app: &App,
    caller: &Caller,
    log: Log,
    class: Class,
    what: impl Into<Cow<'static, str>>,
    detail: Option<String>,
) -> Entry {
    let mut payload = payload(caller, what);
    payload.outcome_text = detail;
    Entry::new(app.ids().uuid(), app.now(), log, class, payload)
}

/// A refusal, for the access log.
pub(crate) struct Refused<'a> {
    pub class: Class,
    pub key: Option<&'a ResourceKey>,
    pub type_name: Option<&'static str>,
    pub patient: Option<&'a LogicalId>,
    pub code: &'a str,
    pub sentence: &'a str,
}

/// The entry of a refusal.
pub(crate) fn refusal_entry(app: &App, caller: &Caller, refused: &Refused<'_>) -> Entry {
    let mut payload = payload(caller, refused.class.as_str());
    payload.resource = match (refused.key, refused.type_name) {
        (Some(key), _) => Some(resource_facts(app, key, None)),
        (None, Some(name)) => Some(ResourceFacts {
            ty: Cow::Borrowed(name),
            id: None,
            version: None,
        }),
        (None, None) => None,
    };
    payload.patient = refused.patient.map(|patient| patient.as_str().to_owned());
    payload.outcome_text = Some(refused.sentence.to_owned());
    let time = app.now();
    let mut entry = Entry::new(app.ids().uuid(), time, Log::Access, refused.class, payload);
    entry.outcome = Outcome::Denied;
    entry.subject = refused.patient.cloned();
    entry.object = refused.key.map(|key| (key.clone(), None));
    entry.reason = Some(refused.code.to_owned());
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_queries_are_cut_and_named_by_their_hash() {
        let short = "Patient?family=a".repeat(256);
        assert_eq!(short.len(), QUERY_BYTES);
        assert_eq!(recorded(&short), short);
        let long = format!("Patient?family={}", "\u{e4}".repeat(3000));
        let kept = recorded(&long);
        assert!((QUERY_BYTES - 4..=QUERY_BYTES).contains(&kept.len()));
        assert!(kept.starts_with("Patient?family=\u{e4}"));
        let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(long.as_bytes()));
        assert!(kept.ends_with(&format!(" ... ({} bytes, sha256 {hash})", long.len())));
        let other = recorded(&format!("{long}b"));
        assert_ne!(kept, other);
    }
}
