//! Names of the people and places that resources refer to without saying them. Must not look anything up
//! about patients.

use std::collections::HashMap;

use app::Caller;

use super::found::find;
use super::visit::Visit;
use crate::clinical::Banner;
use crate::clinical::code::text;
use crate::clinical::events::Event;
use crate::clinical::name;

/// Types whose names are looked up.
const TYPES: [&str; 3] = ["Practitioner", "Organization", "Location"];
/// Names of one type looked up for one page at most.
const MOST: usize = 100;

/// Replaces bare references among the details of events by the names of what they refer to; what has no
/// name or may not be seen is said to be so.
pub async fn of_events(visit: &Visit, caller: &Caller, events: &mut [Event]) {
    let texts: Vec<&mut String> = events
        .iter_mut()
        .flat_map(|event| &mut event.details)
        .collect();
    put(visit, caller, texts).await;
}

/// The same for the branches of banners.
pub async fn of_banners(visit: &Visit, caller: &Caller, banners: Vec<&mut Banner>) {
    let texts: Vec<&mut String> = banners
        .into_iter()
        .filter_map(|banner| banner.branch.as_mut())
        .collect();
    put(visit, caller, texts).await;
}

/// The same for any texts.
pub async fn of_texts(visit: &Visit, caller: &Caller, texts: Vec<&mut String>) {
    put(visit, caller, texts).await;
}

async fn put(visit: &Visit, caller: &Caller, texts: Vec<&mut String>) {
    let mut names: HashMap<String, String> = HashMap::new();
    for type_name in TYPES {
        let mut ids: Vec<&str> = texts
            .iter()
            .filter_map(|text| reference(text).filter(|(ty, _)| *ty == type_name))
            .map(|(_, id)| id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(MOST);
        if ids.is_empty() {
            continue;
        }
        let joined = ids.join(",");
        let count = MOST.to_string();
        let params = [
            ("_id", joined.as_str()),
            ("_count", &count),
            ("_elements", "name"),
        ];
        let Ok(matches) = find(visit, caller, type_name, &params).await else {
            continue; // refused or failed: what it is stands in place of its name
        };
        for found in &matches.found {
            let value = found.document.root();
            let shown = text(value, "name").or_else(|| name::plain(value));
            names.extend(shown.map(|shown| (format!("{type_name}/{}", found.id), shown)));
        }
    }
    for text in texts {
        if let Some((type_name, id)) = reference(text) {
            let unnamed = || format!("{type_name} {id}, not named");
            *text = names.get(text.as_str()).cloned().unwrap_or_else(unnamed);
        }
    }
}

/// Type and id of a bare reference to something with a name.
fn reference(text: &str) -> Option<(&'static str, &str)> {
    let (type_name, id) = text.split_once('/')?;
    let known = TYPES.into_iter().find(|known| *known == type_name)?;
    let is_id = !id.is_empty()
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    is_id.then_some((known, id))
}

#[cfg(test)]
mod tests {
    use super::reference;

    #[test]
    fn only_bare_references_are_named() {
        for (text, found) in [
            ("Practitioner/rh-s-1", Some(("Practitioner", "rh-s-1"))),
            ("Organization/a.b", Some(("Organization", "a.b"))),
            ("Patient/p1", None),
            ("Practitioner/", None),
            ("Home visit / remote", None),
            ("Practitioner/x, y", None),
        ] {
            assert_eq!(reference(text), found, "{text}");
        }
    }
}
