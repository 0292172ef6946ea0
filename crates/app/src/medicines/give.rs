//! `MedicationRequest/[id]/$give`: what became of a dose. Decided on everything the record holds of the
//! patient's medicines and doses, and stored only if that is still so: who gives at the same time is decided
//! anew. A witness who is named is asked and has not signed: see [`super::witness`].

use bytes::Bytes;
use fhir::json::Value;
use identity::Interaction;
use kernel::Timestamp;
use medication::Quantity;
use medication::administration::{
    Book, Correction, Decision, Giving, How, NeedRecord, Outcome, Policy, Record, Refused, Right,
    SlotState, Verified, Why, decide_giving,
};
use medication::dosage::{Amount, Dosage};
use medication::ids::{PersonId, RecordId, same_person};
use medication::limits::{self, Reason};
use medication::order::{DueSlot, Home, Order, SlotKey};
use medication::resources::{FUNCTIONS, administration};
use serde_json::json;
use store::ResourceKey;

use super::brought::{Offline, fresh, known};
use super::ground::{Ground, Ordered, Records, names, unknown};
use super::issue::set;
use super::people::{self, Say};
use super::prescribe::{resource_type, signer, stored, subject};
use super::regimen::{self, Held};
use super::register::{Signers, Signing};
use super::rounds::point_out_doubles;
use super::scan::AtBedside;
use super::signatures;
use super::stock::From;
use super::stock::dose::{Dosed, Effect, MOVEMENTS, Said, is_named, stage};
use super::witness::{named, read_person};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::idempotency;
use crate::record::bundle::{BundleAnswer, guarded, guarded_with};
use crate::record::name_of;
use crate::retry::Retry;

/// The function of a performer who is named as witness and has not signed.
pub const ASKED: &str = "witness-asked";
/// The function of a witness who signed.
pub const SIGNED: &str = "witness";

/// What is to be recorded.
#[derive(Debug, Clone)]
pub struct Dose {
    /// What became of it.
    pub outcome: Outcome,
    /// How much; what was ordered where it is one amount.
    pub dose: Option<Quantity>,
    /// Which of the order's dosages, by place, where several could be meant.
    pub dosage: Option<usize>,
    /// Why, where something asks for it.
    pub reason: Option<String>,
    /// When it happened; now.
    pub happened: Option<Timestamp>,
    /// Which due dose: its time, or its key of the chart.
    pub slot: Option<String>,
    /// How each right was verified.
    pub rights: Vec<Verified>,
    /// Who watched: a FHIR Reference.
    pub witness: Option<serde_json::Value>,
    /// What it was needed for.
    pub need: Option<String>,
    /// Whether it has happened already, so that it is kept whatever speaks against it.
    pub done: bool,
    /// What it corrects.
    pub corrects: Option<Correction>,
    /// From where it is taken.
    pub from: From,
    /// Who proves to be there, for a controlled drug: who gives it and who sees it.
    pub signing: Signing,
    /// Why the register's entry is late, where it is.
    pub late: Option<String>,
    /// What was scanned from the pack.
    pub scan: Option<String>,
    /// What a device recorded of it without a network.
    pub offline: Option<Offline>,
}

/// What came of it.
#[derive(Debug)]
pub struct Given {
    /// The decision; none where what is sent again was stored before, or a record is only withdrawn.
    pub decision: Option<Decision>,
    /// The address and the answer of the transaction; none where nothing was stored.
    pub stored: Option<(String, BundleAnswer)>,
    /// What the stock did about it; nothing where a key repeats what was stored before.
    pub stock: Vec<Said>,
    /// Whether the witness signed with it.
    pub witnessed: bool,
    /// What spoke against it when a device brought it back, as it is kept with the record.
    pub against: Vec<String>,
}

impl Given {
    /// Nothing was stored: it was taken in before, or a decision keeps it.
    const fn nothing(decision: Option<Decision>, against: Vec<String>) -> Self {
        Self {
            decision,
            stored: None,
            stock: Vec::new(),
            witnessed: false,
            against,
        }
    }
}

/// Decides on a dose and records it, or says what keeps it.
pub async fn give(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    dose: &Dose,
) -> Result<Given, AppError> {
    let ty = resource_type(app, "MedicationAdministration")?;
    authorise(app, caller, &Ask::of_type(Interaction::Create, ty)).await?;
    let bound = format!("{dose:?}");
    let operation = format!("give {}", name_of(key));
    let request = idempotency::Request::of(caller, &operation, bound.as_bytes());
    if idempotency::look_up(app, caller, request.as_ref())
        .await?
        .is_some()
    {
        let empty = Bytes::from_static(br#"{"resourceType":"Bundle","type":"transaction"}"#);
        let bundle = guarded(app, caller, empty, request, Vec::new()).await?;
        let name = stored(&bundle, "MedicationAdministration")?;
        return Ok(Given {
            decision: None,
            stored: Some((name, bundle)),
            stock: Vec::new(),
            witnessed: false,
            against: Vec::new(),
        });
    }
    let signers = Signers::prove(app, caller, &dose.signing, &operation).await?;
    let witness = match &dose.witness {
        Some(reference) => named(app, caller, reference).await?,
        None => Vec::new(),
    };
    let mut retry = Retry::busy();
    loop {
        match Box::pin(once(
            app,
            caller,
            key,
            (dose, &signers, &witness),
            request.clone(),
        ))
        .await
        {
            Err(AppError::Conflict(_)) if retry.again().await => {}
            done => return done,
        }
    }
}

/// A resource about a patient, without a look of its own: the caller records one at the patient.
pub(super) async fn about(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    interaction: Interaction,
    patient: impl Fn(Value<'_>) -> Result<ResourceKey, AppError>,
) -> Result<(Held, ResourceKey, u32), AppError> {
    authorise(app, caller, &Ask::of_type(interaction, key.ty)).await?;
    let found = app.store().read(&caller.scope, key).await?;
    let found = found.filter(|version| version.body.is_some());
    let version = found.ok_or_else(|| AppError::not_found(name_of(key)))?;
    let number = version.version.0;
    let held = regimen::held(version)?;
    let patient = patient(held.root())?;
    let patients = [patient.id.clone()];
    authorise(app, caller, &Ask::record(interaction, key, &patients)).await?;
    Ok((held, patient, number))
}

async fn once(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    (dose, signers, witness): (&Dose, &Signers, &[PersonId]),
    request: Option<idempotency::Request>,
) -> Result<Given, AppError> {
    let of = |order: Value<'_>| subject(app, order);
    let (held, patient, _) = about(app, caller, key, Interaction::Read, of).await?;
    let mut ground = Ground::load(app, caller, &patient, "$give").await?;
    regimen::extend(app, caller, &mut ground.regimen, &[held.root()]).await?;
    let own = ground.ordered(held.name(), held.root());
    let order = own.order.clone().map_err(AppError::Unprocessable)?;
    let (limits, mut missing) = ground.limits(&own);
    let since = dose.since(&limits, app.now());
    let records = ground.records(app, caller, since).await?;
    let at = dose.happened.unwrap_or(app.now());
    missing.extend(records.gaps(&own.article, &limits, (at, at)));
    if let Some(against) = known(app, caller, &records, dose).await? {
        return Ok(Given::nothing(None, against));
    }
    let pack = AtBedside::read(app, caller, &ground, (&held, &own, dose)).await?;
    let making = Making {
        app,
        caller,
        order: &order,
        home: &ground.home,
        records: &records,
        dose,
        signers,
        witness,
        pack: &pack,
    };
    let (record, due) = making.record(&mut missing)?;
    let said = making.papers(&patient, &record, &mut missing).await?;
    let it = (&record, due.as_ref());
    let bounds = (limits.as_slice(), missing.as_slice());
    let decision = making.decision(&ground, &own.name, it, bounds, &said);
    if decision.as_ref().is_some_and(|own| !own.keep) {
        return Ok(Given::nothing(decision, Vec::new()));
    }
    let whom = (&held, &patient);
    let effect = making.effect(&ground, &own.name, whom, it).await?;
    let against = dose.against(decision.as_ref());
    let asked = record.clone();
    let told = (effect.links.as_slice(), against.as_slice());
    let bundle = making.transaction(&own, whom, record, told)?;
    let mut guards = std::mem::take(&mut ground.regimen.guards);
    guards.extend(said.guards);
    guards.extend(records.guard);
    guards.extend(fresh(app, dose)?);
    let mut beside = effect.staged.beside(guards);
    let asked = (&patient.id, &asked, &records.book);
    signatures::accompany(app, caller, asked, signers, &mut beside).await?;
    let bundle = guarded_with(app, caller, bundle, request, beside).await?;
    let name = stored(&bundle, "MedicationAdministration")?;
    point_out(app, caller, &patient, (dose, decision.as_ref())).await;
    Ok(Given {
        decision,
        stored: Some((name, bundle)),
        stock: effect.said,
        witnessed: signers.witness.is_some(),
        against,
    })
}

/// A dose that may have been taken twice is somebody's to look at, whatever way it came in; what devices bring
/// is looked at when all of it is there. The dose is on the record by now, and its answer says so whatever comes
/// of this.
async fn point_out(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    (dose, decision): (&Dose, Option<&Decision>),
) {
    let reasons = decision.into_iter().flat_map(|own| &own.reasons);
    let mut doubles = reasons.filter(|(_, why)| matches!(why, Why::PossibleDouble { .. }));
    if dose.offline.is_none() && doubles.next().is_some() {
        let patients = [patient.id.clone()];
        let told = point_out_doubles(app, caller, &patients, dose.happened);
        if let Err(error) = Box::pin(told).await {
            tracing::error!(%error, "a possible double dose was not made a task");
        }
    }
}

/// Seconds of a day, give or take the clocks.
const DAY: i64 = 86_400;
/// Seconds around a due dose in which its records are looked for.
const AROUND: i64 = 7 * DAY;
/// The most that the time of a record may be wrong: what lies further off is not taken in.
pub(super) const MOST_DOUBT: i64 = DAY;

impl Dose {
    /// What speaks against it where a device brings it.
    fn against(&self, decision: Option<&Decision>) -> Vec<String> {
        let own = self.offline.as_ref();
        own.map_or_else(Vec::new, |own| own.against(self.outcome, decision))
    }

    /// Who gave it: who brings it, unless another did.
    fn gave(&self, me: &PersonId) -> PersonId {
        let other = self.offline.as_ref().and_then(|own| own.giver.as_ref());
        other.map_or_else(|| me.clone(), |(giver, _)| giver.clone())
    }

    /// Since when records matter; `None`: all of them.
    fn since(&self, limits: &[limits::Limit], now: Timestamp) -> Option<Timestamp> {
        let reach = limits.iter().map(limits::reach).max().unwrap_or(0);
        // What is corrected may be of any time.
        if self.corrects.is_some() || reach == i64::MAX {
            return None;
        }
        let slot = self.slot.as_deref().and_then(due_at);
        let first = self.happened.unwrap_or(now).min(now);
        let first = slot.map_or(first, |(at, _)| at.min(first));
        let reach = reach.saturating_add(MOST_DOUBT).max(AROUND);
        Some(first.plus_seconds(reach.saturating_neg()))
    }
}

/// The time of a due dose, with its key where that is what was sent.
fn due_at(text: &str) -> Option<(Timestamp, Option<SlotKey>)> {
    match text.parse::<SlotKey>() {
        Ok(key) => Some((key.at, Some(key))),
        Err(_) => Timestamp::from_rfc3339(text).map(|at| (at, None)),
    }
}

struct Making<'a> {
    app: &'a App,
    caller: &'a Caller,
    order: &'a Order,
    home: &'a Home,
    records: &'a Records,
    dose: &'a Dose,
    signers: &'a Signers,
    /// The witness who is named, by every name.
    witness: &'a [PersonId],
    pack: &'a AtBedside,
}

fn record_id(app: &App) -> Result<RecordId, AppError> {
    let id = app.ids().uuid().to_string().parse();
    id.map_err(|_| AppError::Fault("an id is none".to_owned()))
}

pub(super) fn refuse<T>(text: impl Into<String>) -> Result<T, AppError> {
    Err(AppError::Unprocessable(text.into()))
}

impl Making<'_> {
    /// What the papers say of a record, where it rests on some.
    async fn papers(
        &self,
        patient: &ResourceKey,
        record: &Record,
        missing: &mut Vec<Reason>,
    ) -> Result<Say, AppError> {
        if !people::rests(self.order, record.outcome) {
            return Ok(Say::default());
        }
        let zone = &self.home.zone;
        let filed = people::papers(self.app, self.caller, patient, zone).await?;
        let mut said = filed.say(self.order, record.outcome, record.happened);
        missing.append(&mut said.missing);
        said.guards = filed.guards;
        Ok(said)
    }

    /// The decision; none where a record is only withdrawn.
    fn decision(
        &self,
        ground: &Ground,
        name: &str,
        (record, due): (&Record, Option<&DueSlot>),
        (limits, missing): (&[limits::Limit], &[Reason]),
        said: &Say,
    ) -> Option<Decision> {
        if record.corrects.as_ref().is_some_and(|own| own.void) {
            return None;
        }
        let alerts = ground.alerts(self.caller, name);
        Some(decide_giving(Giving {
            order: self.order,
            due,
            named: self.dose.dosage.or(record.dosage),
            record,
            done: self.dose.done,
            book: &self.records.book,
            limits,
            missing,
            alerts: &alerts,
            allergies: ground.allergies,
            covert: said.covert.as_ref(),
            homely: said.homely.as_ref(),
            self_care: said.alone.as_ref(),
            pack: self.pack.state,
            policy: &Policy::default(),
            now: self.app.now(),
            zone: &ground.home.zone,
        }))
    }

    /// What the stock does about it, to be committed with the record.
    async fn effect(
        &self,
        ground: &Ground,
        name: &str,
        (held, patient): (&Held, &ResourceKey),
        (record, due): (&Record, Option<&DueSlot>),
    ) -> Result<Effect, AppError> {
        let ordered = self.dose.dose.clone().or_else(|| self.ordered(due));
        let dosed = Dosed {
            order: held.root(),
            name,
            medications: &ground.regimen.medications,
            resident: medication::ids::ResidentId(patient.id.clone()),
            ordered,
            record,
            records: self.records,
            from: &self.pack.taken_from(&self.dose.from)?,
            signers: self.signers,
            late: self.dose.late.clone(),
            done: self.dose.done,
        };
        Box::pin(stage(self.app, self.caller, &dosed)).await
    }

    /// The record, with the due dose that it is of.
    fn record(&self, missing: &mut Vec<Reason>) -> Result<(Record, Option<DueSlot>), AppError> {
        let dose = self.dose;
        let now = self.app.now();
        let own = names(self.caller);
        let Some(me) = own.first().cloned() else {
            return Err(AppError::Fault("the caller has no id".to_owned()));
        };
        let (id, entered) = match &dose.offline {
            Some(own) => (own.id.clone(), own.entered),
            None => (record_id(self.app)?, now),
        };
        let original = self.original()?;
        let before = original.map(|own| own.happened);
        let happened = dose.happened.or(before).unwrap_or(now);
        let giver = original.map_or_else(|| dose.gave(&me), |own| own.giver.clone());
        let enterer = Some(me).filter(|me| *me != giver);
        if let (Some(original), Some(correction)) = (original, &dose.corrects)
            && correction.void
        {
            let record = Record {
                id,
                entered: now,
                enterer,
                witness: None,
                corrects: Some(correction.clone()),
                ..original.clone()
            };
            self.follows(&record)?;
            return Ok((record, None));
        }
        let due = self.due(happened, original, missing)?;
        let taken = dose.outcome.is_taken();
        let (much, contents) = if taken {
            let much = self.much(due.as_ref(), original)?;
            let contents = limits::counted(&self.order.article, much.as_ref());
            (much, contents)
        } else {
            (None, Vec::new())
        };
        let record = Record {
            id,
            order: self.order.id.clone(),
            need: self.need(happened, due.is_none() && taken),
            dosage: self.place(due.as_ref(), original),
            slot: due.as_ref().map(|due| due.key.clone()),
            outcome: dose.outcome,
            reason: dose.reason.clone(),
            happened,
            entered,
            witness: self.witness(&own, &giver)?,
            giver,
            enterer,
            dose: much,
            contents,
            product: self.order.article.name.clone(),
            rights: self.rights(),
            device: dose.offline.as_ref().map(|own| own.device.clone()),
            corrects: dose.corrects.clone(),
        };
        self.follows(&record)?;
        Ok((record, due))
    }

    /// The rights as they were verified; a pack that fits verifies the medicine.
    fn rights(&self) -> Vec<Verified> {
        let mut rights = self.dose.rights.clone();
        let scanned = |own: &Verified| own.right == Right::Medicine && own.how == How::Scan;
        if self.pack.fits() && !rights.iter().any(scanned) {
            rights.push(Verified {
                right: Right::Medicine,
                how: How::Scan,
                fits: true,
            });
        }
        rights
    }

    /// What it was needed for, and when its effect is asked for where it was taken.
    fn need(&self, happened: Timestamp, taken: bool) -> Option<NeedRecord> {
        let after = self.order.need.effect_after.filter(|_| taken);
        Some(NeedRecord {
            reason: self.dose.need.clone()?,
            effect_due: after.map(|minutes| happened.plus_seconds(i64::from(minutes) * 60)),
        })
    }

    /// What is corrected.
    fn original(&self) -> Result<Option<&Record>, AppError> {
        let Some(correction) = &self.dose.corrects else {
            return Ok(None);
        };
        match self.records.book.get(&correction.of) {
            Some(own) if own.order != self.order.id => refuse(Refused::OtherOrder.to_string()),
            Some(original) => Ok(Some(original)),
            None => refuse(Refused::NothingToCorrect.to_string()),
        }
    }

    /// Refuses a correction that cannot follow what is there.
    fn follows(&self, record: &Record) -> Result<(), AppError> {
        if record.corrects.is_none() {
            return Ok(());
        }
        let mut book: Book = self.records.book.clone();
        match book.record(record.clone()) {
            Ok(()) | Err(Refused::Closed { .. }) => Ok(()),
            Err(error) => refuse(error.to_string()),
        }
    }

    /// The witness who is named. The giver is none by either name.
    fn witness(&self, own: &[PersonId], giver: &PersonId) -> Result<Option<PersonId>, AppError> {
        let signed = self.signers.witness.as_ref();
        let signed = signed.and_then(|own| names(own.caller()).into_iter().next());
        let Some(reference) = &self.dose.witness else {
            return Ok(signed);
        };
        let named = read_person(reference)?;
        is_named(self.signers, Some(&named))?;
        Ok(Some(if same_person(own, self.witness) {
            giver.clone()
        } else {
            named
        }))
    }

    /// Which dosage a dose of no due time is one of, where the order has several.
    fn place(&self, due: Option<&DueSlot>, original: Option<&Record>) -> Option<usize> {
        if due.is_some() || self.order.dosages.len() < 2 {
            return None;
        }
        let named = self.dose.dosage.or(original.and_then(|own| own.dosage));
        self.order.dosage_of(None, self.dose.need.is_some(), named)
    }

    /// The dosage that the dose is one of.
    fn dosage(&self, due: Option<&DueSlot>) -> Option<&Dosage> {
        let needed = self.dose.need.is_some();
        let place = self.order.dosage_of(due, needed, self.dose.dosage)?;
        self.order.dosages.get(place)
    }

    /// What was ordered, where it is one amount.
    fn ordered(&self, due: Option<&DueSlot>) -> Option<Quantity> {
        match self.dosage(due)?.dose()? {
            Amount::Exact(quantity) => Some(quantity.clone()),
            Amount::Range { low, high } => high.clone().filter(|_| low == high),
        }
    }

    /// How much was taken: as stated, as it was where a record is corrected, as ordered where that is one
    /// amount. Nothing is made up: where the order leaves it open, whoever records it says so.
    fn much(
        &self,
        due: Option<&DueSlot>,
        original: Option<&Record>,
    ) -> Result<Option<Quantity>, AppError> {
        let before = original.and_then(|own| own.dose.clone());
        let stated = self.dose.dose.clone().or(before);
        if let Some(much) = stated.or_else(|| self.ordered(due)) {
            return Ok(Some(much));
        }
        let meant = self.dosage(due);
        let silent = match meant {
            Some(own) => own.dose().is_none(),
            None => self.order.dosages.iter().all(|own| own.dose().is_none()),
        };
        // What a device brings has happened and is kept as it stands.
        if silent || self.dose.offline.is_some() {
            return Ok(None);
        }
        refuse(match meant {
            Some(_) => "the order leaves the amount open: say in dose how much was given",
            None => {
                "the order has several dosages: say in dose how much was given, or in dosage which one it was"
            }
        })
    }

    /// The due dose that is meant: the one that is named, else the only one in whose window it happened, so
    /// that it has one outcome. What happened already is kept without.
    fn due(
        &self,
        happened: Timestamp,
        original: Option<&Record>,
        missing: &mut Vec<Reason>,
    ) -> Result<Option<DueSlot>, AppError> {
        let corrected = original.and_then(|own| own.slot.as_ref().map(ToString::to_string));
        if let Some(asked) = self.dose.slot.clone().or(corrected) {
            let known = self.dose.offline.as_ref().and_then(|own| own.due.clone());
            return match self.asked(&asked) {
                // The order was changed since the device took it along: it was given as it stood then.
                Err(_) if known.is_some() => Ok(known),
                due => due.map(Some),
            };
        }
        let needed = self.order.is_needed() && self.dose.need.is_some();
        if !self.order.is_scheduled() || needed || original.is_some() {
            return Ok(None);
        }
        let (from, to) = (happened.plus_seconds(-DAY), happened.plus_seconds(DAY));
        match self.order.slots(self.home, from, to) {
            Ok(due) if !due.is_empty() => {
                let mut within = due
                    .iter()
                    .filter(|due| due.slot.earliest <= happened && happened <= due.slot.latest);
                match (within.next(), within.next()) {
                    (Some(own), None) => return Ok(Some(own.clone())),
                    _ if self.dose.done => return Ok(None),
                    _ => {}
                }
                let times: Vec<String> = due.iter().map(|due| due.key.at.to_string()).collect();
                refuse(format!(
                    "a dose at set times is recorded by its due time: send slot, one of {}",
                    times.join(", ")
                ))
            }
            Ok(_) => {
                missing.push(unknown(
                    "no dose is due within a day",
                    "whether it is the time",
                ));
                Ok(None)
            }
            Err(error) => {
                missing.push(unknown(&error.to_string(), "whether it is the time"));
                Ok(None)
            }
        }
    }

    fn asked(&self, asked: &str) -> Result<DueSlot, AppError> {
        let Some((at, key)) = due_at(asked) else {
            return refuse(format!(
                "{asked:?} is no due dose: send its time with an offset, or its slot of the chart"
            ));
        };
        let due = match self.order.slots(self.home, at, at.plus_seconds(1)) {
            Ok(due) => due,
            Err(error) => return refuse(error.to_string()),
        };
        let mut found: Vec<DueSlot> = due
            .into_iter()
            .filter(|due| due.key.at == at && key.as_ref().is_none_or(|key| *key == due.key))
            .collect();
        // Of two at one instant the one that has no outcome yet is meant.
        found.sort_by_key(|due| self.records.book.state(&due.key) != SlotState::Open);
        match found.into_iter().next() {
            Some(due) => Ok(due),
            None => refuse(format!(
                "no dose of this order is due at {at}: read $medication-chart"
            )),
        }
    }

    fn transaction(
        &self,
        own: &Ordered,
        (held, patient): (&Held, &ResourceKey),
        record: Record,
        (links, against): (&[String], &[String]),
    ) -> Result<Bytes, AppError> {
        let resident = medication::ids::ResidentId(patient.id.clone());
        // Only the witness's own signature makes one.
        let plain = Record {
            witness: None,
            ..record
        };
        let text = administration(&plain, &resident);
        let mut resource: serde_json::Value = serde_json::from_str(&text)?;
        let mut request = json!({ "method": "POST", "url": "MedicationAdministration" });
        if let Some(offline) = &self.dose.offline {
            let url = format!("MedicationAdministration/{}", offline.id);
            request = json!({ "method": "PUT", "url": url });
            offline.mark(&mut resource, against);
        } else if let Some(members) = resource.as_object_mut() {
            members.remove("id");
        }
        let order: serde_json::Value = serde_json::from_slice(held.root().raw())?;
        if let Some(concept) = order.get("medicationCodeableConcept") {
            let mut concept = concept.clone();
            set(&mut concept, "text", own.article.name.as_str());
            set(&mut resource, "medicationCodeableConcept", concept);
        }
        if let Some(pack) = self.pack.extension()
            && let Some(list) = resource
                .get_mut("extension")
                .and_then(|own| own.as_array_mut())
        {
            list.push(pack);
        }
        set(&mut resource, "performer", self.performers(&plain));
        identify(&mut resource, links);
        let place = format!("urn:uuid:{}", self.app.ids().uuid());
        let mut entries = vec![json!({
            "fullUrl": place,
            "request": request, "resource": resource,
        })];
        if let Some(witness) = &self.signers.witness {
            let who = signer(witness.caller());
            let signature = signature(self.app, (&place, &name_of(patient)), &who);
            entries.push(json!({ "request": { "method": "POST", "url": "Provenance" }, "resource": signature }));
        }
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        Ok(bundle.to_string().into())
    }

    fn performers(&self, record: &Record) -> Vec<serde_json::Value> {
        let performer = |function: &str, actor: serde_json::Value| json!({ "function": { "coding": [{ "system": FUNCTIONS, "code": function }] }, "actor": actor });
        let me = signer(self.caller);
        let corrected = record.corrects.as_ref().and_then(|own| {
            let name = format!("MedicationAdministration/{}", own.of);
            let held = self.records.held.iter().find(|held| held.name() == name)?;
            performer_of(held.root(), "giver")
        });
        let mut list = Vec::new();
        match corrected {
            Some(giver) => {
                list.push(performer("giver", giver));
                if record.enterer.is_some() {
                    list.push(performer("enterer", me));
                }
            }
            None => match self.dose.offline.as_ref().and_then(|own| own.giver.clone()) {
                Some((_, giver)) => {
                    list.push(performer("giver", giver));
                    list.push(performer("enterer", me));
                }
                None => list.push(performer("giver", me)),
            },
        }
        match &self.signers.witness {
            Some(witness) => list.push(performer(SIGNED, signer(witness.caller()))),
            None => list.extend(self.dose.witness.clone().map(|own| performer(ASKED, own))),
        }
        list
    }
}

/// Names the movements of stock that a record was written with.
pub(super) fn identify(resource: &mut serde_json::Value, links: &[String]) {
    if links.is_empty() {
        return;
    }
    let own = links
        .iter()
        .map(|link| json!({ "system": MOVEMENTS, "value": link }));
    let list = resource.get("identifier").and_then(|own| own.as_array());
    let list: Vec<_> = list
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .chain(own)
        .collect();
    set(resource, "identifier", list);
}

/// The witness's signature of a record; with the patient, so that it belongs to those who may see them.
pub(super) fn signature(
    app: &App,
    (record, patient): (&str, &str),
    by: &serde_json::Value,
) -> serde_json::Value {
    json!({
        "resourceType": "Provenance",
        "target": [{ "reference": record }, { "reference": patient }],
        "recorded": app.now().to_fhir_instant(),
        "activity": { "text": "Signed as the witness" },
        "agent": [{ "type": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "verifier",
        }]}, "who": by }],
    })
}

/// The actor of a function; who is named without one gave it.
pub(super) fn performer_of(resource: Value<'_>, function: &str) -> Option<serde_json::Value> {
    let mut list = resource.get("performer").into_iter().flat_map(Value::items);
    let own = list.find(|one| {
        let coding = one.get("function").and_then(|own| own.get("coding"));
        let mut codes = coding.into_iter().flat_map(Value::items);
        let code = codes.find_map(|own| own.get_str("code"));
        code.as_deref().unwrap_or("giver") == function
    })?;
    serde_json::from_slice(own.get("actor")?.raw()).ok()
}
