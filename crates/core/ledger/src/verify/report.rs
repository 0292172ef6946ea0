//! What a verification found, in words and as an exit code. Must not decide what is checked.

use core::fmt;

/// The outcome. One rule sorts what is found: what contradicts is altered, what is not there is
/// incomplete, what no trusted key vouches for is untrusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Everything is there and agrees.
    Sound,
    /// Something contradicts what was signed.
    Altered,
    /// Something that was signed, published or counted is not there.
    Incomplete,
    /// A checkpoint is not vouched for by the policy.
    Untrusted,
}

impl Verdict {
    /// The process exit code: 0 sound, 1 altered, 2 incomplete, 3 untrusted.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Sound => 0,
            Self::Altered => 1,
            Self::Incomplete => 2,
            Self::Untrusted => 3,
        }
    }
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Altered => "altered",
            Self::Incomplete => "incomplete",
            Self::Untrusted => "untrusted",
        }
    }
    /// How much it weighs when several are found.
    const fn weight(self) -> u8 {
        match self {
            Self::Sound => 0,
            Self::Incomplete => 1,
            Self::Untrusted => 2,
            Self::Altered => 3,
        }
    }
}

/// One thing found. With verdict [`Verdict::Sound`] it is a remark: unusual, but explained in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it means.
    pub verdict: Verdict,
    /// The log's origin; empty where it is about none.
    pub log: String,
    /// The entry's index (or the size a checkpoint is at), where one can be named.
    pub index: Option<u64>,
    /// A sentence.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict.as_str(), self.log)?;
        if let Some(index) = self.index {
            write!(f, " at {index}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What was looked at in one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSummary {
    /// Its origin.
    pub origin: String,
    /// Entries checked.
    pub entries: u64,
    /// Stored checkpoints checked.
    pub checkpoints: u64,
    /// Sealed payloads checked.
    pub payloads: u64,
    /// Payloads absent because their key was erased or not checked for.
    pub absent_payloads: u64,
}

/// The report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Per log, in the order checked.
    pub logs: Vec<LogSummary>,
    /// What was found; at most [`Report::MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub unlisted: u64,
    worst: Option<Verdict>,
}

impl Report {
    /// The most findings listed.
    pub const MAX_FINDINGS: usize = 1000;

    /// The verdict over all findings: altered before untrusted before incomplete.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.worst.unwrap_or(Verdict::Sound)
    }

    /// Adds a finding: the verifier's own, or of whoever checks what the logs speak of.
    pub fn add(
        &mut self,
        verdict: Verdict,
        log: &str,
        index: Option<u64>,
        what: impl Into<String>,
    ) {
        if verdict.weight() > self.verdict().weight() {
            self.worst = Some(verdict);
        }
        if self.findings.len() < Self::MAX_FINDINGS {
            self.findings.push(Finding {
                verdict,
                log: log.to_owned(),
                index,
                what: what.into(),
            });
        } else {
            self.unlisted += 1;
        }
    }
}
