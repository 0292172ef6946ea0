//! The files of a job: NDJSON in chunks, each sealed by itself and bound to its tenant, job, file and
//! place, so that any part of a file can be read without the rest. Must not decide what is in them.

use std::sync::Arc;

use bytes::Bytes;
use kernel::{TenantId, TenantScope};
use serde::{Deserialize, Serialize};
use store::DocWrite;
use store::codec::{self, Binding, Content};
use store::keys::Dek;
use uuid::Uuid;

use crate::App;
use crate::bulk::job::Job;
use crate::error::AppError;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    /// Resources.
    Output,
    /// Bundles that name what was deleted.
    Deleted,
    /// OperationOutcomes.
    Error,
}

/// A file, finished or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Its number in the job, from 1.
    pub number: u32,
    /// What it is for.
    pub role: Role,
    /// The type of its lines.
    pub ty: String,
    /// Plain bytes of each chunk.
    pub chunks: Vec<u32>,
    /// What tells each chunk's file from one that somebody else wrote for the same place, after a lease was
    /// lost; none in files of earlier releases.
    #[serde(default)]
    pub marks: Vec<String>,
    /// Lines.
    pub lines: u64,
}

/// A file that is not finished.
pub(super) type OpenFile = Part;

impl Part {
    /// What names of their documents begin with.
    pub(super) const PREFIX: &'static str = "file-";

    /// The name of its document.
    pub(super) fn name(number: u32) -> String {
        format!("{}{number:08}", Self::PREFIX)
    }

    /// Its plain length.
    pub(super) fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(*chunk)).sum()
    }

    /// Where a chunk of it lies.
    pub(super) fn path(&self, job: Uuid, chunk: usize) -> String {
        let path = path(job, self.number, chunk);
        match self.marks.get(chunk) {
            Some(mark) => format!("{path}-{mark}"),
            None => path,
        }
    }

    /// What it is called when it is saved.
    pub(super) fn file_name(&self) -> String {
        let role = match self.role {
            Role::Output => "",
            Role::Deleted => "deleted-",
            Role::Error => "error-",
        };
        format!("{role}{}-{}.ndjson", self.ty, self.number)
    }
}

/// Lines that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub text: Vec<u8>,
    pub count: u64,
}

impl Lines {
    /// Adds one; line breaks within JSON are white space between its parts.
    pub(super) fn push(&mut self, line: &[u8]) {
        let begin = self.text.len();
        self.text.extend_from_slice(line);
        if line.contains(&b'\n') || line.contains(&b'\r') {
            for byte in self.text.iter_mut().skip(begin) {
                if matches!(*byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
        }
        self.text.push(b'\n');
        self.count += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Writes lines to the job's open file of this role and type, which is begun where there is none.
pub(super) async fn append(
    app: &App,
    scope: &TenantScope,
    key: &Arc<Dek>,
    job: &mut Job,
    of: (Role, &str),
    lines: Lines,
) -> Result<(), AppError> {
    match begin(app, scope, key, job, of, lines)? {
        Some(write) => write.await,
        None => Ok(()),
    }
}

/// Gives lines their place in the job; what is answered writes them there. None where there is nothing.
pub(super) fn begin<'a>(
    app: &'a App,
    scope: &'a TenantScope,
    key: &Arc<Dek>,
    job: &mut Job,
    (role, ty): (Role, &str),
    lines: Lines,
) -> Result<Option<impl Future<Output = Result<(), AppError>> + Send + use<'a>>, AppError> {
    if lines.is_empty() {
        return Ok(None);
    }
    let progress = &mut job.progress;
    let open = progress
        .open
        .iter()
        .position(|file| file.role == role && file.ty == ty);
    let place = open.unwrap_or_else(|| {
        progress.files += 1;
        progress.open.push(Part {
            number: progress.files,
            role,
            ty: ty.to_owned(),
            chunks: Vec::new(),
            marks: Vec::new(),
            lines: 0,
        });
        progress.open.len() - 1
    });
    let Some(file) = progress.open.get_mut(place) else {
        return Ok(None);
    };
    let (number, chunk) = (file.number, file.chunks.len());
    let length = u32::try_from(lines.text.len())
        .map_err(|_| AppError::Fault("a chunk is too long".to_owned()))?;
    file.chunks.push(length);
    file.lines += lines.count;
    let mut nonce = [0; 12];
    app.ids().fill(&mut nonce);
    file.marks.push(data_encoding::HEXLOWER.encode(&nonce));
    let path = file.path(job.id, chunk);
    let (key, whose) = (Arc::clone(key), (scope.tenant(), job.id));
    Ok(Some(async move {
        let sealed = tokio::task::spawn_blocking(move || {
            seal(&key, nonce, whose, (number, chunk), &lines.text)
        })
        .await??;
        Ok(app.files()?.put_file(scope, &path, sealed).await?)
    }))
}

/// Takes the files that are finished off the open ones; the writes of their documents.
pub(super) fn close(
    app: &App,
    job: &mut Job,
    done: impl Fn(&Part) -> bool,
) -> Result<Vec<DocWrite>, AppError> {
    let open = std::mem::take(&mut job.progress.open);
    let (closed, open): (Vec<Part>, Vec<Part>) = open.into_iter().partition(done);
    job.progress.open = open;
    closed
        .iter()
        .map(|file| {
            let body = serde_json::to_vec(file)?;
            let name = Part::name(file.number);
            Ok(super::job::part_write(app, job.id, &name, Some(body)))
        })
        .collect()
}

/// Where a chunk of a file lies that only one ever writes.
pub(super) fn path(job: Uuid, file: u32, chunk: usize) -> String {
    format!("{}/{chunk:08}", folder(job, file))
}

/// Where the chunks of a file lie.
pub(super) fn folder(job: Uuid, file: u32) -> String {
    format!("{}/{file:08}", super::job::folder(job))
}

fn binding(tenant: TenantId, job: Uuid, file: u32, chunk: usize) -> Binding {
    let mut binding = Binding::new();
    binding.extend_from_slice(b"bulk");
    binding.extend_from_slice(tenant.as_uuid().as_bytes());
    binding.extend_from_slice(job.as_bytes());
    binding.extend_from_slice(&file.to_le_bytes());
    binding.extend_from_slice(&(chunk as u64).to_le_bytes());
    binding
}

/// A fresh secret for a job.
pub(super) fn secret(app: &App) -> String {
    let mut secret = zeroize::Zeroizing::new([0u8; 32]);
    app.ids().fill(secret.as_mut_slice());
    data_encoding::HEXLOWER.encode(secret.as_slice())
}

/// The key that a secret makes; `None` where the files are gone.
pub(super) fn key(job: Uuid, secret: &str) -> Option<Dek> {
    let bytes = data_encoding::HEXLOWER.decode(secret.as_bytes()).ok()?;
    let secret = zeroize::Zeroizing::new(<[u8; 32]>::try_from(bytes).ok()?);
    Some(Dek::new(*job.as_bytes(), &secret))
}

/// Seals a chunk. Pure CPU.
pub(super) fn seal(
    key: &Dek,
    nonce: [u8; 12],
    (tenant, job): (TenantId, Uuid),
    (file, chunk): (u32, usize),
    plain: &[u8],
) -> Result<Bytes, AppError> {
    let binding = binding(tenant, job, file, chunk);
    let sealed = codec::seal(key, nonce, &binding, Content::Document, plain)?;
    Ok(Bytes::from(sealed))
}

/// Opens a chunk.
pub(super) fn unseal(
    key: &Dek,
    (tenant, job): (TenantId, Uuid),
    (file, chunk): (u32, usize),
    sealed: &[u8],
) -> Result<Bytes, AppError> {
    Ok(codec::open(
        key,
        &binding(tenant, job, file, chunk),
        sealed,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_opens_in_its_own_place_only() {
        let (tenant, job) = (TenantId::from_uuid(Uuid::from_u128(1)), Uuid::from_u128(2));
        let secret = "07".repeat(32);
        let held = key(job, &secret).unwrap();
        let sealed = seal(&held, [1; 12], (tenant, job), (3, 4), b"{}\n").unwrap();
        let opened = unseal(&held, (tenant, job), (3, 4), &sealed).unwrap();
        assert_eq!(opened.as_ref(), b"{}\n");
        let other = TenantId::from_uuid(Uuid::from_u128(9));
        for (whose, place) in [
            ((other, job), (3, 4)),
            ((tenant, Uuid::from_u128(9)), (3, 4)),
            ((tenant, job), (4, 4)),
            ((tenant, job), (3, 5)),
        ] {
            assert!(unseal(&held, whose, place, &sealed).is_err());
        }
        let foreign = key(job, &"08".repeat(32)).unwrap();
        assert!(unseal(&foreign, (tenant, job), (3, 4), &sealed).is_err());
        assert!(key(job, "").is_none());
    }

    #[test]
    fn lines_stay_lines() {
        let mut lines = Lines::default();
        lines.push(b"{\"a\":\n1}");
        lines.push(b"{}");
        assert_eq!(lines.text, b"{\"a\": 1}\n{}\n");
        assert_eq!(lines.count, 2);
    }
}
