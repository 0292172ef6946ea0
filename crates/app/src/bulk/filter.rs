//! `_typeFilter`: search queries that resources of a snapshot are held against one by one, with their own
//! values as of the snapshot. What would need another resource (chains, `_has`) is refused.

use fhir::definitions::{Definitions, TypeId};
use fhir::search::{
    Extracted, Modifier, QueryValue, SearchParam, matches, parse_query_value, split_alternatives,
};
use kernel::Timestamp;

use crate::error::QueryError;
use crate::record::query_string;

/// One parameter with its alternatives.
#[derive(Debug, Clone)]
struct Test {
    param: &'static SearchParam,
    modifier: Modifier,
    any_of: Vec<QueryValue>,
}

/// One query of a type.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    all_of: Vec<Test>,
}

/// Parameters of the answer, which an export has none of.
const OF_THE_ANSWER: [&str; 11] = [
    "_sort",
    "_count",
    "_include",
    "_revinclude",
    "_summary",
    "_elements",
    "_total",
    "_contained",
    "_containedType",
    "_format",
    "_cursor",
];

fn malformed(detail: impl Into<String>) -> QueryError {
    QueryError::Malformed {
        name: "_typeFilter".to_owned(),
        detail: detail.into(),
    }
}

/// Splits a value of `_typeFilter` into its queries. A comma separates queries only where a type and `?`
/// follow: otherwise it belongs to a query.
pub(super) fn split(definitions: &Definitions, value: &str) -> Vec<String> {
    let mut queries: Vec<String> = Vec::new();
    for piece in value.split(',') {
        let begins = piece
            .split_once('?')
            .is_some_and(|(name, _)| definitions.resource(name).is_some());
        match queries.last_mut() {
            Some(last) if !begins => {
                last.push(',');
                last.push_str(piece);
            }
            _ => queries.push(piece.to_owned()),
        }
    }
    queries
}

/// Reads one query: `Type?query`.
pub(super) fn parse(
    definitions: &'static Definitions,
    text: &str,
    base: &str,
    now: Timestamp,
) -> Result<(TypeId, Filter), QueryError> {
    let (name, query) = text
        .split_once('?')
        .ok_or_else(|| malformed("give Type?query, such as Observation?code=8867-4"))?;
    let ty = definitions
        .resource(name)
        .ok_or_else(|| malformed("it does not begin with a resource type of R4"))?;
    let pairs = query_string::parse(query)
        .ok_or_else(|| malformed("its query has a broken percent escape or is not UTF-8"))?;
    let mut all_of = Vec::with_capacity(pairs.len());
    for (name, value) in &pairs {
        all_of.push(test(definitions, ty, (name, value), base, now)?);
    }
    Ok((ty, Filter { all_of }))
}

fn test(
    definitions: &'static Definitions,
    ty: TypeId,
    (name, value): (&str, &str),
    base: &str,
    now: Timestamp,
) -> Result<Test, QueryError> {
    let (code, suffix) = name.split_once(':').unwrap_or((name, ""));
    let not_offered = || QueryError::NotOffered {
        name: format!("_typeFilter with {name}"),
    };
    if OF_THE_ANSWER.contains(&code) || name.contains('.') || code == "_has" {
        return Err(not_offered());
    }
    let param = definitions
        .search_param(ty, code)
        .ok_or_else(|| QueryError::Unknown {
            resource: definitions.resource_name(ty).to_owned(),
            name: code.chars().take(80).collect(),
        })?;
    let modifier = Modifier::parse(definitions, suffix)
        .ok_or_else(|| malformed(format!("there is no modifier :{suffix}")))?;
    let offered = matches!(
        modifier,
        Modifier::None
            | Modifier::Missing
            | Modifier::Exact
            | Modifier::Contains
            | Modifier::Not
            | Modifier::Identifier
            | Modifier::Type(_)
    );
    if !offered {
        return Err(not_offered());
    }
    let any_of: Result<Vec<QueryValue>, _> = split_alternatives(value)
        .into_iter()
        .map(|raw| {
            // References may be written with this server's own address.
            let own = raw
                .strip_prefix(base)
                .and_then(|rest| rest.strip_prefix('/'));
            parse_query_value(param, modifier, own.unwrap_or(raw), now)
        })
        .collect();
    Ok(Test {
        param,
        modifier,
        any_of: any_of.map_err(|error| malformed(error.to_string()))?,
    })
}

impl Filter {
    /// Whether a resource has what is asked for.
    pub(super) fn matches(&self, values: &Extracted<'_>) -> bool {
        self.all_of.iter().all(|test| test.matches(values))
    }
}

impl Test {
    fn matches(&self, values: &Extracted<'_>) -> bool {
        let one = |value: &QueryValue| matches(values, self.param, self.modifier, value);
        if self.modifier == Modifier::Not {
            self.any_of.iter().all(one)
        } else {
            self.any_of.iter().any(one)
        }
    }
}

#[cfg(test)]
mod tests {
    use fhir::json::{Document, Limits};
    use fhir::search::extract;

    use super::*;

    #[test]
    fn queries_are_split_at_types_only() {
        let split = |text| split(Definitions::r4(), text);
        assert_eq!(
            split("Observation?code=a,b,Patient?gender=male"),
            ["Observation?code=a,b", "Patient?gender=male"]
        );
        assert_eq!(split("Observation?code=a"), ["Observation?code=a"]);
    }

    #[test]
    fn a_resource_is_held_against_its_own_values() {
        let body = br#"{"resourceType":"Observation","id":"o","meta":{"lastUpdated":"2026-03-05T08:09:10Z"},
            "status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},
            "subject":{"reference":"Patient/a"},"effectiveDateTime":"2026-02-01"}"#;
        let document = Document::parse(body.to_vec(), &Limits::default()).unwrap();
        let definitions = Definitions::r4();
        let ty = definitions.resource("Observation").unwrap();
        let values = extract(definitions, ty, document.root());
        let now = Timestamp::from_millis(0);
        let base = "https://x.example/t/y/fhir";
        let holds = |query: &str| {
            let text = format!("Observation?{query}");
            let (found, filter) = parse(definitions, &text, base, now).unwrap();
            assert_eq!(found, ty);
            filter.matches(&values)
        };
        for yes in [
            "",
            "code=8867-4",
            "code=1-1,http://loinc.org%7C8867-4&status=final",
            "code:not=1-1,2-2",
            "date=ge2026-01-01&date=lt2026-03-01",
            "subject=Patient/a",
            "subject=https://x.example/t/y/fhir/Patient/a",
            "patient=a",
            "_id=o",
            "_lastUpdated=gt2026-01-01",
            "value-quantity:missing=true",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in [
            "code=1-1",
            "code:not=1-1,8867-4",
            "date=ge2026-01-01&date=lt2026-02-01",
            "subject=Patient/b",
            "_lastUpdated=lt2026-01-01",
        ] {
            assert!(!holds(no), "{no}");
        }
        for refused in [
            "Observation",
            "Nothing?a=b",
            "Observation?shoe=1",
            "Observation?subject.name=x",
            "Observation?_has:Provenance:target:agent=x",
            "Observation?code:in=x",
            "Observation?_sort=date",
            "Observation?date=yesterday",
            "Observation?code=%zz",
        ] {
            assert!(parse(definitions, refused, base, now).is_err(), "{refused}");
        }
    }
}
