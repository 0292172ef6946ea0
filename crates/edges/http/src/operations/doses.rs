//! Operations on doses: recording what became of one, the witness's signature, the chart.

use app::ResourceKey;
use app::medicines::chart::chart;
use app::medicines::give::{Dose, give};
use app::medicines::reasons;
use app::medicines::register::Signing;
use app::medicines::stock::From;
use app::medicines::stock::dose::Said;
use app::medicines::witness::{Witnessing, witness};
use app::sign_in::Proof;
use axum::http::StatusCode;
use axum::response::Response;
use fhir::json::Value;
use kernel::{Category, Timestamp};
use medication::administration::{Correction, How, Outcome, Right, Verified};
use medication::stock::Batch;
use medication::{Dosage, Quantity};
use serde_json::json;
use zeroize::Zeroizing;

use super::medicines::stored;
use super::parameters::Parameters;
use super::record::given;
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::fhir_routes::{failed, fhir};
use crate::routing::Route;

/// The routes.
pub(super) fn table() -> Vec<Route> {
    let record = "/t/{tenant}/fhir/MedicationRequest/{id}/$give";
    let sign = "/t/{tenant}/fhir/MedicationAdministration/{id}/$witness";
    let drawn = "/t/{tenant}/fhir/Patient/{id}/$medication-chart";
    vec![
        Route::post(record, "give", failed, recorded),
        Route::post(sign, "witness", failed, signed),
        Route::get(drawn, "medication-chart", failed, charted),
    ]
}

async fn recorded(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let key = ResourceKey {
        ty: resource_type("MedicationRequest")?,
        id: logical_id(&id)?,
    };
    let parameters = given(&mut arrival).await?;
    let dose = dose(&parameters)?;
    let done = give(arrival.app(), &caller, &key, &dose).await?;
    let Some((name, bundle)) = done.stored else {
        let outcome = done.decision.as_ref().map(reasons::outcome);
        let outcome = outcome.unwrap_or_default().to_string();
        return Ok(fhir(StatusCode::UNPROCESSABLE_ENTITY, outcome));
    };
    let mut parts =
        vec![json!({ "name": "administration", "valueReference": { "reference": name } })];
    parts.extend(done.decision.iter().flat_map(reasons::parts));
    parts.extend(done.stock.iter().map(Said::part));
    if done.witnessed {
        parts.push(json!({ "name": "witness", "valueCode": "signed" }));
    } else if dose.witness.is_some() {
        parts.push(json!({ "name": "witness", "valueCode": "not-signed" }));
    }
    let answer = json!({ "resourceType": "Parameters", "parameter": parts });
    Ok(stored(&answer, &bundle, Some((&caller, &name))))
}

async fn signed(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let key = ResourceKey {
        ty: resource_type("MedicationAdministration")?,
        id: logical_id(&id)?,
    };
    let parameters = given(&mut arrival).await?;
    let with = Witnessing {
        signing: signing(&parameters)?,
        from: from(&parameters)?,
        late: parameters.text("late").map(std::borrow::Cow::into_owned),
    };
    let done = witness(arrival.app(), &caller, &key, &with).await?;
    let bundle = done.bundle;
    let name = format!("MedicationAdministration/{}", key.id.as_str());
    let mut parts = vec![
        json!({ "name": "administration", "valueReference": { "reference": name } }),
        json!({ "name": "witness", "valueCode": "signed" }),
    ];
    parts.extend(done.stock.iter().map(Said::part));
    let answer = json!({ "resourceType": "Parameters", "parameter": parts });
    Ok(stored(&answer, &bundle, None))
}

async fn charted(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let key = ResourceKey {
        ty: resource_type("Patient")?,
        id: logical_id(&id)?,
    };
    let parameters = given(&mut arrival).await?;
    let days = parameters.text("days").map(|text| {
        let number = text.parse::<i64>();
        number.map_err(|_| wrong("the parameter days is no whole number: send one from 1 to 28"))
    });
    let from = parameters.text("from");
    let asked = (from.as_deref(), days.transpose()?);
    let drawn = chart(arrival.app(), &caller, &key, asked).await?;
    let answer = drawn.parameters(arrival.app().now());
    Ok(fhir(StatusCode::OK, answer.to_string()))
}

fn wrong(text: impl Into<String>) -> EdgeError {
    EdgeError::Address(Category::Invalid, text.into())
}

/// The parts of a part, as text.
fn inner(part: Value<'_>, name: &str) -> Option<String> {
    let mut parts = part.get("part").into_iter().flat_map(Value::items);
    let own = parts.find(|one| one.get_str("name").as_deref() == Some(name))?;
    let value = own.members().find(|(key, _)| key.starts_with("value"))?.1;
    match value.as_bool() {
        Some(flag) => Some(flag.to_string()),
        None => value.as_str().map(std::borrow::Cow::into_owned),
    }
}

fn dose(parameters: &Parameters) -> Result<Dose, EdgeError> {
    let text = |name: &str| parameters.text(name).map(std::borrow::Cow::into_owned);
    let code = text("outcome").ok_or_else(|| {
        wrong("the parameter outcome is missing: say what became of the dose, such as given")
    })?;
    let outcome = Outcome::of(&code).ok_or_else(|| {
        let known: Vec<&str> = Outcome::ALL.iter().map(|own| own.code()).collect();
        wrong(format!(
            "{code:?} is no outcome: send one of {}",
            known.join(", ")
        ))
    })?;
    let happened = text("happened").map(|own| {
        Timestamp::from_rfc3339(&own)
            .ok_or_else(|| wrong("the parameter happened is no instant: send one with an offset"))
    });
    let rights = parameters.parts().filter(|(name, _)| name == "right");
    let rights: Result<Vec<Verified>, EdgeError> = rights.map(|(_, part)| verified(part)).collect();
    let witness = parameters.values("witness").next().map(|own| {
        serde_json::from_slice(own.raw())
            .map_err(|_| wrong("the parameter witness is no Reference"))
    });
    let dosage = text("dosage").map(|own| {
        let number = own.parse::<usize>().ok().and_then(|own| own.checked_sub(1));
        number.ok_or_else(|| {
            wrong("the parameter dosage is no number: send the place in dosageInstruction, from 1")
        })
    });
    let corrects = parameters.parts().find(|(name, _)| name == "corrects");
    Ok(Dose {
        outcome,
        dose: parameters.values("dose").next().map(quantity).transpose()?,
        reason: text("reason"),
        happened: happened.transpose()?,
        slot: text("slot"),
        rights: rights?,
        witness: witness.transpose()?,
        need: text("asNeeded"),
        done: parameters.flag("done")?.unwrap_or(false),
        corrects: corrects.map(|(_, part)| correction(part)).transpose()?,
        from: from(parameters)?,
        signing: signing(parameters)?,
        late: text("late"),
        scan: text("scan"),
        dosage: dosage.transpose()?,
        offline: None,
    })
}

/// From where it is taken: a place, and the batch that was read.
fn from(parameters: &Parameters) -> Result<From, EdgeError> {
    let Some((_, part)) = parameters.parts().find(|(name, _)| name == "from") else {
        return Ok(From::default());
    };
    let location = inner(part, "location").map(|own| {
        let id = own.strip_prefix("Location/").unwrap_or(&own);
        id.parse()
            .map_err(|_| wrong("from names no Location: send its id in location"))
    });
    let expiry = inner(part, "expiry").map(|own| {
        own.parse()
            .map_err(|_| wrong("the expiry in from is no date: send one such as 2027-01-31"))
    });
    let batch = Batch {
        expiry: expiry.transpose()?,
        lot: inner(part, "lot"),
        serial: inner(part, "serial"),
    };
    Ok(From {
        location: location.transpose()?,
        batch: Some(batch).filter(|own| *own != Batch::default()),
    })
}

/// The proofs of who gives it and of who sees it.
fn signing(parameters: &Parameters) -> Result<Signing, EdgeError> {
    let proof = |wanted: &str| {
        let Some((_, part)) = parameters.parts().find(|(name, _)| name == wanted) else {
            return Ok(None);
        };
        let (Some(name), Some(password)) = (inner(part, "name"), inner(part, "password")) else {
            return Err(wrong(format!(
                "{wanted} has no name or no password: send both, and code where there is one"
            )));
        };
        Ok(Some(Proof {
            name,
            password: Zeroizing::new(password),
            code: inner(part, "code"),
        }))
    };
    Ok(Signing {
        by: proof("giverProof")?,
        witness: proof("witnessProof")?,
    })
}

/// An amount as a dosage states it: what is no dose there is none here.
fn quantity(value: Value<'_>) -> Result<Quantity, EdgeError> {
    let own = String::from_utf8_lossy(value.raw());
    let text = format!(r#"{{"doseAndRate":[{{"doseQuantity":{own}}}]}}"#);
    let document = fhir::json::Document::parse(text.into_bytes(), &fhir::json::Limits::default())
        .map_err(|error| wrong(error.to_string()))?;
    let dosage = Dosage::read(document.root()).map_err(|error| wrong(error.to_string()))?;
    let dose = dosage.dose().and_then(|own| own.most()).cloned();
    dose.ok_or_else(|| wrong("the parameter dose is no Quantity: send a value and a unit"))
}

fn verified(part: Value<'_>) -> Result<Verified, EdgeError> {
    let right = inner(part, "right").and_then(|own| Right::of(&own));
    let how = inner(part, "how").and_then(|own| How::of(&own));
    let (Some(right), Some(how)) = (right, how) else {
        return Err(wrong(
            "a right has no right or no how of the list: see the reference of $give",
        ));
    };
    let fits = match inner(part, "fits").as_deref() {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(wrong("a right does not say whether it fits: send fits")),
    };
    Ok(Verified { right, how, fits })
}

fn correction(part: Value<'_>) -> Result<Correction, EdgeError> {
    let of = inner(part, "of").and_then(|own| {
        let id = own
            .strip_prefix("MedicationAdministration/")
            .unwrap_or(&own);
        id.parse().ok()
    });
    Ok(Correction {
        of: of.ok_or_else(|| wrong("corrects names no record: send its id in of"))?,
        reason: inner(part, "reason").unwrap_or_default(),
        void: inner(part, "void").as_deref() == Some("true"),
    })
}
