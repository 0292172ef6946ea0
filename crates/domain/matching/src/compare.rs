//! The comparison of each field. A field that either record lacks says nothing, for or against.

use crate::date::Likeness;
use crate::distance::jaro_winkler;
use crate::number::NumberKind;
use crate::person::{Name, Person};
use crate::weights::{Field, Level};

/// From here on spellings are close, and loose (Jaro-Winkler).
const CLOSE: f64 = 0.92;
const LOOSE: f64 = 0.85;

/// The level of every field that both records have.
pub(crate) fn levels(a: &Person, b: &Person) -> Vec<(Field, Level)> {
    let (family, given) = names(a, b);
    let fields = [
        (Field::NationalNumber, national(a, b)),
        (Field::Identifier, identifiers(a, b)),
        (Field::Family, family),
        (Field::Given, given),
        (Field::Birth, birth(a, b)),
        (Field::Gender, gender(a, b)),
        (Field::Address, address(a, b)),
        (Field::Contact, contact(a, b)),
    ];
    fields
        .into_iter()
        .filter_map(|(field, level)| Some((field, level?)))
        .collect()
}

/// Numbers of the same kind; of a kind with one system of its own, whatever way the system is written.
fn numbers(a: &Person, b: &Person, is_national: bool) -> Option<Level> {
    let of = |kind: NumberKind| (kind != NumberKind::Other) == is_national;
    let mut level = None;
    for (kind, system, value) in a.numbers.iter().filter(|number| of(number.0)) {
        let others = b
            .numbers
            .iter()
            .filter(|other| other.0 == *kind && (*kind != NumberKind::Other || other.1 == *system));
        for (_, _, other) in others {
            if value == other {
                return Some(Level::Same);
            }
            level = Some(Level::Differs);
        }
    }
    level
}

fn national(a: &Person, b: &Person) -> Option<Level> {
    numbers(a, b, true)
}

fn identifiers(a: &Person, b: &Person) -> Option<Level> {
    numbers(a, b, false)
}

fn alike(a: &str, b: &str) -> Level {
    if a == b {
        return Level::Same;
    }
    match jaro_winkler(a, b) {
        found if found >= CLOSE => Level::Close,
        found if found >= LOOSE => Level::Loose,
        _ => Level::Differs,
    }
}

/// Family and given names of the pair of names that agrees best: people change names, and records keep
/// former ones. Names in the wrong fields count as close.
fn names(a: &Person, b: &Person) -> (Option<Level>, Option<Level>) {
    let rank = |level: Option<Level>| level.map_or(2, |level| level as u8);
    let pairs = a
        .names
        .iter()
        .flat_map(|a| b.names.iter().map(move |b| (a, b)));
    let levels = pairs.map(|(a, b)| {
        let straight = (family(a, b), given(a, b));
        if is_swapped(a, b) && rank(straight.0) + rank(straight.1) > 2 {
            (Some(Level::Close), Some(Level::Close))
        } else {
            straight
        }
    });
    levels
        .min_by_key(|(family, given)| rank(*family) + rank(*given))
        .unwrap_or((None, None))
}

fn family(a: &Name, b: &Name) -> Option<Level> {
    if a.family.is_empty() || b.family.is_empty() {
        return None;
    }
    let level = alike(&a.family, &b.family);
    // One part of a double name is a close form of the whole.
    let parts =
        |name: &Name| -> Vec<String> { name.family.split([' ', '-']).map(str::to_owned).collect() };
    let (first, second) = (parts(a), parts(b));
    let is_part = (first.len() > 1 || second.len() > 1)
        && first
            .iter()
            .any(|part| part.len() > 2 && second.contains(part));
    if is_part {
        Some(level.min(Level::Close))
    } else {
        Some(level)
    }
}

/// The first given names count; a first name that stands second elsewhere is close, an initial is loose.
fn given(a: &Name, b: &Name) -> Option<Level> {
    let (first, second) = (a.given.first()?, b.given.first()?);
    let level = alike(first, second);
    if level <= Level::Close {
        return Some(level);
    }
    if a.given.contains(second) || b.given.contains(first) {
        return Some(Level::Close);
    }
    let is_initial = |short: &str, long: &str| {
        let short = short.trim_end_matches('.');
        short.chars().count() == 1 && long.starts_with(short)
    };
    if is_initial(first, second) || is_initial(second, first) {
        return Some(level.min(Level::Loose));
    }
    Some(level)
}

fn is_swapped(a: &Name, b: &Name) -> bool {
    let first = |name: &Name| name.given.first().cloned().unwrap_or_default();
    !a.family.is_empty() && !b.family.is_empty() && a.family == first(b) && first(a) == b.family
}

fn birth(a: &Person, b: &Person) -> Option<Level> {
    Some(match a.birth?.compare(b.birth?) {
        Likeness::Same => Level::Same,
        Likeness::Slip => Level::Close,
        Likeness::Partial => Level::Loose,
        Likeness::Other => Level::Differs,
    })
}

fn gender(a: &Person, b: &Person) -> Option<Level> {
    let same = a.gender.as_ref()? == b.gender.as_ref()?;
    Some(if same { Level::Same } else { Level::Differs })
}

/// The outward part of a postcode is all but its last three characters (BS 7666); of others, as much.
fn address(a: &Person, b: &Person) -> Option<Level> {
    let has = |person: &Person| !person.postcodes.is_empty() || !person.lines.is_empty();
    if !has(a) || !has(b) {
        return None;
    }
    let same_code = a.postcodes.iter().any(|code| b.postcodes.contains(code));
    let line = a
        .lines
        .iter()
        .flat_map(|line| b.lines.iter().map(move |other| overlap(line, other)))
        .fold(0.0, f64::max);
    let area = |code: &String| -> String {
        let kept = code.chars().count().saturating_sub(3);
        code.chars().take(kept).collect()
    };
    let same_area = a.postcodes.iter().any(|code| {
        let area_of = area(code);
        !area_of.is_empty() && b.postcodes.iter().any(|other| area(other) == area_of)
    });
    Some(match (same_code, line >= 0.8, same_area || line >= 0.5) {
        (true, true, _) => Level::Same,
        (true, false, _) | (false, true, _) => Level::Close,
        (false, false, true) => Level::Loose,
        _ => Level::Differs,
    })
}

/// The share of words that two lines have in common.
fn overlap(a: &str, b: &str) -> f64 {
    let (first, second): (Vec<&str>, Vec<&str>) = (a.split(' ').collect(), b.split(' ').collect());
    let common = first.iter().filter(|word| second.contains(word)).count();
    let all = first.len() + second.len() - common.min(second.len());
    if all == 0 {
        0.0
    } else {
        common as f64 / all as f64
    }
}

/// A number that differs in one digit is loose.
fn contact(a: &Person, b: &Person) -> Option<Level> {
    if a.contacts.is_empty() || b.contacts.is_empty() {
        return None;
    }
    let pairs = a
        .contacts
        .iter()
        .flat_map(|a| b.contacts.iter().map(move |b| (a, b)));
    let level = pairs.map(|(a, b)| {
        if a == b {
            return Level::Same;
        }
        let is_phone =
            |text: &str| text.len() == 9 && text.bytes().all(|byte| byte.is_ascii_digit());
        let wrong = a.bytes().zip(b.bytes()).filter(|(a, b)| a != b).count();
        if is_phone(a) && is_phone(b) && wrong == 1 {
            Level::Loose
        } else {
            Level::Differs
        }
    });
    level.min()
}
