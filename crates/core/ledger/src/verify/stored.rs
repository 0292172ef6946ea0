//! A log's stored checkpoints as they stream by: read, judged by the policy, handed on in order. Must not
//! compare roots: the walk does, when it gets there.

use super::report::{Report, Verdict};
use super::{LogSource, SourceError};
use crate::checkpoint::Checkpoint;
use crate::note::Note;
use crate::policy::{Distrust, Policy};

/// The stream.
pub(super) struct Stored<'a> {
    origin: &'a str,
    policy: &'a Policy,
    ready: std::vec::IntoIter<String>,
    given: u64,
    last_size: u64,
    untrusted: u64,
    next: Option<Checkpoint>,
    /// The newest checkpoint, already judged: the same text is not judged again.
    newest: String,
}

impl<'a> Stored<'a> {
    pub fn new(origin: &'a str, policy: &'a Policy, newest: String) -> Self {
        let ready = Vec::new().into_iter();
        Self {
            origin,
            policy,
            ready,
            given: 0,
            last_size: 0,
            untrusted: 0,
            next: None,
            newest,
        }
    }
    /// How many were read.
    pub const fn count(&self) -> u64 {
        self.given
    }
    /// The size of the last one read.
    pub const fn last_size(&self) -> u64 {
        self.last_size
    }
    /// The next readable one.
    pub const fn peek(&self) -> Option<&Checkpoint> {
        self.next.as_ref()
    }
    /// Moves on to the next readable one.
    pub fn advance<S: LogSource>(
        &mut self,
        source: &mut S,
        report: &mut Report,
    ) -> Result<(), SourceError> {
        self.next = None;
        while self.next.is_none() {
            let Some(text) = self.ready.next() else {
                self.ready = source.checkpoints(self.origin, self.given)?.into_iter();
                if self.ready.len() == 0 {
                    return Ok(());
                }
                continue;
            };
            self.given += 1;
            self.next = self.judge(&text, report);
        }
        Ok(())
    }

    fn judge(&mut self, text: &str, report: &mut Report) -> Option<Checkpoint> {
        let number = self.given;
        let Ok(note) = Note::parse(text) else {
            report.add(
                Verdict::Altered,
                self.origin,
                None,
                format!("stored checkpoint {number} is not a signed note"),
            );
            return None;
        };
        let checkpoint = Checkpoint::of_note(&note).ok();
        let size = checkpoint.as_ref().map(|checkpoint| checkpoint.size);
        let judged = if text == self.newest {
            Ok(())
        } else {
            self.policy.check(&note, false).map(|_| ())
        };
        match judged {
            Ok(()) => {}
            Err(Distrust::Unknown | Distrust::Quorum) => {
                self.untrusted += 1;
                if self.untrusted == 1 {
                    let what = format!(
                        "stored checkpoint {number} is signed by no trusted key of this log"
                    );
                    report.add(Verdict::Untrusted, self.origin, size, what);
                }
            }
            Err(Distrust::Mismatch(name)) => {
                let what = format!("stored checkpoint {number} was changed after {name} signed it");
                report.add(Verdict::Altered, self.origin, size, what);
            }
            Err(Distrust::Malformed(error)) => {
                report.add(
                    Verdict::Altered,
                    self.origin,
                    None,
                    format!("stored checkpoint {number}: {error}"),
                );
            }
        }
        let checkpoint = checkpoint?;
        if checkpoint.origin != self.origin || checkpoint.size < self.last_size {
            let what = format!("stored checkpoint {number} is of another log or out of order");
            report.add(Verdict::Altered, self.origin, size, what);
            return None;
        }
        self.last_size = checkpoint.size;
        Some(checkpoint)
    }
}
