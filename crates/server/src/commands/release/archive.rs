//! Zip archives as releases come in: members stored or deflated, found by the directory at the end. What
//! else there is (encryption, other methods, more than 4 GiB) is refused with what to do instead.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::DeflateDecoder;
use kernel::Category;

use crate::failure::Failure;

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, with folders.
    pub name: String,
    /// Bytes when unpacked.
    pub size: u64,
    packed: u64,
    method: u16,
    header: u64,
}

/// An archive.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    members: Vec<Member>,
}

/// Bytes at the end in which the end of the directory must begin: its 22 and a comment.
const TAIL: u64 = 22 + 65_535;
const LARGEST_DIRECTORY: u32 = 64 << 20;

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut wide = [0; 8];
    let found: &[u8; N] = bytes.get(at..at + N)?.try_into().ok()?;
    wide.get_mut(..N)?.copy_from_slice(found);
    Some(u64::from_le_bytes(wide))
}

impl Archive {
    /// Reads the directory.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let refused = |why: &str| {
            let text = format!("{} {why}: unpack it and give the folder", path.display());
            Failure::new(Category::Unprocessable, text)
        };
        let failed = |error: &std::io::Error| Failure::file(path, error);
        let mut file = File::open(path).map_err(|error| failed(&error))?;
        let length = file
            .seek(SeekFrom::End(0))
            .map_err(|error| failed(&error))?;
        let start = length.saturating_sub(TAIL);
        let tail = part(&mut file, start, length - start).map_err(|error| failed(&error))?;
        let end = tail
            .windows(4)
            .rposition(|window| window == b"PK\x05\x06")
            .ok_or_else(|| refused("is no whole zip archive"))?;
        let size = number::<4>(&tail, end + 12).unwrap_or(0);
        let at = number::<4>(&tail, end + 16).unwrap_or(0);
        if at == u64::from(u32::MAX) || size > u64::from(LARGEST_DIRECTORY) {
            return Err(refused("is a zip archive larger than 4 GiB"));
        }
        let directory = part(&mut file, at, size).map_err(|error| failed(&error))?;
        let mut members = Vec::new();
        let mut rest = directory.as_slice();
        while rest.starts_with(b"PK\x01\x02") {
            let (member, after) = entry(rest).ok_or_else(|| refused("has a damaged directory"))?;
            if let Some(member) = member {
                members.push(member);
            }
            rest = after;
        }
        Ok(Self {
            path: path.to_owned(),
            members,
        })
    }

    /// The members that are files.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// A member's content.
    pub fn reader(&self, name: &str) -> Result<Box<dyn Read>, Failure> {
        let refused = |why: &str| {
            let text = format!("{name} in {} {why}", self.path.display());
            Failure::new(
                Category::Unprocessable,
                format!("{text}: unpack it and give the folder"),
            )
        };
        let failed = |error: &std::io::Error| Failure::file(&self.path, error);
        let member = self
            .members
            .iter()
            .find(|member| member.name == name)
            .ok_or_else(|| refused("is not there"))?;
        let mut file = File::open(&self.path).map_err(|error| failed(&error))?;
        let header = part(&mut file, member.header, 30).map_err(|error| failed(&error))?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(refused("is not where the directory says"));
        }
        let names = number::<2>(&header, 26).unwrap_or(0) + number::<2>(&header, 28).unwrap_or(0);
        file.seek(SeekFrom::Start(member.header + 30 + names))
            .map_err(|error| failed(&error))?;
        let packed = file.take(member.packed);
        match member.method {
            0 => Ok(Box::new(packed)),
            // No more than the directory says: a bomb ends there.
            8 => Ok(Box::new(DeflateDecoder::new(packed).take(member.size))),
            _ => Err(refused("is packed in a way that is not read")),
        }
    }
}

fn part(file: &mut File, at: u64, length: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One entry of the directory and what follows it; no member for folders and encrypted files.
fn entry(bytes: &[u8]) -> Option<(Option<Member>, &[u8])> {
    let flags = number::<2>(bytes, 8)?;
    let (name, extra, comment) = (
        number::<2>(bytes, 28)? as usize,
        number::<2>(bytes, 30)? as usize,
        number::<2>(bytes, 32)? as usize,
    );
    let text = String::from_utf8_lossy(bytes.get(46..46 + name)?).into_owned();
    let member = Member {
        method: number::<2>(bytes, 10)? as u16,
        packed: number::<4>(bytes, 20)?,
        size: number::<4>(bytes, 24)?,
        header: number::<4>(bytes, 42)?,
        name: text,
    };
    let is_file = !member.name.ends_with('/') && flags & 1 == 0;
    let rest = bytes.get(46 + name + extra + comment..)?;
    Some((is_file.then_some(member), rest))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// An archive of one deflated and one stored member.
    fn archive() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut directory = Vec::new();
        for (name, text, method) in [
            ("a/b.txt", "deflated text, text, text", 8u16),
            ("c", "kept", 0),
        ] {
            let packed = if method == 8 {
                let mut encoder =
                    flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            } else {
                text.as_bytes().to_vec()
            };
            let at = bytes.len() as u32;
            let sizes = [packed.len() as u32, text.len() as u32];
            let mut common = Vec::new();
            common.extend(20u16.to_le_bytes());
            common.extend([0, 0]);
            common.extend(method.to_le_bytes());
            common.extend([0; 8]);
            for size in &sizes {
                common.extend(size.to_le_bytes());
            }
            common.extend((name.len() as u16).to_le_bytes());
            common.extend([0, 0]);
            bytes.extend(b"PK\x03\x04");
            bytes.extend(&common);
            bytes.extend(name.as_bytes());
            bytes.extend(&packed);
            directory.extend(b"PK\x01\x02");
            directory.extend(20u16.to_le_bytes());
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend(at.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let at = bytes.len() as u32;
        bytes.extend(&directory);
        bytes.extend(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
        bytes.extend((directory.len() as u32).to_le_bytes());
        bytes.extend(at.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    fn open(bytes: &[u8]) -> Result<Vec<(String, String)>, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("release.zip");
        std::fs::write(&path, bytes).unwrap();
        let archive = Archive::open(&path)?;
        let mut found = Vec::new();
        for member in archive.members() {
            let mut text = String::new();
            let _ = archive.reader(&member.name)?.read_to_string(&mut text);
            found.push((member.name.clone(), text));
        }
        Ok(found)
    }

    #[test]
    fn members_are_read_and_damage_never_panics() {
        let bytes = archive();
        let found = open(&bytes).unwrap();
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(
            found,
            [
                pair("a/b.txt", "deflated text, text, text"),
                pair("c", "kept")
            ]
        );
        for at in 0..bytes.len() {
            let _ = open(&bytes[..at]);
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let _ = open(&damaged);
        }
        assert!(open(b"PK\x03\x04 and nothing else").is_err());
    }
}
