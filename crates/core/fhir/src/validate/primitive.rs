//! The formats of primitive values (FHIR R4, datatypes, section 2.24.0.1), by hand instead of by
//! regular expression. Must not check codes against value sets.

use super::xhtml;
use crate::definitions::pack::Primitive;
use crate::json::{Kind, Value};

/// Longest string, in characters.
const MAX_STRING: usize = 1 << 20;

/// What is wrong with a value: issue code and sentence.
pub(super) type Complaint = (&'static str, &'static str);

/// Checks a value that is neither null nor a container.
pub(super) fn check(primitive: Primitive, value: Value<'_>) -> Result<(), Complaint> {
    use Primitive as P;
    match primitive {
        P::Boolean => match value.kind() {
            Kind::Bool => Ok(()),
            _ => structure("a boolean is true or false without quotes"),
        },
        P::Decimal | P::Integer | P::PositiveInt | P::UnsignedInt => match value.number_text() {
            Some(text) => number(primitive, text),
            None => structure("a number is written without quotes"),
        },
        _ => match value.as_str() {
            Some(text) => string(primitive, &text),
            None => structure("the value is a string: put it in double quotes"),
        },
    }
}

fn structure(text: &'static str) -> Result<(), Complaint> {
    Err(("structure", text))
}

fn number(primitive: Primitive, text: &str) -> Result<(), Complaint> {
    let (from, complaint) = match primitive {
        Primitive::Integer => (
            i32::MIN,
            "an integer is a whole number from -2147483648 to 2147483647",
        ),
        Primitive::PositiveInt => (1, "a positiveInt is a whole number from 1 to 2147483647"),
        Primitive::UnsignedInt => (0, "an unsignedInt is a whole number from 0 to 2147483647"),
        _ => return Ok(()),
    };
    match text.parse::<i32>() {
        Ok(value) if value >= from && text != "-0" => Ok(()),
        _ => Err(("value", complaint)),
    }
}

fn string(primitive: Primitive, text: &str) -> Result<(), Complaint> {
    use Primitive as P;
    if text.is_empty() {
        return Err((
            "value",
            "an empty string says nothing: leave the element out",
        ));
    }
    let (holds, complaint) = match primitive {
        P::String | P::Markdown => return long_text(text),
        P::Xhtml => return xhtml::check(text).map_err(|complaint| ("invariant", complaint)),
        P::Code => (
            is_code(text),
            "a code has no spaces around it and single ones inside",
        ),
        P::Id => (
            is_id(text),
            "an id has 1 to 64 letters, digits, hyphens and dots",
        ),
        P::Uri | P::Url | P::Canonical => (
            has_no_space(text),
            "a URI holds no spaces: encode them as %20",
        ),
        P::ElementId => (has_no_space(text), "an element id holds no spaces"),
        P::Oid => (is_oid(text), "an oid is written like urn:oid:1.2.3.4.5"),
        P::Uuid => (
            is_uuid(text),
            "a uuid is written in small letters like urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        ),
        P::Date => (
            is_date(text),
            "a date is a day that exists, written YYYY, YYYY-MM or YYYY-MM-DD",
        ),
        P::DateTime => (
            is_date_time(text),
            "a dateTime is a moment that exists, written YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz, with a zone when it has a time",
        ),
        P::Instant => (
            is_instant(text),
            "an instant is a moment that exists, written YYYY-MM-DDThh:mm:ss.sss+zz:zz, to the second or finer and with a zone",
        ),
        P::Time => (
            is_time(text.as_bytes()),
            "a time is written hh:mm:ss, without a zone",
        ),
        P::Base64Binary => (
            is_base64(text),
            "base64Binary is padded base64 (RFC 4648, section 4)",
        ),
        P::Boolean | P::Decimal | P::Integer | P::PositiveInt | P::UnsignedInt => (true, ""),
    };
    if holds {
        Ok(())
    } else {
        Err(("value", complaint))
    }
}

fn long_text(text: &str) -> Result<(), Complaint> {
    if text.len() > MAX_STRING && text.chars().count() > MAX_STRING {
        return Err((
            "too-long",
            "a string has at most 1048576 characters: send it as an Attachment or Binary",
        ));
    }
    let control = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    if text.bytes().any(control) {
        return Err((
            "value",
            "a string holds no control characters but tab, line feed and carriage return",
        ));
    }
    Ok(())
}

fn has_no_space(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte > b' ' && byte < 0x80);
    plain || !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_code(text: &str) -> bool {
    if text.bytes().all(|byte| byte > b' ' && byte < 0x7F) {
        return true;
    }
    let mut before = ' ';
    for c in text.chars() {
        if (c.is_whitespace() && before.is_whitespace()) || (c.is_control() && !c.is_whitespace()) {
            return false;
        }
        before = c;
    }
    !before.is_whitespace()
}

/// The `id` type, also used for the ids in references.
pub(super) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

fn is_oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else {
        return false;
    };
    let arc = |arc: &str| {
        arc == "0"
            || (!arc.starts_with('0') && !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()))
    };
    let first = arcs.split('.').next().unwrap_or_default();
    matches!(first, "0" | "1" | "2") && arcs.contains('.') && arcs.split('.').all(arc)
}

fn is_uuid(text: &str) -> bool {
    text.strip_prefix("urn:uuid:").is_some_and(|uuid| {
        uuid.len() == 36
            && uuid.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            })
    })
}

/// `count` digits at `at`.
fn digits(text: &[u8], at: usize, count: usize) -> Option<u32> {
    text.get(at..at + count)?.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + u32::from(*byte - b'0'))
    })
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub(super) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let dash = |at: usize| bytes.get(at) == Some(&b'-');
    let Some(year @ 1..) = digits(bytes, 0, 4) else {
        return false;
    };
    let month = || digits(bytes, 5, 2).filter(|month| dash(4) && (1..=12).contains(month));
    match bytes.len() {
        4 => true,
        7 => month().is_some(),
        10 => month().is_some_and(|month| {
            dash(7)
                && digits(bytes, 8, 2).is_some_and(|day| (1..=days_in(year, month)).contains(&day))
        }),
        _ => false,
    }
}

fn is_date_time(text: &str) -> bool {
    if text.contains('T') {
        is_instant(text)
    } else {
        is_date(text)
    }
}

fn is_instant(text: &str) -> bool {
    let Some((date, rest)) = text.split_once('T') else {
        return false;
    };
    let rest = rest.as_bytes();
    let zone_at = rest
        .iter()
        .position(|byte| matches!(byte, b'Z' | b'+' | b'-'));
    let Some((time, zone)) = zone_at.and_then(|at| rest.split_at_checked(at)) else {
        return false;
    };
    date.len() == 10 && is_date(date) && is_time(time) && is_zone(zone)
}

fn is_zone(zone: &[u8]) -> bool {
    if zone == b"Z" {
        return true;
    }
    let hour = digits(zone, 1, 2).filter(|_| zone.len() == 6 && zone.get(3) == Some(&b':'));
    match (hour, digits(zone, 4, 2)) {
        (Some(14), Some(minute)) => minute == 0,
        (Some(hour), Some(minute)) => hour < 14 && minute < 60,
        _ => false,
    }
}

/// `hh:mm:ss` and a fraction. 24:00 is none; 60 is a leap second.
fn is_time(time: &[u8]) -> bool {
    let colons = time.get(2) == Some(&b':') && time.get(5) == Some(&b':');
    let within = |at: usize, most: u32| digits(time, at, 2).is_some_and(|value| value <= most);
    let fraction = match time.get(8..) {
        Some([]) => true,
        Some([b'.', fraction @ ..]) => {
            !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    colons && within(0, 23) && within(3, 59) && within(6, 60) && fraction
}

fn is_base64(text: &str) -> bool {
    let mut count = 0_usize;
    let mut padding = 0;
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => count += 1,
            b'=' => padding += 1,
            b' ' | b'\n' | b'\r' | b'\t' => {}
            _ => return false,
        }
    }
    padding <= 2 && count > 0 && (count + padding).is_multiple_of(4)
}
