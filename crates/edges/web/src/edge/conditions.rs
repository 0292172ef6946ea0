//! Conditions of a search as a person builds them: a parameter, how it compares, a value; and what each
//! part of a query asks, in words. Must not search.

use app::AppError;
use app::record::query_string;
use fhir::search::{ParamKind, SearchParam};

use super::form::Form;
use crate::clinical::code::words;
use crate::components::Choice;
use crate::pages::search::Condition;

/// Conditions at most; the query as text takes any number.
pub const MOST: usize = 12;

/// How a comparison is written into a query.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// `name=value`.
    Plain,
    /// `name:modifier=value`.
    Modifier,
    /// `name=prefixvalue`.
    Prefix,
    /// `name:missing=true`, or `false`; it has no value.
    Missing(bool),
}

/// A comparison: its code in the form, in words, how it is written.
type Comparison = (&'static str, &'static str, Written);

/// Groups of comparisons: name, kinds of parameters they fit (none: all).
const GROUPS: [(&str, &str, &[Comparison]); 5] = [
    (
        "Every kind",
        "",
        &[
            ("", "is (text: begins with)", Written::Plain),
            ("present", "is recorded", Written::Missing(false)),
            ("missing", "is not recorded", Written::Missing(true)),
        ],
    ),
    (
        "Text",
        "string uri",
        &[
            ("exact", "is exactly", Written::Modifier),
            ("contains", "contains", Written::Modifier),
        ],
    ),
    (
        "Dates, numbers, quantities",
        "date number quantity",
        &[
            ("ge", "at least, or on or after", Written::Prefix),
            ("gt", "more than, or after", Written::Prefix),
            ("le", "at most, or on or before", Written::Prefix),
            ("lt", "less than, or before", Written::Prefix),
            ("ne", "is not equal to", Written::Prefix),
            ("ap", "is about", Written::Prefix),
        ],
    ),
    (
        "Codes",
        "token",
        &[
            ("not", "is not", Written::Modifier),
            ("text", "has a name beginning with", Written::Modifier),
            ("in", "is in the value set", Written::Modifier),
            ("not-in", "is not in the value set", Written::Modifier),
            ("below", "is, or stands below", Written::Modifier),
            ("above", "is, or stands above", Written::Modifier),
            ("of-type", "is an identifier of type", Written::Modifier),
        ],
    ),
    (
        "References",
        "reference",
        &[("identifier", "leads to the identifier", Written::Modifier)],
    ),
];

fn comparison(code: &str) -> Option<&'static Comparison> {
    GROUPS
        .iter()
        .flat_map(|(_, _, comparisons)| *comparisons)
        .find(|(known, _, _)| *known == code)
}

/// A condition as it came.
#[derive(Clone, Default)]
pub struct Asked<'q> {
    name: &'q str,
    compares: &'q str,
    value: &'q str,
}

impl Asked<'_> {
    fn is_empty(&self) -> bool {
        self.name.is_empty() && self.value.is_empty()
    }
    fn written(&self) -> Option<(String, String)> {
        let (code, _, written) = comparison(self.compares)?;
        if self.name.is_empty() {
            return None;
        }
        if let Written::Missing(missing) = written {
            return Some((format!("{}:missing", self.name), missing.to_string()));
        }
        if self.value.is_empty() {
            return None;
        }
        Some(match written {
            Written::Modifier => (format!("{}:{code}", self.name), self.value.to_owned()),
            Written::Prefix => {
                let parts: Vec<String> = self
                    .value
                    .split(',')
                    .map(|part| format!("{code}{}", part.trim()))
                    .collect();
                (self.name.to_owned(), parts.join(","))
            }
            _ => (self.name.to_owned(), self.value.to_owned()),
        })
    }
}

/// The conditions of a form; empty ones and the one to be removed are left out.
pub fn of(query: &Form) -> Vec<Asked<'_>> {
    let removed: Option<usize> = query.text("less").parse().ok();
    let mut compares = query.all("c");
    let mut values = query.all("v");
    query
        .all("p")
        .enumerate()
        .map(|(at, name)| {
            let asked = Asked {
                name: name.trim(),
                compares: compares.next().unwrap_or_default(),
                value: values.next().unwrap_or_default().trim(),
            };
            (at + 1, asked)
        })
        .filter(|(number, asked)| Some(*number) != removed && !asked.is_empty())
        .map(|(_, asked)| asked)
        .take(MOST)
        .collect()
}

/// The query they make, with the rest of it as text.
pub fn params(asked: &[Asked<'_>], text: &str) -> Result<Vec<(String, String)>, AppError> {
    let mut params: Vec<(String, String)> = asked.iter().filter_map(Asked::written).collect();
    let text = text.trim_start_matches('?');
    let more = query_string::parse(text).ok_or_else(|| {
        AppError::Invalid("the query as text has a broken percent escape: correct it".to_owned())
    })?;
    params.extend(more);
    Ok(params)
}

/// Conditions with a parameter but without the value it needs: their numbers.
pub fn unfinished(asked: &[Asked<'_>]) -> Vec<usize> {
    let lacking = |one: &Asked<'_>| one.written().is_none();
    asked
        .iter()
        .enumerate()
        .filter(|(_, one)| lacking(one))
        .map(|(at, _)| at + 1)
        .collect()
}

/// The conditions as they are edited; `more` adds an empty one.
pub fn edited(asked: &[Asked<'_>], more: bool, known: &[SearchParam]) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = asked.iter().map(|one| condition(one, known)).collect();
    if conditions.is_empty() || (more && conditions.len() < MOST) {
        let mut empty = condition(&Asked::default(), known);
        empty.focus = more;
        conditions.push(empty);
    }
    conditions
}

fn condition(asked: &Asked<'_>, known: &[SearchParam]) -> Condition {
    let param = known.iter().find(|param| param.code == asked.name);
    let mut names = vec![Choice::new("", "Choose a parameter", asked.name.is_empty())];
    names.extend(known.iter().map(|param| {
        let kind = param.kind.code();
        let label = format!("{} ({kind})", param.code);
        Choice::new(param.code, &label, param.code == asked.name).hint(kind)
    }));
    if param.is_none() && !asked.name.is_empty() {
        let label = format!("{} (not of this type)", asked.name);
        names.push(Choice::new(asked.name, &label, true));
    }
    let comparisons = GROUPS
        .iter()
        .map(|(group, kinds, comparisons)| {
            let choices = comparisons
                .iter()
                .map(|(code, words, _)| Choice::new(code, words, *code == asked.compares))
                .collect();
            (*group, *kinds, choices)
        })
        .collect();
    Condition {
        names,
        comparisons,
        value: asked.value.to_owned(),
        kind: param.map_or_else(String::new, |param| words(param.kind.code())),
        place: param.map_or_else(String::new, |param| param.expression.to_owned()),
        hint: param.map_or_else(
            || "Choose a parameter, how it compares, and a value".to_owned(),
            hint,
        ),
        focus: false,
    }
}

fn hint(param: &SearchParam) -> String {
    match param.kind {
        ParamKind::Token => "A code, or system|code. A comma means or.".to_owned(),
        ParamKind::String => {
            "The beginning of a text; accents and capitals do not count.".to_owned()
        }
        ParamKind::Date => {
            "A year, month or day such as 2026-03-05, or a time with its zone.".to_owned()
        }
        ParamKind::Number => "A number such as 5.4.".to_owned(),
        ParamKind::Quantity => {
            "A number, or number|system|unit such as 5.4|http://unitsofmeasure.org|mmol/L."
                .to_owned()
        }
        ParamKind::Reference => {
            let definitions = fhir::Definitions::r4();
            let names: Vec<&str> = param
                .targets
                .iter()
                .take(4)
                .map(|ty| definitions.resource_name(*ty))
                .collect();
            let more = if param.targets.len() > 4 {
                " and others"
            } else {
                ""
            };
            if names.is_empty() {
                "Type/id, such as Organization/north.".to_owned()
            } else {
                format!("Type/id. Leads to {}{more}.", names.join(", "))
            }
        }
        ParamKind::Uri => "The whole address.".to_owned(),
        ParamKind::Composite => {
            let parts: Vec<&str> = param.components.iter().map(|part| part.code).collect();
            format!("Values joined with $, in this order: {}.", parts.join(", "))
        }
        ParamKind::Special => {
            "Has rules of its own, which FHIR's page on searching gives.".to_owned()
        }
    }
}

/// What each part of a query asks: parameter, in words, value.
pub fn asks(params: &[(String, String)], known: &[SearchParam]) -> Vec<(String, String, String)> {
    params
        .iter()
        .map(|(name, value)| {
            let (words, value) = ask(name, value, known);
            let shown = name.strip_suffix(":missing").unwrap_or(name);
            (shown.to_owned(), words, value)
        })
        .collect()
}

fn ask(name: &str, value: &str, known: &[SearchParam]) -> (String, String) {
    let said = |words: &str| (words.to_owned(), value.replace(',', " or "));
    let list = |words: &str| (words.to_owned(), value.replace(',', ", "));
    let (first, modifier) = name.split_once(':').unwrap_or((name, ""));
    match first {
        "_sort" => return list("sorts by (- is downwards)"),
        "_count" => return said("matches on a page"),
        "_include" => return said("with what the matches refer to"),
        "_revinclude" => return said("with what refers to the matches"),
        "_elements" => return list("shows only"),
        "_summary" => return said("shows the summary"),
        "_total" => return said("counts the matches"),
        "_filter" => return said("matches the expression"),
        "_list" => return said("is on the list"),
        "_text" => return said("has words in its narrative"),
        "_content" => return said("has words anywhere"),
        "_has" => {
            let words = format!("is referred to by {}, with", modifier.replace(':', ", "));
            return (words, value.to_owned());
        }
        _ => {}
    }
    if let Some((_, rest)) = name.split_once('.') {
        return said(&format!("leads to something whose {rest} is"));
    }
    let kind = known
        .iter()
        .find(|param| param.code == first)
        .map(|param| param.kind);
    if modifier == "missing" {
        let words = if value == "false" {
            "is recorded"
        } else {
            "is not recorded"
        };
        return (words.to_owned(), String::new());
    }
    if let Some((_, words, _)) = comparison(modifier).filter(|_| !modifier.is_empty()) {
        return said(words);
    }
    match kind {
        Some(ParamKind::String) => said("begins with"),
        Some(ParamKind::Date) => compared(value, &DATES),
        Some(ParamKind::Number | ParamKind::Quantity) => compared(value, &NUMBERS),
        Some(ParamKind::Reference) => said("is"),
        _ => said(if modifier.is_empty() {
            "is"
        } else {
            "compares with"
        }),
    }
}

const DATES: [(&str, &str); 9] = [
    ("ge", "is on or after"),
    ("gt", "is after"),
    ("le", "is on or before"),
    ("lt", "is before"),
    ("sa", "begins after"),
    ("eb", "ends before"),
    ("ne", "is not"),
    ("ap", "is about"),
    ("eq", "is"),
];
const NUMBERS: [(&str, &str); 9] = [
    ("ge", "is at least"),
    ("gt", "is more than"),
    ("le", "is at most"),
    ("lt", "is less than"),
    ("sa", "is above"),
    ("eb", "is below"),
    ("ne", "is not"),
    ("ap", "is about"),
    ("eq", "is"),
];

/// A value with a prefix, in words; alternatives keep their prefixes.
fn compared(value: &str, words: &[(&str, &str)]) -> (String, String) {
    if !value.contains(',')
        && let Some((rest, said)) = words
            .iter()
            .find_map(|(prefix, said)| Some((value.strip_prefix(prefix)?, said)))
    {
        return ((*said).to_owned(), rest.to_owned());
    }
    ("is".to_owned(), value.replace(',', " or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> &'static [SearchParam] {
        let definitions = fhir::Definitions::r4();
        definitions.search_params(definitions.resource("Observation").unwrap())
    }

    #[test]
    fn rows_become_a_query() {
        let form = Form::parse(
            "p=date&c=ge&v=2026-01,2026-02&p=code&c=not&v=a&p=status&c=missing&v=&p=&c=&v=&p=value-quantity&c=&v=5&less=5&query=_sort%3D-date",
        );
        let asked = of(&form);
        assert!(unfinished(&asked).is_empty());
        let written = params(&asked, form.text("query")).unwrap();
        let shown: Vec<String> = written.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(
            shown,
            [
                "date=ge2026-01,ge2026-02",
                "code:not=a",
                "status:missing=true",
                "_sort=-date"
            ]
        );
    }

    #[test]
    fn what_lacks_its_value_or_its_parameter_is_named() {
        let form = Form::parse("p=date&c=ge&v=&p=&c=&v=x&p=code&c=&v=y&p=code&c=nosuch&v=y");
        assert_eq!(unfinished(&of(&form)), [1, 2, 4]);
    }

    #[test]
    fn queries_in_words() {
        for (name, value, shown) in [
            ("date", "ge2026-03", "is on or after 2026-03"),
            ("date", "2026,2025", "is 2026 or 2025"),
            ("value-quantity", "gt5", "is more than 5"),
            ("code", "a,b", "is a or b"),
            ("code:in", "http://v", "is in the value set http://v"),
            ("status:missing", "true", "is not recorded "),
            (
                "subject:Patient.name",
                "ann",
                "leads to something whose name is ann",
            ),
            (
                "_has:Provenance:target:agent",
                "x",
                "is referred to by Provenance, target, agent, with x",
            ),
            (
                "_sort",
                "-date,code",
                "sorts by (- is downwards) -date, code",
            ),
        ] {
            let (words, value) = ask(name, value, known());
            assert_eq!(format!("{words} {value}"), shown, "{name}");
        }
    }

    #[test]
    fn every_parameter_of_every_type_has_a_hint() {
        let definitions = fhir::Definitions::r4();
        for ty in definitions.resource_types() {
            for param in definitions.search_params(ty) {
                assert!(hint(param).ends_with('.'), "{}", param.code);
            }
        }
    }
}
