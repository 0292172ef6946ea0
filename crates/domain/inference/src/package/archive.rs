//! The zip file of a package, read strictly (PKWARE APPNOTE 6.3.10): stored or deflated members one after
//! another from the first byte, each said the same way twice, nothing between, before or after them. What a
//! lenient reader would guess at is refused. Must not touch the file system, so no name can leave a folder.

use std::io::{Read as _, Write as _};

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use kernel::{Categorised, Category};

/// How large a package may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Members.
    pub members: usize,
    /// Bytes of one member, inflated.
    pub member_bytes: usize,
    /// Bytes of all members, inflated.
    pub total_bytes: usize,
    /// Times a member over 1 MiB may grow when inflated.
    pub ratio: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            members: 8,
            member_bytes: 2_000_000_000,
            total_bytes: 2_100_000_000,
            ratio: 100,
        }
    }
}

/// Why an archive was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Not such a zip file.
    #[error("package is not a plain zip file: {0}; pack it again with `theriac model pack`")]
    Format(&'static str),
    /// A member's name is not one a package may hold.
    #[error(
        "package member '{0}' has a name that is refused; use small letters, digits, dots and dashes"
    )]
    Name(String),
    /// Two members of one name.
    #[error("package holds '{0}' twice; keep one")]
    Twice(String),
    /// A member's bytes are not what the archive says.
    #[error(
        "package member '{0}' is damaged: length or checksum is wrong; fetch the package again"
    )]
    Damaged(String),
    /// Beyond a limit.
    #[error("package has {what} {found}; the most is {most}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        found: usize,
        /// The limit.
        most: usize,
    },
}

impl Categorised for ArchiveError {
    fn category(&self) -> Category {
        match self {
            Self::TooLarge { .. } => Category::TooLarge,
            Self::Damaged(_) => Category::Altered,
            Self::Format(_) | Self::Name(_) | Self::Twice(_) => Category::Unprocessable,
        }
    }
}

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its bytes, inflated.
    pub bytes: Vec<u8>,
}

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_BYTES: usize = 22;
/// Text in UTF-8; every other flag is refused (encryption, sizes written after the data, patches).
const UTF8: u16 = 1 << 11;
/// 1 January 1980, so that equal content makes equal bytes.
const DATE: u16 = 0x21;
const MEBIBYTE: usize = 1 << 20;

/// Little-endian numbers from the front of a slice.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ArchiveError> {
        let (front, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(ArchiveError::Format("it ends too early"))?;
        self.0 = rest;
        Ok(front)
    }
    fn u16(&mut self) -> Result<u16, ArchiveError> {
        let bytes = self.take(2)?;
        Ok(bytes.iter().rev().fold(0, |n, b| (n << 8) | u16::from(*b)))
    }
    fn u32(&mut self) -> Result<u32, ArchiveError> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |n, b| (n << 8) | u32::from(*b)))
    }
    fn size(&mut self) -> Result<usize, ArchiveError> {
        match self.u32()? {
            u32::MAX => Err(ArchiveError::Format("zip64 is not needed below 4 GB")),
            size => Ok(size as usize),
        }
    }
}

/// What both headers of a member say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    method: u16,
    crc: u32,
    packed: usize,
    plain: usize,
}

/// The part the two kinds of header share, and the length of the name.
fn facts(cursor: &mut Cursor<'_>) -> Result<(Facts, usize), ArchiveError> {
    let flags = cursor.u16()?;
    if flags & !UTF8 != 0 {
        return Err(ArchiveError::Format(
            "a member is encrypted or streamed, with its sizes after the data",
        ));
    }
    let method = cursor.u16()?;
    if method != 0 && method != 8 {
        return Err(ArchiveError::Format(
            "a member is neither stored nor deflated",
        ));
    }
    cursor.take(4)?; // time and date
    let facts = Facts {
        method,
        crc: cursor.u32()?,
        packed: cursor.size()?,
        plain: cursor.size()?,
    };
    let name = usize::from(cursor.u16()?);
    if cursor.u16()? != 0 {
        return Err(ArchiveError::Format("a member has extra fields"));
    }
    Ok((facts, name))
}

/// A name of small letters, digits, dots, dashes and underscores: no folders, so no way out of one.
fn name(cursor: &mut Cursor<'_>, length: usize) -> Result<String, ArchiveError> {
    let name = String::from_utf8_lossy(cursor.take(length)?).into_owned();
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.bytes().all(letter) {
        return Err(ArchiveError::Name(name.chars().take(80).collect()));
    }
    Ok(name)
}

/// Where the directory starts, how long it is and how many members it lists.
fn end(bytes: &[u8]) -> Result<(usize, usize, usize), ArchiveError> {
    let from = bytes
        .len()
        .checked_sub(END_BYTES)
        .ok_or(ArchiveError::Format("it is too short"))?;
    let mut cursor = Cursor(bytes.get(from..).unwrap_or_default());
    if cursor.u32()? != END {
        return Err(ArchiveError::Format(
            "it does not end with the end of a directory without comment",
        ));
    }
    let disks = (cursor.u16()?, cursor.u16()?);
    let counts = (cursor.u16()?, cursor.u16()?);
    let length = cursor.size()?;
    let start = cursor.size()?;
    let comment = cursor.u16()?;
    let whole = start.checked_add(length) == Some(from);
    if disks != (0, 0) || counts.0 != counts.1 || comment != 0 || !whole {
        return Err(ArchiveError::Format(
            "its directory does not fill the end of the file",
        ));
    }
    Ok((start, length, usize::from(counts.0)))
}

/// One line of the directory: facts, name and where its member starts.
fn listed(cursor: &mut Cursor<'_>) -> Result<(Facts, String, usize), ArchiveError> {
    if cursor.u32()? != CENTRAL {
        return Err(ArchiveError::Format("its directory is broken"));
    }
    cursor.take(4)?; // versions
    let (facts, length) = facts(cursor)?;
    let comment = cursor.u16()?;
    let disk = cursor.u16()?;
    cursor.take(6)?; // attributes
    let start = cursor.size()?;
    if comment != 0 || disk != 0 {
        return Err(ArchiveError::Format(
            "a member has a comment or another disk",
        ));
    }
    Ok((facts, name(cursor, length)?, start))
}

/// The members of an archive, in their order.
///
/// # Errors
/// [`ArchiveError`] for anything but a plain zip file within the limits.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Member>, ArchiveError> {
    let (start, length, count) = end(bytes)?;
    within("members", count, limits.members)?;
    let mut directory = Cursor(bytes.get(start..start + length).unwrap_or_default());
    let mut data = Cursor(bytes.get(..start).unwrap_or_default());
    let mut members: Vec<Member> = Vec::with_capacity(count);
    let mut total = 0_usize;
    for _ in 0..count {
        let (facts, name, offset) = listed(&mut directory)?;
        if members.iter().any(|member| member.name == name) {
            return Err(ArchiveError::Twice(name));
        }
        if offset != start - data.0.len() {
            return Err(ArchiveError::Format(
                "its members do not follow one another",
            ));
        }
        total = total.saturating_add(facts.plain);
        within("bytes in a member", facts.plain, limits.member_bytes)?;
        within("bytes", total, limits.total_bytes)?;
        if facts.plain > MEBIBYTE {
            let grown = facts.plain / facts.packed.max(1);
            within("a member that inflates by a factor of", grown, limits.ratio)?;
        }
        members.push(member(&mut data, facts, name)?);
    }
    if !data.0.is_empty() || !directory.0.is_empty() {
        return Err(ArchiveError::Format(
            "it holds more than its directory lists",
        ));
    }
    Ok(members)
}

fn within(what: &'static str, found: usize, most: usize) -> Result<(), ArchiveError> {
    if found <= most {
        return Ok(());
    }
    Err(ArchiveError::TooLarge { what, found, most })
}

/// The member whose local header comes next and must say what the directory says.
fn member(
    data: &mut Cursor<'_>,
    listed: Facts,
    listed_name: String,
) -> Result<Member, ArchiveError> {
    if data.u32()? != LOCAL {
        return Err(ArchiveError::Format(
            "a member does not start where it is said to",
        ));
    }
    data.take(2)?; // version
    let (facts, length) = facts(data)?;
    if facts != listed || name(data, length)? != listed_name {
        return Err(ArchiveError::Format(
            "its directory and its members disagree",
        ));
    }
    let packed = data.take(facts.packed)?;
    let damaged = || ArchiveError::Damaged(listed_name.clone());
    let bytes = if facts.method == 0 {
        packed.to_vec()
    } else {
        // One byte more than was said is enough to know that it lied.
        let most = facts.plain as u64 + 1;
        let mut inflated = Vec::with_capacity(facts.plain.min(MEBIBYTE));
        let mut inflater = DeflateDecoder::new(packed);
        inflater
            .by_ref()
            .take(most)
            .read_to_end(&mut inflated)
            .map_err(|_| damaged())?;
        if inflater.total_in() != packed.len() as u64 {
            return Err(damaged());
        }
        inflated
    };
    let mut crc = Crc::new();
    crc.update(&bytes);
    if bytes.len() != facts.plain || crc.sum() != facts.crc {
        return Err(damaged());
    }
    Ok(Member {
        name: listed_name,
        bytes,
    })
}

/// An archive of the members, in their order; equal members make equal bytes. A member is deflated where
/// that makes it smaller by the limits' ratio at most.
///
/// # Errors
/// [`ArchiveError`] for names or sizes that [`read`] refuses.
pub fn write(members: &[Member], limits: &Limits) -> Result<Vec<u8>, ArchiveError> {
    within("members", members.len(), limits.members)?;
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (place, member) in members.iter().enumerate() {
        name(&mut Cursor(member.name.as_bytes()), member.name.len())?;
        if members.iter().take(place).any(|m| m.name == member.name) {
            return Err(ArchiveError::Twice(member.name.clone()));
        }
        within("bytes in a member", member.bytes.len(), limits.member_bytes)?;
        let offset = small(file.len())?;
        let (method, packed) = pack(&member.bytes, limits);
        let mut crc = Crc::new();
        crc.update(&member.bytes);
        let mut shared = Vec::new();
        shared.extend(0_u16.to_le_bytes());
        shared.extend(method.to_le_bytes());
        shared.extend(0_u16.to_le_bytes());
        shared.extend(DATE.to_le_bytes());
        shared.extend(crc.sum().to_le_bytes());
        shared.extend(small(packed.len())?.to_le_bytes());
        shared.extend(small(member.bytes.len())?.to_le_bytes());
        shared.extend((member.name.len() as u16).to_le_bytes());
        shared.extend(0_u16.to_le_bytes());
        file.extend(LOCAL.to_le_bytes());
        file.extend(20_u16.to_le_bytes());
        file.extend(&shared);
        file.extend(member.name.as_bytes());
        file.extend(packed);
        directory.extend(CENTRAL.to_le_bytes());
        directory.extend([20, 0, 20, 0]);
        directory.extend(&shared);
        directory.extend([0; 10]); // comment, disk, attributes
        directory.extend(offset.to_le_bytes());
        directory.extend(member.name.as_bytes());
    }
    let start = small(file.len())?;
    let length = small(directory.len())?;
    let count = (members.len() as u16).to_le_bytes();
    file.extend(directory);
    file.extend(END.to_le_bytes());
    file.extend([0; 4]);
    file.extend(count);
    file.extend(count);
    file.extend(length.to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0; 2]);
    Ok(file)
}

fn small(size: usize) -> Result<u32, ArchiveError> {
    u32::try_from(size).map_err(|_| ArchiveError::TooLarge {
        what: "bytes",
        found: size,
        most: u32::MAX as usize,
    })
}

fn pack(bytes: &[u8], limits: &Limits) -> (u16, Vec<u8>) {
    let mut deflater = DeflateEncoder::new(Vec::new(), Compression::default());
    // Writing into memory cannot fail; were it to, the member is stored as it is.
    let deflated = deflater.write_all(bytes).and_then(|()| deflater.finish());
    match deflated {
        Ok(packed) if packed.len() < bytes.len() => {
            let grown = bytes.len() / packed.len().max(1);
            if bytes.len() <= MEBIBYTE || grown <= limits.ratio {
                return (8, packed);
            }
            (0, bytes.to_vec())
        }
        _ => (0, bytes.to_vec()),
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
