//! Text folding: the form in which strings are compared without case, accents and extra spaces
//! (FHIR R4 search, section 3.1.1.4.7). Must be applied to both sides of a comparison.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// NFKD, marks removed, lowercase, runs of white space one space, none at the ends.
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if is_folded_ascii(text) {
            return Cow::Borrowed(text);
        }
        return Cow::Owned(collapse(
            text.chars().map(|c| c.to_ascii_lowercase()),
            text.len(),
        ));
    }
    // Lowercasing may compose or decompose anew ('İ'), so marks are removed after it as well.
    let lower = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .nfkd()
        .filter(|c| !is_combining_mark(*c));
    Cow::Owned(collapse(lower, text.len()))
}

fn is_folded_ascii(text: &str) -> bool {
    let mut after_space = true;
    for b in text.bytes() {
        let space = b == b' ';
        if b.is_ascii_uppercase()
            || (space && after_space)
            || (!space && b.is_ascii_whitespace())
            || b == 0x0b
        {
            return false;
        }
        after_space = space;
    }
    !after_space || text.is_empty()
}

fn collapse(chars: impl Iterator<Item = char>, size: usize) -> String {
    let mut folded = String::with_capacity(size);
    let mut gap = false;
    for c in chars {
        if c.is_whitespace() {
            gap = !folded.is_empty();
        } else {
            if gap {
                folded.push(' ');
                gap = false;
            }
            folded.push(c);
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folds_case_accents_width_and_space() {
        for (text, folded) in [
            ("", ""),
            ("smith", "smith"),
            ("  Van  der\tBERG ", "van der berg"),
            ("Müller-Lüdenscheidt", "muller-ludenscheidt"),
            ("Élise", "elise"),
            ("E\u{301}lise", "elise"),
            ("İstanbul", "istanbul"),
            ("ﬁnn", "finn"),
            ("Ａｎｎａ\u{3000}Ｂ", "anna b"),
            ("ΑΘΗΝΑ", "αθηνα"),
            ("Ångström", "angstrom"),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,40}|[ -~]{0,40}") {
            let once = fold(&text).into_owned();
            prop_assert_eq!(fold(&once).into_owned(), once);
        }
    }
}
