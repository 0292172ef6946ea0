//! `MedicationAdministration/[id]/$witness`: the person who was named as witness signs with a sign-in of
//! their own. Until then the record says only that they were asked.

use std::sync::Arc;

use fhir::json::{Document, Limits, Value};
use identity::{AuthenticationLevel, Interaction, User, UserState};
use kernel::{LogicalId, VersionId};
use medication::administration::Outcome;
use medication::ids::{PersonId, same_person};
use medication::resources::{FUNCTIONS, person, read_administration};
use serde_json::json;
use store::{DocKind, Guard, ResourceKey};

use super::give::{ASKED, SIGNED, about, identify, performer_of, signature};
use super::ground::{Ground, names};
use super::prescribe::{resource_type, signer, subject};
use super::regimen::{self, Held};
use super::register::{Signers, Signing};
use super::signatures;
use super::stock::From;
use super::stock::dose::{Dosed, Effect, Said, is_named, links, stage};
use crate::App;
use crate::admin::{Versioned, all};
use crate::authorise::{Ask, would_allow};
use crate::context::Caller;
use crate::error::AppError;
use crate::record::bundle::{BundleAnswer, guarded_with};
use crate::record::name_of;
use crate::retry::Retry;
use crate::sign_in::subject_of_user;

fn refuse<T>(text: &str) -> Result<T, AppError> {
    Err(AppError::Unprocessable(text.to_owned()))
}

/// What the witness brings beside their sign-in.
#[derive(Debug, Clone, Default)]
pub struct Witnessing {
    /// The proofs of who gave it and of the witness, for a controlled drug.
    pub signing: Signing,
    /// From where it was taken.
    pub from: From,
    /// Why the register's entry is late, where it is.
    pub late: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Witnessed {
    /// The answer of the transaction.
    pub bundle: BundleAnswer,
    /// What the stock did about it.
    pub stock: Vec<Said>,
}

/// A record that is signed.
struct Signed<'a> {
    key: &'a ResourceKey,
    held: &'a Held,
    version: u32,
    patient: &'a ResourceKey,
}

/// Signs a record as the witness that it names. With the proofs of both people, what waited for them moves in
/// the stock and is written in the register in the same commit.
pub async fn witness(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    with: &Witnessing,
) -> Result<Witnessed, AppError> {
    let (held, about_whom, version) = about(app, caller, key, Interaction::Update, |own| {
        patient(app, own)
    })
    .await?;
    let root = held.root();
    let asked = who(root, ASKED)?;
    if asked.is_none() && !is_unseen(root)? {
        return Err(AppError::Conflict(format!(
            "{} waits for no witness: read who signed it",
            name_of(key)
        )));
    }
    let me = names(caller);
    let first = first(app, caller, key).await?;
    let giver = is_they(&me, (root, first.root()), asked.as_ref())?;
    if root.get_str("status").as_deref() == Some("entered-in-error") {
        return refuse("the record was withdrawn: there is nothing to sign");
    }
    let why = format!("witness of {}", name_of(key));
    let signers = Signers::people(app, caller, &with.signing, &why).await?;
    is_named(&signers, asked.as_ref().or(me.first()))?;
    if let (Some(by), Some(giver)) = (&signers.by, &giver)
        && !names(by.caller()).contains(giver)
    {
        return refuse("the first signature is of whoever gave it: another person signed");
    }
    let signed = Signed {
        key,
        held: &held,
        version,
        patient: &about_whom,
    };
    let mut retry = Retry::busy();
    loop {
        match Box::pin(once(app, caller, &signed, (with, &signers))).await {
            // Somebody moved the same stock at the same moment.
            Err(AppError::Conflict(_)) if signers.by.is_some() && retry.again().await => {}
            done => return done,
        }
    }
}

/// Refuses whoever is not the witness that a record names; answers who gave it. Who gave it and who was asked
/// stand as they were first written: a record is changed by many.
fn is_they(
    me: &[PersonId],
    (root, first): (Value<'_>, Value<'_>),
    asked: Option<&PersonId>,
) -> Result<Option<PersonId>, AppError> {
    let giver = who(first, "giver")?;
    let mut gave: Vec<PersonId> = Vec::new();
    for own in [root, first] {
        gave.extend(who(own, "giver")?);
        gave.extend(who(own, "enterer")?);
    }
    if same_person(me, &gave) {
        return refuse("the witness is the giver: ask another person to sign");
    }
    if who(root, "giver")? != giver {
        return refuse(
            "the record names another giver than when it was made: correct it, and ask the witness again",
        );
    }
    let before = who(first, ASKED)?;
    if before.is_some() && before.as_ref() != asked {
        return refuse(
            "the record names another witness than when it was made: correct it, and ask the witness again",
        );
    }
    if asked.is_some_and(|asked| !me.contains(asked)) {
        return refuse("another person is named as the witness: they sign with their own sign-in");
    }
    Ok(giver)
}

/// A record as it was first written.
async fn first(app: &App, caller: &Caller, key: &ResourceKey) -> Result<Held, AppError> {
    let found = app.store().vread(&caller.scope, key, VersionId(1)).await?;
    let found = found.filter(|version| version.body.is_some());
    let gone = || AppError::not_found(format!("{} as it was first written", name_of(key)));
    regimen::held(found.ok_or_else(gone)?)
}

async fn once(
    app: &App,
    caller: &Caller,
    signed: &Signed<'_>,
    (with, signers): (&Witnessing, &Signers),
) -> Result<Witnessed, AppError> {
    let (effect, guards) = if signers.by.is_some() && signers.witness.is_some() {
        waited(app, caller, signed, (with, signers)).await?
    } else {
        (Effect::default(), Vec::new())
    };
    let mut resource: serde_json::Value = serde_json::from_slice(signed.held.root().raw())?;
    sign(&mut resource, &signer(caller));
    identify(&mut resource, &effect.links);
    let name = name_of(signed.key);
    let provenance = signature(app, (&name, &name_of(signed.patient)), &signer(caller));
    let version = signed.version;
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "PUT", "url": name, "ifMatch": format!("W/\"{version}\"") }, "resource": resource },
        { "request": { "method": "POST", "url": "Provenance" }, "resource": provenance },
    ]});
    let patient = &signed.patient.id;
    let mut beside = effect.staged.beside(guards);
    beside
        .docs
        .push(signatures::witnessed(app, caller, patient, &name)?);
    beside
        .entries
        .push(signatures::entry(app, caller, "dose-witnessed", patient));
    let bundle = guarded_with(app, caller, bundle.to_string().into(), None, beside).await?;
    Ok(Witnessed {
        bundle,
        stock: effect.said,
    })
}

/// What waited for the witness in the stock and in the register, and what must still be so when it moves.
async fn waited(
    app: &App,
    caller: &Caller,
    signed: &Signed<'_>,
    (with, signers): (&Witnessing, &Signers),
) -> Result<(Effect, Vec<Guard>), AppError> {
    let root = signed.held.root();
    if !links(root).is_empty() {
        return Ok((Effect::default(), Vec::new()));
    }
    let record =
        read_administration(root).map_err(|error| AppError::Unprocessable(error.to_string()))?;
    let key = ResourceKey {
        ty: resource_type(app, "MedicationRequest")?,
        id: record.order.0.clone(),
    };
    let of = |order: Value<'_>| subject(app, order);
    let (order, patient, _) = about(app, caller, &key, Interaction::Read, of).await?;
    let mut ground = Ground::load(app, caller, &patient, "$witness").await?;
    regimen::extend(app, caller, &mut ground.regimen, &[order.root()]).await?;
    let records = ground.records(app, caller, None).await?;
    if !records.book.heads().any(|head| head.record.id == record.id) {
        return refuse("a correction stands in place of this record: sign that one");
    }
    let dosed = Dosed {
        order: order.root(),
        name: &order.name(),
        medications: &ground.regimen.medications,
        resident: medication::ids::ResidentId(patient.id.clone()),
        ordered: None,
        // With what it corrects: what that one took is put back with it, unless it was before.
        record: &record,
        records: &records,
        from: &with.from,
        signers,
        late: with.late.clone(),
        done: true,
    };
    let effect = stage(app, caller, &dosed).await?;
    let mut guards = ground.regimen.guards;
    guards.extend(records.guard);
    Ok((effect, guards))
}

/// Who is named by a reference, by one name.
pub(super) fn read_person(reference: &serde_json::Value) -> Result<PersonId, AppError> {
    let document = Document::parse(reference.to_string().into_bytes(), &Limits::default())?;
    let own = person(document.root()).and_then(|own| own.parse().ok());
    own.ok_or_else(|| {
        let text = "the witness is nobody: send a reference to a Practitioner or the identifier of an account";
        AppError::Unprocessable(text.to_owned())
    })
}

/// The witness whom a reference names, by every name: an active account that may sign in a register.
pub(super) async fn named(
    app: &App,
    caller: &Caller,
    reference: &serde_json::Value,
) -> Result<Vec<PersonId>, AppError> {
    let wanted = read_person(reference)?;
    let users: Vec<Versioned<User>> = all(app, &caller.scope, DocKind::User).await?;
    for user in users.into_iter().map(|own| own.value) {
        let account = user.id.to_string().parse::<PersonId>().ok();
        let practitioner = user.practitioner.clone().map(PersonId);
        let names: Vec<PersonId> = practitioner.into_iter().chain(account).collect();
        if user.state != UserState::Active || !names.contains(&wanted) {
            continue;
        }
        let level = AuthenticationLevel::PasswordAndCode;
        let subject = subject_of_user(app, &caller.scope, &user, level, None).await?;
        let them = Caller {
            subject: Arc::new(subject),
            ..caller.clone()
        };
        if would_allow(app, &them, &Ask::operation(Interaction::SignRegister)).await? {
            return Ok(names);
        }
    }
    refuse("the witness has no account here that may sign: name somebody who can")
}

/// Whom a record is about.
pub(super) fn patient(app: &App, own: Value<'_>) -> Result<ResourceKey, AppError> {
    let reference = own.get("subject").and_then(|own| own.get_str("reference"));
    let id = reference
        .as_deref()
        .and_then(|own| own.strip_prefix("Patient/"))
        .and_then(|id| id.parse::<LogicalId>().ok());
    match id {
        Some(id) => Ok(app.patient_key(&id)),
        None => refuse("the record is about no patient: correct its subject"),
    }
}

/// Who has a function in a record.
fn who(root: Value<'_>, function: &str) -> Result<Option<PersonId>, AppError> {
    let Some(actor) = performer_of(root, function) else {
        return Ok(None);
    };
    let document = Document::parse(actor.to_string().into_bytes(), &Limits::default())?;
    Ok(person(document.root()).and_then(|own| own.parse().ok()))
}

/// Whether a device brought a dose that was used and that nobody signed as the witness: where it was recorded,
/// nobody could prove to be there.
fn is_unseen(root: Value<'_>) -> Result<bool, AppError> {
    if who(root, SIGNED)?.is_some() || root.get("device").is_none() {
        return Ok(false);
    }
    let record =
        read_administration(root).map_err(|error| AppError::Unprocessable(error.to_string()))?;
    Ok(record.outcome.meaning().used && record.outcome != Outcome::SelfAdministered)
}

/// Turns who was asked into who signed; where nobody was asked, whoever signs is the witness.
fn sign(resource: &mut serde_json::Value, by: &serde_json::Value) {
    let list = resource.get_mut("performer");
    let Some(list) = list.and_then(serde_json::Value::as_array_mut) else {
        return;
    };
    let asked = |own: &serde_json::Value| {
        let code = own.pointer("/function/coding/0/code");
        code.and_then(serde_json::Value::as_str) == Some(ASKED)
    };
    if !list.iter().any(asked) {
        let function = json!({ "coding": [{ "system": FUNCTIONS, "code": ASKED }] });
        list.push(json!({ "function": function, "actor": by }));
    }
    for performer in list {
        let code = performer.pointer_mut("/function/coding/0/code");
        if let Some(code) = code.filter(|own| own.as_str() == Some(ASKED)) {
            *code = SIGNED.into();
            super::issue::set(performer, "actor", by.clone());
        }
    }
}
