//! The form of a backup: a tar in chunks of AES-256-GCM under a key made from a pass phrase with
//! argon2id. Each chunk's nonce counts and says whether it is the last, so that chunks cannot be left
//! out, swapped or cut off unnoticed. Must not know what is in the tar.

use std::io::{self, Read, Write};

use aes_gcm::{AeadInOut as _, Aes256Gcm, KeyInit as _};
use argon2::{Algorithm, Argon2, Params, Version};
use kernel::{Categorised, Category, Ids};
use zeroize::Zeroizing;

/// Plain bytes of a chunk.
const CHUNK: usize = 1 << 20;
const TAG: usize = 16;
const MAGIC: &[u8; 16] = b"theriac-backup-1";
/// Magic, memory, passes, salt, nonce prefix.
const HEADER: usize = 16 + 4 + 4 + 16 + 7;
/// Cost of the pass phrase's key: 64 MiB, 3 passes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// A header that asks for more is not ours; it would only cost memory.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// The file.
    pub file: String,
    /// Its bytes.
    pub bytes: u64,
    /// Tenants, with the instance itself.
    pub tenants: u64,
    /// Ledger entries that were verified in what was read back.
    pub entries: u64,
    /// Installed code systems and lists of products whose content is in it.
    pub installed: u64,
    /// Installed ones whose content could not be read: load them again.
    pub installed_lost: Vec<String>,
}

/// Why a backup cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Not one of ours.
    #[error("this file is no backup of theriac: name the file that `theriac backup` wrote")]
    NotABackup,
    /// Decryption failed.
    #[error(
        "the backup does not open: the pass phrase is wrong, or the file was changed or cut off"
    )]
    Sealed,
    /// The key could not be made.
    #[error("the pass phrase's key could not be made: not enough memory")]
    Key,
}

impl Categorised for ArchiveError {
    fn category(&self) -> Category {
        match self {
            Self::NotABackup => Category::Invalid,
            Self::Sealed => Category::Altered,
            Self::Key => Category::Unavailable,
        }
    }
}

impl From<ArchiveError> for io::Error {
    fn from(error: ArchiveError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// The archive error inside an I/O error, if that is what it is.
pub fn inside(error: &io::Error) -> Option<&ArchiveError> {
    let mut next: Option<&(dyn std::error::Error + 'static)> =
        error.get_ref().map(|inner| inner as _);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<ArchiveError>() {
            return Some(found);
        }
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner as _),
            None => error.source(),
        };
    }
    None
}

fn cipher(
    passphrase: &str,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
) -> Result<Aes256Gcm, ArchiveError> {
    let params =
        Params::new(memory_kib, passes, 1, Some(32)).map_err(|_| ArchiveError::NotABackup)?;
    let mut key = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .map_err(|_| ArchiveError::Key)?;
    Ok(Aes256Gcm::new((&*key).into()))
}

fn nonce(prefix: [u8; 7], counter: u32, last: bool) -> [u8; 12] {
    let mut nonce = [0u8; 12];
    let parts = prefix
        .into_iter()
        .chain(counter.to_be_bytes())
        .chain([u8::from(last)]);
    for (target, byte) in nonce.iter_mut().zip(parts) {
        *target = byte;
    }
    nonce
}

/// Seals what is written through it.
pub struct Sealer<W: Write> {
    into: W,
    cipher: Aes256Gcm,
    header: Vec<u8>,
    prefix: [u8; 7],
    counter: u32,
    chunk: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    /// Begins a file.
    pub fn new(mut into: W, passphrase: &str, ids: &dyn Ids) -> io::Result<Self> {
        let mut salt = [0u8; 16];
        ids.fill(&mut salt);
        let mut prefix = [0u8; 7];
        ids.fill(&mut prefix);
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&MEMORY_KIB.to_be_bytes());
        header.extend_from_slice(&PASSES.to_be_bytes());
        header.extend_from_slice(&salt);
        header.extend_from_slice(&prefix);
        let cipher = cipher(passphrase, &salt, MEMORY_KIB, PASSES)?;
        into.write_all(&header)?;
        Ok(Self {
            into,
            cipher,
            header,
            prefix,
            counter: 0,
            chunk: Vec::with_capacity(CHUNK),
        })
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let nonce = nonce(self.prefix, self.counter, last);
        let tag = self
            .cipher
            .encrypt_inout_detached(
                (&nonce).into(),
                &self.header,
                self.chunk.as_mut_slice().into(),
            )
            .map_err(|_| ArchiveError::Sealed)?;
        self.into.write_all(&self.chunk)?;
        self.into.write_all(&tag)?;
        self.chunk.clear();
        self.counter = self
            .counter
            .checked_add(1)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(())
    }

    /// Ends the file.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.into.flush()?;
        Ok(self.into)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits until more comes: the last one is marked as such.
        if self.chunk.len() == CHUNK {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk
            .extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens what [`Sealer`] wrote.
pub struct Opener<R: Read> {
    from: R,
    cipher: Aes256Gcm,
    header: Vec<u8>,
    prefix: [u8; 7],
    counter: u32,
    plain: Vec<u8>,
    given: usize,
    // Sealed bytes read ahead: whether a chunk is the last is known only when nothing follows.
    ahead: Vec<u8>,
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// Begins reading a file.
    pub fn new(mut from: R, passphrase: &str) -> Result<Self, ArchiveError> {
        let mut header = [0u8; HEADER];
        from.read_exact(&mut header)
            .map_err(|_| ArchiveError::NotABackup)?;
        let rest = header.strip_prefix(MAGIC).ok_or(ArchiveError::NotABackup)?;
        let (memory, rest) = rest
            .split_first_chunk::<4>()
            .ok_or(ArchiveError::NotABackup)?;
        let (passes, rest) = rest
            .split_first_chunk::<4>()
            .ok_or(ArchiveError::NotABackup)?;
        let (salt, prefix) = rest
            .split_first_chunk::<16>()
            .ok_or(ArchiveError::NotABackup)?;
        let prefix: [u8; 7] = prefix.try_into().map_err(|_| ArchiveError::NotABackup)?;
        let (memory, passes) = (u32::from_be_bytes(*memory), u32::from_be_bytes(*passes));
        if memory > MOST_MEMORY_KIB || passes > 64 {
            return Err(ArchiveError::NotABackup);
        }
        let cipher = cipher(passphrase, salt, memory, passes)?;
        Ok(Self {
            from,
            cipher,
            header: header.to_vec(),
            prefix,
            counter: 0,
            plain: Vec::new(),
            given: 0,
            ahead: Vec::new(),
            ended: false,
        })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let wanted = (CHUNK + TAG + 1) as u64 - self.ahead.len() as u64;
        self.from
            .by_ref()
            .take(wanted)
            .read_to_end(&mut self.ahead)?;
        let last = self.ahead.len() <= CHUNK + TAG;
        let rest = if last {
            Vec::new()
        } else {
            self.ahead.split_off(CHUNK + TAG)
        };
        let mut chunk = std::mem::replace(&mut self.ahead, rest);
        let tag_at = chunk.len().checked_sub(TAG).ok_or(ArchiveError::Sealed)?;
        let tag: [u8; TAG] = chunk
            .split_off(tag_at)
            .try_into()
            .map_err(|_| ArchiveError::Sealed)?;
        let nonce = nonce(self.prefix, self.counter, last);
        self.cipher
            .decrypt_inout_detached(
                (&nonce).into(),
                &self.header,
                chunk.as_mut_slice().into(),
                (&tag).into(),
            )
            .map_err(|_| ArchiveError::Sealed)?;
        self.counter = self.counter.checked_add(1).ok_or(ArchiveError::Sealed)?;
        self.plain = chunk;
        self.given = 0;
        self.ended = last;
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.plain.len() {
            if self.ended {
                return Ok(0);
            }
            self.next_chunk()?;
        }
        let rest = self.plain.get(self.given..).unwrap_or_default();
        let taken = rest.len().min(buffer.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..taken), rest.get(..taken)) {
            target.copy_from_slice(source);
        }
        self.given += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use testkit::ids::SeededIds;

    use super::*;

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut sealer =
            Sealer::new(Vec::new(), "four words are enough", &SeededIds::default()).unwrap();
        sealer.write_all(content).unwrap();
        sealer.finish().unwrap()
    }

    fn opened(file: &[u8], passphrase: &str) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        Opener::new(file, passphrase)?.read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn what_is_sealed_opens_and_nothing_else_does() {
        let content: Vec<u8> = (0..CHUNK + 5).map(|n| (n % 251) as u8).collect();
        let file = sealed(&content);
        assert_eq!(opened(&file, "four words are enough").unwrap(), content);
        assert!(opened(&file, "three words are").is_err());
        // Cut off at the end of a chunk, inside one, and with a bit turned.
        assert!(opened(&file[..HEADER + CHUNK + TAG], "four words are enough").is_err());
        assert!(opened(&file[..file.len() - 1], "four words are enough").is_err());
        let mut turned = file.clone();
        turned[HEADER + 9] ^= 1;
        let error = opened(&turned, "four words are enough").unwrap_err();
        assert!(matches!(inside(&error), Some(ArchiveError::Sealed)));
        assert!(opened(b"PK\x03\x04", "x").is_err());
    }

    #[test]
    fn chunks_of_exact_size_and_nothing_at_all_come_back() {
        for length in [0, CHUNK] {
            let content = vec![7u8; length];
            assert_eq!(
                opened(&sealed(&content), "four words are enough").unwrap(),
                content
            );
        }
    }
}
