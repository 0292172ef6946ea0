//! The plan by the clock: once a day, at the time that the house set, the platform itself counts what is
//! needed and does what the plan says. Must not run where nobody asked for it, nor twice for one day.

use identity::{SystemTask, Tenant, system_scope};
use jiff::civil::Time;
use kernel::{TenantId, Timestamp, ZoneName};
use ledger::leaf::Class;
use medication::supply::{Action, Mode};
use serde::{Deserialize, Serialize};
use store::{DocExpected, DocKind, Log};
use uuid::Uuid;

use super::automatic::{self, Decided, Plan};
use super::kept;
use crate::App;
use crate::admin::{self, commit};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::init::system_caller;
use crate::jobs::Lease;
use crate::medicines::stock::zone;
use crate::tenants;

/// A time of the day, in the zone of the house: `02:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Daily(Time);

/// A text is no time of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time of the day has hours and minutes: write 02:30")]
pub struct NoTime;

impl core::str::FromStr for Daily {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        let fits = text.len() == 5 && text.as_bytes().get(2) == Some(&b':');
        let (hours, minutes) = text.split_once(':').filter(|_| fits).ok_or(NoTime)?;
        let number = |own: &str| {
            let digits = own.bytes().all(|own| own.is_ascii_digit());
            own.parse::<i8>().ok().filter(|_| digits).ok_or(NoTime)
        };
        let time = Time::new(number(hours)?, number(minutes)?, 0, 0);
        time.map(Self).map_err(|_| NoTime)
    }
}

impl TryFrom<String> for Daily {
    type Error = NoTime;

    fn try_from(text: String) -> Result<Self, NoTime> {
        text.parse()
    }
}

impl core::fmt::Display for Daily {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(to, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl From<Daily> for String {
    fn from(own: Daily) -> Self {
        own.to_string()
    }
}

impl Daily {
    /// When it was due last, and when it is next. A time that the clocks leave out is the one after it, one
    /// that they have twice is the first.
    fn around(self, now: Timestamp, zone: &ZoneName) -> Option<(Timestamp, Timestamp)> {
        let zone = zone.zone();
        let here = jiff::Timestamp::from_microsecond(now.as_micros()).ok()?;
        let today = here.to_zoned(zone.clone()).date();
        let at = |day: jiff::civil::Date| {
            let own = day.to_datetime(self.0).to_zoned(zone.clone()).ok()?;
            Some(Timestamp::from_micros(own.timestamp().as_microsecond()))
        };
        let own = at(today)?;
        if own <= now {
            Some((own, at(today.tomorrow().ok()?)?))
        } else {
            Some((at(today.yesterday().ok()?)?, own))
        }
    }
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Drafts that a person approves.
    pub drafts: usize,
    /// Orders that were sent.
    pub sent: usize,
    /// What would have been asked for, where it was only said.
    pub said: usize,
    /// What is left to a person.
    pub by_hand: usize,
}

impl Counts {
    fn of(found: &[Decided]) -> Self {
        let count = |action: Action| found.iter().filter(|own| own.action == action).count();
        Self {
            drafts: count(Action::Draft),
            sent: count(Action::Send),
            said: count(Action::WouldAsk),
            by_hand: count(Action::ByHand),
        }
    }
}

impl core::fmt::Display for Counts {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            drafts,
            sent,
            said,
            by_hand,
        } = self;
        write!(
            to,
            "{drafts} drafted, {sent} sent, {said} only said, {by_hand} left to a person"
        )
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// When it was due.
    pub due: Timestamp,
    /// When it was tried last.
    pub at: Timestamp,
    /// What it came to; none where it failed.
    pub counts: Option<Counts>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it is tried again, where it failed.
    pub again: Option<Timestamp>,
}

/// How the runs by the clock stand in a house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// At what time of the day; none where nobody asked for it.
    pub daily: Option<Daily>,
    /// When next; none where it is turned off.
    pub next: Option<Timestamp>,
    /// The last one.
    pub last: Option<Ran>,
}

const RAN: &str = "turn/daily";
/// What a lease is called.
const LEASE: &str = "ordering";
/// For how long a run may take, in seconds.
const LEASE_S: i64 = 900;
/// After how many seconds what failed is tried again.
const AGAIN_S: i64 = 900;

async fn ran(app: &App, caller: &Caller) -> Result<(Option<Ran>, DocExpected), AppError> {
    let kind = DocKind::PharmacyMessage;
    let found = app.store().doc(&caller.scope, kind, RAN).await?;
    Ok(match found {
        None => (None, DocExpected::Absent),
        Some(doc) => {
            let own = serde_json::from_slice(&doc.body)?;
            (Some(own), DocExpected::Version(doc.version))
        }
    })
}

/// How they stand, for whoever may see the plan.
pub async fn standing(app: &App, caller: &Caller) -> Result<Standing, AppError> {
    let plan = automatic::plan(app, caller).await?;
    stands(app, caller, &plan).await
}

async fn stands(app: &App, caller: &Caller, plan: &Plan) -> Result<Standing, AppError> {
    let (last, _) = ran(app, caller).await?;
    let daily = plan.daily.filter(|_| plan.policy.mode != Mode::Off);
    let around = daily.and_then(|own| own.around(app.now(), &zone(app, caller)));
    let next = around.map(|(due, next)| match &last {
        // What failed is tried before the next is due.
        Some(own) if own.due == due => own.again.unwrap_or(next),
        _ if plan.daily_since.is_some_and(|since| since <= due) => due,
        _ => next,
    });
    Ok(Standing {
        daily: plan.daily,
        next,
        last,
    })
}

/// Of every house that asked for it, its name in addresses and how its runs stand; for the platform's own
/// checks.
///
/// # Errors
/// Of the store.
pub async fn everywhere(app: &App) -> Result<Vec<(String, Standing)>, AppError> {
    let mut found = Vec::new();
    for tenant in app.store().tenants().await? {
        let Some(caller) = platform(app, tenant).await? else {
            continue;
        };
        let plan = automatic::plan(app, &caller).await?;
        if plan.daily.is_some() {
            let own = stands(app, &caller, &plan).await?;
            found.push((caller.tenant.slug.to_string(), own));
        }
    }
    Ok(found)
}

/// The platform in a house; none in the instance itself, and where nobody may work.
async fn platform(app: &App, tenant: TenantId) -> Result<Option<Caller>, AppError> {
    if tenant.is_instance() {
        return Ok(None);
    }
    let instance = system_scope(TenantId::INSTANCE, SystemTask::Ordering);
    let id = tenant.to_string();
    let found = admin::load::<Tenant>(app, &instance, DocKind::Tenant, &id).await?;
    let found = found.map(|own| own.value);
    let Some(own) = found.filter(Tenant::accepts_sign_in) else {
        return Ok(None);
    };
    Ok(Some(Caller {
        tenant: tenants::info(&own),
        ..system_caller(app, tenant, SystemTask::Ordering)?
    }))
}

/// Runs what is due of every tenant; how many ran. `holder` names this process.
///
/// # Errors
/// The tenants could not be listed; what goes wrong in one keeps no other.
pub async fn round(app: &App, holder: Uuid) -> Result<u64, AppError> {
    let mut done = 0;
    for tenant in app.store().tenants().await? {
        match Box::pin(of_tenant(app, tenant, holder)).await {
            Ok(true) => done += 1,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, %tenant, "what is needed of medicines was not counted");
            }
        }
    }
    Ok(done)
}

async fn of_tenant(app: &App, tenant: TenantId, holder: Uuid) -> Result<bool, AppError> {
    let Some(caller) = platform(app, tenant).await? else {
        return Ok(false);
    };
    if due(app, &caller).await?.is_none() {
        return Ok(false);
    }
    let lease = Lease::take(app, &caller.scope, LEASE, holder, LEASE_S).await?;
    let Some(lease) = lease else {
        return Ok(false);
    };
    // Another process may have been at it between the two looks.
    let done = match due(app, &caller).await {
        Ok(Some(own)) => one(app, &caller, own).await.map(|()| true),
        Ok(None) => Ok(false),
        Err(error) => Err(error),
    };
    lease.release(app).await?;
    done
}

/// What is due, and over which version of the last run it is written.
async fn due(app: &App, caller: &Caller) -> Result<Option<(Timestamp, DocExpected)>, AppError> {
    let plan = automatic::plan(app, caller).await?;
    let daily = plan.daily.filter(|_| plan.policy.mode != Mode::Off);
    let around = daily.and_then(|own| own.around(app.now(), &zone(app, caller)));
    let Some((due, _)) = around else {
        return Ok(None);
    };
    // What was asked for today begins at its next time.
    if plan.daily_since.is_none_or(|since| since > due) {
        return Ok(None);
    }
    let (last, expected) = ran(app, caller).await?;
    let waits = last.is_some_and(|own| {
        own.due > due || (own.due == due && own.again.is_none_or(|again| again > app.now()))
    });
    Ok((!waits).then_some((due, expected)))
}

async fn one(
    app: &App,
    caller: &Caller,
    (due, expected): (Timestamp, DocExpected),
) -> Result<(), AppError> {
    let found = automatic::run(app, caller).await;
    let now = app.now();
    let own = match &found {
        Ok(found) => Ran {
            due,
            at: now,
            counts: Some(Counts::of(found)),
            error: None,
            again: None,
        },
        Err(error) => Ran {
            due,
            at: now,
            counts: None,
            error: Some(AppError::public_text(error).into_owned()),
            again: Some(now.plus_seconds(AGAIN_S)),
        },
    };
    let detail = match (&own.counts, &own.error) {
        (Some(counts), _) => format!("due {due}: {counts}"),
        (None, error) => format!(
            "due {due}: failed: {}",
            error.as_deref().unwrap_or_default()
        ),
    };
    let doc = kept::write(app, RAN, expected, Some(&own))?;
    let what = "ordering-run";
    let entry = house_entry(app, caller, Log::Changes, Class::Supply, what, Some(detail));
    commit(app, &caller.scope, doc, entry).await?;
    found.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_day_are_read_whole() {
        for text in ["00:00", "02:30", "23:59"] {
            assert_eq!(text.parse::<Daily>().unwrap().to_string(), text);
        }
        for text in [
            "", "2:30", "02:60", "24:00", "02:30:00", "+2:30", "02.30", "ab:cd",
        ] {
            assert_eq!(text.parse::<Daily>(), Err(NoTime), "{text}");
        }
    }

    #[test]
    fn it_is_due_once_a_day_by_the_clocks_of_the_house() {
        let london: ZoneName = "Europe/London".parse().unwrap();
        let at = |text: &str| Timestamp::from_rfc3339(text).unwrap();
        let own: Daily = "01:30".parse().unwrap();
        let cases = [
            // now, due, next
            (
                "2026-03-05T01:29:59Z",
                "2026-03-04T01:30:00Z",
                "2026-03-05T01:30:00Z",
            ),
            (
                "2026-03-05T01:30:00Z",
                "2026-03-05T01:30:00Z",
                "2026-03-06T01:30:00Z",
            ),
            // On 29 March there is no half past one: it is half past two by the new time.
            (
                "2026-03-29T12:00:00Z",
                "2026-03-29T01:30:00Z",
                "2026-03-30T00:30:00Z",
            ),
            // On 25 October there are two: the first.
            (
                "2026-10-25T00:45:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-26T01:30:00Z",
            ),
            (
                "2026-10-25T01:45:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-26T01:30:00Z",
            ),
        ];
        for (now, due, next) in cases {
            assert_eq!(
                own.around(at(now), &london),
                Some((at(due), at(next))),
                "{now}"
            );
        }
    }
}
