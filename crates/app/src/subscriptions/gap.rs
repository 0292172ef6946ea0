//! What a subscription was not told of, because it stood still for longer than things are kept: noted where
//! those who run the tenant and the subscriber itself see it, never passed over in silence.

use kernel::{TenantScope, Timestamp};
use store::DocKind;

use super::documents::{self, Progress, Registration, expected};
use super::lifecycle;
use super::resource::Status;
use crate::App;
use crate::admin::{self, Versioned};
use crate::error::AppError;
use crate::retry::Retry;

/// Entries of the change ledger that were too old when they could be compared at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Gap {
    /// The first entry's index.
    pub first: u64,
    /// The last entry's index.
    pub last: u64,
    /// When the first was made.
    pub since: Timestamp,
    /// When the last was made.
    pub until: Timestamp,
}

impl Gap {
    /// One notice for an earlier gap and this.
    pub(crate) fn after(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier) => Self {
                first: earlier.first,
                since: earlier.since,
                ..self
            },
            None => self,
        }
    }
}

/// The notice, in words that name no patient; `None` where nothing was missed.
pub(crate) fn notice(registration: &Registration, progress: &Progress) -> Option<String> {
    let changes = registration.gap.map(|gap| {
        format!(
            "changes from {} to {} (entries {} to {} of the change ledger) were too old to be told: search with _lastUpdated",
            gap.since.to_fhir_instant(),
            gap.until.to_fhir_instant(),
            gap.first,
            gap.last
        )
    });
    let events = progress.gap.map(|(first, last)| {
        format!("events {first} to {last} were kept no longer: search with _lastUpdated")
    });
    match (changes, events) {
        (Some(changes), Some(events)) => Some(format!("{changes}; {events}")),
        (one, other) => one.or(other),
    }
}

/// Notes that events were removed before anybody took them, and puts the notice into the Subscription.
/// Returns whether nobody was faster.
pub(crate) async fn missed(
    app: &App,
    scope: &TenantScope,
    registration: &Registration,
    (first, last): (u64, u64),
) -> Result<bool, AppError> {
    let id = &registration.id;
    let kind = DocKind::SubscriptionProgress;
    let mut retry = Retry::new();
    loop {
        let found: Option<Versioned<Progress>> = admin::load(app, scope, kind, id).await?;
        let mut value = found
            .as_ref()
            .map(|found| found.value.clone())
            .unwrap_or_default();
        if value.done >= last {
            return Ok(false);
        }
        let first = value.gap.map_or(first, |(earlier, _)| earlier);
        value.gap = Some((first, last));
        value.done = last;
        let write = documents::write(app, kind, id, expected(found.as_ref()), &value, None)?;
        if documents::operate(app, scope, vec![write]).await? {
            show(app, scope, registration, &value).await?;
            return Ok(true);
        }
        if !retry.again().await {
            return Ok(false);
        }
    }
}

/// Puts the notice into the Subscription itself, which stays active.
pub(crate) async fn show(
    app: &App,
    scope: &TenantScope,
    registration: &Registration,
    progress: &Progress,
) -> Result<(), AppError> {
    let notice = notice(registration, progress);
    tracing::warn!(
        subscription = registration.id,
        notice,
        "a subscription was not told of something"
    );
    let served = (registration.id.as_str(), registration.version);
    let active = Status::Active;
    lifecycle::set_status(app, scope.tenant(), served, active, notice.as_deref()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_told_as_one() {
        let at = |text: &str| Timestamp::from_rfc3339(text).unwrap();
        let earlier = Gap {
            first: 3,
            last: 9,
            since: at("2026-03-01T00:00:00Z"),
            until: at("2026-03-02T00:00:00Z"),
        };
        let later = Gap {
            first: 20,
            last: 21,
            since: at("2026-03-05T00:00:00Z"),
            until: at("2026-03-06T00:00:00Z"),
        };
        assert_eq!(later.after(None), later);
        let both = later.after(Some(earlier));
        assert_eq!((both.first, both.last), (3, 21));
        assert_eq!((both.since, both.until), (earlier.since, later.until));
    }
}
