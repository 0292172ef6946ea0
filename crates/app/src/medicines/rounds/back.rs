//! A round comes back: each record is taken in once, whatever speaks against it, for it happened. In any
//! order and as often as one likes the result is the same. Must not drop a record: what is not taken in is
//! answered with why, and the device keeps it.

use std::collections::BTreeSet;

use identity::Interaction;
use kernel::{Categorised as _, Category, LogicalId};
use ledger::leaf::Class;
use medication::administration::{Double, Record};
use medication::ids::PrescriptionId;
use medication::rounds::{Return, Skew};
use serde::Serialize;
use store::{CommitError, DocExpected, Log, ResourceKey};

use super::findings;
use super::pack::{Kept, pack, signature, write};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::medicines::brought::Offline;
use crate::medicines::give::{Dose, Given, give};
use crate::medicines::ground::names;
use crate::medicines::prescribe::resource_type;
use crate::medicines::reasons;
use crate::medicines::register::Signing;
use crate::medicines::stock::From;
use crate::retry::Retry;
use crate::unit::UnitOfWork;

/// Most records of one return.
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
}

/// A record that came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TakenIn {
    /// Its id.
    pub id: String,
    /// What became of it.
    pub state: State,
    /// What is to be known of it, in words: why it was refused, or what spoke against it.
    pub words: Vec<String>,
    /// Whether the order was changed since the device took it along.
    pub stale: bool,
}

/// What came of a return.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Brought {
    /// Every record, as they came.
    pub records: Vec<TakenIn>,
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
    let right = signature(app, caller, &kept.pack)?;
    if signed != right || kept.pack.device != back.device {
        return Err(AppError::Unprocessable(
            "this is not the round that the device took along: its signature is another".to_owned(),
        ));
    }
    if back.records.len() > MOST {
        return Err(AppError::TooLarge(format!(
            "a round brings back at most {MOST} records at a time: send the rest after it"
        )));
    }
    let returning = Returning {
        app,
        caller,
        kept: &kept,
        back,
    };
    let mut records = Vec::new();
    let mut touched: BTreeSet<LogicalId> = BTreeSet::new();
    for record in &back.records {
        touched.extend(returning.whose(&record.order));
        records.push(returning.one(record).await?);
    }
    let ids: Vec<LogicalId> = touched.into_iter().collect();
    let doubles = findings::doubles(app, caller, &ids).await?;
    returned(app, caller, &kept, records.len()).await?;
    Ok(Brought {
        records,
        doubles,
        clock: back.clocks.skew(),
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
}

impl Returning<'_> {
    /// Of whom an order of the pack is.
    fn whose(&self, order: &PrescriptionId) -> Option<LogicalId> {
        let mut visits = self.kept.pack.visits.iter();
        let own = visits.find(|own| own.lines.iter().any(|line| line.order == *order))?;
        Some(own.resident.0.clone())
    }

    async fn one(&self, record: &Record) -> Result<TakenIn, AppError> {
        let mut own = TakenIn {
            id: record.id.to_string(),
            state: State::Refused,
            words: Vec::new(),
            stale: false,
        };
        let lines = self.kept.pack.visits.iter().flat_map(|own| &own.lines);
        let lines: Vec<_> = lines.filter(|line| line.order == record.order).collect();
        let Some(first) = lines.first() else {
            own.words
                .push("the order was not in this round: record it on the record itself".to_owned());
            return Ok(own);
        };
        let key = ResourceKey {
            ty: resource_type(self.app, "MedicationRequest")?,
            id: record.order.0.clone(),
        };
        let heads = self
            .app
            .store()
            .heads(&self.caller.scope, core::slice::from_ref(&key))
            .await?;
        let now = heads.into_iter().flatten().next().map(|own| own.version.0);
        own.stale = now != Some(first.version);
        if own.stale {
            own.words
                .push("the order was changed since the round was taken along".to_owned());
        }
        let due = lines.iter().find_map(|line| {
            let due = line.due.as_ref()?;
            (Some(&due.key) == record.slot.as_ref()).then(|| due.clone())
        });
        let dose = self.dose(record, due, &mut own.words);
        match give(self.app, self.caller, &key, &dose).await {
            Ok(given) => taken_in(given, &mut own),
            Err(error) => match error.category() {
                // Nothing is wrong with the record: the device sends it again.
                Category::Fault | Category::Unavailable | Category::Conflict => return Err(error),
                _ => own.words.push(error.to_string()),
            },
        }
        Ok(own)
    }

    fn dose(
        &self,
        record: &Record,
        due: Option<medication::order::DueSlot>,
        words: &mut Vec<String>,
    ) -> Dose {
        let note = self.clock();
        words.extend(note.clone());
        let mine = names(self.caller).contains(&self.kept.person);
        let giver = (!mine).then(|| (self.kept.person.clone(), self.kept.by.clone()));
        Dose {
            outcome: record.outcome,
            dose: record.dose.clone(),
            reason: record.reason.clone(),
            happened: Some(record.happened),
            slot: record.slot.as_ref().map(ToString::to_string),
            rights: record.rights.clone(),
            witness: None,
            need: record.need.as_ref().map(|own| own.reason.clone()),
            done: true,
            corrects: None,
            from: From::default(),
            signing: Signing::default(),
            late: None,
            scan: self.back.scans.get(&record.id).cloned(),
            dosage: None,
            offline: Some(Offline {
                id: record.id.clone(),
                entered: record.entered,
                device: self.kept.pack.device.clone(),
                due,
                giver,
                note,
            }),
        }
    }

    /// What is wrong with the clock. Times are never rewritten: this is noted on every record.
    fn clock(&self) -> Option<String> {
        let way = |seconds: i64| {
            let side = if seconds < 0 { "behind" } else { "ahead" };
            format!("{} s {side}", seconds.abs())
        };
        match self.back.clocks.skew() {
            Skew::None => None,
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

fn taken_in(given: Given, own: &mut TakenIn) {
    let said = given.decision.iter().flat_map(|decision| &decision.reasons);
    own.words.extend(said.map(|(_, why)| reasons::words(why)));
    own.state = match (given.stored, given.decision) {
        (Some(_), _) => State::Stored,
        (None, None) => State::Known,
        (None, Some(_)) => State::Refused,
    };
}
