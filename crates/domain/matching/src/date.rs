//! Dates of birth as FHIR writes them, whole or in part, and how two of them differ. Must not know a
//! calendar beyond the order of its parts.

/// A year, perhaps with month, perhaps with day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartialDate {
    /// The year.
    pub year: u16,
    /// The month, from 1.
    pub month: Option<u8>,
    /// The day, from 1.
    pub day: Option<u8>,
}

/// How two dates compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Likeness {
    /// Something else.
    Other,
    /// One says less than the other, and nothing against it.
    Partial,
    /// A slip: day and month swapped, or one digit wrong or two neighbours swapped.
    Slip,
    /// The same day.
    Same,
}

impl PartialDate {
    /// Reads `1970`, `1970-05` or `1970-05-31`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let number = |part: &str, digits: usize| {
            (part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse::<u16>().ok())
                .flatten()
        };
        let year = number(parts.next()?, 4)?;
        let mut small = |most: u16| match parts.next() {
            None => Some(None),
            Some(part) => {
                let found = number(part, 2).filter(|found| (1..=most).contains(found))?;
                Some(u8::try_from(found).ok())
            }
        };
        let (month, day) = (small(12)?, small(31)?);
        parts.next().is_none().then_some(Self { year, month, day })
    }

    pub(crate) fn compare(self, other: Self) -> Likeness {
        if self == other && self.day.is_some() {
            return Likeness::Same;
        }
        let agrees = |a: Option<u8>, b: Option<u8>| a.is_none() || b.is_none() || a == b;
        if self.year == other.year && agrees(self.month, other.month) && agrees(self.day, other.day)
        {
            return Likeness::Partial;
        }
        let (Some(a), Some(b)) = (self.digits(), other.digits()) else {
            return Likeness::Other;
        };
        let is_swapped =
            self.year == other.year && self.month == other.day && self.day == other.month;
        if is_swapped || is_one_slip(&a, &b) {
            Likeness::Slip
        } else {
            Likeness::Other
        }
    }

    fn digits(self) -> Option<Vec<u8>> {
        Some(format!("{:04}{:02}{:02}", self.year, self.month?, self.day?).into_bytes())
    }
}

/// One digit differs, or two neighbours are swapped.
fn is_one_slip(a: &[u8], b: &[u8]) -> bool {
    let differing: Vec<(usize, u8, u8)> = a
        .iter()
        .zip(b)
        .enumerate()
        .filter(|(_, (a, b))| a != b)
        .map(|(place, (a, b))| (place, *a, *b))
        .collect();
    match *differing.as_slice() {
        [_] => true,
        [(first, a1, b1), (second, a2, b2)] => second == first + 1 && a1 == b2 && a2 == b1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_slips_from_other_days() {
        let date = |text: &str| PartialDate::parse(text).unwrap();
        for (a, b, expected) in [
            ("1970-05-31", "1970-05-31", Likeness::Same),
            ("1970-05-03", "1970-03-05", Likeness::Slip),
            ("1970-05-31", "1970-05-13", Likeness::Slip),
            ("1970-05-31", "1970-05-21", Likeness::Slip),
            ("1970-05-31", "1907-05-31", Likeness::Slip),
            ("1970-05-31", "1970-05", Likeness::Partial),
            ("1970", "1970-05", Likeness::Partial),
            ("1970", "1970", Likeness::Partial),
            ("1970", "1971", Likeness::Other),
            ("1970-05-31", "1970-06", Likeness::Other),
            ("1970-05-31", "1981-05-31", Likeness::Other),
        ] {
            assert_eq!(date(a).compare(date(b)), expected, "{a} {b}");
            assert_eq!(date(b).compare(date(a)), expected, "{b} {a}");
        }
        for bad in [
            "",
            "70",
            "1970-5",
            "1970-13",
            "1970-05-32",
            "1970-05-31T00:00",
            "1970-05-31-1",
        ] {
            assert_eq!(PartialDate::parse(bad), None, "{bad}");
        }
    }
}
