//! A round comes back: each record is taken in once, whatever speaks against it, for it happened. In any
//! order and as often as one likes the result is the same. Must not drop a record: what is not taken in is
//! answered with why, and the device keeps it.

use std::collections::BTreeSet;

use identity::Interaction;
use kernel::{Categorised as _, Category, LogicalId};
use ledger::leaf::Class;
use medication::administration::{Double, EffectRecord, Record};
use medication::ids::{PersonId, PrescriptionId};
use medication::order::DueSlot;
use medication::rounds::{Clocks, Return, Skew};
use serde::Serialize;
use serde_json::{Value, json};
use store::{CommitError, DocExpected, Log, ResourceKey};

use super::effects::{self, NewEffect};
use super::findings;
use super::pack::{Kept, is_signed, pack, write};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::medicines::brought::Offline;
use crate::medicines::give::{Dose, MOST_DOUBT, give};
use crate::medicines::ground::names;
use crate::medicines::prescribe::resource_type;
use crate::medicines::reasons;
use crate::medicines::register::Signing;
use crate::medicines::stock::From;
use crate::retry::Retry;
use crate::unit::UnitOfWork;

/// Most records, and most effects, of one return.
const MOST: usize = 200;

/// What became of a record that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is on the record now.
    Stored,
    /// It was there already.
    Known,
    /// It is not: the device keeps it, and somebody looks.
    Refused,
    /// It is not yet, and nothing is wrong with it: the device sends it again.
    Later,
}

/// A record or an effect that came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TakenIn {
    /// Its id; of an effect that of its dose.
    pub id: String,
    /// What became of it.
    pub state: State,
    /// What is to be known of it, in words: why it was refused, or what spoke against it.
    pub words: Vec<String>,
    /// Whether the order was changed since the device took it along.
    pub stale: bool,
    /// Whether somebody must look at it: the device keeps the words until somebody did.
    pub look: bool,
}

/// What came of a return.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Brought {
    /// Every record, as they came.
    pub records: Vec<TakenIn>,
    /// Every effect, as they came.
    pub effects: Vec<TakenIn>,
    /// Doses that may have been taken twice: somebody looks at each.
    pub doubles: Vec<Double>,
    /// What is wrong with the device's clock.
    pub clock: Skew,
    /// Whether it came back after its time.
    pub expired: bool,
}

/// Brings a round back.
pub async fn bring_back(
    app: &App,
    caller: &Caller,
    back: &Return,
    signed: &str,
) -> Result<Brought, AppError> {
    let ty = resource_type(app, "MedicationAdministration")?;
    authorise(app, caller, &Ask::of_type(Interaction::Create, ty)).await?;
    let (kept, _) = pack(app, caller, &back.pack)
        .await?
        .ok_or_else(|| AppError::not_found(format!("round {}", back.pack)))?;
    if !is_signed(app, caller, &kept.pack, signed)? || kept.pack.device != back.device {
        return Err(AppError::Unprocessable(
            "this is not the round that the device took along: its signature is another".to_owned(),
        ));
    }
    if back.records.len() > MOST || back.effects.len() > MOST {
        return Err(AppError::TooLarge(format!(
            "a round brings back at most {MOST} records at a time: send the rest after it"
        )));
    }
    let clocks = back.clocks(kept.taken, app.now());
    let returning = Returning {
        app,
        caller,
        kept: &kept,
        back,
        clocks,
    };
    let mut records = Vec::new();
    let mut touched: BTreeSet<LogicalId> = BTreeSet::new();
    let mut against = Vec::new();
    for record in &back.records {
        touched.extend(returning.whose(&record.order));
        records.push(returning.one(record, &mut against).await?);
    }
    let mut effects = Vec::new();
    for effect in &back.effects {
        effects.push(returning.effect(effect).await?);
    }
    let ids: Vec<LogicalId> = touched.into_iter().collect();
    let times = back.records.iter().map(|own| {
        let slot = own.slot.as_ref().map_or(own.happened, |slot| slot.at);
        slot.min(own.happened)
    });
    let doubles = findings::doubles(app, caller, &ids, times.min()).await?;
    for told in &against {
        findings::against(app, caller, told, &doubles).await?;
    }
    for own in &mut records {
        let mut twice = doubles.iter().flat_map(|double| &double.records);
        own.look |= twice.any(|id| id.as_str() == own.id);
    }
    returned(app, caller, &kept, records.len()).await?;
    Ok(Brought {
        records,
        effects,
        doubles,
        clock: clocks.skew(),
        expired: app.now() > kept.pack.until,
    })
}

/// Notes that it came back.
async fn returned(app: &App, caller: &Caller, kept: &Kept, count: usize) -> Result<(), AppError> {
    let mut retry = Retry::new();
    loop {
        let Some((mut now, version)) = pack(app, caller, &kept.pack.id).await? else {
            return Ok(());
        };
        now.returned.push(app.now());
        let detail = format!("{} with {count} records", kept.pack.id);
        let entry = house_entry(
            app,
            caller,
            Log::Changes,
            Class::Read,
            "round-return",
            Some(detail),
        );
        let done = UnitOfWork::begin(app, &caller.scope)
            .doc(write(app, &now, DocExpected::Version(version))?)
            .entry(entry)
            .commit()
            .await;
        match done {
            Ok(_) => return Ok(()),
            Err(CommitError::DocConflict { .. }) if retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

struct Returning<'a> {
    app: &'a App,
    caller: &'a Caller,
    kept: &'a Kept,
    back: &'a Return,
    clocks: Clocks,
}

/// What became of something that the record did not take: where nothing is wrong with it, it comes again.
fn not_taken(error: &AppError, own: &mut TakenIn) {
    own.state = match error.category() {
        Category::Fault | Category::Unavailable | Category::Conflict => State::Later,
        _ => State::Refused,
    };
    own.words.push(match own.state {
        State::Later => "it could not be taken in just now: send it again".to_owned(),
        _ => error.to_string(),
    });
}

impl Returning<'_> {
    /// Of whom an order of the pack is.
    fn whose(&self, order: &PrescriptionId) -> Option<LogicalId> {
        let mut visits = self.kept.pack.visits.iter();
        let own = visits.find(|own| own.lines.iter().any(|line| line.order == *order))?;
        Some(own.resident.0.clone())
    }

    /// Why a record is not taken in at all.
    fn refused(&self, record: &Record) -> Option<&'static str> {
        let before = self.clocks.taken.server.seconds_since(record.happened);
        if record.corrects.is_some() {
            Some("it corrects another record: correct that one on the record itself")
        } else if self.clocks.outside(record.entered) > MOST_DOUBT || before > MOST_DOUBT {
            Some(
                "it is dated more than a day outside this round: record it on the record itself, with its true time",
            )
        } else {
            None
        }
    }

    async fn one<'r>(
        &self,
        record: &'r Record,
        against: &mut Vec<findings::Against<'r>>,
    ) -> Result<TakenIn, AppError> {
        let mut own = TakenIn {
            id: record.id.to_string(),
            state: State::Refused,
            words: Vec::new(),
            stale: false,
            look: false,
        };
        let lines = self.kept.pack.visits.iter().flat_map(|own| &own.lines);
        let lines: Vec<_> = lines.filter(|line| line.order == record.order).collect();
        let Some(first) = lines.first() else {
            own.words
                .push("the order was not in this round: record it on the record itself".to_owned());
            return Ok(own);
        };
        if let Some(why) = self.refused(record) {
            own.words.push(why.to_owned());
            return Ok(own);
        }
        let key = ResourceKey {
            ty: resource_type(self.app, "MedicationRequest")?,
            id: record.order.0.clone(),
        };
        let due = lines.iter().find_map(|line| {
            let due = line.due.as_ref()?;
            (Some(&due.key) == record.slot.as_ref()).then(|| due.clone())
        });
        match self
            .taken_in(record, &key, (first.version, due), &mut own)
            .await
        {
            Ok(words) => {
                let patient = self.whose(&record.order).filter(|_| !words.is_empty());
                against.extend(patient.map(|patient| findings::Against {
                    patient,
                    record,
                    words,
                }));
            }
            Err(error) => not_taken(&error, &mut own),
        }
        Ok(own)
    }

    async fn taken_in(
        &self,
        record: &Record,
        key: &ResourceKey,
        (version, due): (u32, Option<DueSlot>),
        own: &mut TakenIn,
    ) -> Result<Vec<String>, AppError> {
        let keys = core::slice::from_ref(key);
        let heads = self.app.store().heads(&self.caller.scope, keys).await?;
        let now = heads.into_iter().flatten().next().map(|own| own.version.0);
        own.stale = now != Some(version);
        let mut notes = Vec::new();
        if own.stale {
            notes.push("the order was changed since the round was taken along".to_owned());
        }
        let taker = &self.kept.person;
        if record.giver != *taker && record.giver.as_str() != self.kept.pack.device.as_str() {
            notes.push(format!(
                "the device names {} as who gave it, and another took the round along",
                record.giver
            ));
        }
        let dose = self.dose(record, due, notes).await?;
        let given = give(self.app, self.caller, key, &dose).await?;
        let clock = dose.offline.and_then(|own| own.clock);
        own.state = match (&given.stored, &given.decision) {
            (Some(_), _) => State::Stored,
            (None, None) => State::Known,
            (None, Some(_)) => State::Refused,
        };
        own.words.extend(clock);
        own.look = !given.against.is_empty();
        let said = given.decision.iter().flat_map(|decision| &decision.reasons);
        let said = said.map(|(_, why)| reasons::words(why));
        for word in given.against.iter().cloned().chain(said) {
            if !own.words.contains(&word) {
                own.words.push(word);
            }
        }
        Ok(match own.state {
            State::Refused => Vec::new(),
            _ => given.against,
        })
    }

    /// Records what a dose brought about, once.
    async fn effect(&self, effect: &EffectRecord) -> Result<TakenIn, AppError> {
        let mut own = TakenIn {
            id: effect.of.to_string(),
            state: State::Refused,
            words: Vec::new(),
            stale: false,
            look: false,
        };
        let key = ResourceKey {
            ty: resource_type(self.app, "MedicationAdministration")?,
            id: effect.of.0.clone(),
        };
        let new = NewEffect {
            effect: effect.effect,
            note: effect.note.clone(),
            at: Some(effect.at),
        };
        match effects::brought(self.app, self.caller, &key, &new).await {
            Ok(true) => own.state = State::Stored,
            Ok(false) => own.state = State::Known,
            Err(error) => not_taken(&error, &mut own),
        }
        Ok(own)
    }

    /// The witness whom the device names, as the record names them: asked, until they sign.
    async fn asked(&self, witness: &PersonId) -> Result<Value, AppError> {
        let key = ResourceKey {
            ty: resource_type(self.app, "Practitioner")?,
            id: witness.0.clone(),
        };
        let keys = core::slice::from_ref(&key);
        let heads = self.app.store().heads(&self.caller.scope, keys).await?;
        Ok(if heads.into_iter().flatten().next().is_some() {
            json!({ "reference": format!("Practitioner/{witness}") })
        } else {
            let value = format!("urn:uuid:{witness}");
            json!({ "identifier": { "system": "urn:ietf:rfc:3986", "value": value } })
        })
    }

    async fn dose(
        &self,
        record: &Record,
        due: Option<DueSlot>,
        notes: Vec<String>,
    ) -> Result<Dose, AppError> {
        let mine = names(self.caller).contains(&self.kept.person);
        let giver = (!mine).then(|| (self.kept.person.clone(), self.kept.by.clone()));
        let doubt = self.clocks.skew().seconds() + self.clocks.outside(record.entered);
        let witness = match &record.witness {
            Some(witness) => Some(self.asked(witness).await?),
            None => None,
        };
        Ok(Dose {
            outcome: record.outcome,
            dose: record.dose.clone(),
            reason: record.reason.clone(),
            happened: Some(record.happened),
            slot: record.slot.as_ref().map(ToString::to_string),
            rights: record.rights.clone(),
            witness,
            need: record.need.as_ref().map(|own| own.reason.clone()),
            done: true,
            corrects: None,
            from: From::default(),
            signing: Signing::default(),
            late: None,
            scan: self.back.scans.get(&record.id).cloned(),
            dosage: record.dosage,
            offline: Some(Offline {
                id: record.id.clone(),
                entered: record.entered,
                device: self.kept.pack.device.clone(),
                due,
                giver,
                clock: self.clock(record),
                doubt: (doubt > 0).then_some(doubt),
                notes,
            }),
        })
    }

    /// What is wrong with the clock. Times are never rewritten: this is noted on every record.
    fn clock(&self, record: &Record) -> Option<String> {
        let way = |seconds: i64| {
            let side = if seconds < 0 { "behind" } else { "ahead" };
            format!("{} s {side}", seconds.abs())
        };
        match self.clocks.skew() {
            Skew::None => (self.clocks.outside(record.entered) > 0).then(|| {
                "it was entered outside the time of this round: its time is not certain".to_owned()
            }),
            Skew::Off { seconds } => Some(format!(
                "the device's clock was {}: its times are as it showed them",
                way(seconds)
            )),
            Skew::Moved { from, to } => Some(format!(
                "the device's clock was {} when the round was taken and {} when it came back: no time of it is certain",
                way(from),
                way(to)
            )),
        }
    }
}
