//! How a search is run, from the use-case's answer to steps a person can read. Must not ask for it: only
//! those are given it who may have it.

use app::AppError;
use app::Limits;
use fhir::json::Document;
use serde_json::Value;

use crate::clinical::quantity::dose_number;
use crate::components::{Cell, Piece, Table, Tone};
use crate::diff;
use crate::pages::search::Plan;

/// Rows at which counting stops: the length of a full bar.
const FULL: u64 = 2000;

/// A clause: what it tests, how many rows, whether there are more.
struct Clause<'a> {
    tests: &'a str,
    rows: Option<u64>,
    more: bool,
}

fn named<'a>(parts: &'a [Value], name: &str) -> impl Iterator<Item = &'a Value> {
    let name = name.to_owned();
    parts
        .iter()
        .filter(move |part| part.get("name").and_then(Value::as_str) == Some(name.as_str()))
}

fn text<'a>(parts: &'a [Value], name: &str) -> &'a str {
    named(parts, name)
        .find_map(|part| part.get("valueString")?.as_str())
        .unwrap_or_default()
}

fn clause(of: &Value) -> Clause<'_> {
    let parts = of.get("part").and_then(Value::as_array);
    let parts = parts.map_or(&[][..], Vec::as_slice);
    let rows = named(parts, "rows").find_map(|part| part.get("valueDecimal")?.as_u64());
    let more =
        named(parts, "more").any(|part| part.get("valueBoolean") == Some(&Value::Bool(true)));
    Clause {
        tests: text(parts, "tests"),
        rows,
        more,
    }
}

/// The plan of an answer.
pub fn plan(answer: Vec<u8>, limits: &Limits) -> Result<Plan, AppError> {
    let whole: Value = serde_json::from_slice(&answer)?;
    let parts = whole.get("parameter").and_then(Value::as_array);
    let parts = parts.map_or(&[][..], Vec::as_slice);
    let clauses: Vec<Clause<'_>> = named(parts, "clause").map(clause).collect();
    let driver = named(parts, "driver")
        .find_map(|part| part.get("valueInteger")?.as_u64())
        .and_then(|at| usize::try_from(at).ok());
    let limit_ms =
        named(parts, "limit").find_map(|part| part.pointer("/valueQuantity/value")?.as_u64());
    let strategy = strategy(
        text(parts, "strategy"),
        driver.and_then(|at| clauses.get(at)),
    );
    let engine: Vec<&str> = named(parts, "engine")
        .filter_map(|part| part.get("valueString")?.as_str())
        .collect();
    let document = Document::parse(answer, &fhir::json::Limits::default())?;
    Ok(Plan {
        lead: lead(driver.is_some(), limit_ms),
        steps: steps(&strategy, driver, &clauses),
        limits: bounds(limits, limit_ms),
        statement: text(parts, "statement").to_owned(),
        engine: engine.join("\n"),
        json: diff::indented(document.root()),
    })
}

/// The strategy with the driving clause by its name in place of its number.
fn strategy(text: &str, driver: Option<&Clause<'_>>) -> String {
    let Some(driver) = driver else {
        return super::answer::sentence(text);
    };
    let words: Vec<&str> = text.split(' ').collect();
    let mut shown: Vec<String> = Vec::with_capacity(words.len());
    let mut numbered = false;
    for word in words {
        let digits = word.trim_end_matches(',');
        if numbered && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            shown.pop();
            let comma = word.strip_prefix(digits).unwrap_or_default();
            shown.push(format!("“{}”{comma}", driver.tests));
        } else {
            shown.push(word.to_owned());
        }
        numbered = word == "clause";
    }
    super::answer::sentence(&shown.join(" "))
}

fn lead(driven: bool, limit_ms: Option<u64>) -> String {
    let begin = if driven {
        "One condition leads: its rows are looked up in the index, and the rest is tested on them."
    } else {
        "No condition leads: resources are walked one after the other until the page is full."
    };
    let end = limit_ms.map_or_else(String::new, |limit| {
        format!(" The search is stopped after {}.", seconds(limit))
    });
    format!("{begin}{end}")
}

fn seconds(limit_ms: u64) -> String {
    let whole = limit_ms / 1000;
    match (limit_ms % 1000, whole) {
        (0, 1) => "1 second".to_owned(),
        (0, _) => format!("{} seconds", dose_number(&whole.to_string())),
        _ => format!("{} ms", dose_number(&limit_ms.to_string())),
    }
}

fn rows(clause: &Clause<'_>) -> Cell {
    let Some(rows) = clause.rows else {
        return Cell::text("Not counted");
    };
    let number = dose_number(&rows.to_string());
    let words = if clause.more {
        format!("{number} or more")
    } else {
        number
    };
    let share = rows.min(FULL) * 100 / FULL;
    Cell(vec![Piece::Bar(
        u8::try_from(share.max(1)).unwrap_or(100),
        words,
    )])
}

fn steps(strategy: &str, driver: Option<usize>, clauses: &[Clause<'_>]) -> Table {
    let columns = ["Step", "What is done", "Index rows"];
    let mut table = Table::new("Steps", &columns, "No steps.");
    let mut number = 0;
    let mut step = || {
        number += 1;
        Cell::text(&number.to_string())
    };
    let first = Cell::text(strategy).and(Piece::Tag(
        if driver.is_some() {
            Tone::Good
        } else {
            Tone::Warn
        },
        if driver.is_some() { "Leads" } else { "Walks" }.to_owned(),
    ));
    let counted = driver
        .and_then(|at| clauses.get(at))
        .map_or_else(Cell::default, rows);
    table = table.row(vec![step(), first, counted]);
    for (at, clause) in clauses.iter().enumerate() {
        if Some(at) != driver {
            let what = Cell::text(&format!("Test: {}", clause.tests));
            table = table.row(vec![step(), what, rows(clause)]);
        }
    }
    table
}

/// What bounds every search: beyond it, it is refused or cut, and the answer says so.
fn bounds(limits: &Limits, limit_ms: Option<u64>) -> Vec<(String, String)> {
    let number = |number: usize| dose_number(&number.to_string());
    let row = |what: &str, most: String| (what.to_owned(), most);
    let mut rows = vec![
        row(
            "Conditions",
            format!("{}; more are refused", number(limits.clauses)),
        ),
        row(
            "Values of one condition",
            format!("{}; more are refused", number(limits.alternatives)),
        ),
        row(
            "References followed one after another",
            format!("{}; longer chains are refused", number(limits.chain_depth)),
        ),
        row(
            "Sort keys",
            format!("{}; more are refused", number(limits.sort_keys)),
        ),
        row(
            "Resources brought in beside the matches",
            format!(
                "{} on a page; the answer says where it was cut",
                number(limits.included)
            ),
        ),
        row(
            "Matches on a page",
            format!(
                "{} unless asked otherwise, {} at most",
                dose_number(&limits.page_default.to_string()),
                dose_number(&limits.page_max.to_string())
            ),
        ),
    ];
    if let Some(limit) = limit_ms {
        rows.insert(
            0,
            row(
                "Time",
                format!("{}; then it is refused as too costly", seconds(limit)),
            ),
        );
    }
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_becomes_steps() {
        let part = |tests: &str, rows: u64, more: bool| {
            json!({"name": "clause", "part": [{"name": "tests", "valueString": tests},
                {"name": "rows", "valueDecimal": rows}, {"name": "more", "valueBoolean": more}]})
        };
        let answer = json!({"resourceType": "Parameters", "parameter": [
            {"name": "strategy", "valueString": "list the rows of clause 1, test the others, then sort"},
            {"name": "driver", "valueInteger": 1},
            part("gender", 2000, true), part("family begins with", 7, false),
            {"name": "statement", "valueString": "the statement"},
            {"name": "engine", "valueString": "SCAN"}, {"name": "engine", "valueString": "SORT"},
            {"name": "limit", "valueQuantity": {"value": 10_000}},
        ]});
        let plan = plan(answer.to_string().into_bytes(), &Limits::default()).unwrap();
        assert!(
            plan.lead.ends_with("stopped after 10 seconds."),
            "{}",
            plan.lead
        );
        assert_eq!(plan.engine, "SCAN\nSORT");
        insta::assert_debug_snapshot!(plan.steps.rows);
    }

    #[test]
    fn a_walk_leads_with_nothing() {
        let answer = json!({"parameter": [{"name": "strategy", "valueString": "walk all of Patient by row, until the page is full"}]});
        let plan = plan(answer.to_string().into_bytes(), &Limits::default()).unwrap();
        assert!(plan.lead.starts_with("No condition leads"));
        assert_eq!(plan.steps.rows.len(), 1);
    }
}
