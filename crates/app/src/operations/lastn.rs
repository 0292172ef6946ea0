//! Observation `$lastn` (FHIR R4, observation-operation-lastn): the newest observations of each code, among
//! those that a search finds. The search is an ordinary one, with its decisions and entries.

use std::collections::HashMap;

use fhir::definitions::TypeId;
use fhir::json::{Document, Limits, Value};
use store::StoredVersion;

use super::answer::{Found, Mode};
use crate::App;
use crate::context::Caller;
use crate::error::{AppError, QueryError};
use crate::record::search::{CURSOR, SearchRequest, search};

/// Most observations looked through; beyond, the search must be narrowed.
const SCANNED: usize = 10_000;
/// Most of one code.
const MOST: usize = 100;
/// Parameters that say whose observations.
const SUBJECTS: [&str; 2] = ["patient", "subject"];
/// Parameters of the search that this operation sets itself.
const OWN: [&str; 5] = ["_sort", "_count", "_summary", "_elements", "_total"];

/// Answers the newest observations by code.
pub async fn lastn(
    app: &App,
    caller: &Caller,
    ty: TypeId,
    params: &[(String, String)],
) -> Result<Found, AppError> {
    let (most, criteria) = read(params)?;
    let mut groups = Groups::default();
    let mut cursor: Option<String> = None;
    let mut scanned = 0;
    loop {
        let mut asked = criteria.clone();
        asked.push(("_sort".to_owned(), "-date".to_owned()));
        asked.push(("_count".to_owned(), "500".to_owned()));
        asked.extend(cursor.take().map(|cursor| (CURSOR.to_owned(), cursor)));
        let request = SearchRequest {
            ty,
            params: asked,
            lenient: false,
        };
        let page = search(app, caller, &request).await?;
        scanned += page.matches.len();
        for version in page.matches {
            groups.take(version, most)?;
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        if scanned >= SCANNED {
            return Err(AppError::TooLarge(format!(
                "more than {SCANNED} observations match: narrow them by code, category or date"
            )));
        }
    }
    let entries: Vec<_> = groups
        .kept
        .into_iter()
        .map(|version| (version, Mode::Match))
        .collect();
    Ok(Found {
        named: "Observation/$lastn".to_owned(),
        total: Some(entries.len() as u64),
        entries,
        params: params.to_vec(),
        next: None,
        issues: Vec::new(),
    })
}

type Criteria = Vec<(String, String)>;

fn read(params: &[(String, String)]) -> Result<(usize, Criteria), QueryError> {
    let mut most = 1;
    let mut criteria = Vec::new();
    for (name, value) in params {
        match name.as_str() {
            "max" => {
                most = value
                    .parse()
                    .ok()
                    .filter(|most| (1..=MOST).contains(most))
                    .ok_or_else(|| QueryError::Malformed {
                        name: "max".to_owned(),
                        detail: format!("give a number from 1 to {MOST}"),
                    })?;
            }
            "_format" | "_pretty" => {}
            name if OWN.contains(&name) || name == CURSOR => {
                return Err(QueryError::NotOffered {
                    name: format!("{name} on $lastn"),
                });
            }
            _ => criteria.push((name.clone(), value.clone())),
        }
    }
    let says_whose = criteria.iter().any(|(name, _)| {
        let bare = name.split([':', '.']).next().unwrap_or_default();
        SUBJECTS.contains(&bare)
    });
    if !says_whose {
        return Err(QueryError::Malformed {
            name: "$lastn".to_owned(),
            detail: "add patient or subject: it answers for somebody's observations".to_owned(),
        });
    }
    Ok((most, criteria))
}

/// Observations by code: those that share a coding belong together, and so do those of one text
/// without codings.
#[derive(Default)]
struct Groups {
    of_code: HashMap<String, usize>,
    counts: Vec<usize>,
    kept: Vec<StoredVersion>,
}

impl Groups {
    /// Takes an observation, newest first.
    fn take(&mut self, version: StoredVersion, most: usize) -> Result<(), AppError> {
        let Some(body) = &version.body else {
            return Ok(());
        };
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        let codes = codes(document.root());
        let known = codes
            .iter()
            .find_map(|code| self.of_code.get(code))
            .copied();
        let group = known.unwrap_or_else(|| {
            self.counts.push(0);
            self.counts.len() - 1
        });
        for code in codes {
            self.of_code.entry(code).or_insert(group);
        }
        if let Some(count) = self.counts.get_mut(group)
            && *count < most
        {
            *count += 1;
            self.kept.push(version);
        }
        Ok(())
    }
}

fn codes(observation: Value<'_>) -> Vec<String> {
    let concept = observation.get("code");
    let codings: Vec<String> = concept
        .and_then(|concept| concept.get("coding"))
        .into_iter()
        .flat_map(Value::items)
        .filter_map(|coding| {
            let code = coding.get_str("code")?;
            let system = coding.get_str("system").unwrap_or_default();
            Some(format!("{system}|{code}"))
        })
        .collect();
    if codings.is_empty() {
        let text = concept.and_then(|concept| concept.get_str("text"));
        return vec![format!("text:{}", text.unwrap_or_default())];
    }
    codings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_parameters() {
        let given = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect();
            read(&pairs)
        };
        let (most, criteria) = given(&[("max", "3"), ("patient", "1"), ("category", "x")]).unwrap();
        assert_eq!((most, criteria.len()), (3, 2));
        assert_eq!(given(&[("subject:Patient", "1")]).unwrap().0, 1);
        for bad in [
            &[("max", "0"), ("patient", "1")][..],
            &[("max", "x"), ("patient", "1")],
            &[("code", "x")],
            &[("patient", "1"), ("_sort", "date")],
            &[("patient", "1"), ("_count", "3")],
        ] {
            assert!(given(bad).is_err(), "{bad:?}");
        }
    }
}
