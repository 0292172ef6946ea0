//! Taking a round along: everything that a device needs to decide for some hours, signed so that what comes
//! back can be held against it. Must not hold more than the round: no notes, no results, no addresses, no
//! pictures.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use kernel::Timestamp;
use ledger::leaf::Class;
use medication::Quantity;
use medication::administration::{Giving, Outcome, PackState, Policy, Record};
use medication::ids::{DeviceId, PackId, PersonId, RecordId, ResidentId};
use medication::limits::{self, Entry, Verdict};
use medication::order::Order;
use medication::rounds::{
    ClockReading, DeviceDose, DeviceLimits, DevicePacks, Pack, PackLine, PackVisit, Packs, Said,
    Standing, standing,
};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use store::{DocExpected, DocKind, DocWrite, Log};

use super::RoundRequest;
use super::load::{Person, Whom, papers_of, people};
use super::today::{Line, Stop, doses, lately, stops, visits};
use crate::App;
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::medicines::give::MOST_DOUBT;
use crate::medicines::ground::{Ordered, names};
use crate::medicines::people::Filed;
use crate::medicines::prescribe::signer;
use crate::medicines::{issue, reasons, sources};
use crate::unit::UnitOfWork;

/// The most hours a pack may be used.
pub const MOST_HOURS: i64 = 12;
/// Days after which the server forgets a pack that did not come back.
const KEPT_DAYS: i64 = 60;

/// What is taken along.
#[derive(Debug, Clone)]
pub struct Taking {
    /// Which patients; `ahead` is set by the hours.
    pub round: RoundRequest,
    /// The device, by the UUID it gave itself.
    pub device: DeviceId,
    /// For how many hours, 1 to [`MOST_HOURS`].
    pub hours: i64,
    /// What the device's clock says.
    pub clock: Timestamp,
}

/// A dose that the device may record, as the limits see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// The amount in words.
    pub text: String,
    /// The amount.
    pub dose: medication::Quantity,
    /// What it holds, as it is recorded.
    pub contents: Vec<medication::content::Content>,
    /// What each limit counts of it.
    pub counts: DeviceDose,
}

/// A reason that the device cannot work out, as where there is a network it would be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stands {
    /// Its code: `not-overridden`.
    pub code: String,
    /// What it weighs.
    pub verdict: Verdict,
    /// In words.
    pub text: String,
    /// Of which outcomes.
    pub outcomes: Vec<Outcome>,
    /// From when.
    pub from: Timestamp,
    /// Until when; that moment is not in it.
    pub until: Timestamp,
}

/// An alert that interrupts, as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertWords {
    /// How loudly it speaks: `contraindicated`, `high`.
    pub tier: &'static str,
    /// What it says.
    pub text: String,
}

/// A medicine in a pack, beside its line on the round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// The id of the order.
    pub order: String,
    /// Its slot, where it is of a due dose.
    pub slot: Option<String>,
    /// Which of the order's dosages it is, from 0.
    pub dosage: usize,
    /// The amounts.
    pub planned: Vec<Planned>,
    /// What stands for it whatever is filled in.
    pub standing: Vec<Stands>,
    /// The alerts that interrupt.
    pub alerts: Vec<AlertWords>,
    /// Minutes after which the effect is asked for.
    pub effect_after: Option<u32>,
    /// How the packs that were taken along stand to it, by their places; another medicine where left out.
    pub packs: BTreeMap<usize, &'static str>,
}

/// A patient in a pack.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// As on a round.
    pub stop: Stop,
    /// The limits and the doses they look back at.
    pub limits: DeviceLimits,
    /// What may be given.
    pub offers: Vec<Offer>,
}

/// A round as a device takes it along.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// The id of the pack.
    pub id: String,
    /// The pack as it was signed.
    pub pack: Pack,
    /// The server's signature of the pack.
    pub signature: String,
    /// The clocks when it was taken.
    pub clock: ClockReading,
    /// Who took it, by name.
    pub by: String,
    /// Who took it, as records name them: nobody else records in it.
    pub person: PersonId,
    /// The midnights of the house around its time, for limits by day, in microseconds.
    pub midnights: Vec<Timestamp>,
    /// The packs that may be mixed up in this round.
    pub packs: DevicePacks,
    /// The patients, as one walks.
    pub people: Vec<Carried>,
}

/// A pack as the server keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// The pack.
    pub pack: Pack,
    /// Who took it, as records name them.
    pub person: medication::ids::PersonId,
    /// The same as a FHIR Reference.
    pub by: serde_json::Value,
    /// The clocks when it was taken.
    pub taken: ClockReading,
    /// When it came back, each time.
    #[serde(default)]
    pub returned: Vec<Timestamp>,
}

fn mac(app: &App, caller: &Caller, pack: &Pack) -> Result<Hmac<Sha256>, AppError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(app.settings().secret.as_slice())
        .map_err(|error| AppError::Fault(error.to_string()))?;
    mac.update(b"theriac round pack v1\0");
    mac.update(caller.scope.tenant().as_uuid().as_bytes());
    mac.update(&serde_json::to_vec(pack)?);
    Ok(mac)
}

/// The signature of a pack: HMAC-SHA-256 under the instance's secret.
fn signature(app: &App, caller: &Caller, pack: &Pack) -> Result<String, AppError> {
    let mac = mac(app, caller, pack)?.finalize();
    Ok(data_encoding::BASE64URL_NOPAD.encode(&mac.into_bytes()))
}

/// Whether a signature is that of a pack. How long it takes says nothing of the right one.
pub(super) fn is_signed(
    app: &App,
    caller: &Caller,
    pack: &Pack,
    signed: &str,
) -> Result<bool, AppError> {
    let Ok(signed) = data_encoding::BASE64URL_NOPAD.decode(signed.as_bytes()) else {
        return Ok(false);
    };
    Ok(mac(app, caller, pack)?.verify_slice(&signed).is_ok())
}

/// The patients of the place that was chosen, with who stands for their alerts.
async fn of_round(
    app: &App,
    caller: &Caller,
    taking: &Taking,
    purpose: &str,
) -> Result<Vec<Person>, AppError> {
    let whom = Whom::House(taking.round.organization.as_ref());
    let mut people = people(app, caller, whom, lately(app), purpose).await?;
    people.retain(|own| match &taking.round.location {
        Some(place) => own.location.iter().any(|part| part == place),
        None => true,
    });
    for own in &mut people {
        own.ground.signed(app, caller).await?;
    }
    Ok(people)
}

/// Takes a round along.
pub async fn take(app: &App, caller: &Caller, taking: &Taking) -> Result<Taken, AppError> {
    let made = app.now();
    let clock = checked(taking, made)?;
    let id = app.ids().uuid().to_string();
    let purpose = format!("medication-round/pack/{id}");
    let people = of_round(app, caller, taking, &purpose).await?;
    let papers = papers_of(app, caller, &people).await?;
    let seconds = taking.hours * 3600;
    let zone = caller.tenant.time_zone.clone();
    let all: Vec<&Person> = people.iter().collect();
    let pack = Pack {
        id: id.as_str().parse::<PackId>().map_err(|_| no_id())?,
        device: taking.device.clone(),
        made,
        until: made.plus_seconds(seconds),
        zone: zone.unwrap_or_else(|| app.settings().time_zone.clone()),
        knowledge: people
            .first()
            .map(|own| own.ground.release())
            .unwrap_or_default(),
        visits: packed(&all, made, seconds),
    };
    let person = person(caller).ok_or_else(no_id)?;
    let none = Filed::default();
    let known = sources(app).await?;
    let articles = people.iter().flat_map(|own| &own.ground.orders);
    let articles = articles.map(|own| &own.article);
    let packs = Packs::of(&known.dictionary, articles, known.knowledge);
    let mut carried = Vec::new();
    for stop in stops(app, &all, seconds) {
        let Some(own) = people.iter().find(|own| own.id().as_str() == stop.patient) else {
            continue;
        };
        let carrying = Carrying {
            caller,
            own,
            papers: papers.get(&stop.patient).unwrap_or(&none),
            giver: &person,
            pack: &pack,
            packs: &packs,
        };
        carried.push(carrying.carried(stop));
    }
    let taken = Taken {
        id,
        signature: signature(app, caller, &pack)?,
        people: carried,
        packs: packs.device(&known.dictionary, &known.recalls),
        midnights: midnights(&all, made),
        by: caller.subject.actor().name.clone(),
        person,
        clock,
        pack,
    };
    keep(app, caller, &taken).await?;
    Ok(taken)
}

/// What is asked for, with the clocks beside each other. A clock that is a day off is set before.
fn checked(taking: &Taking, made: Timestamp) -> Result<ClockReading, AppError> {
    if !(1..=MOST_HOURS).contains(&taking.hours) {
        return Err(AppError::Invalid(format!(
            "a round is taken along for 1 to {MOST_HOURS} hours: correct hours"
        )));
    }
    let clock = ClockReading {
        server: made,
        device: taking.clock,
    };
    if clock.ahead().abs() > MOST_DOUBT {
        return Err(AppError::Unprocessable(format!(
            "the device's clock says {} and it is {made}: set it, and take the round again",
            taking.clock
        )));
    }
    Ok(clock)
}

/// Who records, as records name them.
#[must_use]
pub fn person(caller: &Caller) -> Option<PersonId> {
    names(caller).into_iter().next()
}

fn no_id() -> AppError {
    AppError::Fault("an id is none".to_owned())
}

async fn keep(app: &App, caller: &Caller, taken: &Taken) -> Result<(), AppError> {
    let kept = Kept {
        pack: taken.pack.clone(),
        person: taken.person.clone(),
        by: signer(caller),
        taken: taken.clock,
        returned: Vec::new(),
    };
    let detail = format!(
        "{} with {} patients for device {} until {}",
        taken.pack.id,
        taken.pack.visits.len(),
        taken.pack.device,
        taken.pack.until
    );
    let entry = house_entry(
        app,
        caller,
        Log::Changes,
        Class::Read,
        "round-take",
        Some(detail),
    );
    UnitOfWork::begin(app, &caller.scope)
        .doc(write(app, &kept, DocExpected::Absent)?)
        .entry(entry)
        .commit()
        .await?;
    Ok(())
}

pub(super) fn write(app: &App, kept: &Kept, expected: DocExpected) -> Result<DocWrite, AppError> {
    Ok(DocWrite {
        kind: DocKind::RoundPack,
        id: kept.pack.id.to_string(),
        expected,
        body: Some(serde_json::to_vec(kept)?),
        time: app.now(),
        expires: Some(kept.pack.made.plus_seconds(KEPT_DAYS * 86_400)),
        lookups: Vec::new(),
    })
}

/// A pack as it was taken, for who took it or brings it back in the same tenant.
pub async fn pack(
    app: &App,
    caller: &Caller,
    id: &PackId,
) -> Result<Option<(Kept, u32)>, AppError> {
    let store = app.store();
    let doc = store
        .doc(&caller.scope, DocKind::RoundPack, id.as_str())
        .await?;
    let Some(doc) = doc else { return Ok(None) };
    Ok(Some((serde_json::from_slice(&doc.body)?, doc.version)))
}

fn packed(people: &[&Person], made: Timestamp, seconds: i64) -> Vec<PackVisit> {
    let Some(home) = people.first().map(|own| &own.ground.home) else {
        return Vec::new();
    };
    let visits = visits(people, home, made, seconds);
    let packed = visits.into_iter().map(|(visit, person)| {
        let lines = visit.iter().flat_map(|own| &own.lines);
        let lines = lines.filter_map(|line| {
            let (ordered, order) = person.ordered(line.order.as_str())?;
            let medicines = person.ground.regimen.medicines.iter();
            let version = medicines
                .filter(|held| held.name() == ordered.name)
                .map(|held| held.version.0)
                .next()?;
            Some(PackLine {
                order: line.order.clone(),
                version,
                name: line.name.clone(),
                text: medication::dosage::regimen(&order.dosages).text,
                due: line.due.clone(),
                dose: line.dose.clone(),
            })
        });
        PackVisit {
            resident: ResidentId(person.id().clone()),
            name: person.name(),
            location: person.location.clone(),
            lines: lines.collect(),
            limits: person.limits(),
            history: person.history(made),
        }
    });
    packed.collect()
}

/// Midnights of the house from three days before to two days after.
fn midnights(people: &[&Person], made: Timestamp) -> Vec<Timestamp> {
    let Some(zone) = people.first().map(|own| own.ground.home.zone.clone()) else {
        return Vec::new();
    };
    let at = jiff::Timestamp::from_microsecond(made.as_micros()).unwrap_or_default();
    let today = zone.to_datetime(at).date();
    let days = -3..=2_i64;
    days.filter_map(|days| {
        let span = jiff::Span::new().try_days(days).ok()?;
        let day = today.checked_add(span).ok()?;
        medication::dosage::Moment::parse(&day.to_string()).map(|own| own.starts(&zone))
    })
    .collect()
}

impl Person {
    /// Every limit of knowledge and orders.
    fn limits(&self) -> Vec<limits::Limit> {
        medication::rounds::all_limits(&self.readable(), &self.ground.all_limits().0)
    }

    /// The doses that the limits look back at.
    fn history(&self, now: Timestamp) -> Vec<Entry> {
        let reach = self.limits().iter().map(limits::reach).max().unwrap_or(0);
        let since = now.plus_seconds(reach.saturating_neg());
        let history = self.records.book.history_since(since);
        history.entries().to_vec()
    }

    /// The alerts of an order that interrupt, in words.
    fn alert_words(&self, name: &str) -> Vec<AlertWords> {
        let checked = &self.ground.checked;
        let mut list = checked.medicines.iter();
        let place = list.position(|own| own.reference.as_deref() == Some(name));
        let shown = checked.alerts.iter().filter(|shown| {
            shown.alert.tier.interrupts()
                && place.is_some_and(|place| shown.alert.medicines.contains(&place))
        });
        shown
            .map(|shown| AlertWords {
                tier: issue::tier(shown.alert.tier),
                text: issue::detail(checked, shown),
            })
            .collect()
    }
}

/// A patient whose part of a pack is made.
struct Carrying<'a> {
    caller: &'a Caller,
    own: &'a Person,
    papers: &'a Filed,
    giver: &'a PersonId,
    pack: &'a Pack,
    packs: &'a Packs<'a>,
}

impl Carrying<'_> {
    /// What a device needs of a stop: no picture, and no question that it does not ask.
    fn carried(&self, mut stop: Stop) -> Carried {
        stop.photo = None;
        stop.effects = Vec::new();
        let limits = self.own.limits();
        let lines = stop.lines.iter();
        let offers = lines.filter_map(|line| self.offer(line, &limits)).collect();
        Carried {
            limits: DeviceLimits::of(&limits, &self.own.history(self.pack.made)),
            offers,
            stop,
        }
    }

    fn offer(&self, line: &Line, limits: &[limits::Limit]) -> Option<Offer> {
        let (ordered, order) = self.own.ordered(&line.order)?;
        let made = self.pack.made;
        let choices = doses(order, line.dosage).into_iter();
        let choices = choices.map(|choice| planned(order, choice, limits, made));
        let planned: Vec<Planned> = choices.collect();
        let dose = planned.last().map(|own| own.dose.clone());
        Some(Offer {
            order: line.order.clone(),
            slot: line.slot.clone(),
            dosage: line.dosage,
            standing: self.standing(ordered, order, line, dose),
            planned,
            alerts: self.own.alert_words(&ordered.name),
            effect_after: order.need.effect_after,
            packs: self
                .packs
                .states(&ordered.article, self.own.ground.sources().knowledge),
        })
    }

    /// What stands for an order while the round is taken along.
    fn standing(
        &self,
        ordered: &Ordered,
        order: &Order,
        line: &Line,
        dose: Option<Quantity>,
    ) -> Vec<Stands> {
        let due = line.due.as_ref();
        let ground = &self.own.ground;
        let span = (self.pack.made, self.pack.until);
        let (limits, mut missing) = ground.limits(ordered);
        missing.extend(self.own.records.gaps(&ordered.article, &limits, span));
        let alerts = ground.alerts(self.caller, &ordered.name);
        let record = Record {
            id: RecordId(order.id.0.clone()),
            order: order.id.clone(),
            slot: due.map(|due| due.key.clone()),
            dosage: Some(line.dosage).filter(|_| due.is_none()),
            outcome: Outcome::Given,
            reason: None,
            happened: span.0,
            entered: span.0,
            giver: self.giver.clone(),
            enterer: None,
            witness: None,
            contents: limits::counted(&order.article, dose.as_ref()),
            dose,
            product: order.article.name.clone(),
            rights: Vec::new(),
            device: None,
            corrects: None,
            need: None,
        };
        let giving = Giving {
            order,
            due,
            named: Some(line.dosage),
            record: &record,
            done: false,
            book: &self.own.records.book,
            limits: &[],
            missing: &missing,
            alerts: &alerts,
            allergies: ground.allergies,
            covert: None,
            self_care: None,
            homely: None,
            pack: PackState::NotScanned,
            policy: &Policy::default(),
            now: span.0,
            zone: &ground.home.zone,
        };
        let papers = |outcome, at| {
            let said = self.papers.say(order, outcome, at);
            Said {
                covert: said.covert,
                alone: said.alone,
                homely: said.homely,
                missing: said.missing,
            }
        };
        // What is counted by days turns with the day.
        let mut turning = self.papers.papers.turns();
        turning.extend(midnights(&[self.own], span.0));
        let found = standing(giving, span, &turning, papers);
        found.into_iter().map(stands).collect()
    }
}

fn stands(own: Standing) -> Stands {
    Stands {
        code: reasons::code(&own.why),
        verdict: own.verdict,
        text: reasons::words(&own.why),
        outcomes: own.outcomes,
        from: own.from,
        until: own.until,
    }
}

fn planned(
    order: &Order,
    choice: super::Choice,
    limits: &[limits::Limit],
    now: Timestamp,
) -> Planned {
    let contents = limits::counted(&order.article, Some(&choice.dose));
    let entry = Entry {
        id: RecordId(order.id.0.clone()),
        order: Some(order.id.clone()),
        at: now,
        name: order.article.name.clone(),
        dose: Some(choice.dose.clone()),
        contents: contents.clone(),
    };
    Planned {
        text: choice.text,
        counts: DeviceDose::of(&entry, limits),
        dose: choice.dose,
        contents,
    }
}
