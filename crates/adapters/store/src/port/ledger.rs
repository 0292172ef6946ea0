//! The logs as they cross the port.

/// Which of a tenant's two logs. The instance's own `Changes` log is the instance log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Log {
    /// Every change.
    Changes = 1,
    /// Every look.
    Access = 2,
}

impl Log {
    /// The word in addresses and origins.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Access => "access",
        }
    }
}

/// A log's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// Origin line.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: ::ledger::Hash,
    /// The signed checkpoint (a C2SP signed note) over this size and root.
    pub checkpoint: String,
}

/// A stored checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// Its size.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

/// One entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Which log.
    pub log: Log,
    /// Its index.
    pub index: u64,
    /// The leaf's bytes (canonical JSON).
    pub leaf: Vec<u8>,
    /// The sealed payload: key id, nonce, ciphertext.
    pub payload: Vec<u8>,
}
