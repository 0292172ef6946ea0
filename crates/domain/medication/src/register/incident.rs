//! A discrepancy: what the count found and what the page said, who was told, and how it ended. Must not
//! be closed without a finding, or while those who must be told were not.

use kernel::Timestamp;
use rust_decimal::Decimal;

use super::RegisterError;
use crate::ids::IncidentId;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It was found.
    Open,
    /// Somebody looks into it.
    Investigated,
    /// It is settled in the register.
    Settled,
}

/// Who is told of a loss (Care Quality Commission, "Controlled drugs in care homes").
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Notified {
    /// The registered manager.
    Manager,
    /// The controlled drugs accountable officer.
    AccountableOfficer,
    /// The police.
    Police,
    /// The regulator.
    Regulator,
}

/// A discrepancy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The number of the count's entry.
    pub entry: u32,
    /// What the page said.
    pub expected: Decimal,
    /// What was found.
    pub found: Decimal,
    /// When it was found.
    pub opened: Timestamp,
    /// How far it is.
    pub stage: Stage,
    /// Who was told and when.
    pub told: Vec<(Notified, Timestamp)>,
    /// The number of the entry that settled it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub settled_by: Option<u32>,
}

impl Incident {
    /// What is there more than the page said; less is negative.
    #[must_use]
    pub fn difference(&self) -> Decimal {
        self.found - self.expected
    }

    /// Who must be told before it is settled: the manager of any, the accountable officer of a loss.
    #[must_use]
    pub fn must_tell(&self) -> &'static [Notified] {
        if self.difference() < Decimal::ZERO {
            &[Notified::Manager, Notified::AccountableOfficer]
        } else {
            &[Notified::Manager]
        }
    }

    /// Whether the discrepancy explains what a settlement finds. It sets the balance off by the whole
    /// difference, or by less of it where later entries have explained the rest; never by more, and never the
    /// other way: that is another discrepancy, and a loss is told to the accountable officer.
    ///
    /// # Errors
    /// It is another difference, or a loss that the accountable officer was not told of.
    pub fn accounts_for(&self, before: Decimal, found: Decimal) -> Result<(), RegisterError> {
        let whole = before + self.difference();
        if found < before.min(whole) || found > before.max(whole) {
            return Err(RegisterError::OtherDifference {
                found,
                balance: before,
                difference: self.difference(),
            });
        }
        let officer = |(own, _): &(Notified, Timestamp)| *own == Notified::AccountableOfficer;
        if found < before && !self.told.iter().any(officer) {
            return Err(RegisterError::Words(
                "that the accountable officer was told of the loss",
            ));
        }
        Ok(())
    }

    /// Notes that somebody was told.
    pub fn tell(&mut self, whom: Notified, when: Timestamp) {
        if !self.told.iter().any(|(own, _)| *own == whom) {
            self.told.push((whom, when));
        }
    }

    /// Somebody begins to look into it.
    ///
    /// # Errors
    /// It is not open.
    pub fn investigate(&mut self) -> Result<(), RegisterError> {
        if self.stage != Stage::Open {
            return Err(RegisterError::Stage {
                from: self.stage,
                to: Stage::Investigated,
            });
        }
        self.stage = Stage::Investigated;
        Ok(())
    }

    /// Whether it can be settled now.
    ///
    /// # Errors
    /// Nobody looked into it, or somebody who must be told was not.
    pub fn can_settle(&self) -> Result<(), RegisterError> {
        if self.stage != Stage::Investigated {
            return Err(RegisterError::Stage {
                from: self.stage,
                to: Stage::Settled,
            });
        }
        let told = |whom: &Notified| self.told.iter().any(|(own, _)| own == whom);
        if self.must_tell().iter().all(told) {
            Ok(())
        } else {
            Err(RegisterError::Words(
                "that those who must be told were told",
            ))
        }
    }
}
