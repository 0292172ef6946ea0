//! The names of a concept: its display, designations of the code system and of its supplements, and those
//! a value set gives it. Must not choose codes.

use crate::library::Library;
use crate::system::CodeSystem;
use crate::value_set::expand::same_name;
use crate::value_set::{ListedConcept, Name};

/// Whether a name's language is the one wanted: `de` is spoken by `de-CH`, and `de-CH` may be answered by
/// `de`.
#[must_use]
pub fn speaks(language: &str, wanted: &str) -> bool {
    let main = |tag: &str| {
        tag.split('-')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    !language.is_empty()
        && (language.eq_ignore_ascii_case(wanted)
            || main(language) == main(wanted)
                && (language.len() < wanted.len() || !wanted.contains('-')))
}

/// The languages of an Accept-Language-like list, best first.
fn wishes(languages: &str) -> impl Iterator<Item = &str> {
    languages
        .split(',')
        .map(|part| part.split(';').next().unwrap_or_default().trim())
        .filter(|part| !part.is_empty() && *part != "*")
}

/// Every name but the display, without repeats.
#[must_use]
pub fn names_of(
    library: &Library,
    system: &CodeSystem,
    at: u32,
    own: Option<&ListedConcept>,
) -> Vec<Name> {
    let mut names: Vec<Name> = own.into_iter().flat_map(|own| own.names.clone()).collect();
    let mut add = |name: Name| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    system.designations(at).map(Name::from).for_each(&mut add);
    for supplement in library.supplements(&system.head().url) {
        if let Some(at) = supplement.find(system.code(at)) {
            supplement
                .designations(at)
                .map(Name::from)
                .for_each(&mut add);
        }
    }
    names
}

/// The name to show: in the language wanted if there is one, else the value set's, else the display.
#[must_use]
pub fn best_name(
    library: &Library,
    system: &CodeSystem,
    at: u32,
    own: Option<&ListedConcept>,
    languages: Option<&str>,
) -> Option<String> {
    let display = || {
        let display = system.display(at);
        let display = (!display.is_empty()).then(|| display.to_owned());
        own.and_then(|own| own.display.clone()).or(display)
    };
    let Some(languages) = languages else {
        return display();
    };
    let names = names_of(library, system, at, own);
    for wanted in wishes(languages) {
        if system
            .head()
            .language
            .as_deref()
            .is_some_and(|language| speaks(language, wanted))
        {
            return display();
        }
        let fits = || names.iter().filter(|name| speaks(&name.language, wanted));
        let preferred = fits().find(|name| is_preferred(name));
        if let Some(name) = preferred.or_else(|| fits().next()) {
            return Some(name.value.clone());
        }
    }
    display()
}

/// A term a language reference set prefers, or a display by its use.
fn is_preferred(name: &Name) -> bool {
    matches!(
        name.usage.code.as_str(),
        "preferredForLanguage" | "display" | "preferred"
    )
}

/// Whether a text is one of the concept's names.
#[must_use]
pub fn is_name(
    library: &Library,
    system: &CodeSystem,
    at: u32,
    own: Option<&ListedConcept>,
    text: &str,
) -> bool {
    let display = own.and_then(|own| own.display.as_deref());
    display.is_some_and(|display| same_name(display, text))
        || same_name(system.display(at), text)
        || names_of(library, system, at, own)
            .iter()
            .any(|name| same_name(&name.value, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_matched_by_their_beginning() {
        let table = [
            ("de", "de", true),
            ("de", "de-CH", true),
            ("de-CH", "de", true),
            ("de-CH", "de-AT", false),
            ("DE", "de", true),
            ("", "de", false),
            ("nds", "nd", false),
        ];
        for (language, wanted, expected) in table {
            assert_eq!(speaks(language, wanted), expected, "{language} {wanted}");
        }
    }
}
