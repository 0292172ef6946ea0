//! The routing table of one model and its steps.

use std::collections::BTreeMap;

use kernel::{Categorised, Category, Timestamp};
use serde::{Deserialize, Serialize};

use crate::package::{ChangeControl, ContentHash, ModelName, Version};

use super::sequential::Verdict;
use super::sign::{Meaning, Signature, Statement};
use super::stage::{Stage, StageKind};

/// Versions that may answer in the shadow at one time.
const MOST_SHADOWS: usize = 4;
/// Champions that a table remembers.
const MOST_CHAMPIONS: usize = 16;

/// What an organisation asks beyond the package's own plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Hours a signature serves.
    pub signature_hours: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            signature_hours: 72,
        }
    }
}

/// What is known of a version when it is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Answers it gave in the shadow.
    pub shadow_answers: u64,
    /// What its test says, where it had one.
    pub verdict: Option<Verdict>,
}

/// A version in a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The package's content.
    pub hash: ContentHash,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
}

/// The table of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Table {
    model: ModelName,
    revision: u64,
    salt: [u8; 32],
    entries: BTreeMap<Version, Entry>,
    /// Champions before the present one, the latest last.
    champions: Vec<Version>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    model: ModelName,
    revision: u64,
    salt: [u8; 32],
    entries: BTreeMap<Version, Entry>,
    champions: Vec<Version>,
}

impl From<Table> for Stored {
    fn from(table: Table) -> Self {
        Self {
            model: table.model,
            revision: table.revision,
            salt: table.salt,
            entries: table.entries,
            champions: table.champions,
        }
    }
}

impl TryFrom<Stored> for Table {
    type Error = RolloutError;
    fn try_from(stored: Stored) -> Result<Self, RolloutError> {
        let table = Self {
            model: stored.model,
            revision: stored.revision,
            salt: stored.salt,
            entries: stored.entries,
            champions: stored.champions,
        };
        table.consistent()?;
        Ok(table)
    }
}

/// Why a step was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RolloutError {
    /// No such version.
    #[error("version {0} is not in the table; add its package first")]
    Unknown(Version),
    /// The version is there, with other content.
    #[error(
        "version {0} exists with other content; versions never change, give it the next number"
    )]
    Exists(Version),
    /// No such step.
    #[error("version {version} is {from} and cannot become {to}")]
    Step {
        /// The version.
        version: Version,
        /// Its stage.
        from: StageKind,
        /// The stage asked for.
        to: StageKind,
    },
    /// Too many versions at a stage.
    #[error("{count} versions would be {stage}; retire or withdraw another first")]
    Crowded {
        /// The stage.
        stage: &'static str,
        /// How many there would be.
        count: usize,
    },
    /// A share that is no percentage of patients.
    #[error("a share of {0} percent is none; give 1 to 99")]
    Percent(u8),
    /// An older version than the champion.
    #[error("version {version} is older than champion {champion}; only a rollback goes back")]
    Older {
        /// The version.
        version: Version,
        /// The champion.
        champion: Version,
    },
    /// Too few answers in the shadow.
    #[error(
        "version {version} gave {given} answers in the shadow; its change-control plan asks for {due}"
    )]
    Unproven {
        /// The version.
        version: Version,
        /// Answers given.
        given: u64,
        /// Answers due.
        due: u64,
    },
    /// The test has not ended in its favour.
    #[error("the test of version {0} has not shown it better or not worse; wait, or withdraw it")]
    Untested(Version),
    /// A signature is missing.
    #[error("{due} signatures are due ({meanings}), by different people, for this very step")]
    Unsigned {
        /// How many.
        due: usize,
        /// Which.
        meanings: &'static str,
    },
    /// One person signed both.
    #[error("{0} signed twice; two different people sign")]
    SamePerson(String),
    /// A signature that is too old, or of the future.
    #[error("the signature of {0} has expired; sign again")]
    Expired(String),
    /// Nothing to go back to.
    #[error("no earlier champion to go back to; withdraw the version so that none answers")]
    NothingBefore,
    /// A stored table that contradicts itself.
    #[error("stored routing table contradicts itself: {0}")]
    Inconsistent(&'static str),
}

impl Categorised for RolloutError {
    fn category(&self) -> Category {
        match self {
            Self::Unknown(_) => Category::NotFound,
            Self::Unsigned { .. } | Self::SamePerson(_) | Self::Expired(_) => Category::Forbidden,
            Self::Inconsistent(_) => Category::Altered,
            Self::Percent(_) => Category::Unprocessable,
            _ => Category::Conflict,
        }
    }
}

/// What a step did, for the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The version.
    pub version: Version,
    /// Its content.
    pub hash: ContentHash,
    /// Its stage before; nothing where it was added.
    pub from: Option<Stage>,
    /// Its stage now.
    pub to: Stage,
    /// The champion that made room, and where it went.
    pub displaced: Option<Version>,
    /// The champion that came back.
    pub restored: Option<Version>,
}

/// What going back would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollbackPlan {
    /// Who answers instead; nothing where nobody would.
    pub instead: Option<Version>,
    /// Patients whose answers would come from another version, in percent.
    pub percent: u8,
}

impl Table {
    /// A table without versions; the salt decides which patients a canary gets.
    #[must_use]
    pub const fn new(model: ModelName, salt: [u8; 32]) -> Self {
        Self {
            model,
            revision: 0,
            salt,
            entries: BTreeMap::new(),
            champions: Vec::new(),
        }
    }

    /// The model.
    #[must_use]
    pub const fn model(&self) -> &ModelName {
        &self.model
    }

    /// The number of steps that led here.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) const fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    /// The versions, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = (Version, &Entry)> {
        self.entries
            .iter()
            .map(|(version, entry)| (*version, entry))
    }

    /// One version.
    #[must_use]
    pub fn entry(&self, version: Version) -> Option<&Entry> {
        self.entries.get(&version)
    }

    /// The champion.
    #[must_use]
    pub fn champion(&self) -> Option<Version> {
        self.at(StageKind::Champion).next()
    }

    fn at(&self, kind: StageKind) -> impl Iterator<Item = Version> {
        self.entries()
            .filter(move |(_, entry)| entry.stage.kind() == kind)
            .map(|(version, _)| version)
    }

    fn consistent(&self) -> Result<(), RolloutError> {
        let count = |kind| self.at(kind).count();
        if count(StageKind::Champion) > 1 {
            return Err(RolloutError::Inconsistent("two champions"));
        }
        if count(StageKind::Canary) + count(StageKind::Test) > 1 {
            return Err(RolloutError::Inconsistent(
                "two versions share patients with the champion",
            ));
        }
        if count(StageKind::Shadow) > MOST_SHADOWS {
            return Err(RolloutError::Inconsistent("too many shadows"));
        }
        if self.champions.iter().any(|v| !self.entries.contains_key(v)) {
            return Err(RolloutError::Inconsistent(
                "an earlier champion that it does not hold",
            ));
        }
        Ok(())
    }

    /// Adds a version as a draft.
    ///
    /// # Errors
    /// [`RolloutError::Exists`].
    pub fn add(
        &self,
        version: Version,
        hash: ContentHash,
        at: Timestamp,
    ) -> Result<(Self, Change), RolloutError> {
        if self.entries.contains_key(&version) {
            return Err(RolloutError::Exists(version));
        }
        let mut next = self.clone();
        next.revision += 1;
        let entry = Entry {
            hash,
            stage: Stage::Draft,
            since: at,
        };
        next.entries.insert(version, entry);
        let change = Change {
            version,
            hash,
            from: None,
            to: Stage::Draft,
            displaced: None,
            restored: None,
        };
        Ok((next, change))
    }

    /// What must be signed for a step from this table.
    ///
    /// # Errors
    /// [`RolloutError::Unknown`].
    pub fn statement(&self, version: Version, to: &Stage) -> Result<Statement, RolloutError> {
        let entry = self.entry(version).ok_or(RolloutError::Unknown(version))?;
        let (from, to) = (entry.stage.written(), to.written());
        let stages = (from.as_str(), to.as_str());
        Ok(Statement::new(
            &self.model,
            version,
            entry.hash,
            stages,
            self.revision,
        ))
    }

    /// Signatures due for a step: none to show a version to fewer people, one to look at its evidence or let
    /// it answer unseen, two to let it answer patients. A canary within the change-control plan, and a
    /// retrained version the plan allows, need one.
    fn due(&self, version: Version, from: &Stage, to: &Stage, plan: &ChangeControl) -> usize {
        if to.percent() < from.percent() || to.kind() == StageKind::Retired {
            return 0;
        }
        if to.percent() == 0 {
            return 1;
        }
        let widened = matches!((from, to), (Stage::Canary(_), Stage::Canary(percent))
            if *percent <= plan.most_canary_percent);
        let retrained = plan.retraining
            && self
                .champion()
                .is_some_and(|champion| champion.major == version.major);
        if widened || retrained { 1 } else { 2 }
    }

    /// Moves a version to another stage. A new champion sends the old one into retirement, from where a
    /// rollback brings it back.
    ///
    /// # Errors
    /// [`RolloutError`].
    pub fn step(
        &self,
        version: Version,
        to: Stage,
        signatures: &[Signature],
        conditions: (&ChangeControl, Facts, Policy),
        at: Timestamp,
    ) -> Result<(Self, Change), RolloutError> {
        let (plan, facts, policy) = conditions;
        let entry = self.entry(version).ok_or(RolloutError::Unknown(version))?;
        let (from, next) = (entry.stage.kind(), to.kind());
        if !from.may_become(next) {
            let to = next;
            return Err(RolloutError::Step { version, from, to });
        }
        self.allowed(version, entry, &to, plan, facts)?;
        let statement = self.statement(version, &to)?;
        let due = self.due(version, &entry.stage, &to, plan);
        signed(statement, due, signatures, policy, at)?;
        Ok(self.moved(version, entry, to, at))
    }

    /// What does not depend on signatures.
    fn allowed(
        &self,
        version: Version,
        entry: &Entry,
        to: &Stage,
        plan: &ChangeControl,
        facts: Facts,
    ) -> Result<(), RolloutError> {
        let (from, next) = (entry.stage.kind(), to.kind());
        if matches!(next, StageKind::Canary | StageKind::Test) {
            let percent = to.percent();
            if !(1..=99).contains(&percent) {
                return Err(RolloutError::Percent(percent));
            }
            let shared = self.at(StageKind::Canary).chain(self.at(StageKind::Test));
            if shared.filter(|other| *other != version).count() > 0 {
                let stage = "canary or test";
                return Err(RolloutError::Crowded { stage, count: 2 });
            }
        }
        if next == StageKind::Shadow && self.at(StageKind::Shadow).count() >= MOST_SHADOWS {
            let (stage, count) = ("shadow", MOST_SHADOWS + 1);
            return Err(RolloutError::Crowded { stage, count });
        }
        if to.percent() > entry.stage.percent()
            && let Some(champion) = self.champion().filter(|champion| *champion > version)
        {
            return Err(RolloutError::Older { version, champion });
        }
        let leaves_shadow = from == StageKind::Shadow && to.percent() > 0;
        if leaves_shadow && facts.shadow_answers < plan.least_shadow_answers {
            return Err(RolloutError::Unproven {
                version,
                given: facts.shadow_answers,
                due: plan.least_shadow_answers,
            });
        }
        let won = matches!(facts.verdict, Some(Verdict::Better | Verdict::NotWorse));
        if from == StageKind::Test && next == StageKind::Champion && !won {
            return Err(RolloutError::Untested(version));
        }
        Ok(())
    }

    fn moved(&self, version: Version, entry: &Entry, to: Stage, at: Timestamp) -> (Self, Change) {
        let mut next = self.clone();
        next.revision += 1;
        let mut displaced = None;
        if to == Stage::Champion
            && let Some(old) = self.champion()
        {
            displaced = Some(old);
            next.set(old, Stage::Retired, at);
            next.champions.retain(|earlier| *earlier != old);
            next.champions.push(old);
            if next.champions.len() > MOST_CHAMPIONS {
                next.champions.remove(0);
            }
        }
        next.set(version, to.clone(), at);
        let change = Change {
            version,
            hash: entry.hash,
            from: Some(entry.stage.clone()),
            to,
            displaced,
            restored: None,
        };
        (next, change)
    }

    fn set(&mut self, version: Version, stage: Stage, at: Timestamp) {
        if let Some(entry) = self.entries.get_mut(&version) {
            entry.stage = stage;
            entry.since = at;
        }
    }

    /// What taking a version back would do, to be shown before it is promoted and before it is taken back.
    #[must_use]
    pub fn rollback_plan(&self, version: Version) -> RollbackPlan {
        let percent = self.entry(version).map_or(0, |entry| entry.stage.percent());
        let instead = if self.champion() == Some(version) {
            self.champions.last().copied()
        } else {
            self.champion()
        };
        RollbackPlan { instead, percent }
    }

    /// Takes a version back at once: it answers nobody any more, and where it was the champion the one before
    /// it answers again. One person may do it; no signature is waited for.
    ///
    /// # Errors
    /// [`RolloutError::Unknown`], [`RolloutError::Step`] where it answers nobody, or
    /// [`RolloutError::NothingBefore`].
    pub fn roll_back(
        &self,
        version: Version,
        at: Timestamp,
    ) -> Result<(Self, Change), RolloutError> {
        let entry = self.entry(version).ok_or(RolloutError::Unknown(version))?;
        let from = entry.stage.kind();
        if entry.stage.percent() == 0 && from != StageKind::Shadow {
            let to = StageKind::Retired;
            return Err(RolloutError::Step { version, from, to });
        }
        let (mut next, mut change) = self.moved(version, entry, Stage::Retired, at);
        if from == StageKind::Champion {
            let before = next.champions.pop().ok_or(RolloutError::NothingBefore)?;
            next.set(before, Stage::Champion, at);
            change.restored = Some(before);
        }
        Ok((next, change))
    }
}

/// Enough signatures of this step, fresh, by different people, with the meanings due.
fn signed(
    statement: Statement,
    due: usize,
    signatures: &[Signature],
    policy: Policy,
    at: Timestamp,
) -> Result<(), RolloutError> {
    if due == 0 {
        return Ok(());
    }
    let ours: Vec<&Signature> = signatures
        .iter()
        .filter(|signature| signature.statement == statement)
        .collect();
    for signature in &ours {
        let age = at.seconds_since(signature.at);
        if !(0..=i64::from(policy.signature_hours) * 3_600).contains(&age) {
            return Err(RolloutError::Expired(signature.name.clone()));
        }
    }
    let by = |meaning: Meaning| ours.iter().filter(move |s| s.meaning == meaning);
    let enough = if due == 1 {
        !ours.is_empty()
    } else {
        by(Meaning::Reviewed).next().is_some() && by(Meaning::Approved).next().is_some()
    };
    if !enough {
        let meanings = if due == 1 {
            "reviewed or approved"
        } else {
            "reviewed and approved"
        };
        return Err(RolloutError::Unsigned { due, meanings });
    }
    let apart = by(Meaning::Reviewed)
        .any(|reviewer| by(Meaning::Approved).any(|approver| approver.person != reviewer.person));
    if due == 2 && !apart {
        let name = ours.first().map_or_else(String::new, |s| s.name.clone());
        return Err(RolloutError::SamePerson(name));
    }
    Ok(())
}
