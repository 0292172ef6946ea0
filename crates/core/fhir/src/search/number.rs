//! Numbers as order-preserving integers, and the ranges that queries imply by the digits they write.
//! Must be used by both sides of a comparison: the index and the query.

use kernel::WrittenDecimal;
use rust_decimal::Decimal;

use crate::search::query::Prefix;

/// A half-open range `[lo, hi)` of number keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberRange {
    /// First key.
    pub lo: i64,
    /// First key after the range.
    pub hi: i64,
}

impl NumberRange {
    /// The range that holds just one number.
    #[must_use]
    pub const fn point(key: i64) -> Self {
        Self {
            lo: key,
            hi: key + 1,
        }
    }
}

/// The key of a decimal text: the nearest IEEE 754 double (ties to even), its bits arranged so that
/// integer order is numeric order; `-0` is `0`. So `1.50` and `1.5` have one key, adjacent doubles have
/// adjacent keys, and a key plus one is the end of the half-open range of that number alone. Decimals
/// that differ beyond the 15th significant digit may share a key. Keys keep clear of `i64::MIN` and
/// `i64::MAX`, which stand for open ends. `None` if the text is no decimal.
#[must_use]
pub fn number_key(text: &str) -> Option<i64> {
    let first = text.as_bytes().first()?;
    if !(first.is_ascii_digit() || *first == b'-') || !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(key_of)
}

/// The key of a double; see [`number_key`]. Not for NaN, which no decimal gives.
pub(crate) fn key_of(value: f64) -> i64 {
    let value = if value == 0.0 { 0.0 } else { value };
    let bits = value.to_bits() as i64;
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

/// The range a query number means (FHIR R4 search, sections 3.1.1.4.2 and 3.1.1.4.3): for `eq` and `ne`
/// half a unit of the last written digit to each side (`100` is [99.5, 100.5)), for `ap` 10 % of the
/// value if that is more, for the ordering prefixes the number itself, exactly.
#[must_use]
pub fn number_range(prefix: Prefix, text: &str) -> Option<NumberRange> {
    let point = number_key(text)?;
    if !matches!(prefix, Prefix::Eq | Prefix::Ne | Prefix::Ap) {
        return Some(NumberRange::point(point));
    }
    let Ok(written) = text.parse::<WrittenDecimal>() else {
        // Beyond 28 digits half a unit is below what a key can tell apart.
        return Some(NumberRange::point(point));
    };
    let value = written.value();
    let mut half = written.implied_half_width();
    if prefix == Prefix::Ap {
        half = half.max(value.abs() / Decimal::TEN);
    }
    let bound = |end: Option<Decimal>| end.and_then(|end| number_key(&end.to_string()));
    let lo = bound(value.checked_sub(half)).unwrap_or(point);
    let hi = bound(value.checked_add(half)).unwrap_or(point);
    Some(NumberRange {
        lo: lo.min(point),
        hi: hi.max(point + 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_numbers_have_one_key() {
        for (left, right) in [
            ("1.5", "1.50"),
            ("100", "1e2"),
            ("-0", "0.00"),
            ("0.1", "1E-1"),
        ] {
            assert_eq!(number_key(left), number_key(right), "{left} {right}");
        }
        for bad in [
            "", "-", "abc", "inf", "NaN", "+1", ".5", "1,5", "1e", "-inf",
        ] {
            assert_eq!(number_key(bad), None, "{bad}");
        }
    }

    #[test]
    fn open_ends_lie_outside_all_keys() {
        for text in ["1e400", "-1e400"] {
            let key = number_key(text).unwrap();
            assert!(key > i64::MIN + 1 && key < i64::MAX - 1, "{text}");
        }
    }

    #[test]
    fn ranges_follow_the_written_digits() {
        for (prefix, text, lo, hi) in [
            (Prefix::Eq, "100", "99.5", "100.5"),
            (Prefix::Eq, "100.00", "99.995", "100.005"),
            (Prefix::Eq, "1e2", "50", "150"),
            (Prefix::Ne, "5.40", "5.395", "5.405"),
            (Prefix::Ap, "100", "90", "110"),
            (Prefix::Ap, "-100", "-110", "-90"),
            (Prefix::Ap, "0", "-0.5", "0.5"),
        ] {
            let range = number_range(prefix, text).unwrap();
            assert_eq!(Some(range.lo), number_key(lo), "{text}");
            assert_eq!(Some(range.hi), number_key(hi), "{text}");
        }
        let exact = number_range(Prefix::Gt, "100").unwrap();
        assert_eq!(exact, NumberRange::point(number_key("100").unwrap()));
    }

    proptest! {
        #[test]
        fn keys_keep_the_order_of_decimals(a in -1_000_000_000i64..1_000_000_000, b in -1_000_000_000i64..1_000_000_000, scale_a in 0u32..6, scale_b in 0u32..6) {
            let left = Decimal::new(a, scale_a);
            let right = Decimal::new(b, scale_b);
            let keys = (number_key(&left.to_string()).unwrap(), number_key(&right.to_string()).unwrap());
            prop_assert_eq!(left.cmp(&right), keys.0.cmp(&keys.1));
        }

        #[test]
        fn a_number_lies_in_the_range_it_implies(mantissa in any::<i64>(), scale in 0u32..12) {
            let text = Decimal::new(mantissa, scale).to_string();
            let key = number_key(&text).unwrap();
            for prefix in [Prefix::Eq, Prefix::Ap, Prefix::Gt] {
                let range = number_range(prefix, &text).unwrap();
                prop_assert!(range.lo <= key && key < range.hi);
            }
        }
    }
}
