//! The leaf's canonical bytes. Written directly, because every entry pays for it; read by a cursor that
//! accepts exactly what the writer writes, so that a leaf has one form.

use kernel::Timestamp;
use uuid::Uuid;

use super::{
    Class, Gap, KeyId, LEAF_FORM, Leaf, MAX_INTEGER, MAX_LEAF_BYTES, Mark, Outcome, Pseudonym,
};
use crate::error::FormatError;
use crate::hash::Hash;
use crate::origin::is_origin;

const fn refuse(demand: &'static str) -> FormatError {
    FormatError::new("leaf", demand)
}

const RANGE: FormatError = refuse("keep integers between 0 and 2^53 - 1");
const PAIR: FormatError = refuse("give payload hash and key id together");
const REASON: FormatError =
    refuse("write the reason as 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'");
const ORIGIN: FormatError = refuse(
    "write the origin as 1 to 200 printable ASCII characters without space, plus, quote and backslash",
);
const SIZE: FormatError = refuse("keep it within 2,048 bytes");
const FORM: FormatError = refuse("write the fields of form 1 as canonical JSON (RFC 8785)");

fn is_reason(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

pub(super) fn write(leaf: &Leaf, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let start = into.len();
    if leaf.payload.is_some() != leaf.key.is_some() {
        return Err(PAIR);
    }
    into.extend_from_slice(b"{\"actor\":\"");
    hex(into, &leaf.actor.0);
    word(into, b"\",\"class\":\"", leaf.class.as_str());
    if let Some(key) = &leaf.erased {
        into.extend_from_slice(b"\",\"erased\":\"");
        hex(into, &key.0);
    }
    into.push(b'"');
    if let Some(gap) = &leaf.gap {
        number(into, b",\"gap_from\":", gap.from)?;
        number(into, b",\"gap_to\":", gap.to)?;
        into.extend_from_slice(b",\"gap_w\":\"");
        uuid(into, gap.writer);
        into.push(b'"');
    }
    into.extend_from_slice(b",\"id\":\"");
    uuid(into, leaf.id);
    if let Some(key) = &leaf.key {
        into.extend_from_slice(b"\",\"kid\":\"");
        hex(into, &key.0);
    }
    number(into, b"\",\"n\":", leaf.counter)?;
    if let Some(mark) = &leaf.mark {
        if !is_origin(&mark.origin) {
            return Err(ORIGIN);
        }
        word(into, b",\"of\":\"", &mark.origin);
        into.extend_from_slice(b"\",\"of_root\":\"");
        hex(into, &mark.root.0);
        number(into, b"\",\"of_size\":", mark.size)?;
    }
    word(into, b",\"outcome\":\"", leaf.outcome.as_str());
    write_second_half(leaf, into)?;
    if into.len() - start > MAX_LEAF_BYTES {
        Err(SIZE)
    } else {
        Ok(())
    }
}

fn write_second_half(leaf: &Leaf, into: &mut Vec<u8>) -> Result<(), FormatError> {
    if let Some(hash) = &leaf.payload {
        into.extend_from_slice(b"\",\"pc\":\"");
        hex(into, &hash.0);
    }
    if let Some(prior) = leaf.prior {
        into.extend_from_slice(b"\",\"prior\":\"");
        uuid(into, prior);
    }
    if let Some(reason) = &leaf.reason {
        if !is_reason(reason) {
            return Err(REASON);
        }
        word(into, b"\",\"reason\":\"", reason);
    }
    if let Some(hash) = &leaf.resource {
        into.extend_from_slice(b"\",\"res\":\"");
        hex(into, &hash.0);
    }
    if let Some(hash) = &leaf.subject {
        into.extend_from_slice(b"\",\"subj\":\"");
        hex(into, &hash.0);
    }
    let time = u64::try_from(leaf.time.as_micros()).map_err(|_| RANGE)?;
    number(into, b"\",\"t\":", time)?;
    number(into, b",\"v\":", LEAF_FORM)?;
    into.extend_from_slice(b",\"w\":\"");
    uuid(into, leaf.writer);
    into.extend_from_slice(b"\"}");
    Ok(())
}

fn word(into: &mut Vec<u8>, key: &[u8], value: &str) {
    into.extend_from_slice(key);
    into.extend_from_slice(value.as_bytes());
}

fn number(into: &mut Vec<u8>, key: &[u8], value: u64) -> Result<(), FormatError> {
    if value > MAX_INTEGER {
        return Err(RANGE);
    }
    into.extend_from_slice(key);
    let mut digits = [0_u8; 16];
    let mut length = 0;
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        length += 1;
        if rest == 0 {
            break;
        }
    }
    into.extend(digits.iter().skip(16 - length));
    Ok(())
}

const fn nibble(value: u8) -> u8 {
    if value < 10 {
        b'0' + value
    } else {
        b'a' + value - 10
    }
}

fn hex<const N: usize>(into: &mut Vec<u8>, bytes: &[u8; N]) {
    let mut text = [[0_u8; 2]; N];
    for (pair, byte) in text.iter_mut().zip(bytes) {
        *pair = [nibble(byte >> 4), nibble(byte & 15)];
    }
    into.extend_from_slice(text.as_flattened());
}

fn uuid(into: &mut Vec<u8>, value: Uuid) {
    let mut text = [0_u8; 36];
    into.extend_from_slice(value.hyphenated().encode_lower(&mut text).as_bytes());
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, expected: &[u8]) -> bool {
        let after = self.rest.strip_prefix(expected);
        if let Some(rest) = after {
            self.rest = rest;
        }
        after.is_some()
    }
    fn need(&mut self, expected: &[u8]) -> Option<()> {
        self.take(expected).then_some(())
    }
    fn hex<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (text, rest) = self.rest.split_at_checked(2 * N)?;
        let mut bytes = [0_u8; N];
        let mut bad = 0;
        for (byte, pair) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
            let [high, low] = pair.map(digit);
            bad |= high | low;
            *byte = high << 4 | low & 15;
        }
        self.rest = rest;
        (bad < 16).then_some(bytes)
    }
    fn uuid(&mut self) -> Option<Uuid> {
        let low: [u8; 4] = self.hex()?;
        self.need(b"-")?;
        let mid: [u8; 2] = self.hex()?;
        self.need(b"-")?;
        let high: [u8; 2] = self.hex()?;
        self.need(b"-")?;
        let sequence: [u8; 2] = self.hex()?;
        self.need(b"-")?;
        let node: [u8; 6] = self.hex()?;
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(sequence.iter().chain(&node)) {
            *to = *from;
        }
        Some(Uuid::from_fields(
            u32::from_be_bytes(low),
            u16::from_be_bytes(mid),
            u16::from_be_bytes(high),
            &last,
        ))
    }
    fn number(&mut self) -> Option<u64> {
        let length = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at_checked(length)?;
        let canonical = digits == b"0" || digits.first().is_some_and(|b| *b != b'0');
        if !canonical || length > 16 {
            return None;
        }
        self.rest = rest;
        let value = digits
            .iter()
            .fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        (value <= MAX_INTEGER).then_some(value)
    }
    /// The hash behind a key that may be absent: none inside, or none at all where it is malformed.
    #[expect(
        clippy::option_option,
        reason = "absent and malformed are told apart by `?` at once"
    )]
    fn hash(&mut self, name: &[u8]) -> Option<Option<Hash>> {
        if self.take(name) {
            self.hex().map(|bytes| Some(Hash(bytes)))
        } else {
            Some(None)
        }
    }
    /// The same for a key id.
    #[expect(
        clippy::option_option,
        reason = "absent and malformed are told apart by `?` at once"
    )]
    fn key(&mut self, name: &[u8]) -> Option<Option<KeyId>> {
        if self.take(name) {
            self.hex().map(|bytes| Some(KeyId(bytes)))
        } else {
            Some(None)
        }
    }
    fn text(&mut self) -> Option<&'a str> {
        let length = self.rest.iter().position(|b| *b == b'"')?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        core::str::from_utf8(text).ok()
    }
}

/// The value of a lowercase hexadecimal digit; 16 and more for anything else.
const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => 0xf0,
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Leaf, FormatError> {
    if bytes.len() > MAX_LEAF_BYTES {
        return Err(SIZE);
    }
    let leaf = read(&mut Cursor { rest: bytes }).ok_or(FORM)?;
    if leaf.payload.is_some() == leaf.key.is_some() {
        Ok(leaf)
    } else {
        Err(PAIR)
    }
}

fn read(cursor: &mut Cursor<'_>) -> Option<Leaf> {
    cursor.need(b"{\"actor\":\"")?;
    let actor = Pseudonym(cursor.hex()?);
    cursor.need(b"\",\"class\":\"")?;
    let class = Class::from_word(cursor.text()?)?;
    let erased = cursor.key(b"\",\"erased\":\"")?;
    cursor.need(b"\"")?;
    let gap = if cursor.take(b",\"gap_from\":") {
        Some(read_gap(cursor)?)
    } else {
        None
    };
    cursor.need(b",\"id\":\"")?;
    let id = cursor.uuid()?;
    let key = cursor.key(b"\",\"kid\":\"")?;
    cursor.need(b"\",\"n\":")?;
    let counter = cursor.number()?;
    let mark = if cursor.take(b",\"of\":\"") {
        Some(read_mark(cursor)?)
    } else {
        None
    };
    cursor.need(b",\"outcome\":\"")?;
    let outcome = Outcome::from_word(cursor.text()?)?;
    let half = read_second_half(cursor)?;
    let SecondHalf {
        payload,
        prior,
        reason,
        resource,
        subject,
        time,
        writer,
    } = half;
    Some(Leaf {
        id,
        time,
        writer,
        counter,
        class,
        outcome,
        actor,
        subject,
        resource,
        payload,
        key,
        reason,
        prior,
        erased,
        mark,
        gap,
    })
}

/// The fields from `pc` on.
struct SecondHalf {
    payload: Option<Hash>,
    prior: Option<Uuid>,
    reason: Option<String>,
    resource: Option<Hash>,
    subject: Option<Hash>,
    time: Timestamp,
    writer: Uuid,
}

fn read_second_half(cursor: &mut Cursor<'_>) -> Option<SecondHalf> {
    let payload = cursor.hash(b"\",\"pc\":\"")?;
    let prior = if cursor.take(b"\",\"prior\":\"") {
        Some(cursor.uuid()?)
    } else {
        None
    };
    let reason = if cursor.take(b"\",\"reason\":\"") {
        Some(cursor.text().filter(|text| is_reason(text))?.to_owned())
    } else {
        None
    };
    let resource = cursor.hash(b"\",\"res\":\"")?;
    let subject = cursor.hash(b"\",\"subj\":\"")?;
    cursor.need(b"\",\"t\":")?;
    let time = Timestamp::from_micros(cursor.number()? as i64);
    cursor.need(b",\"v\":1,\"w\":\"")?;
    let writer = cursor.uuid()?;
    cursor.need(b"\"}")?;
    let all_read = cursor.rest.is_empty();
    all_read.then_some(SecondHalf {
        payload,
        prior,
        reason,
        resource,
        subject,
        time,
        writer,
    })
}

fn read_gap(cursor: &mut Cursor<'_>) -> Option<Gap> {
    let from = cursor.number()?;
    cursor.need(b",\"gap_to\":")?;
    let to = cursor.number()?;
    cursor.need(b",\"gap_w\":\"")?;
    let writer = cursor.uuid()?;
    cursor.need(b"\"")?;
    Some(Gap { writer, from, to })
}

fn read_mark(cursor: &mut Cursor<'_>) -> Option<Mark> {
    let origin = cursor.text().filter(|text| is_origin(text))?.to_owned();
    cursor.need(b"\",\"of_root\":\"")?;
    let root = Hash(cursor.hex()?);
    cursor.need(b"\",\"of_size\":")?;
    let size = cursor.number()?;
    Some(Mark { origin, size, root })
}
