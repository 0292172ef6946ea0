//! Who is answered by which version: by a keyed hash of tenant and patient, so that a patient stays with a
//! version, growing a share only adds patients, and nobody can choose.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::package::Version;

use super::stage::Stage;
use super::table::Table;

/// Why a version answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// It answers everybody else.
    Champion,
    /// The patient is among the canary's.
    Canary,
    /// The patient is among the challenger's of a test.
    Challenger,
}

/// Who answers for one patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The version whose answer is shown; nothing where no version answers this patient.
    pub serves: Option<(Version, Arm)>,
    /// Versions that are asked too, whose answers are kept and never shown.
    pub shadows: Vec<Version>,
    /// The table this was read from.
    pub revision: u64,
}

/// Where a patient falls in 0..10,000, by HMAC-SHA-256 under the salt.
fn place(salt: &[u8; 32], tenant: &[u8], patient: &str) -> u64 {
    // Any key length is right for HMAC; a refusal cannot happen and would put everybody last.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(salt) else {
        return 9_999;
    };
    mac.update(&(tenant.len() as u64).to_be_bytes());
    mac.update(tenant);
    mac.update(patient.as_bytes());
    let digest = mac.finalize().into_bytes();
    let front = digest
        .iter()
        .take(8)
        .fold(0_u64, |n, b| (n << 8) | u64::from(*b));
    // The high bits of a product: even to one part in 2^50.
    ((u128::from(front) * 10_000) >> 64) as u64
}

impl Table {
    /// Who answers a patient.
    #[must_use]
    pub fn assign(&self, tenant: &[u8], patient: &str) -> Assignment {
        let place = place(self.salt(), tenant, patient);
        let mut champion = None;
        let mut chosen = None;
        let mut shadows = Vec::new();
        for (version, entry) in self.entries() {
            let arm = match &entry.stage {
                Stage::Champion => {
                    champion = Some((version, Arm::Champion));
                    continue;
                }
                Stage::Shadow => {
                    shadows.push(version);
                    continue;
                }
                Stage::Canary(_) => Arm::Canary,
                Stage::Test(_) => Arm::Challenger,
                Stage::Draft | Stage::Validated | Stage::Retired => continue,
            };
            if place < u64::from(entry.stage.percent()) * 100 {
                chosen = Some((version, arm));
            }
        }
        Assignment {
            serves: chosen.or(champion),
            shadows,
            revision: self.revision(),
        }
    }
}
