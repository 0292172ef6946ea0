//! Answers a call of a service: reads it, gathers the facts, lets the domain decide, makes the cards, and
//! keeps all of it with an entry before the answer leaves. Must not answer what it did not keep.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use fhir::json::{Document, Value};
use identity::Interaction;
use kernel::ZoneName;
use medication::knowledge::{DrugKnowledge as _, Release};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::cards::{KeptCard, Making, make};
use super::facts::{self, Kept, Opened, gather};
use super::heard::KeptHeard;
use super::log::{self, HookCall};
use super::request::{self, RequestError};
use super::services::{Service, Source, service};
use super::{base, setting};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::check::{CheckAnswer, facts_at, hear, settle};
use crate::medicines::elsewhere::{Heard, When};
use crate::medicines::prescribe::resource_type;
use crate::medicines::{Sources, sources};
use crate::unit::UnitOfWork;

/// Who calls.
#[derive(Debug, Clone)]
pub struct Asker {
    /// As the record knows them.
    pub caller: Caller,
    /// Whether the record may be read for them at all.
    pub reads: bool,
    /// The services they may call; all where nothing is said.
    pub services: Option<Vec<String>>,
}

impl Asker {
    /// Somebody with a token or session of the record.
    #[must_use]
    pub const fn of_record(caller: Caller) -> Self {
        Self {
            caller,
            reads: true,
            services: None,
        }
    }

    /// A service that they may call.
    pub(super) fn may(&self, id: &str) -> Result<&'static Service, AppError> {
        let known = service(id);
        let given = known.filter(|own| {
            let named = self.services.as_ref();
            named.is_none_or(|list| list.iter().any(|id| id == own.id))
        });
        given.ok_or_else(|| AppError::not_found("the service"))
    }
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The call's id in the log.
    pub call: Uuid,
    /// The body.
    pub body: String,
}

impl From<RequestError> for AppError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Json(error) => Self::Json(error),
            RequestError::Field(text) => Self::Invalid(text),
        }
    }
}

/// Answers a call.
pub async fn answer(app: &App, asker: &Asker, id: &str, body: &[u8]) -> Result<Answered, AppError> {
    let begun = app.clock().monotonic_ns();
    let caller = &asker.caller;
    let setting = setting::load_for(app, &caller.scope).await?;
    if !setting.enabled {
        return Err(AppError::not_found("the service"));
    }
    let service = asker.may(id)?;
    if asker.reads {
        let ty = resource_type(app, "MedicationRequest")?;
        authorise(app, caller, &Ask::of_type(Interaction::Search, ty)).await?;
    }
    let (mut call, sources, heard) = gathered(app, asker, service, body).await?;
    let (text, cards) = decide(app, &sources, &call, service, heard)?;
    call.response_sha256 = digest(text.as_bytes());
    call.response.clone_from(&text);
    call.cards = cards;
    call.took_us = app.clock().monotonic_ns().saturating_sub(begun) / 1_000;
    let doc = log::write(&call, setting.keep_days)?;
    let entry = log::entry(app, caller, &call);
    UnitOfWork::begin(app, &caller.scope)
        .doc(doc)
        .entry(entry)
        .commit()
        .await?;
    Ok(Answered {
        call: call.id,
        body: text,
    })
}

/// A call with all that it rests on, before anything is decided.
async fn gathered(
    app: &App,
    asker: &Asker,
    service: &Service,
    body: &[u8],
) -> Result<(HookCall, Arc<Sources>, Heard), AppError> {
    let caller = &asker.caller;
    let document = request::document(body.to_vec())?;
    let request = request::read(document.root(), service.hook)?;
    let kept = gather(app, caller, service, &request, asker.reads).await?;
    let sources = sources(app).await?;
    let opened = kept.open(app)?;
    let roots: Vec<Value<'_>> = opened.proposed.iter().map(Document::root).collect();
    let heard = hear(app, caller, &sources, &opened.regimen, (&roots, When::Now)).await;
    let zone = caller.tenant.time_zone.as_ref();
    let call = HookCall {
        id: app.ids().uuid(),
        at: app.now(),
        service: service.id.to_owned(),
        hook: service.hook.name().to_owned(),
        instance: request.instance,
        by: caller.subject.actor().name.clone(),
        actor: caller.subject.actor().id.as_uuid(),
        user: request.user.clone(),
        side: kept.side,
        patient: request.patient.as_str().to_owned(),
        request_sha256: digest(body),
        response_sha256: String::new(),
        facts_sha256: digest(serde_json::to_string(&kept)?.as_bytes()),
        request: without_token(document.root()),
        response: String::new(),
        took_us: 0,
        release: Release::clone(sources.knowledge.release()),
        products: products(&sources),
        cards: Vec::new(),
        base: base(&caller.context).to_owned(),
        page: facts::page(caller, &kept),
        zone: zone.unwrap_or(&app.settings().time_zone).clone(),
        facts: kept,
        heard: KeptHeard::from(&heard),
    };
    Ok((call, sources, heard))
}

/// The cards of a call, from what is kept of it alone.
pub(super) fn decide(
    app: &App,
    sources: &Sources,
    call: &HookCall,
    service: &Service,
    heard: Heard,
) -> Result<(String, Vec<KeptCard>), AppError> {
    let opened = call.facts.open(app)?;
    match service.source {
        Source::Medicines(voice) => {
            let answer = checked(sources, &opened, call, heard);
            Ok(make(&Making {
                answer: &answer,
                drafts: drafts(&call.facts),
                gaps: &call.facts.gaps,
                voice,
                call: call.id,
                page: call.page.as_deref(),
                log: &log::page(&call.base, call.id),
            }))
        }
    }
}

fn drafts(kept: &Kept) -> Vec<Option<&str>> {
    let all = kept.proposed.iter();
    all.map(|own| own.name.as_deref()).collect()
}

fn checked(sources: &Sources, opened: &Opened, call: &HookCall, heard: Heard) -> CheckAnswer {
    let roots: Vec<Value<'_>> = opened.proposed.iter().map(Document::root).collect();
    let zone: &ZoneName = &call.zone;
    let facts = facts_at(&opened.regimen, call.at, zone);
    settle(sources, &opened.regimen, &roots, &facts, heard)
}

/// The lists of products that names were resolved with.
pub(super) fn products(sources: &Sources) -> Vec<String> {
    sources
        .lists()
        .map(|(id, version)| format!("{id} {version}"))
        .collect()
}

pub(super) fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// The request as it was sent, but for the access token.
fn without_token(root: Value<'_>) -> String {
    let whole = root.raw();
    let token = root
        .get("fhirAuthorization")
        .and_then(|own| own.get("access_token"));
    let cut = token.and_then(|token| {
        let from = token.offset().checked_sub(root.offset())?;
        let until = from.checked_add(token.raw().len())?;
        let (before, after) = (whole.get(..from)?, whole.get(until..)?);
        Some([before, b"\"not kept\"", after].concat())
    });
    // Where a token cannot be cut out, nothing is kept.
    let text = match (token, cut) {
        (None, _) => whole.to_vec(),
        (Some(_), cut) => cut.unwrap_or_default(),
    };
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_kept() {
        let text = r#" {"hook":"x", "fhirAuthorization": {"access_token" : "se\u0063ret", "scope":"a"} } "#;
        let document = request::document(text.as_bytes().to_vec()).unwrap();
        assert_eq!(
            without_token(document.root()),
            r#"{"hook":"x", "fhirAuthorization": {"access_token" : "not kept", "scope":"a"} }"#
        );
        let document = request::document(b"{\"hook\":\"x\"}".to_vec()).unwrap();
        assert_eq!(without_token(document.root()), "{\"hook\":\"x\"}");
    }
}
