//! `MedicationRequest/[id]/$countersign`: the second person signs an order that overrides something
//! contraindicated. The list is checked again: what was signed by the first must still be what is found.

use bytes::Bytes;
use fhir::json::{Document, Limits, Value};
use identity::Interaction;
use kernel::VersionId;
use medication::checks::overrides::{Override, OverrideError, stands};
use medication::ids::same_person;
use serde_json::json;
use store::{DocExpected, ResourceKey};

use super::check::{CheckAnswer, Shown, judge};
use super::elsewhere::When;
use super::ground::names;
use super::issue::{set, title};
use super::prescribe::{For, ended, given, resource_type, signer, standing, subject};
use super::signatures::OrderSigned;
use super::{regimen, signatures, sources};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::record::bundle::{Beside, BundleAnswer, guarded_with};
use crate::record::{name_of, read};

/// What came of it.
#[derive(Debug)]
pub struct Countersigned {
    /// What was found now.
    pub checked: CheckAnswer,
    /// The answer of the transaction.
    pub bundle: BundleAnswer,
}

/// Signs a draft as the second person and puts it in force.
pub async fn countersign(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
) -> Result<Countersigned, AppError> {
    let ty = resource_type(app, "MedicationRequest")?;
    authorise(app, caller, &Ask::of_type(Interaction::Update, ty)).await?;
    let version = read::read(app, caller, key).await?;
    let body = version.body.clone().unwrap_or_default();
    let document = Document::parse(body.to_vec(), &Limits::default())?;
    let order = document.root();
    if order.get_str("status").as_deref() != Some("draft") {
        return Err(AppError::Conflict(format!(
            "{} does not wait for a second person: read what became of it",
            name_of(key)
        )));
    }
    let patient = subject(app, order)?;
    let (mut held, number) = first(app, caller, key, &patient).await?;
    let mut signed = signed(app, caller, order).await?;
    // Only what the first person answered; what was added to the order since is nobody's signature.
    signed.retain(|one| held.issues.contains(&one.name));
    if signed.is_empty() {
        return Err(AppError::Unprocessable(
            OverrideError::SecondPerson.to_string(),
        ));
    }
    let mut regimen = regimen::load(app, caller, &patient, "$countersign").await?;
    regimen::extend(app, caller, &mut regimen, &[order]).await?;
    let sources = sources(app).await?;
    let checked = judge(app, caller, &sources, &regimen, (&[order], When::Now)).await;
    let standing = standing(app, caller, &checked, &regimen, For::Order).await?;
    if let Some(shown) = unsigned(&checked, &signed, &standing) {
        let title = title(&checked, shown);
        return Err(AppError::Conflict(format!(
            "{title} is new since the first person signed: cancel this order and prescribe again"
        )));
    }
    held.second = Some(signatures::second(app, caller, &checked));
    let ended = ended(&regimen, order, app.now())?;
    let entry = (key, version.version.to_string(), &*body);
    let bundle = transaction(
        app,
        entry,
        ended,
        (&signed, &name_of(&patient)),
        &signer(caller),
    )?;
    let beside = Beside {
        guards: regimen.guards,
        docs: vec![held.write(app, DocExpected::Version(number))?],
        entries: vec![signatures::entry(
            app,
            caller,
            "order-countersigned",
            &patient.id,
        )],
        naming: None,
    };
    let bundle = guarded_with(app, caller, bundle, None, beside).await?;
    Ok(Countersigned { checked, bundle })
}

/// The first person's signature, with the version of its document; refuses that person as the second.
async fn first(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    patient: &ResourceKey,
) -> Result<(OrderSigned, u32), AppError> {
    let name = name_of(key);
    let Some((held, number)) = signatures::of_order(app, caller, key).await? else {
        return Err(AppError::Unprocessable(format!(
            "nobody signed {name} as the first person: prescribe it with $prescribe"
        )));
    };
    if held.patient != patient.id.as_str() {
        return Err(AppError::Conflict(format!(
            "{name} is about another patient than the one it was prescribed for: prescribe it again"
        )));
    }
    if caller.subject.actor().kind != kernel::ActorKind::User {
        return Err(AppError::Unprocessable(
            "a program is no second person: let somebody sign in".to_owned(),
        ));
    }
    if same_person(&names(caller), &held.first) {
        return Err(AppError::Unprocessable(
            OverrideError::SamePerson.to_string(),
        ));
    }
    Ok((held, number))
}

/// The first alert that interrupts and that nobody signed.
pub(super) fn unsigned<'a>(
    checked: &'a CheckAnswer,
    signed: &[Signed],
    standing: &[Override],
) -> Option<&'a Shown> {
    checked.alerts.iter().find(|shown| {
        shown.alert.tier.interrupts()
            && !signed
                .iter()
                .flat_map(|one| &one.given)
                .chain(standing)
                .any(|one| stands(one, &shown.fingerprint))
    })
}

/// An alert that the first person signed.
pub(super) struct Signed {
    /// `DetectedIssue/1`.
    name: String,
    /// What was given, once for each fingerprint that it holds for.
    pub(super) given: Vec<Override>,
}

/// The alerts that the order names, with the overrides of the first person as they were first written:
/// what was changed since is not what that person signed.
pub(super) async fn signed(
    app: &App,
    caller: &Caller,
    order: Value<'_>,
) -> Result<Vec<Signed>, AppError> {
    let mut found = Vec::new();
    let named = order
        .get("detectedIssue")
        .into_iter()
        .flat_map(Value::items);
    for reference in named.filter_map(|one| one.get_str("reference")) {
        let Some((name, id)) = reference
            .split_once('/')
            .filter(|(ty, _)| *ty == "DetectedIssue")
        else {
            continue;
        };
        let Ok(id) = id.parse() else { continue };
        let key = ResourceKey {
            ty: resource_type(app, name)?,
            id,
        };
        let version = read::vread(app, caller, &key, VersionId::FIRST).await?;
        let body = version.body.unwrap_or_default();
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        let given = given(document.root());
        if given.is_empty() {
            continue;
        }
        found.push(Signed {
            name: reference.into_owned(),
            given,
        });
    }
    Ok(found)
}

fn transaction(
    app: &App,
    (key, version, body): (&ResourceKey, String, &[u8]),
    ended: Option<serde_json::Value>,
    (signed, patient): (&[Signed], &str),
    by: &serde_json::Value,
) -> Result<Bytes, AppError> {
    let mut resource: serde_json::Value = serde_json::from_slice(body)?;
    set(&mut resource, "status", "active");
    let name = name_of(key);
    // With the patient, so that whoever gives what was signed sees the signature.
    let targets: Vec<serde_json::Value> = core::iter::once(name.as_str())
        .chain(signed.iter().map(|one| one.name.as_str()))
        .chain([patient])
        .map(|name| json!({ "reference": name }))
        .collect();
    let provenance = json!({
        "resourceType": "Provenance", "target": targets, "recorded": app.now().to_fhir_instant(),
        "activity": { "text": "Signed as the second person" },
        "agent": [{ "type": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "verifier",
        }]}, "who": by }],
    });
    let mut entries = vec![
        json!({ "request": { "method": "PUT", "url": name, "ifMatch": format!("W/\"{version}\"") }, "resource": resource }),
        json!({ "request": { "method": "POST", "url": "Provenance" }, "resource": provenance }),
    ];
    entries.extend(ended);
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    Ok(bundle.to_string().into())
}
