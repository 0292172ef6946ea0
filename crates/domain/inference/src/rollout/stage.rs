//! The stages of a version and which may follow which.

use serde::{Deserialize, Serialize};

use super::sequential::Design;

/// The plan of an A/B test, written down before it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What is compared: the share of answers for which this holds.
    pub metric: String,
    /// Patients who get the challenger, in percent.
    pub percent: u8,
    /// How the test decides.
    pub design: Design,
}

/// Where a version stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It was added.
    Draft,
    /// Its evidence was looked at here.
    Validated,
    /// It answers beside the champion; nobody sees its answers.
    Shadow,
    /// It answers some patients, in percent.
    Canary(u8),
    /// It answers some patients of a test.
    Test(Plan),
    /// It answers everybody else.
    Champion,
    /// It answers nobody any more.
    Retired,
}

/// A stage without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageKind {
    /// It was added.
    Draft,
    /// Its evidence was looked at here.
    Validated,
    /// It answers, unseen.
    Shadow,
    /// It answers some.
    Canary,
    /// It answers some of a test.
    Test,
    /// It answers everybody else.
    Champion,
    /// It answers nobody.
    Retired,
}

impl StageKind {
    /// Every stage.
    pub const ALL: [Self; 7] = [
        Self::Draft,
        Self::Validated,
        Self::Shadow,
        Self::Canary,
        Self::Test,
        Self::Champion,
        Self::Retired,
    ];

    /// The word of records and pages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Validated => "validated",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Test => "test",
            Self::Champion => "champion",
            Self::Retired => "retired",
        }
    }

    /// Whether a version of this stage may come to another one. Nobody becomes champion but through shadow
    /// and canary or test, and what was retired stays so, except that a rollback brings the last champion
    /// back.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Draft => matches!(next, Self::Validated | Self::Retired),
            Self::Validated => matches!(next, Self::Shadow | Self::Retired),
            Self::Shadow => matches!(next, Self::Canary | Self::Test | Self::Retired),
            Self::Canary => matches!(
                next,
                Self::Canary | Self::Test | Self::Champion | Self::Shadow | Self::Retired
            ),
            Self::Test => matches!(next, Self::Champion | Self::Shadow | Self::Retired),
            Self::Champion => matches!(next, Self::Retired),
            Self::Retired => false,
        }
    }
}

impl core::fmt::Display for StageKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.word())
    }
}

impl Stage {
    /// The stage without what belongs to it.
    #[must_use]
    pub const fn kind(&self) -> StageKind {
        match self {
            Self::Draft => StageKind::Draft,
            Self::Validated => StageKind::Validated,
            Self::Shadow => StageKind::Shadow,
            Self::Canary(_) => StageKind::Canary,
            Self::Test(_) => StageKind::Test,
            Self::Champion => StageKind::Champion,
            Self::Retired => StageKind::Retired,
        }
    }

    /// The stage with all that belongs to it, as it is signed.
    #[must_use]
    pub fn written(&self) -> String {
        match self {
            Self::Canary(percent) => format!("canary of {percent} percent"),
            Self::Test(plan) => format!(
                "test of {} percent on {}, {}",
                plan.percent, plan.metric, plan.design
            ),
            other => other.kind().word().to_owned(),
        }
    }

    /// Patients whose carers see its answers, in percent.
    #[must_use]
    pub const fn percent(&self) -> u8 {
        match self {
            Self::Canary(percent) => *percent,
            Self::Test(plan) => plan.percent,
            Self::Champion => 100,
            Self::Draft | Self::Validated | Self::Shadow | Self::Retired => 0,
        }
    }
}
