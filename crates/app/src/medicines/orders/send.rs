//! Messages to partners, sent after the commit that decided on them: each is a document that waits until it
//! was answered. One process at a time works on it; the same key goes with every attempt, so that a
//! message whose answer was lost is the same message. Must not give up what may have been sent.

use std::borrow::Cow;

use connect::pharmacy::{Asked, CalledOff, PharmacyError, Receipt, Report, Taken};
use fhir::json::{Document, Limits, Value};
use identity::{SystemTask, system_scope};
use kernel::{ActorId, TenantId, TenantScope, Timestamp, ZoneName};
use medication::ids::OrderId;
use medication::supply::resources::{Parties, Patient};
use medication::supply::{Chase, Event, Kind, Moved, Order, Received, State};
use store::{DocExpected, DocWrite};
use uuid::Uuid;

use super::kept::{self, Kept, stands};
use super::mirror::platform;
use super::partners::{self, Connector, Partner, Way};
use super::steps::{Step, change};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::init::system_caller;
use crate::medicines::stock::zone;
use crate::record::read;
use crate::subscriptions::backoff;

/// Documents of messages that wait.
pub(super) const OUT: &str = "out/";

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// The order itself.
    Order,
    /// That it is called off.
    Cancel { reason: String },
    /// What arrived with a delivery.
    Receipt {
        number: usize,
        note: String,
        at: Timestamp,
        received: Vec<Received>,
        problems: Vec<String>,
    },
}

impl What {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Order => "order".to_owned(),
            Self::Cancel { .. } => "cancel".to_owned(),
            Self::Receipt { number, .. } => format!("receipt-{number}"),
        }
    }
}

/// What went wrong at the last attempt.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Failure {
    at: Timestamp,
    text: String,
    /// Whether the other side may have it.
    arrived: bool,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Out {
    pub order: OrderId,
    pub what: What,
    /// Who asked for it.
    pub by: ActorId,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Failures in a row, for the pause.
    failures: u32,
    /// Not before then.
    next: Timestamp,
    /// Who works on it, until when.
    claim: Option<(Uuid, Timestamp)>,
    last: Option<Failure>,
    /// Whether an earlier attempt may have arrived.
    pub unknown: bool,
    /// Whether it waits for a person: trying again cannot help.
    pub stopped: bool,
}

/// How a message stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// `order`, `cancel` or `receipt-1`.
    pub what: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next; none where it waits for a person.
    pub next: Option<Timestamp>,
    /// Whether the other side may have it although nobody knows.
    pub unknown: bool,
    /// What went wrong last.
    pub error: Option<String>,
}

/// How long one process may work on a message, in seconds: longer than two deadlines.
const CLAIM_S: i64 = 60;
/// The longest pause between two attempts, in seconds.
const PAUSE_S: i64 = 1800;

impl Out {
    pub(super) fn new(app: &App, caller: &Caller, order: &Kept, what: What) -> Self {
        Self {
            order: order.id.clone(),
            what,
            by: caller.subject.actor().id,
            attempts: 0,
            failures: 0,
            next: app.now(),
            claim: None,
            last: None,
            unknown: false,
            stopped: false,
        }
    }

    /// The same, to be tried at once.
    pub(super) fn again(&self, app: &App) -> Self {
        Self {
            next: app.now(),
            stopped: false,
            failures: 0,
            ..self.clone()
        }
    }

    fn id(&self) -> String {
        format!("{OUT}{}/{}", self.order, self.what.name())
    }

    pub(super) fn write(&self, app: &App, expected: DocExpected) -> Result<DocWrite, AppError> {
        kept::write(app, self.id(), expected, Some(self))
    }

    pub(super) fn gone(&self, app: &App, version: u32) -> Result<DocWrite, AppError> {
        kept::write::<Self>(app, self.id(), DocExpected::Version(version), None)
    }

    pub(super) fn shown(&self) -> Sending {
        Sending {
            what: self.what.name(),
            attempts: self.attempts,
            next: (!self.stopped).then_some(self.next),
            unknown: self.unknown,
            error: self.last.as_ref().map(|own| own.text.clone()),
        }
    }
}

/// The messages of an order that wait.
pub(super) async fn of_order(
    app: &App,
    caller: &Caller,
    id: &OrderId,
) -> Result<Vec<(Out, u32)>, AppError> {
    let found = kept::below(app, &caller.scope, &format!("{OUT}{id}/"), 100).await?;
    let read = found.into_iter().map(|doc| {
        let out: Out = serde_json::from_slice(&doc.body)?;
        Ok((out, doc.version))
    });
    read.collect()
}

/// Works on the messages of every tenant that are due; how many were tried. `holder` names this process.
pub async fn round(app: &App, holder: Uuid) -> Result<u64, AppError> {
    let mut tried = 0;
    for tenant in app.store().tenants().await? {
        match of_tenant(app, tenant, holder).await {
            Ok(more) => tried += more,
            // One tenant must not keep the others.
            Err(error) => {
                tracing::warn!(%error, %tenant, "the messages of a tenant could not be worked on");
            }
        }
    }
    Ok(tried)
}

/// All that wait are looked at: those that wait for a person or for later must not hide the others.
async fn of_tenant(app: &App, tenant: TenantId, holder: Uuid) -> Result<u64, AppError> {
    /// Attempts for one tenant at a time, so that it does not keep the others waiting.
    const MOST: u64 = 100;
    let scope = system_scope(tenant, SystemTask::Jobs);
    let (mut tried, mut after) = (0, OUT.to_owned());
    loop {
        let page = kept::page(app, &scope, OUT, &after).await?;
        let Some(last) = page.last() else {
            return Ok(tried);
        };
        after.clone_from(&last.id);
        for doc in &page {
            // One message must not keep the others.
            match try_one(app, &scope, doc, holder).await {
                Ok(true) => tried += 1,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, id = doc.id, "a message to a partner could not be worked on");
                }
            }
            if tried >= MOST {
                return Ok(tried);
            }
        }
    }
}

async fn try_one(
    app: &App,
    scope: &TenantScope,
    doc: &store::Doc,
    holder: Uuid,
) -> Result<bool, AppError> {
    let out: Out = serde_json::from_slice(&doc.body)?;
    let now = app.now();
    let held = out.claim.is_some_and(|(_, until)| until > now);
    if out.stopped || out.next > now || held {
        return Ok(false);
    }
    let caller = system_caller(app, scope.tenant(), SystemTask::Jobs)?;
    attempt(app, &caller, scope, (out, doc.version), holder).await
}

/// One attempt; `false` where another process has it.
async fn attempt(
    app: &App,
    caller: &Caller,
    scope: &TenantScope,
    (out, version): (Out, u32),
    holder: Uuid,
) -> Result<bool, AppError> {
    // Noted before anything leaves: whoever comes after a crash knows that it may have arrived.
    let begun = Out {
        attempts: out.attempts + 1,
        claim: Some((holder, app.now().plus_seconds(CLAIM_S))),
        unknown: out.unknown || out.claim.is_some(),
        ..out
    };
    let claim = begun.write(app, DocExpected::Version(version))?;
    match app.store().operate(scope, vec![claim]).await {
        Ok(()) => {}
        Err(store::CommitError::DocConflict { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let version = version + 1;
    let order = kept::load(app, caller, &begun.order).await?.kept;
    let outcome = match partners::partner(app, caller, &order.partner).await {
        Ok(partner) => deliver(app, caller, &order, &partner, &begun.what).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(done) => settle(app, caller, (&begun, version), done).await?,
        Err(error) => failed(app, caller, (begun, version), &error).await?,
    }
    Ok(true)
}

/// What an attempt came to.
enum Done {
    Taken(Taken),
    CalledOff(CalledOff),
    Told,
}

async fn deliver(
    app: &App,
    caller: &Caller,
    order: &Kept,
    partner: &Partner,
    what: &What,
) -> Result<Done, AppError> {
    let ready = Ready::of(app, caller, order, partner).await?;
    let asked = ready.asked();
    let way = ready.connector.way();
    let done = match what {
        What::Order if order.kind == Kind::Repeat => {
            way.request_repeat(&asked).await.map(Done::Taken)
        }
        What::Order => way.order_supply(&asked).await.map(Done::Taken),
        What::Cancel { reason } => way.cancel(&asked, reason).await.map(Done::CalledOff),
        What::Receipt {
            note,
            at,
            received,
            problems,
            ..
        } => {
            let missing: Vec<Chase> = order.missing();
            let receipt = Receipt {
                note,
                at: *at,
                received,
                missing: &missing,
                problems,
            };
            match way.receipt(&asked, &receipt).await {
                // Who has no way for it is told by a person.
                Ok(()) | Err(PharmacyError::NotHere(_)) => Ok(Done::Told),
                Err(error) => Err(error),
            }
        }
    };
    done.map_err(AppError::Pharmacy)
}

/// Takes what the other side made of it: the order's new version and the end of the message in one commit.
async fn settle(
    app: &App,
    caller: &Caller,
    (out, version): (&Out, u32),
    done: Done,
) -> Result<(), AppError> {
    let now = app.now();
    change(app, caller, &out.order, |stored| {
        if stored.waiting(&out.what).is_none_or(|own| own.1 != version) {
            // Somebody else finished it.
            return Ok(None);
        }
        let mut own = stored.kept.clone();
        let (what, detail) = match &done {
            Done::Taken(taken) => {
                own.sent(taken.clone(), Some(out.by), now)?;
                ("order-sent", String::new())
            }
            Done::CalledOff(called) => (called_off(&mut own, called, out, now)?, String::new()),
            Done::Told => ("order-receipt-sent", out.what.name()),
        };
        let mut step = Step::of(own, what);
        step.detail = detail;
        step.docs.push(out.gone(app, version)?);
        Ok(Some(step))
    })
    .await?;
    Ok(())
}

fn called_off(
    own: &mut Kept,
    called: &CalledOff,
    out: &Out,
    now: Timestamp,
) -> Result<&'static str, AppError> {
    if let CalledOff::No(why) = called {
        own.say(now, None, format!("it cannot be called off: {why}"));
        return Ok("order-cancel-refused");
    }
    if *called == CalledOff::Told {
        own.say(now, None, "the cancellation was sent; nobody confirms it");
    }
    let mut track = own.order()?.track;
    if track.state().after(Event::Cancel, own.kind).is_some() {
        let moved = Moved {
            id: "cancel".to_owned(),
            event: Event::Cancel,
            at: now,
            by: Some(out.by),
        };
        track.take(moved).map_err(stands)?;
        own.trail = track.trail().to_vec();
    }
    Ok("order-cancel")
}

/// Notes a failure: tried again later, or left for a person where that cannot help. What the pharmacy
/// refuses is rejected.
async fn failed(
    app: &App,
    caller: &Caller,
    (out, version): (Out, u32),
    error: &AppError,
) -> Result<(), AppError> {
    let now = app.now();
    let (permanent, arrived, wait, refused) = match error {
        AppError::Pharmacy(error) => (
            error.is_permanent(),
            error.may_have_arrived(),
            error.wait(),
            match error {
                PharmacyError::Refused { detail, .. } => Some(detail.clone()),
                _ => None,
            },
        ),
        // Ours: a file that is missing can come, a partner that is gone cannot.
        AppError::NotFound { .. } => (true, false, None, None),
        _ => (false, false, None, None),
    };
    if let (Some(why), What::Order) = (&refused, &out.what) {
        let taken = Taken {
            reference: None,
            state: Some(State::Rejected),
            note: Some(why.clone()),
        };
        return settle(app, caller, (&out, version), Done::Taken(taken)).await;
    }
    let failures = out.failures + 1;
    let pause = backoff::next(app.ids(), now, failures, PAUSE_S);
    let next = match wait {
        Some(wait) => pause.max(now.plus_seconds(i64::try_from(wait.as_secs()).unwrap_or(PAUSE_S))),
        None => pause,
    };
    let noted = Out {
        failures,
        next,
        claim: None,
        unknown: out.unknown || arrived,
        stopped: permanent,
        last: Some(Failure {
            at: now,
            text: crate::error::AppError::public_text(error).into_owned(),
            arrived,
        }),
        ..out
    };
    let write = noted.write(app, DocExpected::Version(version))?;
    match app.store().operate(&caller.scope, vec![write]).await {
        // Somebody called it off meanwhile.
        Ok(()) | Err(store::CommitError::DocConflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Everything that a call needs, owned.
pub(super) struct Ready<'a> {
    order: Order,
    kept: &'a Kept,
    pub connector: Connector<'a>,
    parties: Option<Parties>,
    home: String,
    zone: ZoneName,
    place: String,
    resident: Option<String>,
}

impl<'a> Ready<'a> {
    /// Reads it: the resident is looked at by the platform, and that is in the access ledger.
    pub(super) async fn of(
        app: &'a App,
        caller: &Caller,
        kept: &'a Kept,
        partner: &'a Partner,
    ) -> Result<Self, AppError> {
        let caller = platform(caller);
        let home = home(app, &caller).await?;
        let person = match &kept.resident {
            None => None,
            Some(id) => {
                let version = read::read(app, &caller, &app.patient_key(&id.0)).await?;
                let body = version.body.unwrap_or_default();
                Some(Document::parse(body.to_vec(), &Limits::default())?)
            }
        };
        let root = person.as_ref().map(Document::root);
        let parties = match (&partner.way, root) {
            (Way::Messaging { base, names }, Some(root)) => {
                Some(names.parties(&home, base, patient(root)?))
            }
            _ => None,
        };
        Ok(Self {
            order: kept.order()?,
            connector: partners::connector(app, &caller, partner).await?,
            parties,
            home,
            zone: zone(app, &caller),
            place: place(app, &caller, kept).await,
            resident: root.map(known_as),
            kept,
        })
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            order: &self.order,
            key: &self.kept.key,
            authored: self.kept.authored(),
            zone: &self.zone,
            acknowledged: self.kept.acknowledged(),
            parties: self.parties.as_ref(),
            doses: &self.kept.doses,
            home: &self.home,
            deliver_to: &self.place,
            resident: self.resident.as_deref(),
        }
    }

    /// Where the other side says it stands.
    pub(super) async fn status(&self) -> Result<Report, PharmacyError> {
        self.connector.way().status(&self.asked()).await
    }
}

/// The tenant's name: a job's caller carries the instance's.
async fn home(app: &App, caller: &Caller) -> Result<String, AppError> {
    let instance = system_scope(kernel::TenantId::INSTANCE, SystemTask::Jobs);
    let id = caller.scope.tenant().to_string();
    let kind = store::DocKind::Tenant;
    let found = crate::admin::load::<identity::Tenant>(app, &instance, kind, &id).await?;
    found
        .map(|own| own.value.name)
        .ok_or_else(|| AppError::not_found("tenant"))
}

/// The place's name; its id where it has none here.
async fn place(app: &App, caller: &Caller, kept: &Kept) -> String {
    let id = kept.location.as_str().to_owned();
    let Some(ty) = app.definitions().resource("Location") else {
        return id;
    };
    let key = store::ResourceKey {
        ty,
        id: kept.location.0.clone(),
    };
    let found = app.store().read(&caller.scope, &key).await.ok().flatten();
    let body = found.and_then(|own| own.body);
    let read = body.and_then(|own| Document::parse(own.to_vec(), &Limits::default()).ok());
    let name = read.and_then(|own| own.root().get_str("name").map(Cow::into_owned));
    name.filter(|own| !own.trim().is_empty()).unwrap_or(id)
}

fn names(root: Value<'_>) -> (String, Vec<String>) {
    let all: Vec<Value<'_>> = root
        .get("name")
        .into_iter()
        .flat_map(Value::items)
        .collect();
    let official = all
        .iter()
        .find(|own| own.get_str("use").is_some_and(|own| own == "official"));
    let Some(own) = official.or(all.first()) else {
        return (String::new(), Vec::new());
    };
    let given = own.get("given").into_iter().flat_map(Value::items);
    let given = given.filter_map(|own| own.as_str().map(Cow::into_owned));
    let family = own.get_str("family").unwrap_or_default().into_owned();
    (family, given.collect())
}

/// Name and date of birth.
fn known_as(root: Value<'_>) -> String {
    let (family, given) = names(root);
    let born = root.get_str("birthDate").unwrap_or_default();
    let name = format!("{} {family}", given.join(" "));
    // A date is shown as one; what is less than a day stays as it was written.
    let born = born.parse::<jiff::civil::Date>().map_or_else(
        |_| born.to_string(),
        |day| day.strftime("%d-%b-%Y").to_string(),
    );
    format!("{}, born {born}", name.trim())
}

/// The patient as a message names them.
fn patient(root: Value<'_>) -> Result<Patient, AppError> {
    let missing = |what: &str| {
        AppError::Unprocessable(format!(
            "the resident has no {what}: a message cannot name them; complete the record"
        ))
    };
    let identifiers = root.get("identifier").into_iter().flat_map(Value::items);
    let mut numbers = identifiers.filter(|own| {
        own.get_str("system")
            .is_some_and(|own| own == "https://fhir.nhs.uk/Id/nhs-number")
    });
    let number = numbers.next().and_then(|own| own.get_str("value"));
    let (family, given) = names(root);
    let address = root.get("address").and_then(|own| own.items().next());
    let own = Patient {
        nhs_number: number.ok_or_else(|| missing("NHS number"))?.into_owned(),
        family: Some(family)
            .filter(|own| !own.is_empty())
            .ok_or_else(|| missing("family name"))?,
        given,
        gender: root
            .get_str("gender")
            .map_or_else(|| "unknown".to_owned(), Cow::into_owned),
        born: root
            .get_str("birthDate")
            .ok_or_else(|| missing("date of birth"))?
            .into_owned(),
        postcode: address
            .and_then(|own| own.get_str("postalCode"))
            .ok_or_else(|| missing("postcode"))?
            .into_owned(),
    };
    Ok(own)
}
