//! What the entries of a transaction are answered, and what is kept of it for an idempotency key.

use bytes::Bytes;
use store::{Change, StoredVersion};

use super::{Step, Transaction};
use crate::idempotency::KeptEntry;
use crate::record::bundle::{Done, look};
use crate::record::etag;
use crate::record::render::ResponseEntry;

impl Transaction<'_> {
    pub(super) fn answers(
        &self,
        steps: &[Step],
        changes: &[(usize, Change)],
    ) -> Vec<ResponseEntry> {
        let mut answers: Vec<ResponseEntry> = steps
            .iter()
            .map(|step| match step {
                Step::Existing(version) => ResponseEntry {
                    done: Done::Unchanged,
                    ..look::written(
                        version,
                        false,
                        version.body.clone().filter(|_| self.representation),
                    )
                },
                Step::Absent | Step::Each(_) => ResponseEntry {
                    status: "204 No Content".to_owned(),
                    ..ResponseEntry::default()
                },
                _ => ResponseEntry::default(),
            })
            .collect();
        for (index, change) in changes {
            let Some(slot) = answers.get_mut(*index) else {
                continue;
            };
            // Several deletions by one entry have no version of their own to name.
            if matches!(steps.get(*index), Some(Step::Each(_))) {
                continue;
            }
            *slot = if change.body.is_empty() {
                ResponseEntry {
                    status: "204 No Content".to_owned(),
                    etag: Some(etag(change.version)),
                    ..ResponseEntry::default()
                }
            } else {
                let created = change.kind.is_create();
                let body = self
                    .representation
                    .then(|| Bytes::copy_from_slice(&change.body));
                look::written(&outline(change), created, body)
            };
        }
        answers
    }
}

// What is kept of an answer: no body, so that nothing outlives an erasure.
pub(super) fn keep(answer: &ResponseEntry) -> KeptEntry {
    KeptEntry {
        status: answer.status.clone(),
        location: answer.location.clone(),
        etag: answer.etag.clone(),
        last_modified: answer.last_modified.clone(),
        stored: match &answer.done {
            Done::Stored => Some(true),
            Done::Unchanged => Some(false),
            Done::Failed(_) | Done::Other => None,
        },
    }
}

// A change without its body, for the answer.
fn outline(change: &Change) -> StoredVersion {
    StoredVersion {
        key: change.key.clone(),
        row: change.row,
        version: change.version,
        version_row: change.version_row,
        kind: change.kind,
        body: None,
        erased: false,
    }
}
