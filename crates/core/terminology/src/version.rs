//! Business versions: which of two is the newer, and whether one is the one asked for. Must not parse
//! canonical URLs.

use core::cmp::Ordering;

/// Compares versions part by part: numbers by value, other parts by letters. `None` is the oldest.
#[must_use]
pub fn compare(a: Option<&str>, b: Option<&str>) -> Ordering {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => return a.is_some().cmp(&b.is_some()),
    };
    let separators = ".-_+/:";
    let mut left = a.split(|c| separators.contains(c));
    let mut right = b.split(|c| separators.contains(c));
    loop {
        let ordering = match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                _ => a.cmp(b),
            },
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// Whether `version` answers a wish: the same text, or an edition of SNOMED CT without its date
/// (`http://snomed.info/sct/83821000000107`).
#[must_use]
pub fn answers(version: Option<&str>, wanted: &str) -> bool {
    let Some(version) = version else {
        return false;
    };
    version == wanted
        || (wanted.starts_with("http://snomed.info/sct/")
            && version
                .strip_prefix(wanted)
                .is_some_and(|rest| rest.starts_with("/version/")))
}

/// A canonical as URL and version.
#[must_use]
pub fn split(canonical: &str) -> (&str, Option<&str>) {
    match canonical.split_once('|') {
        Some((url, version)) if !version.is_empty() => (url, Some(version)),
        Some((url, _)) => (url, None),
        None => (canonical, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_parts() {
        let table = [
            (Some("1.10"), Some("1.9"), Ordering::Greater),
            (Some("2.0"), Some("2.0"), Ordering::Equal),
            (Some("2.0.1"), Some("2.0"), Ordering::Greater),
            (None, Some("0"), Ordering::Less),
            (None, None, Ordering::Equal),
            (Some("2024-04-01"), Some("2023-12-31"), Ordering::Greater),
            (
                Some("http://snomed.info/sct/83821000000107/version/20240410"),
                Some("http://snomed.info/sct/83821000000107/version/20231101"),
                Ordering::Greater,
            ),
        ];
        for (a, b, expected) in table {
            assert_eq!(compare(a, b), expected, "{a:?} {b:?}");
            assert_eq!(compare(b, a), expected.reverse(), "{b:?} {a:?}");
        }
    }

    #[test]
    fn an_edition_is_answered_by_each_of_its_versions() {
        let edition = "http://snomed.info/sct/83821000000107";
        assert!(answers(
            Some(&format!("{edition}/version/20240410")),
            edition
        ));
        assert!(!answers(
            Some(&format!("{edition}1/version/20240410")),
            edition
        ));
        assert!(!answers(None, "1"));
        assert!(answers(Some("1"), "1"));
        assert_eq!(split("http://x|1"), ("http://x", Some("1")));
        assert_eq!(split("http://x|"), ("http://x", None));
    }
}
