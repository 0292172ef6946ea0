//! A decided search in words, for operators. Names parameters and types; never a value, a hash or an id.

use fhir::search::ParamId;
use fhir::{Definitions, TypeId};

use super::guard::Guard;
use super::plan::{Decided, RARE, Strategy};
use super::tree::{Query, Test, TestClause};
use crate::index::{COMPARTMENT, CONTENT, NARRATIVE, PRESENCE};
use crate::port::search::{ExplainedClause, Explanation, SortKey};

/// What was decided, with the statement of the page and the engine's lines.
#[must_use]
pub fn explain(
    query: &Query,
    decided: &Decided,
    guard: &Guard<'_>,
    (statement, engine): (String, &[String]),
) -> Explanation {
    let clause = |(at, clause): (usize, &TestClause)| {
        let rows = decided.counted.get(at).copied().flatten();
        ExplainedClause {
            tests: clause_text(query, clause),
            rows,
            more: rows.is_some_and(|rows| rows >= RARE),
        }
    };
    let driver = match decided.strategy {
        Strategy::Driven(at) | Strategy::WalkKey(at) | Strategy::Ends(at) => Some(at),
        Strategy::Walk => None,
    };
    Explanation {
        strategy: strategy_text(query, decided.strategy),
        driver,
        clauses: query.clauses().iter().enumerate().map(clause).collect(),
        walked: guard.walked(),
        refused: guard.verdict().err().map(|error| error.to_string()),
        statement,
        engine: engine.iter().map(|line| without_values(line)).collect(),
    }
}

fn strategy_text(query: &Query, strategy: Strategy) -> String {
    match strategy {
        Strategy::Driven(at) => {
            format!("list the rows of clause {at}, test the others, then sort")
        }
        Strategy::WalkKey(at) if !query.clauses().get(at).is_some_and(TestClause::is_one_key) => {
            format!(
                "walk the rows that clause {at} lies within in the order asked for, and test each, until the page is full"
            )
        }
        Strategy::WalkKey(at) => {
            format!("walk the rows of clause {at} in the order asked for, until the page is full")
        }
        Strategy::Ends(at) => {
            format!("follow clause {at} back from each resource it leads to, and merge")
        }
        Strategy::Walk => {
            let types: Vec<&str> = query.types().iter().map(|ty| name(*ty)).take(5).collect();
            let more = query.types().len().saturating_sub(types.len());
            let more = if more > 0 {
                format!(" and {more} more types")
            } else {
                String::new()
            };
            let order = query.sort.first().map_or("row", |sort| match sort.key {
                SortKey::Row => "row",
                SortKey::Updated => "time of change",
                SortKey::Id => "id",
                SortKey::Range(_) | SortKey::Text(_) | SortKey::Code(_) | SortKey::Reference(_) => {
                    "value"
                }
            });
            format!(
                "walk all of {}{more} by {order}, until the page is full",
                types.join(", ")
            )
        }
    }
}

fn name(ty: TypeId) -> &'static str {
    Definitions::r4().resource_name(ty)
}

/// The numbers of the parameters that clauses ask for, without those at the end of chains.
pub(super) fn parameters_of(clauses: &[TestClause]) -> Vec<i64> {
    let tests = clauses.iter().flat_map(|clause| &clause.any_of);
    tests
        .filter_map(|test| match test {
            Test::Key { p, .. }
            | Test::Range { p, .. }
            | Test::Numbers { p, .. }
            | Test::Phrase { p, .. }
            | Test::Near { p, .. }
            | Test::Hierarchy { p, .. }
            | Test::TextPrefix { p, .. }
            | Test::TextContains { p, .. }
            | Test::Chain { p, .. } => Some(*p),
            _ => None,
        })
        .collect()
}

pub(super) fn clause_text(query: &Query, clause: &TestClause) -> String {
    let mut tests: Vec<String> = Vec::new();
    for test in &clause.any_of {
        let text = test_text(query, test);
        if !tests.contains(&text) {
            tests.push(text);
        }
    }
    let text = tests.join(" or ");
    if clause.negated {
        format!("not ({text})")
    } else {
        text
    }
}

fn group_text(query: &Query, group: usize) -> String {
    let clauses = query.clauses_of(group).iter();
    let clauses: Vec<String> = clauses.map(|clause| clause_text(query, clause)).collect();
    let types = query
        .groups
        .get(group)
        .map_or(&[][..], |group| &group.types);
    let types: Vec<&str> = types.iter().map(|ty| name(*ty)).collect();
    format!("{}({})", types.join("|"), clauses.join(" and "))
}

fn test_text(query: &Query, test: &Test) -> String {
    match test {
        Test::Key { p, .. } => param(*p),
        Test::Range { p, .. } => format!("{} in a range", param(*p)),
        Test::Numbers { p, .. } => format!("{} in two ranges", param(*p)),
        Test::Phrase { p, .. } => format!("phrase of {}", param(*p)),
        Test::Hierarchy { p, below, .. } => {
            let side = if *below { "below" } else { "above" };
            format!("{} {side} a resource", param(*p))
        }
        Test::Near { p, .. } => format!("{} a position", param(*p)),
        Test::TextPrefix { p, .. } => format!("{} begins with", param(*p)),
        Test::TextContains { p, .. } => format!("{} contains", param(*p)),
        Test::Present { ty, bit, present } => {
            let params = Definitions::r4().search_params(*ty).iter();
            let code = params
                .filter(|param| param.bit == *bit)
                .map(|param| param.code);
            let code: Vec<&str> = code.collect();
            let is = if *present { "is there" } else { "is missing" };
            format!("{} {is}", code.join("|"))
        }
        Test::Type(ty) => format!("type {}", name(*ty)),
        Test::Head { .. } => "_id".to_owned(),
        Test::Version { .. } => "_lastUpdated".to_owned(),
        Test::PatientOrganization { .. } => "patient of an organisation".to_owned(),
        Test::Chain { p, group, .. } => {
            format!("{} to {}", param(*p), group_text(query, *group))
        }
        Test::Has { p, group, .. } => {
            format!("{} of {}", param(*p), group_text(query, *group))
        }
        Test::All(group) => group_text(query, *group),
        Test::Nothing => "nothing".to_owned(),
    }
}

fn param(p: i64) -> String {
    match u16::try_from(p) {
        Ok(COMPARTMENT) => "patient compartment".to_owned(),
        Ok(NARRATIVE) => "words of the narrative".to_owned(),
        Ok(CONTENT) => "words of the content".to_owned(),
        Ok(PRESENCE) => "presence".to_owned(),
        Ok(number) => Definitions::r4()
            .search_param_by_id(ParamId(number))
            .map_or_else(|| format!("parameter {p}"), |param| param.code.to_owned()),
        Err(_) => format!("parameter {p}"),
    }
}

/// A line of an engine's plan without the values that it repeats: quoted texts, and numbers beside a
/// comparison.
fn without_values(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    let mut compared = false;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '\'' => quoted(rest),
            '0'..='9' | '-' if compared => rest
                .find(|c: char| !(c.is_ascii_digit() || c == '-'))
                .unwrap_or(rest.len()),
            _ => 0,
        };
        if len > 0 {
            text.push('?');
            compared = false;
            rest = rest.get(len..).unwrap_or_default();
            continue;
        }
        compared = matches!(first, '=' | '<' | '>') || (compared && matches!(first, ' ' | '('));
        text.push(first);
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    text
}

/// How long the quoted text is that `rest` begins with; doubled quotes are inside it.
fn quoted(rest: &str) -> usize {
    let mut bytes = rest.bytes().enumerate().skip(1).peekable();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'\'' {
            if bytes.peek().is_some_and(|(_, next)| *next == b'\'') {
                bytes.next();
            } else {
                return at + 1;
            }
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_engine_lose_their_values() {
        let cases = [
            (
                "Index Cond: ((tn = 'ab-c'::uuid) AND (p = 12) AND (v >= 'o''neil'::text) AND (lo < -5))",
                "Index Cond: ((tn = ?::uuid) AND (p = ?) AND (v >= ?::text) AND (lo < ?))",
            ),
            (
                "SEARCH k USING PRIMARY KEY (p=? AND v=?)",
                "SEARCH k USING PRIMARY KEY (p=? AND v=?)",
            ),
            ("cost=0.29..8.30 rows=1", "cost=?.29..8.30 rows=?"),
            ("Filter: (v = 'open", "Filter: (v = ?"),
        ];
        for (line, expected) in cases {
            assert_eq!(without_values(line), expected);
        }
    }
}
