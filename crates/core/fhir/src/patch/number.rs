//! Equality of JSON numbers by value, without rounding: digits and exponent as text.

/// Whether two numbers of JSON are equal: `1.0` and `1e0` are.
pub(super) fn equal(a: &str, b: &str) -> bool {
    a == b || parts(a) == parts(b)
}

/// Sign, significant digits, and the exponent of ten behind the last of them.
fn parts(text: &str) -> Option<(bool, Vec<u8>, i64)> {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let mut exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    while digits.last() == Some(&b'0') {
        digits.pop();
        exponent = exponent.checked_add(1)?;
    }
    let zeroes = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..zeroes);
    if digits.is_empty() {
        return Some((false, digits, 0));
    }
    Some((is_negative, digits, exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_by_value() {
        for (a, b) in [
            ("1", "1.0"),
            ("10", "1e1"),
            ("0.10", "1E-1"),
            ("-0", "0.000"),
            ("100e-2", "1"),
            (
                "123456789012345678901234567890.10",
                "123456789012345678901234567890.1",
            ),
        ] {
            assert!(equal(a, b), "{a} {b}");
        }
        for (a, b) in [("1", "-1"), ("1", "10"), ("0.1", "0.10000000000000000001")] {
            assert!(!equal(a, b), "{a} {b}");
        }
    }
}
