//! Bulk data (HL7 Bulk Data Access IG 2): exports and imports as jobs that outlive the request and the
//! process. A job is a document; it is worked on in pieces under a lease, and each piece commits its
//! cursor together with what it made, so that whoever goes on after a crash repeats and misses nothing.
//! Files lie sealed under a key of the job: when the job's document goes, nothing can read them.

mod export;
mod files;
mod filter;
mod import;
mod input;
mod intake;
mod job;
mod kickoff;
mod links;
mod mentions;
mod outputs;
mod remote;
mod sieve;
mod status;
mod sweep;
mod work;

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use kernel::TenantId;
use parking_lot::Mutex;
use store::blob::Blobs;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::App;
use crate::error::AppError;

pub use self::files::{Access, Download, open};
pub use self::intake::{ImportRequest, InputSource, begin_import};
pub use self::kickoff::{ExportLevel, ExportRequest, begin_export};
pub use self::status::{
    Listed, Manifest, ManifestFile, Status, cancel, list, overview, status, stop,
};
pub use self::sweep::sweep;
pub(crate) use self::sweep::{after_erasure, announce_erasure};
pub use self::work::resume_all;

/// Jobs that this process works on at a time.
const AT_A_TIME: usize = 2;

/// What bulk jobs share in a process.
pub(crate) struct Board {
    blobs: OnceLock<Blobs>,
    holder: OnceLock<Uuid>,
    places: Semaphore,
    running: Mutex<HashSet<Uuid>>,
    /// Folders without a job, as the last sweep found them.
    strays: Mutex<HashMap<TenantId, HashSet<String>>>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            blobs: OnceLock::new(),
            holder: OnceLock::new(),
            places: Semaphore::new(AT_A_TIME),
            running: Mutex::new(HashSet::new()),
            strays: Mutex::new(HashMap::new()),
        }
    }
}

impl App {
    /// Says where files of jobs are kept; replicas of an instance must share the place. Without it, bulk
    /// operations are not offered. Counts once.
    #[must_use]
    pub fn with_files(self, blobs: Blobs) -> Self {
        let _ = self.bulk().blobs.set(blobs);
        self
    }

    /// Says that no other process works on this store while this one does: jobs that a killed one held are
    /// free at once. Counts once, before the first job.
    #[must_use]
    pub fn alone(self) -> Self {
        let _ = self.bulk().holder.set(Uuid::from_u128(1));
        self
    }

    /// Where files of jobs are kept.
    pub(crate) fn files(&self) -> Result<&Blobs, AppError> {
        self.bulk().blobs.get().ok_or_else(|| {
            AppError::Unsupported(
                "this instance keeps no files, so that bulk operations are not offered".to_owned(),
            )
        })
    }
}
