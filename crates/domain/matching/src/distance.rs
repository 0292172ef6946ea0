//! How alike two words are. Must not fold: both sides are folded before.

/// Longest word compared, in characters: names are short, and the work grows with the square.
const LONGEST: usize = 64;
/// How much a common beginning counts, and how long it may be (Winkler 1990).
const SCALE: f64 = 0.1;
const PREFIX: usize = 4;

/// The Jaro-Winkler similarity, from 0 to 1; words beyond 64 characters are compared by their beginning.
#[must_use]
pub fn jaro_winkler(a: &str, b: &str) -> f64 {
    let a: Vec<char> = a.chars().take(LONGEST).collect();
    let b: Vec<char> = b.chars().take(LONGEST).collect();
    let jaro = jaro(&a, &b);
    let common = a
        .iter()
        .zip(&b)
        .take(PREFIX)
        .take_while(|(a, b)| a == b)
        .count();
    jaro + common as f64 * SCALE * (1.0 - jaro)
}

fn jaro(a: &[char], b: &[char]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return if a.len() == b.len() { 1.0 } else { 0.0 };
    }
    let window = (a.len().max(b.len()) / 2).saturating_sub(1);
    let mut taken = vec![false; b.len()];
    let mut from_a = Vec::with_capacity(a.len());
    for (place, c) in a.iter().enumerate() {
        let from = place.saturating_sub(window);
        let found = b
            .iter()
            .zip(taken.iter_mut())
            .skip(from)
            .take(place + window + 1 - from)
            .find(|(other, taken)| *other == c && !**taken);
        if let Some((_, taken)) = found {
            *taken = true;
            from_a.push(*c);
        }
    }
    if from_a.is_empty() {
        return 0.0;
    }
    let from_b = b.iter().zip(&taken).filter(|(_, taken)| **taken);
    let moved = from_a
        .iter()
        .zip(from_b)
        .filter(|(a, (b, _))| a != b)
        .count();
    let common = from_a.len() as f64;
    let halves = (moved / 2) as f64;
    (common / a.len() as f64 + common / b.len() as f64 + (common - halves) / common) / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn agrees_with_the_published_examples() {
        // Winkler, "Overview of record linkage and current research directions", 2006, table 6.
        for (a, b, expected) in [
            ("martha", "marhta", 0.961),
            ("dixon", "dicksonx", 0.813),
            ("dwayne", "duane", 0.840),
            ("jones", "johnson", 0.832),
            ("abc", "xyz", 0.0),
            ("", "", 1.0),
            ("a", "", 0.0),
        ] {
            let found = jaro_winkler(a, b);
            assert!((found - expected).abs() < 0.001, "{a} {b}: {found}");
        }
    }

    proptest! {
        #[test]
        fn is_symmetric_and_bounded(a in "[a-e]{0,8}", b in "[a-e]{0,8}") {
            let (there, back) = (jaro_winkler(&a, &b), jaro_winkler(&b, &a));
            prop_assert!((there - back).abs() < 1e-9, "{there} {back}");
            prop_assert!((0.0..=1.0).contains(&there));
            prop_assert_eq!(there > 0.999_999, a == b);
        }
    }
}
