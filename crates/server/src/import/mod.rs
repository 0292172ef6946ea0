//! Loading FHIR: files are read and converted on worker threads, bundles of entries are loaded several at
//! a time so that their commits are merged, and finished files are remembered. Must not write but through
//! the use-cases.

mod report;
pub mod source;

pub use app::import::{Loader, Verdict};
pub use report::Report;

use std::sync::Arc;

use futures_util::StreamExt as _;
use kernel::{Categorised as _, Category};

use crate::failure::Failure;
use crate::import::report::FileReport;
use crate::import::source::{Shape, Source};
use crate::output::Progress;
use app::import::convert::{self, Item, Prepared, Refusal};

/// Entries of one transaction; a file with more is loaded in several.
const ENTRIES: usize = 400;
/// Bytes of one transaction.
const BYTES: usize = 4 << 20;
/// Files in work at a time.
const FILES: usize = 6;
/// Transactions of one file in flight.
const IN_FLIGHT: usize = 3;

/// Loads files; those that were finished by an earlier run are skipped unless `anew`.
pub async fn load_files(
    loader: &Loader,
    sources: Vec<Source>,
    anew: bool,
    progress: &mut Progress,
) -> Result<Report, Failure> {
    let mut report = Report::default();
    let ranks: std::collections::BTreeSet<u8> = sources.iter().map(Source::rank).collect();
    // Files of one rank may refer by criteria to what the ranks before have stored.
    for rank in ranks {
        let of_rank: Vec<Source> = sources
            .iter()
            .filter(|source| source.rank() == rank)
            .cloned()
            .collect();
        let work = of_rank.into_iter().map(|source| {
            let loader = loader.clone();
            // A task each, so that files are prepared in parallel.
            async move {
                let task = tokio::spawn(async move { load_file(&loader, source, anew).await });
                task.await.unwrap_or_else(|error| {
                    Err(Failure::new(
                        Category::Fault,
                        format!("a file's task ended early: {error}"),
                    ))
                })
            }
        });
        let mut done = futures_util::stream::iter(work).buffer_unordered(FILES);
        while let Some(file) = done.next().await {
            report.add(file?);
            progress.advance(1);
        }
    }
    report.finish();
    Ok(report)
}

async fn load_file(loader: &Loader, source: Source, anew: bool) -> Result<FileReport, Failure> {
    let (source, digest) = blocking(move || {
        let digest = source.digest()?;
        Ok((source, digest))
    })
    .await?;
    if !anew
        && let Some(kept) = loader.finished(&digest).await?
        && let Ok(mut report) = serde_json::from_slice::<FileReport>(&kept)
    {
        report.resumed(&source.name);
        return Ok(report);
    }
    let mut report = FileReport::new(&source.name);
    let loaded = match source.shape {
        Shape::Json => load_json(loader, &source, &mut report).await,
        Shape::Ndjson => load_lines(loader, &source, &mut report).await,
    };
    match loaded {
        Ok(()) => {}
        // What the file itself is to blame for ends this file only.
        Err(failure) if is_of_file(failure.category) => {
            report.refuse(Refusal {
                file: String::new(),
                place: "file".to_owned(),
                name: String::new(),
                why: failure.text,
            });
            return Ok(report);
        }
        Err(failure) => return Err(failure),
    }
    let kept = serde_json::to_vec(&report)
        .map_err(|error| Failure::new(Category::Fault, format!("an import's report: {error}")))?;
    loader.finish(&digest, kept, report.sentence()).await?;
    Ok(report)
}

const fn is_of_file(category: Category) -> bool {
    matches!(
        category,
        Category::Invalid | Category::Unprocessable | Category::TooLarge
    )
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(Failure::new(
                Category::Fault,
                format!("a worker ended early: {error}"),
            ))
        })
}

async fn load_json(
    loader: &Loader,
    source: &Source,
    report: &mut FileReport,
) -> Result<(), Failure> {
    let file = source.clone();
    let prepared = blocking(move || {
        let content = file.read()?;
        convert::json(content).map_err(|why| Failure::new(Category::Invalid, why))
    })
    .await?;
    let Prepared {
        items,
        linked,
        refused,
        repeated,
    } = prepared;
    for ty in repeated {
        report.counts(ty).repeated();
    }
    for refusal in refused {
        report.refuse(refusal);
    }
    if linked {
        return load_linked(loader, items, report).await;
    }
    let mut chunks = Vec::new();
    split(items, &mut chunks);
    let work = chunks.into_iter().map(|chunk| {
        let loader = loader.clone();
        async move { loader.load(chunk).await }
    });
    let mut done = futures_util::stream::iter(work).buffer_unordered(IN_FLIGHT);
    while let Some(verdicts) = done.next().await {
        report.take(verdicts?);
    }
    Ok(())
}

fn split(items: Vec<Item>, chunks: &mut Vec<Vec<Item>>) {
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for item in items {
        if !chunk.is_empty() && (chunk.len() >= ENTRIES || bytes + item.json.len() > BYTES) {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += item.json.len();
        chunk.push(item);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
}

// Entries that depend on each other go in one transaction; one that is refused leaves, and the rest is
// tried again without it.
async fn load_linked(
    loader: &Loader,
    mut items: Vec<Item>,
    report: &mut FileReport,
) -> Result<(), Failure> {
    while !items.is_empty() {
        match loader.transaction(&items).await {
            Ok(verdicts) => {
                report.take(items.into_iter().zip(verdicts).collect());
                return Ok(());
            }
            Err(app::AppError::Entry { index, source, .. })
                if index < items.len() && is_of_file(source.category()) =>
            {
                let item = items.remove(index);
                let why = source.public_text().into_owned();
                report.take(vec![(item, Verdict::Refused(why))]);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn load_lines(
    loader: &Loader,
    source: &Source,
    report: &mut FileReport,
) -> Result<(), Failure> {
    // A few chunks are read ahead while others are loaded.
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Prepared, Failure>>(2);
    let file = source.clone();
    let reading = tokio::task::spawn_blocking(move || {
        if let Err(failure) = read_lines(&file, &sender) {
            let _ = sender.blocking_send(Err(failure));
        }
    });
    let chunks = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let chunk = receiver.recv().await?;
        Some((chunk, receiver))
    });
    let loader = Arc::new(loader.clone());
    let mut done = Box::pin(
        chunks
            .map(|prepared| {
                let loader = Arc::clone(&loader);
                async move {
                    let prepared = prepared?;
                    let refused = prepared.refused;
                    let repeated = prepared.repeated;
                    Ok::<_, Failure>((loader.load(prepared.items).await?, refused, repeated))
                }
            })
            .buffer_unordered(IN_FLIGHT),
    );
    let mut outcome = Ok(());
    while let Some(chunk) = done.next().await {
        match chunk {
            Ok((verdicts, refused, repeated)) => {
                report.take(verdicts);
                for refusal in refused {
                    report.refuse(refusal);
                }
                for ty in repeated {
                    report.counts(ty).repeated();
                }
            }
            Err(failure) => {
                outcome = Err(failure);
                break;
            }
        }
    }
    drop(done);
    let _ = reading.await;
    outcome
}

fn read_lines(
    source: &Source,
    sender: &tokio::sync::mpsc::Sender<Result<Prepared, Failure>>,
) -> Result<(), Failure> {
    let mut chunk = Prepared::default();
    let mut bytes = 0;
    let mut seen = std::collections::HashMap::new();
    for line in source.lines()? {
        let (number, line) = line?;
        let digest = xxhash_rust::xxh3::xxh3_128(&line);
        match convert::line(number, line) {
            Err(refusal) => chunk.refused.push(refusal),
            Ok(item) => match seen.insert(item.name.clone(), digest) {
                None => {
                    bytes += item.json.len();
                    chunk.items.push(item);
                }
                Some(first) if first == digest => chunk.repeated.push(item.ty),
                Some(first) => {
                    seen.insert(item.name.clone(), first);
                    chunk.refused.push(Refusal {
                        file: String::new(),
                        place: item.place,
                        name: item.name,
                        why: "an earlier line has the same id and other content: keep one of them"
                            .to_owned(),
                    });
                }
            },
        }
        if chunk.items.len() >= ENTRIES || bytes > BYTES || chunk.refused.len() >= ENTRIES {
            bytes = 0;
            if sender
                .blocking_send(Ok(std::mem::take(&mut chunk)))
                .is_err()
            {
                return Ok(());
            }
        }
    }
    let _ = sender.blocking_send(Ok(chunk));
    Ok(())
}
