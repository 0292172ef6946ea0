//! The key ring in a file: 32 random bytes, base16, readable by the owner alone. Must never make a new
//! root key where data of an old one may exist: the caller says whether it may.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::Ids;
use zeroize::Zeroizing;

use super::{Dek, KeyRing, mac};
use crate::port::error::StoreError;

/// A root key in a file.
pub struct FileKeyRing {
    root: Dek,
    signing: Zeroizing<[u8; 32]>,
    path: PathBuf,
    ids: Arc<dyn Ids>,
}

impl core::fmt::Debug for FileKeyRing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FileKeyRing")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl FileKeyRing {
    /// Opens the ring; makes the file when it is missing and `may_create` says that nothing was ever
    /// sealed with an older one.
    pub fn open(path: &Path, may_create: bool, ids: Arc<dyn Ids>) -> Result<Self, StoreError> {
        let missing = || StoreError::Key {
            key: path.display().to_string(),
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_create => {
                create(path, ids.as_ref())?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
            Err(error) => return Err(crate::files::io_error(path, &error)),
        };
        let secret = decode(text.trim()).ok_or_else(missing)?;
        Ok(Self {
            root: Dek::new([0; 16], &secret),
            signing: Zeroizing::new(mac(secret.as_slice(), &[b"theriac log signing"])),
            path: path.to_owned(),
            ids,
        })
    }
}

impl KeyRing for FileKeyRing {
    fn wrap(&self, context: &[u8], secret: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0u8; 12];
        self.ids.fill(&mut nonce);
        let mut sealed = secret.to_vec();
        let tag = self.root.encrypt(&nonce, context, &mut sealed)?;
        Ok([nonce.as_slice(), &sealed, &tag].concat())
    }
    fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let wrong = || StoreError::Key {
            key: self.path.display().to_string(),
        };
        let (nonce, rest) = wrapped.split_first_chunk::<12>().ok_or_else(wrong)?;
        let (sealed, tag) = rest.split_last_chunk::<16>().ok_or_else(wrong)?;
        let mut secret = Zeroizing::new(sealed.to_vec());
        self.root
            .decrypt(nonce, context, &mut secret, tag)
            .map_err(|_| wrong())?;
        Ok(secret)
    }
    fn signing_seed(&self) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        Ok(self.signing.clone())
    }
}

fn create(path: &Path, ids: &dyn Ids) -> Result<Zeroizing<String>, StoreError> {
    let failed = |error: std::io::Error| crate::files::io_error(path, &error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut secret = Zeroizing::new([0u8; 32]);
    ids.fill(secret.as_mut_slice());
    let mut text = Zeroizing::new(String::with_capacity(65));
    for byte in secret.iter() {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
    }
    text.push('\n');
    // Under another name first: a full disk or a crash must not leave part of a key in its place.
    let aside = path.with_extension(ids.uuid().simple().to_string());
    let placed = write_secret(&aside, text.as_bytes()).and_then(|()| place(&aside, path));
    let _ = std::fs::remove_file(&aside);
    placed.map_err(failed)?;
    crate::files::sync_folder(path);
    Ok(text)
}

fn write_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a file its name, unless another process was first.
fn place(aside: &Path, path: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(aside, path) {
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
            std::fs::rename(aside, path)
        }
        linked => linked,
    }
}

fn decode(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != 64 {
        return None;
    }
    let mut secret = Zeroizing::new([0u8; 32]);
    for (target, pair) in secret.iter_mut().zip(text.as_bytes().chunks(2)) {
        *target = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    use testkit::ids::SeededIds;

    use super::*;

    #[test]
    fn a_missing_root_key_is_an_error_unless_it_may_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/root.key");
        let ids: Arc<dyn Ids> = Arc::new(SeededIds::default());
        assert!(matches!(
            FileKeyRing::open(&path, false, Arc::clone(&ids)),
            Err(StoreError::Key { .. })
        ));
        let ring = FileKeyRing::open(&path, true, Arc::clone(&ids)).unwrap();
        let wrapped = ring.wrap(b"here", b"secret").unwrap();
        let again = FileKeyRing::open(&path, false, Arc::clone(&ids)).unwrap();
        assert_eq!(
            again.unwrap(b"here", &wrapped).unwrap().as_slice(),
            b"secret"
        );
        assert!(again.unwrap(b"there", &wrapped).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn a_damaged_root_key_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        for text in ["", "abc", &"g".repeat(64), &"ä".repeat(32)] {
            std::fs::write(&path, text).unwrap();
            let opened = FileKeyRing::open(&path, true, Arc::new(SeededIds::default()));
            assert!(matches!(opened, Err(StoreError::Key { .. })), "{text}");
        }
    }
}
