//! Why bytes were refused by one of the formats of this crate. Must not carry content of an entry: texts
//! end up in logs.

use kernel::{Categorised, Category};

/// A text or a byte string is not what its format demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not well formed: {demand}")]
pub struct FormatError {
    /// Which format.
    pub what: &'static str,
    /// What the format demands there.
    pub demand: &'static str,
}

impl FormatError {
    /// A refusal: which format, and what it demands.
    #[must_use]
    pub const fn new(what: &'static str, demand: &'static str) -> Self {
        Self { what, demand }
    }
}

impl Categorised for FormatError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}

/// Reads a decimal as the C2SP formats write it: ASCII digits, no sign, no leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && !text.is_empty());
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if canonical && digits {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_one_form() {
        let good = [("0", 0), ("7", 7), ("18446744073709551615", u64::MAX)];
        for (text, number) in good {
            assert_eq!(decimal(text), Some(number));
        }
        for bad in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1_0",
            "18446744073709551616",
        ] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }
}
