//! People's names by NHS CUI Patient Name: `SMITH, Jane (Mrs)`. Must not shorten: names wrap, they are
//! never cut.

use fhir::json::Value;

use super::code::{items, text, texts};

/// A patient's name, element by element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatientName {
    /// Family name in capitals (NID-0001).
    pub family: Option<String>,
    /// Given names.
    pub given: Option<String>,
    /// Title in title case, without a full stop (NID-0007, NID-0010).
    pub title: Option<String>,
    /// What the patient likes to be called, where it differs.
    pub preferred: Option<String>,
    /// The whole name as one text, where the record holds no elements.
    pub whole: Option<String>,
}

impl PatientName {
    /// From `Patient.name`.
    #[must_use]
    pub fn of(patient: Value<'_>) -> Self {
        let Some(chosen) = items(patient, "name").min_by_key(|name| rank(*name)) else {
            return Self::default();
        };
        let given = Some(texts(chosen, "given").join(" ")).filter(|given| !given.is_empty());
        let preferred = items(patient, "name")
            .find(|name| text(*name, "use").as_deref() == Some("nickname"))
            .and_then(|name| {
                texts(name, "given")
                    .into_iter()
                    .next()
                    .or_else(|| text(name, "text"))
            })
            .filter(|preferred| given.as_deref() != Some(preferred));
        let family = text(chosen, "family").map(|family| family.to_uppercase());
        let whole = if family.is_none() && given.is_none() {
            text(chosen, "text")
        } else {
            None
        };
        Self {
            family,
            given,
            title: texts(chosen, "prefix")
                .first()
                .map(|title| title_case(title)),
            preferred,
            whole,
        }
    }

    /// `SMITH, Jane (Mrs)`; "Name not recorded" where there is none.
    #[must_use]
    pub fn display(&self) -> String {
        let mut shown = match (&self.family, &self.given) {
            (Some(family), Some(given)) => format!("{family}, {given}"),
            (Some(family), None) => family.clone(),
            (None, Some(given)) => given.clone(),
            (None, None) => self
                .whole
                .clone()
                .unwrap_or_else(|| "Name not recorded".to_owned()),
        };
        if let Some(title) = &self.title {
            shown.push_str(" (");
            shown.push_str(title);
            shown.push(')');
        }
        shown
    }
}

/// A name of staff in speaking order: `Dr Asha Rao`; `None` where none is recorded.
#[must_use]
pub fn plain(person: Value<'_>) -> Option<String> {
    let name = items(person, "name").next()?;
    let mut words = texts(name, "prefix");
    words.extend(texts(name, "given"));
    words.extend(text(name, "family"));
    if words.is_empty() {
        return text(name, "text");
    }
    Some(words.join(" "))
}

/// The official name first; a former one only where there is no other.
fn rank(name: Value<'_>) -> u8 {
    match text(name, "use").as_deref() {
        Some("official") => 0,
        Some("usual") => 1,
        None => 2,
        Some("temp" | "anonymous") => 3,
        Some("nickname") => 4,
        _ => 5,
    }
}

fn title_case(title: &str) -> String {
    title
        .trim_end_matches('.')
        .split_whitespace()
        .map(|word| {
            let mut letters = word.trim_end_matches('.').chars();
            letters.next().map_or_else(String::new, |first| {
                first
                    .to_uppercase()
                    .chain(letters.as_str().to_lowercase().chars())
                    .collect()
            })
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// A practitioner's or contact's name in speaking order: `Dr Asha Rao`.
#[must_use]
pub fn spoken(resource: Value<'_>) -> Option<String> {
    let name = items(resource, "name").min_by_key(|name| rank(*name))?;
    text(name, "text").or_else(|| {
        let mut parts: Vec<String> = texts(name, "prefix")
            .iter()
            .map(|title| title_case(title))
            .collect();
        parts.extend(texts(name, "given"));
        parts.extend(text(name, "family"));
        (!parts.is_empty()).then(|| parts.join(" "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    #[test]
    fn nid_0001_to_0012_names() {
        for (names, shown) in [
            (
                r#"[{"use":"official","family":"Smith","given":["Jane"],"prefix":["Mrs."]}]"#,
                "SMITH, Jane (Mrs)",
            ),
            (
                r#"[{"family":"Lidman-Sun","given":["Mary","Jane"],"prefix":["MISS"]}]"#,
                "LIDMAN-SUN, Mary Jane (Miss)",
            ),
            (
                r#"[{"use":"maiden","family":"Old"},{"use":"official","family":"New","given":["A"]}]"#,
                "NEW, A",
            ),
            (r#"[{"family":"Åkesson"}]"#, "ÅKESSON"),
            (r#"[{"given":["Madonna"]}]"#, "Madonna"),
            (r#"[{"text":"Baby of Smith"}]"#, "Baby of Smith"),
            (
                r#"[{"family":"Rao","given":["Asha"],"prefix":["wing commander"]}]"#,
                "RAO, Asha (Wing Commander)",
            ),
            (r"[]", "Name not recorded"),
        ] {
            let patient = parse(&format!(r#"{{"name":{names}}}"#));
            assert_eq!(PatientName::of(patient.root()).display(), shown);
        }
    }

    #[test]
    fn pab_0020_preferred_name() {
        let patient = parse(
            r#"{"name":[{"use":"official","family":"Smith","given":["Elizabeth"]},{"use":"nickname","given":["Betty"]}]}"#,
        );
        assert_eq!(
            PatientName::of(patient.root()).preferred.as_deref(),
            Some("Betty")
        );
    }
}
