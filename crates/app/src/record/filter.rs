//! `_filter` (FHIR R4, search_filter.html): boolean expressions over search parameters. Read into a tree
//! first, with limits on depth and size, then turned into clauses by the same rules as parameters. What
//! cannot be answered exactly is an error that says so. Must not evaluate anything.

use fhir::definitions::TypeId;
use fhir::search::{
    ConceptQuery, Modifier, ParamKind, Prefix, QueryValue, SearchParam, TextMode, escape, fold,
};
use store::{Clause, Predicate, RangeOp};

use crate::error::QueryError;
use crate::record::clauses::{
    Clauses, any_of, cut, malformed, not_offered, range_op, too_many, updated,
};

const NAME: &str = "_filter";

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    Test(Test),
    Not(Box<Filter>),
    /// From left to right; `and` and `or` have no precedence over each other.
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

/// `path operation value`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    path: Vec<Segment>,
    operation: Operation,
    value: String,
}

/// A name in a path, and what must hold where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    name: String,
    filter: Option<Box<Filter>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Equal,
    Unequal,
    Contains,
    StartsWith,
    EndsWith,
    Range(Prefix),
    Present,
    Overlaps,
    Subsumes,
    SubsumedBy,
    In,
    NotIn,
    Refers,
}

impl Operation {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Equal,
            "ne" => Self::Unequal,
            "co" => Self::Contains,
            "sw" => Self::StartsWith,
            "ew" => Self::EndsWith,
            "gt" => Self::Range(Prefix::Gt),
            "lt" => Self::Range(Prefix::Lt),
            "ge" => Self::Range(Prefix::Ge),
            "le" => Self::Range(Prefix::Le),
            "ap" => Self::Range(Prefix::Ap),
            "sa" => Self::Range(Prefix::Sa),
            "eb" => Self::Range(Prefix::Eb),
            "pr" => Self::Present,
            "po" => Self::Overlaps,
            "ss" => Self::Subsumes,
            "sb" => Self::SubsumedBy,
            "in" => Self::In,
            "ni" => Self::NotIn,
            "re" => Self::Refers,
            _ => return None,
        })
    }
}

/// Whether a text is an expression of at most so much depth and so many tests; what it names is not
/// looked up.
///
/// # Errors
/// What is wrong with it, and where.
pub fn check_filter(text: &str, depth: usize, tests: usize) -> Result<(), QueryError> {
    Reader::new(text, depth, tests).whole().map(|_| ())
}

/// The clause of a filter on a type.
pub(crate) fn clause(
    clauses: &Clauses<'_>,
    ty: TypeId,
    text: &str,
    depth: usize,
) -> Result<Clause, QueryError> {
    let limits = &clauses.app.settings().limits;
    let filter = Reader::new(text, limits.filter_depth, limits.filter_tests).whole()?;
    made(clauses, ty, &filter, depth)
}

fn made(
    clauses: &Clauses<'_>,
    ty: TypeId,
    filter: &Filter,
    depth: usize,
) -> Result<Clause, QueryError> {
    Ok(match filter {
        Filter::Test(test) => tested(clauses, ty, test, depth)?,
        Filter::Not(inner) => {
            let mut clause = made(clauses, ty, inner, depth)?;
            clause.negated = !clause.negated;
            clause
        }
        Filter::And(left, right) => {
            let mut all = Vec::new();
            for side in [left, right] {
                let mut clause = made(clauses, ty, side, depth)?;
                match clause.any_of.as_mut_slice() {
                    // Side by side instead of one in the other.
                    [Predicate::All(inner)] if !clause.negated => all.append(inner),
                    _ => all.push(clause),
                }
            }
            any_of(vec![Predicate::All(all)])
        }
        Filter::Or(left, right) => {
            let mut either = Vec::new();
            for side in [left, right] {
                let clause = made(clauses, ty, side, depth)?;
                if clause.negated {
                    either.push(Predicate::All(vec![clause]));
                } else {
                    either.extend(clause.any_of);
                }
            }
            any_of(either)
        }
    })
}

/// A test at the end of its path. Where it says that something is not there, nothing on the whole path may
/// be there.
fn tested(
    clauses: &Clauses<'_>,
    ty: TypeId,
    test: &Test,
    depth: usize,
) -> Result<Clause, QueryError> {
    let absent = match test.operation {
        Operation::Present => match test.value.as_str() {
            "true" => false,
            "false" => true,
            _ => return Err(malformed(NAME, "give true or false after pr")),
        },
        Operation::NotIn => true,
        _ => false,
    };
    let mut clause = followed(clauses, ty, &test.path, test, depth)?;
    if absent {
        clause.negated = !clause.negated;
    }
    Ok(clause)
}

fn followed(
    clauses: &Clauses<'_>,
    ty: TypeId,
    path: &[Segment],
    test: &Test,
    depth: usize,
) -> Result<Clause, QueryError> {
    let Some((first, rest)) = path.split_first() else {
        return Err(malformed(NAME, "a test has no path"));
    };
    if depth > clauses.app.settings().limits.chain_depth {
        return Err(too_many(format!(
            "{NAME} follows more than {} references: search in several steps",
            clauses.app.settings().limits.chain_depth
        )));
    }
    if rest.is_empty() {
        if first.filter.is_some() {
            return Err(malformed(NAME, "a condition in [ ] is followed by .name"));
        }
        return leaf(clauses, ty, &first.name, test);
    }
    clauses.chain(ty, &first.name, NAME, &mut |target| {
        let mut all_of = vec![followed(clauses, target, rest, test, depth + 1)?];
        if let Some(filter) = &first.filter {
            all_of.push(made(clauses, target, filter, depth + 1)?);
        }
        Ok(all_of)
    })
}

/// A test of one parameter, as what must be there.
fn leaf(clauses: &Clauses<'_>, ty: TypeId, code: &str, test: &Test) -> Result<Clause, QueryError> {
    let param = clauses.param(ty, code)?;
    if matches!(param.kind, ParamKind::Composite | ParamKind::Special) {
        return Err(not_offered(&format!("{NAME} by {code}")));
    }
    if test.operation == Operation::Present {
        return Ok(any_of(vec![Predicate::Missing {
            param: param.id,
            missing: false,
        }]));
    }
    if code == "_id" {
        return match test.operation {
            Operation::Equal => clauses.clause(ty, "_id", &escape(&test.value), 0),
            _ => Err(unanswerable(param, test.operation)),
        };
    }
    match param.kind {
        ParamKind::String => text(param, test),
        ParamKind::Date => date(clauses, param, code, test),
        ParamKind::Number | ParamKind::Quantity => ranged(clauses, param, test),
        ParamKind::Token => token(clauses, param, test),
        ParamKind::Reference | ParamKind::Uri => addressed(clauses, param, test),
        ParamKind::Composite | ParamKind::Special => Err(not_offered(code)),
    }
}

fn unanswerable(param: &SearchParam, operation: Operation) -> QueryError {
    let advice = match operation {
        Operation::Unequal => "ask for not (... eq ...)",
        Operation::EndsWith => "ask for what it contains (co)",
        _ => "see docs/conformance.md for the operations of each kind",
    };
    not_offered(&format!(
        "this {NAME} operation on the {} parameter {}: it has no exact answer here, {advice}; it",
        param.kind.code(),
        param.code
    ))
}

fn text(param: &SearchParam, test: &Test) -> Result<Clause, QueryError> {
    let folded = fold(&test.value).into_owned();
    if folded.is_empty() {
        return Err(malformed(NAME, "give at least one letter or digit"));
    }
    let mode = match test.operation {
        // Values are never case sensitive in a filter.
        Operation::Equal => {
            return Ok(any_of(vec![Predicate::TextIs {
                param: param.id,
                folded,
            }]));
        }
        Operation::StartsWith => TextMode::Prefix,
        Operation::Contains => TextMode::Contains,
        operation => return Err(unanswerable(param, operation)),
    };
    let value = QueryValue::Text {
        mode,
        folded,
        exact: test.value.clone(),
    };
    store::index::predicate(param, &value)
        .map(any_of)
        .map_err(|error| not_offered(&format!("{} ({error})", param.code)))
}

/// The prefix that compares so, or none.
const fn prefix_of(operation: Operation) -> Option<Prefix> {
    match operation {
        Operation::Equal => Some(Prefix::Eq),
        Operation::Unequal => Some(Prefix::Ne),
        Operation::Range(prefix) => Some(prefix),
        _ => None,
    }
}

const fn letters(prefix: Prefix) -> &'static str {
    match prefix {
        Prefix::Eq => "eq",
        Prefix::Ne => "ne",
        Prefix::Gt => "gt",
        Prefix::Lt => "lt",
        Prefix::Ge => "ge",
        Prefix::Le => "le",
        Prefix::Sa => "sa",
        Prefix::Eb => "eb",
        Prefix::Ap => "ap",
    }
}

/// A value as a parameter takes it: with its prefix before it.
fn prefixed(
    clauses: &Clauses<'_>,
    param: &SearchParam,
    prefix: Prefix,
    value: &str,
) -> Result<QueryValue, QueryError> {
    if value.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(malformed(
            NAME,
            format!("{} takes a date or number after its operation", param.code),
        ));
    }
    let raw = format!("{}{value}", letters(prefix));
    clauses.value(param, Modifier::None, &raw)
}

fn date(
    clauses: &Clauses<'_>,
    param: &SearchParam,
    code: &str,
    test: &Test,
) -> Result<Clause, QueryError> {
    let overlaps = test.operation == Operation::Overlaps;
    let prefix = if overlaps {
        Prefix::Eq
    } else {
        prefix_of(test.operation).ok_or_else(|| unanswerable(param, test.operation))?
    };
    let value = prefixed(clauses, param, prefix, &test.value)?;
    let QueryValue::Range { prefix, lo, hi } = value else {
        return Err(malformed(NAME, "give a date"));
    };
    let op = if overlaps {
        RangeOp::Overlaps
    } else {
        range_op(prefix)
    };
    Ok(any_of(vec![if code == "_lastUpdated" {
        updated(op, lo, hi)
    } else {
        Predicate::Range {
            param: param.id,
            unit: None,
            op,
            lo,
            hi,
        }
    }]))
}

fn ranged(clauses: &Clauses<'_>, param: &SearchParam, test: &Test) -> Result<Clause, QueryError> {
    let prefix = prefix_of(test.operation).ok_or_else(|| unanswerable(param, test.operation))?;
    let value = prefixed(clauses, param, prefix, &test.value)?;
    clauses.predicates(param, value).map(any_of)
}

fn token(clauses: &Clauses<'_>, param: &SearchParam, test: &Test) -> Result<Clause, QueryError> {
    let value = match test.operation {
        // `system|code` as in a parameter; commas and dollars have no meaning here.
        Operation::Equal => clauses.value(param, Modifier::None, &escaped(&test.value))?,
        Operation::StartsWith => clauses.value(param, Modifier::CodeText, &escape(&test.value))?,
        Operation::Subsumes => clauses.value(param, Modifier::Below, &escaped(&test.value))?,
        Operation::SubsumedBy => clauses.value(param, Modifier::Above, &escaped(&test.value))?,
        Operation::In | Operation::NotIn => {
            QueryValue::Concepts(ConceptQuery::ValueSet(test.value.clone()))
        }
        operation => return Err(unanswerable(param, operation)),
    };
    clauses.predicates(param, value).map(any_of)
}

fn addressed(
    clauses: &Clauses<'_>,
    param: &SearchParam,
    test: &Test,
) -> Result<Clause, QueryError> {
    let value = match (test.operation, param.kind) {
        (Operation::Equal, _) | (Operation::Refers, ParamKind::Reference) => {
            clauses.value(param, Modifier::None, &escape(&test.value))?
        }
        (operation, _) => return Err(unanswerable(param, operation)),
    };
    clauses.predicates(param, value).map(any_of)
}

/// Escapes what has a meaning in a parameter but not in a filter; `|` keeps its own.
fn escaped(value: &str) -> String {
    let parts: Vec<String> = value.split('|').map(escape).collect();
    parts.join("|")
}

/// Reads the text of a filter.
struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    most_depth: usize,
    tests: usize,
    most_tests: usize,
}

impl<'t> Reader<'t> {
    const fn new(text: &'t str, most_depth: usize, most_tests: usize) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            most_depth,
            tests: 0,
            most_tests,
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, wanted: &str) -> QueryError {
        malformed(NAME, format!("at character {}: {wanted}", self.chars() + 1))
    }

    fn chars(&self) -> usize {
        self.text
            .get(..self.at)
            .map_or(0, |read| read.chars().count())
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// A word of letters, without taking it.
    fn peek_word(&self) -> &'t str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
            .unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    fn whole(mut self) -> Result<Filter, QueryError> {
        let filter = self.expression()?;
        self.spaces();
        if self.rest().is_empty() {
            Ok(filter)
        } else {
            Err(self.error("give and, or, or nothing more"))
        }
    }

    fn expression(&mut self) -> Result<Filter, QueryError> {
        self.depth += 1;
        if self.depth > self.most_depth {
            return Err(too_many(format!(
                "{NAME} is nested deeper than {}: make it flatter",
                self.most_depth
            )));
        }
        let mut left = self.operand()?;
        loop {
            self.spaces();
            let join = match self.peek_word() {
                "and" => Filter::And as fn(Box<Filter>, Box<Filter>) -> Filter,
                "or" => Filter::Or,
                _ => break,
            };
            self.at += self.peek_word().len();
            let right = self.operand()?;
            left = join(Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Filter, QueryError> {
        self.spaces();
        if self.take("(") {
            return self.closed();
        }
        if self.peek_word() == "not" {
            let before = self.at;
            self.at += 3;
            self.spaces();
            if self.take("(") {
                return Ok(Filter::Not(Box::new(self.closed()?)));
            }
            self.at = before;
        }
        self.test().map(Filter::Test)
    }

    fn closed(&mut self) -> Result<Filter, QueryError> {
        let inner = self.expression()?;
        self.spaces();
        if self.take(")") {
            Ok(inner)
        } else {
            Err(self.error("give )"))
        }
    }

    fn test(&mut self) -> Result<Test, QueryError> {
        self.tests += 1;
        if self.tests > self.most_tests {
            return Err(too_many(format!(
                "{NAME} has more than {} tests: split the search",
                self.most_tests
            )));
        }
        let path = self.path()?;
        self.spaces();
        let word = self.peek_word();
        let operation = Operation::parse(word).ok_or_else(|| {
            self.error(
                "give eq, ne, co, sw, ew, gt, lt, ge, le, ap, sa, eb, pr, po, ss, sb, in, ni or re",
            )
        })?;
        self.at += word.len();
        if !self.rest().starts_with(char::is_whitespace) {
            return Err(self.error("give a space and a value"));
        }
        self.spaces();
        let value = self.value()?;
        Ok(Test {
            path,
            operation,
            value,
        })
    }

    fn path(&mut self) -> Result<Vec<Segment>, QueryError> {
        let mut path = Vec::new();
        loop {
            let mut name = self.peek_word().to_owned();
            if name.is_empty() {
                return Err(self.error("give the name of a search parameter"));
            }
            self.at += name.len();
            // A type named, as in a chain.
            if self.take(":") {
                let typed = self.peek_word();
                self.at += typed.len();
                name = format!("{name}:{typed}");
            }
            let filter = if self.take("[") {
                let filter = self.expression()?;
                self.spaces();
                if !self.take("]") {
                    return Err(self.error("give ]"));
                }
                Some(Box::new(filter))
            } else {
                None
            };
            path.push(Segment { name, filter });
            if !self.take(".") {
                return Ok(path);
            }
        }
    }

    fn value(&mut self) -> Result<String, QueryError> {
        if self.rest().starts_with('"') {
            return self.string();
        }
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ')' | ']'))
            .unwrap_or(rest.len());
        let value = rest.get(..end).unwrap_or_default();
        if value.is_empty() {
            return Err(self.error("give a value"));
        }
        self.at += end;
        Ok(value.to_owned())
    }

    /// A JSON string.
    fn string(&mut self) -> Result<String, QueryError> {
        let rest = self.rest();
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let raw = rest.get(..=at).unwrap_or_default();
                    let value = serde_json::from_str(raw)
                        .map_err(|_| self.error("the string has an escape that JSON does not"))?;
                    self.at += raw.len();
                    return Ok(value);
                }
                _ => {}
            }
        }
        Err(self.error(&format!("the string {} has no end", cut(rest))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Filter, QueryError> {
        Reader::new(text, 8, 12).whole()
    }

    fn shown(filter: &Filter) -> String {
        match filter {
            Filter::Test(test) => {
                let path: Vec<String> = test
                    .path
                    .iter()
                    .map(|segment| match &segment.filter {
                        None => segment.name.clone(),
                        Some(filter) => format!("{}[{}]", segment.name, shown(filter)),
                    })
                    .collect();
                format!("{} {:?} {:?}", path.join("."), test.operation, test.value)
            }
            Filter::Not(inner) => format!("!({})", shown(inner)),
            Filter::And(left, right) => format!("({} & {})", shown(left), shown(right)),
            Filter::Or(left, right) => format!("({} | {})", shown(left), shown(right)),
        }
    }

    #[test]
    fn the_grammar_is_read_from_left_to_right() {
        let cases = [
            (r#"name co "pet""#, r#"name Contains "pet""#),
            (
                r#"given eq "peter" and birthdate ge 2014-10-10"#,
                r#"(given Equal "peter" & birthdate Range(Ge) "2014-10-10")"#,
            ),
            (
                "a eq 1 or b eq 2 and c eq 3",
                r#"((a Equal "1" | b Equal "2") & c Equal "3")"#,
            ),
            (
                "a eq 1 or (b eq 2 and not (c eq 3))",
                r#"(a Equal "1" | (b Equal "2" & !(c Equal "3")))"#,
            ),
            (
                r#"subject:Patient[gender eq male].name sw "a b)""#,
                r#"subject:Patient[gender Equal "male"].name StartsWith "a b)""#,
            ),
            ("  code in http://x/vs  ", r#"code In "http://x/vs""#),
            ("not eq x", r#"not Equal "x""#),
            (r#"name eq "a\"b\\""#, r#"name Equal "a\"b\\""#),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(&read(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_with_its_place() {
        for text in [
            "",
            "name",
            "name co",
            "name xx 1",
            "name eq ",
            "name eq 1 and",
            "name eq 1 nor b eq 2",
            "(name eq 1",
            "name eq 1)",
            "not (name eq 1",
            "name[a eq 1 b eq 2",
            r#"name eq "open"#,
            r#"name eq "\q""#,
            ".name eq 1",
            "name. eq 1",
            "and and and",
            "\u{1f600} eq 1",
        ] {
            let error = read(text).unwrap_err();
            assert!(
                matches!(error, QueryError::Malformed { .. }),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = format!("{}a eq 1{}", "(".repeat(9), ")".repeat(9));
        let wide = ["a eq 1"; 13].join(" or ");
        let inner = format!("{}b eq 1", "a[".repeat(100_000));
        for text in [deep, wide, inner] {
            let error = read(&text).unwrap_err();
            assert!(matches!(error, QueryError::TooMany { .. }), "{error}");
        }
        assert!(read(&["a eq 1"; 12].join(" and ")).is_ok());
    }
}
