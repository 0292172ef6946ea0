//! The language of `_text` and `_content`: words, phrases in quotes, AND, OR, NOT and parentheses, as FHIR
//! R4 suggests (`(bone OR liver) and metastases`). Words side by side must all occur; commas are ORs. Must
//! not know how words are indexed.

use fhir::search::{fold_words, ordered_words};
use store::{Clause, Predicate, WordScope};

use crate::error::QueryError;
use crate::record::clauses::{any_of, malformed, too_many};

/// Words of a phrase at most.
const LONGEST_PHRASE: usize = 20;

/// How much one value may ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Deepest nesting.
    pub depth: usize,
    /// Words and phrases.
    pub tests: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Phrase(String),
    Text(String),
}

/// The predicate of one value of `name`.
pub(crate) fn predicate(
    name: &str,
    scope: WordScope,
    text: &str,
    bounds: Bounds,
) -> Result<Predicate, QueryError> {
    let tokens = tokens(name, text)?;
    if tokens.len() > bounds.tests {
        return Err(too_many(format!(
            "{name} has more than {} words, phrases and operators: ask for fewer",
            bounds.tests
        )));
    }
    let mut parser = Parser {
        name,
        scope,
        rest: tokens.into_iter().peekable(),
        depth: bounds.depth,
    };
    let found = parser.any(0)?;
    match parser.rest.next() {
        None => Ok(found),
        Some(_) => Err(malformed(
            name,
            "a parenthesis is closed that was not opened",
        )),
    }
}

fn tokens(name: &str, text: &str) -> Result<Vec<Token>, QueryError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        rest = match first {
            '(' | ')' => {
                tokens.push(if first == '(' {
                    Token::Open
                } else {
                    Token::Close
                });
                after
            }
            '"' => {
                let (phrase, after) = after
                    .split_once('"')
                    .ok_or_else(|| malformed(name, "a quote is not closed"))?;
                tokens.push(Token::Phrase(phrase.to_owned()));
                after
            }
            c if c.is_whitespace() => after,
            _ => {
                let end = rest
                    .find(|c: char| matches!(c, '(' | ')' | '"') || c.is_whitespace())
                    .unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                tokens.push(match word.to_ascii_lowercase().as_str() {
                    "and" => Token::And,
                    "or" => Token::Or,
                    "not" => Token::Not,
                    _ => Token::Text(word.to_owned()),
                });
                after
            }
        };
    }
    Ok(tokens)
}

struct Parser<'n> {
    name: &'n str,
    scope: WordScope,
    rest: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Predicate, QueryError> {
        if depth > self.depth {
            return Err(too_many(format!(
                "{} is nested more than {} deep: ask more simply",
                self.name, self.depth
            )));
        }
        let mut each = vec![self.all(depth)?];
        while self.rest.next_if_eq(&Token::Or).is_some() {
            each.push(self.all(depth)?);
        }
        Ok(one_or(each, |each| vec![any_of(each)]))
    }

    fn all(&mut self, depth: usize) -> Result<Predicate, QueryError> {
        let mut each = vec![self.one(depth)?];
        loop {
            let joined = self.rest.next_if_eq(&Token::And).is_some();
            let goes_on = !matches!(self.rest.peek(), None | Some(Token::Close | Token::Or));
            if !joined && !goes_on {
                break;
            }
            each.push(self.one(depth)?);
        }
        Ok(one_or(each, |each| {
            each.into_iter().map(|one| any_of(vec![one])).collect()
        }))
    }

    fn one(&mut self, depth: usize) -> Result<Predicate, QueryError> {
        let scope = self.scope;
        match self.rest.next() {
            Some(Token::Open) => {
                let inner = self.any(depth + 1)?;
                if self.rest.next_if_eq(&Token::Close).is_none() {
                    return Err(malformed(self.name, "a parenthesis is not closed"));
                }
                Ok(inner)
            }
            Some(Token::Not) => {
                let negated = Clause {
                    negated: true,
                    any_of: vec![self.one(depth)?],
                };
                Ok(Predicate::All(vec![negated]))
            }
            Some(Token::Phrase(text)) => {
                let words = ordered_words(&text);
                if words.len() > LONGEST_PHRASE {
                    return Err(too_many(format!(
                        "a phrase of {} has more than {LONGEST_PHRASE} words: shorten it",
                        self.name
                    )));
                }
                match words.len() {
                    0 => Err(malformed(self.name, "give at least one word")),
                    1 => Ok(Predicate::Words { scope, words }),
                    _ => Ok(Predicate::Phrase { scope, words }),
                }
            }
            Some(Token::Text(text)) => {
                let words = fold_words(&text);
                if words.is_empty() {
                    return Err(malformed(self.name, "give at least one word"));
                }
                Ok(Predicate::Words { scope, words })
            }
            Some(Token::Close | Token::And | Token::Or) | None => Err(malformed(
                self.name,
                "a word is missing: write words, \"a phrase\", AND, OR, NOT and parentheses; a quoted \"and\" is a word",
            )),
        }
    }
}

/// The only one, or what is made of several.
fn one_or(mut each: Vec<Predicate>, make: impl FnOnce(Vec<Predicate>) -> Vec<Clause>) -> Predicate {
    match (each.len(), each.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            each.extend(last);
            Predicate::All(make(each))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        depth: 3,
        tests: 20,
    };

    fn shown(predicate: &Predicate) -> String {
        match predicate {
            Predicate::Words { words, .. } => words.join("+"),
            Predicate::Phrase { words, .. } => format!("<{}>", words.join(" ")),
            Predicate::All(clauses) => {
                let clauses: Vec<String> = clauses
                    .iter()
                    .map(|clause| {
                        let any: Vec<String> = clause.any_of.iter().map(shown).collect();
                        let not = if clause.negated { "!" } else { "" };
                        format!("{not}{}", any.join("|"))
                    })
                    .collect();
                format!("({})", clauses.join("&"))
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn words_phrases_and_operators_are_read() {
        for (text, meant) in [
            ("pain", "pain"),
            ("Pain Brust", "(pain&brust)"),
            ("pain AND fever", "(pain&fever)"),
            ("pain or fever cough", "(pain|(fever&cough))"),
            (
                "(bone OR liver) and metastases",
                "((bone|liver)&metastases)",
            ),
            ("\"heart attack\" NOT old", "(<heart attack>&(!old))"),
            ("not not x", "((!(!x)))"),
            ("\"and\"", "and"),
            ("covid-19", "19+covid"),
            ("\"covid-19 test\"", "<covid 19 test>"),
            ("a(b)c", "(a&b&c)"),
        ] {
            let found = predicate("_text", WordScope::Narrative, text, BOUNDS).unwrap();
            // NOT of NOT: a conjunction of one, twice.
            assert_eq!(
                shown(&found),
                meant.replace("((!(!x)))", "(!(!x))"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "",
            "  ",
            "and",
            "a and",
            "or a",
            "not",
            "(",
            "()",
            "(a",
            "a)",
            "\"a",
            "\"\"",
            "-",
            "a and or b",
        ] {
            let found = predicate("_text", WordScope::Narrative, text, BOUNDS);
            assert!(
                matches!(found, Err(QueryError::Malformed { .. })),
                "{text}: {found:?}"
            );
        }
        let deep = format!("{}a{}", "(".repeat(5), ")".repeat(5));
        let wide = "a ".repeat(21);
        let long = format!("\"{}\"", "a ".repeat(21));
        for text in [deep, wide, long] {
            let found = predicate("_text", WordScope::Narrative, &text, BOUNDS);
            assert!(
                matches!(found, Err(QueryError::TooMany { .. })),
                "{text}: {found:?}"
            );
        }
    }
}
