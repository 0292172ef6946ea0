//! What an import reads: NDJSON that was sent with the request, kept sealed beside the job, or a file that
//! the operator put into the tenant's import folder. Read in blocks of whole lines. Fetches nothing: that is
//! [`super::remote`]'s.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use kernel::{TenantId, TenantScope};
use serde::{Deserialize, Serialize};
use store::keys::Dek;
use uuid::Uuid;

use crate::App;
use crate::bulk::outputs;
use crate::error::AppError;

/// Where an input lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Source {
    /// Sent with the request; so many chunks of whole lines.
    Sent {
        /// Chunks.
        chunks: u64,
    },
    /// A file of the import folder, as it was when the job was accepted.
    File {
        /// Its name.
        name: String,
        /// Its length.
        length: u64,
        /// When it was changed, in milliseconds since the Unix epoch.
        changed: i64,
    },
    /// A file on another server.
    Url {
        /// Its whole address, which may hold a secret.
        url: String,
    },
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Input {
    /// The type that all its lines must have.
    pub ty: Option<String>,
    /// Where it lies.
    pub source: Source,
}

impl Input {
    /// Whether it was sent with the request.
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.source, Source::Sent { .. })
    }
}

/// Some lines of an input.
#[derive(Debug)]
pub(super) struct Block {
    /// Whole lines.
    pub text: Bytes,
    /// Where the next block begins; `None` at the end.
    pub next: Option<u64>,
}

/// The longest line, in bytes.
pub(super) const LINE: usize = 64 << 20;

/// Splits a text at line ends into chunks of about so many bytes.
pub(super) fn chunks(text: &Bytes, about: usize) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let mut rest = text.clone();
    while !rest.is_empty() {
        let from = about.min(rest.len());
        let end = rest
            .iter()
            .skip(from)
            .position(|byte| *byte == b'\n')
            .map_or(rest.len(), |at| from + at + 1);
        chunks.push(rest.split_to(end));
    }
    chunks
}

/// Sent inputs are sealed like files, in a place of their own.
const SENT: u32 = 1 << 31;

fn sent_place(input: usize) -> u32 {
    SENT | u32::try_from(input).unwrap_or(u32::MAX)
}

/// Keeps a chunk of a sent input.
pub(super) async fn keep(
    app: &App,
    scope: &TenantScope,
    key: &Arc<Dek>,
    job: Uuid,
    (input, chunk): (usize, usize),
    text: Bytes,
) -> Result<(), AppError> {
    let mut nonce = [0; 12];
    app.ids().fill(&mut nonce);
    let (key, whose) = (Arc::clone(key), (scope.tenant(), job));
    let place = (sent_place(input), chunk);
    let sealed =
        tokio::task::spawn_blocking(move || outputs::seal(&key, nonce, whose, place, &text))
            .await??;
    let path = outputs::path(job, place.0, chunk);
    Ok(app.files()?.put_file(scope, &path, sealed).await?)
}

/// Removes what was sent with the request; the inputs of an import that is done are not needed any more.
pub(super) async fn drop_sent(
    app: &App,
    scope: &TenantScope,
    job: Uuid,
    inputs: &[Input],
) -> Result<(), AppError> {
    for (number, input) in inputs.iter().enumerate() {
        if input.is_sent() {
            let folder = outputs::folder(job, sent_place(number));
            app.files()?.remove_files(scope, &folder).await?;
        }
    }
    Ok(())
}

/// Whether a path of a job's files is of an input that was sent.
pub(super) fn is_sent(path: &str) -> bool {
    let file = path
        .split('/')
        .nth(2)
        .and_then(|file| file.parse::<u32>().ok());
    file.is_some_and(|file| file & SENT != 0)
}

/// Reads a block of an input.
pub(super) async fn block(
    app: &App,
    scope: &TenantScope,
    key: &Arc<Dek>,
    (job, slug): (Uuid, &str),
    (number, input): (usize, &Input),
    place: u64,
) -> Result<Block, AppError> {
    match &input.source {
        Source::Sent { chunks } => {
            if place >= *chunks {
                return Ok(Block {
                    text: Bytes::new(),
                    next: None,
                });
            }
            let chunk = usize::try_from(place).unwrap_or(usize::MAX);
            let text = sent(app, scope.tenant(), scope, key, job, (number, chunk)).await?;
            let next = Some(place + 1).filter(|next| next < chunks);
            Ok(Block { text, next })
        }
        Source::File {
            name,
            length,
            changed,
        } => {
            let folder = app.settings().bulk.import_folder.clone();
            let path = path(folder.as_deref(), slug, name)?;
            let (length, changed) = (*length, *changed);
            let about = app.settings().bulk.chunk_bytes;
            tokio::task::spawn_blocking(move || {
                if stat(&path)? != (length, changed) {
                    return Err(AppError::Unprocessable(
                        "an input file changed while it was imported: begin again".to_owned(),
                    ));
                }
                file_block(&path, place, length, about)
            })
            .await?
        }
        Source::Url { .. } => Err(AppError::Fault(
            "an input on another server is read as a file of this one".to_owned(),
        )),
    }
}

async fn sent(
    app: &App,
    tenant: TenantId,
    scope: &TenantScope,
    key: &Arc<Dek>,
    job: Uuid,
    (input, chunk): (usize, usize),
) -> Result<Bytes, AppError> {
    let place = (sent_place(input), chunk);
    let path = outputs::path(job, place.0, chunk);
    let sealed = app.files()?.file(scope, &path).await?;
    let sealed = sealed.ok_or_else(|| AppError::Fault("a sent input is gone".to_owned()))?;
    let key = Arc::clone(key);
    tokio::task::spawn_blocking(move || outputs::unseal(&key, (tenant, job), place, &sealed))
        .await?
}

/// A file of the import folder: in the tenant's own part of it, by a plain name.
fn path(folder: Option<&Path>, slug: &str, name: &str) -> Result<PathBuf, AppError> {
    let folder = folder.ok_or_else(|| {
        AppError::Unsupported(
            "no import folder is set: send the lines with the request, or set bulk.import_folder"
                .to_owned(),
        )
    })?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let ends = Path::new(name)
        .extension()
        .is_some_and(|ending| ending == "ndjson");
    if name.is_empty()
        || name.len() > 200
        || name.starts_with('.')
        || !name.bytes().all(plain)
        || !ends
    {
        return Err(AppError::Invalid(
            "an input is not the plain name of an .ndjson file: use letters, digits, '.', '-' and '_'"
                .to_owned(),
        ));
    }
    Ok(folder.join(slug).join(name))
}

fn unreadable(error: &std::io::Error) -> AppError {
    match error.kind() {
        std::io::ErrorKind::NotFound => AppError::not_found("input file"),
        _ => AppError::Fault(format!("an input file cannot be read: {error}")),
    }
}

/// Length and time of a regular file; links are not followed.
fn stat(path: &Path) -> Result<(u64, i64), AppError> {
    let found = std::fs::symlink_metadata(path).map_err(|error| unreadable(&error))?;
    if !found.is_file() {
        return Err(AppError::not_found("input file"));
    }
    let changed = found
        .modified()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
    Ok((found.len(), changed))
}

/// A file as an input.
pub(super) async fn file(app: &App, slug: &str, name: &str) -> Result<Source, AppError> {
    let path = path(app.settings().bulk.import_folder.as_deref(), slug, name)?;
    let (length, changed) = tokio::task::spawn_blocking(move || stat(&path)).await??;
    Ok(Source::File {
        name: name.to_owned(),
        length,
        changed,
    })
}

fn file_block(path: &Path, place: u64, length: u64, about: usize) -> Result<Block, AppError> {
    let failed = |error: std::io::Error| unreadable(&error);
    let mut file = std::fs::File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(place)).map_err(failed)?;
    let mut text = Vec::new();
    loop {
        let before = text.len();
        let want = (about.max(1) as u64).min(length.saturating_sub(place + before as u64));
        (&mut file)
            .take(want)
            .read_to_end(&mut text)
            .map_err(failed)?;
        let end = place + text.len() as u64 >= length || text.len() == before;
        if end {
            return Ok(Block {
                text: text.into(),
                next: None,
            });
        }
        if let Some(last) = text.iter().rposition(|byte| *byte == b'\n') {
            text.truncate(last + 1);
            let next = place + text.len() as u64;
            return Ok(Block {
                text: text.into(),
                next: Some(next),
            });
        }
        if text.len() > LINE {
            return Err(AppError::TooLarge(format!(
                "an input has a line of more than {LINE} bytes: no resource is that large"
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_blocks_hold_whole_lines_and_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        for text in [
            "",
            "a",
            "a\n",
            "a\nbb\nccc\n",
            "a\nbb\nccc",
            "\n\n\nx\n",
            "long line without end",
        ] {
            std::fs::write(&path, text).unwrap();
            let (length, _) = stat(&path).unwrap();
            for about in [1, 2, 3, 5, 100] {
                let whole: Vec<u8> = chunks(&Bytes::from(text), about).concat();
                assert_eq!(whole, text.as_bytes());
                let (mut place, mut whole) = (0, Vec::new());
                loop {
                    let block = file_block(&path, place, length, about).unwrap();
                    whole.extend_from_slice(&block.text);
                    let Some(next) = block.next else { break };
                    assert!(block.text.ends_with(b"\n") && next > place);
                    place = next;
                }
                assert_eq!(whole, text.as_bytes(), "{text:?} by {about}");
            }
            for chunk in chunks(&Bytes::from(text), 2).iter().rev().skip(1) {
                assert!(chunk.ends_with(b"\n"));
            }
        }
    }

    #[test]
    fn only_plain_names_below_the_tenants_folder() {
        let folder = Path::new("/imports");
        let good = path(Some(folder), "rosewood", "Patient.000.ndjson").unwrap();
        assert_eq!(good, Path::new("/imports/rosewood/Patient.000.ndjson"));
        for bad in [
            "",
            "../x.ndjson",
            "a/b.ndjson",
            ".ndjson",
            "x.json",
            "a b.ndjson",
            "..",
            "x.ndjson\0",
        ] {
            assert!(path(Some(folder), "rosewood", bad).is_err(), "{bad:?}");
        }
        assert!(path(None, "rosewood", "x.ndjson").is_err());
    }
}
