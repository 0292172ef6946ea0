//! The head file of a log: its size and root, kept outside the database, so that an older copy of the
//! database put back is noticed. Two fixed slots are written in turn, each with a checksum; the greater
//! valid one counts. Must only ever be written after the commit it speaks of.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::files::{io_error, sync_folder};
use crate::port::error::StoreError;

const SLOT_BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"theriac1";

/// A published head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedHead {
    /// Entries.
    pub size: u64,
    /// The root over them.
    pub root: [u8; 32],
}

/// The open head file of one log.
#[derive(Debug)]
pub struct HeadFile {
    path: PathBuf,
    file: File,
    known: Option<PublishedHead>,
    next_slot: u64,
    dirty: bool,
}

impl HeadFile {
    /// Opens it, or makes it where there is none.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| io_error(path, &error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let is_new = !path.exists();
        let mut options = std::fs::OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        if is_new {
            sync_folder(path);
        }
        let newest = newest(&file);
        Ok(Self {
            path: path.to_owned(),
            file,
            known: newest.map(|(_, head)| head),
            next_slot: newest.map_or(0, |(at, _)| 1 - at as u64),
            dirty: false,
        })
    }
    /// The greatest head published, without making or holding the file; `None` where nothing was.
    pub fn read(path: &Path) -> Result<Option<PublishedHead>, StoreError> {
        match File::open(path) {
            Ok(file) => Ok(newest(&file).map(|(_, head)| head)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(path, &error)),
        }
    }
    /// The greatest head published; `None` where nothing was.
    #[must_use]
    pub const fn known(&self) -> Option<PublishedHead> {
        self.known
    }
    /// Writes a head; survives the end of the process, and power loss after [`HeadFile::sync`].
    pub fn publish(&mut self, head: PublishedHead) -> Result<(), StoreError> {
        let mut slot = [0u8; SLOT_BYTES];
        let content = [MAGIC.as_slice(), &head.size.to_le_bytes(), &head.root].concat();
        let check = xxh3_64(&content).to_le_bytes();
        for (target, byte) in slot.iter_mut().zip(content.iter().chain(&check)) {
            *target = *byte;
        }
        self.file
            .write_all_at(&slot, self.next_slot * SLOT_BYTES as u64)
            .map_err(|error| io_error(&self.path, &error))?;
        self.next_slot = 1 - self.next_slot;
        self.known = Some(head);
        self.dirty = true;
        Ok(())
    }
    /// Makes what was published durable; does nothing when nothing was since.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        if self.dirty {
            self.file
                .sync_data()
                .map_err(|error| io_error(&self.path, &error))?;
            self.dirty = false;
        }
        Ok(())
    }
}

/// The greater valid slot.
fn newest(file: &File) -> Option<(usize, PublishedHead)> {
    [read_slot(file, 0), read_slot(file, 1)]
        .iter()
        .enumerate()
        .filter_map(|(at, slot)| slot.map(|head| (at, head)))
        .max_by_key(|(_, head)| head.size)
}

fn read_slot(file: &File, slot: u64) -> Option<PublishedHead> {
    let mut bytes = [0u8; SLOT_BYTES];
    file.read_exact_at(&mut bytes, slot * SLOT_BYTES as u64)
        .ok()?;
    let (content, rest) = bytes.split_at_checked(48)?;
    if rest.first_chunk::<8>()? != &xxh3_64(content).to_le_bytes() {
        return None;
    }
    let (magic, content) = content.split_first_chunk::<8>()?;
    let (size, root) = content.split_first_chunk::<8>()?;
    (*magic == MAGIC).then_some(PublishedHead {
        size: u64::from_le_bytes(*size),
        root: root.try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(size: u64) -> PublishedHead {
        PublishedHead {
            size,
            root: [size as u8; 32],
        }
    }

    #[test]
    fn the_newest_valid_slot_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heads/a.head");
        let mut file = HeadFile::open(&path).unwrap();
        assert_eq!(file.known(), None);
        for size in 1..=5 {
            file.publish(head(size)).unwrap();
            assert_eq!(HeadFile::open(&path).unwrap().known(), Some(head(size)));
        }
        file.sync().unwrap();
        // A torn write of the newest slot leaves the one before.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(HeadFile::open(&path).unwrap().known(), Some(head(4)));
        let mut file = HeadFile::open(&path).unwrap();
        file.publish(head(6)).unwrap();
        assert_eq!(HeadFile::open(&path).unwrap().known(), Some(head(6)));
    }
}
