//! Dates and times by table.

use super::{Precision, Temporal};
use crate::quantity::CalendarUnit;

fn at(text: &str) -> Temporal {
    Temporal::literal(text).unwrap()
}

#[test]
fn prints_what_was_written() {
    for text in [
        "2024",
        "2024-02",
        "2024-02-29",
        "2024-02-29T10",
        "2024-02-29T10:30",
        "2024-02-29T10:30:00",
        "2024-02-29T10:30:00.0",
        "2024-02-29T10:30:00.123Z",
        "2024-02-29T10:30:00-05:30",
    ] {
        assert_eq!(at(text).to_string(), text);
    }
    assert_eq!(at("T10:30:00.5").to_string(), "10:30:00.5");
    for bad in [
        "2023-02-29",
        "2024-13",
        "0000",
        "24",
        "2024-02T10",
        "T24",
        "T10:60",
        "T10:30Z",
        "2024-02-29T10:30:00.",
        "2024-02-29T10:30+15:00",
        "2024-2-9",
        "",
        "T",
    ] {
        assert_eq!(Temporal::literal(bad), None, "{bad}");
    }
}

#[test]
fn comparisons_without_an_answer_have_none() {
    use core::cmp::Ordering::{Equal, Greater, Less};
    for (a, b, expected) in [
        ("2018-03", "2018-03-01", None),
        ("2018-03", "2018-04-01", Some(Less)),
        ("2018-03-01T10:30:00", "2018-03-01T10:30:00.0", Some(Equal)),
        ("2012-04-15T15:00:00Z", "2012-04-15T10:00:00", None),
        ("2012-04-18T15:00:00Z", "2012-04-15T10:00:00", Some(Greater)),
        (
            "2012-04-15T15:00:00+02:00",
            "2012-04-15T16:00:00+03:00",
            Some(Equal),
        ),
        (
            "2012-12-31T23:30:00-01:00",
            "2013-01-01T00:30:00Z",
            Some(Equal),
        ),
        ("T10:30", "T10:30:00", None),
        ("2012", "T10", None),
    ] {
        assert_eq!(at(a).compare(&at(b)), expected, "{a} {b}");
        assert_eq!(
            at(b).compare(&at(a)),
            expected.map(core::cmp::Ordering::reverse)
        );
    }
}

#[test]
fn adds_at_the_precision_written() {
    for (from, count, unit, to) in [
        ("2014", 25, CalendarUnit::Month, Some("2016")),
        ("2024-01-31", 1, CalendarUnit::Month, Some("2024-02-29")),
        ("2024-02-29", -1, CalendarUnit::Year, Some("2023-02-28")),
        ("1973-12-25", 24, CalendarUnit::Hour, Some("1973-12-26")),
        (
            "2016-02-28T23:59:59",
            2,
            CalendarUnit::Second,
            Some("2016-02-29T00:00:01"),
        ),
        ("T23:30", 60, CalendarUnit::Minute, None),
        ("9999-12-31", 1, CalendarUnit::Day, None),
        ("0001-01-01", -1, CalendarUnit::Day, None),
    ] {
        let sum = at(from).plus(count, unit);
        if from == "T23:30" {
            assert_eq!(sum.unwrap().to_string(), "00:30");
        } else {
            assert_eq!(sum, to.map(at), "{from} + {count} {unit:?}");
        }
    }
}

#[test]
fn boundaries_fill_what_is_not_written() {
    for (of, digits, low, high) in [
        ("2014", 6, "2014-01", "2014-12"),
        ("2024-02", 8, "2024-02-01", "2024-02-29"),
        (
            "2014-01-01T08:05",
            17,
            "2014-01-01T08:05:00.000+14:00",
            "2014-01-01T08:05:59.999-12:00",
        ),
        (
            "2014-01-01T08:05:01.5Z",
            17,
            "2014-01-01T08:05:01.500Z",
            "2014-01-01T08:05:01.599Z",
        ),
    ] {
        let value = at(of);
        assert_eq!(value.boundary(digits, false).unwrap().to_string(), low);
        assert_eq!(value.boundary(digits, true).unwrap().to_string(), high);
    }
    assert_eq!(at("2014").boundary(7, false), None);
    assert_eq!(at("T10:30").digits_written(), 4);
    assert_eq!(at("T10:30").precision(), Precision::Minute);
}
