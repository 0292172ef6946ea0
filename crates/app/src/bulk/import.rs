//! An import being worked on: block by block of its inputs, through the same path as `theriac import`. A
//! block that was loaded before a crash is asked for again under the name that was kept with its commit, and
//! changes nothing, whatever was written since. Lines that are refused come
//! back as OperationOutcomes.

use std::collections::HashMap;
use std::sync::Arc;

use identity::Interaction;
use kernel::TenantScope;
use ledger::leaf::Class;
use serde_json::json;
use store::keys::Dek;
use store::{CommitError, DocExpected, Log};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::bulk::input::{self, Block, Input, Source};
use crate::bulk::job::{self, ImportSpec, State, Stored};
use crate::bulk::outputs::{self, Lines, Role};
use crate::bulk::remote::{self, Known, Place};
use crate::bulk::work::End;
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::import::convert::{self, Item, Refusal};
use crate::import::{Loader, Verdict};
use crate::jobs::Lease;
use crate::unit::UnitOfWork;

/// Entries of one transaction.
const ENTRIES: usize = 400;
/// The type of lines in files of errors.
const OUTCOME: &str = "OperationOutcome";

struct Run<'a> {
    app: &'a App,
    scope: &'a TenantScope,
    caller: Caller,
    loader: Loader,
    stored: Stored,
    spec: ImportSpec,
    key: Arc<Dek>,
    lease: &'a Lease,
}

/// What came of a block.
#[derive(Default)]
struct Counts {
    read: u64,
    stored: u64,
    unchanged: u64,
    refused: Lines,
}

/// Works on an import until it is done, lost or fails.
pub(super) async fn run(
    app: &App,
    scope: &TenantScope,
    stored: Stored,
    spec: ImportSpec,
    lease: &Lease,
) -> Result<End, AppError> {
    let caller = job::owner(app, scope, &stored.job).await?;
    authorise(app, &caller, &Ask::operation(Interaction::Import)).await?;
    let Some(key) = outputs::key(stored.job.id, &stored.job.secret) else {
        return Ok(End::Lost);
    };
    let loader = Loader::new(app.clone(), caller.clone());
    let run = Run {
        app,
        scope,
        caller,
        loader,
        stored,
        spec,
        key: Arc::new(key),
        lease,
    };
    run.all().await
}

impl Run<'_> {
    async fn all(mut self) -> Result<End, AppError> {
        loop {
            let number = self.stored.job.progress.steps;
            let Some(input) = self.spec.inputs.get(number).cloned() else {
                return self.done().await;
            };
            if self.block(number, &input).await? == End::Lost || !self.lease.renew(self.app).await?
            {
                return Ok(End::Lost);
            }
        }
    }

    async fn block(&mut self, number: usize, input: &Input) -> Result<End, AppError> {
        let job = &self.stored.job;
        let (id, place, line) = (job.id, job.progress.place, job.progress.line);
        let (block, known) = self.read(number, input).await?;
        let wanted = input.ty.clone();
        let (lines, bytes) = (block.text.clone(), block.text.len() as u64);
        let (items, refusals, last) =
            tokio::task::spawn_blocking(move || read(&lines, line, wanted.as_deref())).await?;
        let name = format!("{id} {number} {place}");
        let counts = self.load(&name, number, items, refusals).await?;
        let job = &mut self.stored.job;
        job.progress.resources += counts.read;
        job.progress.bytes += bytes;
        job.progress.stored += counts.stored;
        job.progress.unchanged += counts.unchanged;
        job.progress.refused += counts.refused.count;
        job.progress.line = last;
        job.progress.remote = known;
        job.progress.heard = Some(self.app.now());
        if let Some(next) = block.next {
            job.progress.place = next;
        } else {
            job.progress.steps += 1;
            job.progress.place = 0;
            job.progress.line = 0;
        }
        outputs::append(
            self.app,
            self.scope,
            &self.key,
            job,
            (Role::Error, OUTCOME),
            counts.refused,
        )
        .await?;
        let most = self.app.settings().bulk.file_bytes;
        let parts = outputs::close(self.app, job, |file| file.bytes() >= most)?;
        Ok(
            if job::save(self.app, self.scope, &mut self.stored, parts).await? {
                End::Done
            } else {
                End::Lost
            },
        )
    }

    // The next lines of an input, and what is known of it where another server has it.
    async fn read(&self, number: usize, input: &Input) -> Result<(Block, Option<Known>), AppError> {
        let job = &self.stored.job;
        let at = job.progress.place;
        if let Source::Url { url } = &input.source {
            let place = Place {
                number,
                url,
                at,
                known: job.progress.remote.as_ref(),
                since: job.progress.heard.unwrap_or(job.created),
            };
            return remote::block(self.app, &place).await;
        }
        let whose = (job.id, job.slug.as_str());
        let which = (number, input);
        let block = input::block(self.app, self.scope, &self.key, whose, which, at).await?;
        Ok((block, None))
    }

    async fn load(
        &self,
        name: &str,
        number: usize,
        items: Vec<Item>,
        refusals: Vec<Refusal>,
    ) -> Result<Counts, AppError> {
        let mut counts = Counts::default();
        for refusal in refusals {
            counts.refuse(number, &refusal);
        }
        let mut items = items.into_iter();
        for turn in 0.. {
            let chunk: Vec<Item> = items.by_ref().take(ENTRIES).collect();
            if chunk.is_empty() {
                break;
            }
            let name = format!("{name} {turn}");
            for (item, verdict) in self.loader.load_once(&name, chunk).await? {
                counts.take(number, item, verdict);
            }
        }
        Ok(counts)
    }

    /// Ends the job, with its entry.
    async fn done(mut self) -> Result<End, AppError> {
        let job = &mut self.stored.job;
        let progress = &job.progress;
        let detail = format!(
            "read {}, stored {}, unchanged {}, refused {}",
            progress.resources, progress.stored, progress.unchanged, progress.refused
        );
        let mut summary = Lines::default();
        summary.push(outcome("information", "informational", &detail).as_bytes());
        outputs::append(
            self.app,
            self.scope,
            &self.key,
            job,
            (Role::Output, OUTCOME),
            summary,
        )
        .await?;
        job.state = State::Done;
        job.ended = Some(self.app.now());
        let parts = outputs::close(self.app, job, |_| true)?;
        let detail = format!("job {}: {detail}", job.id);
        let (log, class) = (Log::Changes, Class::Import);
        let entry = house_entry(self.app, &self.caller, log, class, "import", Some(detail));
        let mut unit = UnitOfWork::begin(self.app, self.scope);
        for part in parts {
            unit = unit.doc(part);
        }
        let expected = DocExpected::Version(self.stored.version);
        unit = unit.doc(self.stored.job.write(self.app, expected)?);
        match unit.entry(entry).commit().await {
            Ok(_) => {
                // What a crash leaves here, the sweep removes.
                input::drop_sent(self.app, self.scope, self.stored.job.id, &self.spec.inputs)
                    .await?;
                Ok(End::Done)
            }
            Err(CommitError::DocConflict { .. }) => Ok(End::Lost),
            Err(error) => Err(error.into()),
        }
    }
}

/// The lines of a block: what can be loaded, what cannot, and the number of the last line.
fn read(text: &[u8], before: u64, wanted: Option<&str>) -> (Vec<Item>, Vec<Refusal>, u64) {
    let (mut items, mut refusals) = (Vec::new(), Vec::new());
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut number = before;
    let whole = text.strip_suffix(b"\n").unwrap_or(text);
    for line in whole.split(|byte| *byte == b'\n') {
        number += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match convert::line(number, line.to_vec()) {
            Ok(item) if wanted.is_some_and(|wanted| wanted != item.ty) => refusals.push(Refusal {
                file: String::new(),
                place: item.place,
                name: item.name,
                why: "it is of another type than its input says".to_owned(),
            }),
            Ok(item) => match seen.get(&item.name).and_then(|at| items.get(*at)) {
                None => {
                    seen.insert(item.name.clone(), items.len());
                    items.push(item);
                }
                Some(Item { json, .. }) if *json == item.json => {}
                Some(_) => refusals.push(Refusal {
                    file: String::new(),
                    place: item.place,
                    name: item.name,
                    why: "an earlier line has the same id and other content: keep one of them"
                        .to_owned(),
                }),
            },
            Err(refusal) => refusals.push(refusal),
        }
    }
    (items, refusals, number)
}

impl Counts {
    fn take(&mut self, input: usize, item: Item, verdict: Verdict) {
        match verdict {
            Verdict::Stored => {
                self.read += 1;
                self.stored += 1;
            }
            Verdict::Unchanged => {
                self.read += 1;
                self.unchanged += 1;
            }
            Verdict::Refused(why) => {
                let refusal = Refusal {
                    file: String::new(),
                    place: item.place,
                    name: item.name,
                    why,
                };
                self.refuse(input, &refusal);
            }
        }
    }

    fn refuse(&mut self, input: usize, refusal: &Refusal) {
        self.read += 1;
        let text = format!(
            "input {}, {}{}{}: {}",
            input + 1,
            refusal.place,
            if refusal.name.is_empty() { "" } else { ", " },
            refusal.name,
            refusal.why
        );
        self.refused
            .push(outcome("error", "processing", &text).as_bytes());
    }
}

fn outcome(severity: &str, code: &str, text: &str) -> String {
    json!({
        "resourceType": OUTCOME,
        "issue": [{ "severity": severity, "code": code, "diagnostics": text }],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_across_blocks_and_types_are_held_to() {
        let text = b"{\"resourceType\":\"Patient\",\"id\":\"a\"}\n\n{\"resourceType\":\"Basic\",\"id\":\"b\"}\n{\n";
        let (items, refusals, last) = read(text, 10, None);
        assert_eq!(
            items
                .iter()
                .map(|item| item.place.as_str())
                .collect::<Vec<_>>(),
            ["line 11", "line 13"]
        );
        assert_eq!((refusals.len(), last), (1, 14));
        let (items, refusals, _) = read(text, 0, Some("Patient"));
        assert_eq!((items.len(), refusals.len()), (1, 2));
        assert_eq!(read(b"", 3, None).2, 4);
    }
}
