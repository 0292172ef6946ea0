//! The query language of GraphQL (specification of June 2018, sections 2.1 to 2.12), without mutations and
//! subscriptions: from text to a tree, within limits. Pure; must not know FHIR.

use std::collections::HashMap;

/// Bytes of a document at most.
pub const BYTES: usize = 64 << 10;
/// Nesting of selections and values at most.
pub const DEPTH: usize = 32;
/// Tokens at most.
const TOKENS: usize = 20_000;
/// Characters of a name; names of fields become names in the answer, as often as their element occurs.
const MAX_NAME: usize = 256;

/// A document that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// Not GraphQL.
    #[error("the query is not GraphQL: {what} at line {line}, column {column}")]
    Malformed {
        /// What is wrong.
        what: String,
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
    },
    /// Longer or deeper than the limits.
    #[error("the query {0}: split it")]
    TooLarge(&'static str),
    /// An operation that is not offered.
    #[error("{0} is not offered: only queries are")]
    NotOffered(&'static str),
}

/// A value as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `$name`.
    Variable(String),
    /// A number, as written.
    Number(String),
    /// A string.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// `null`.
    Null,
    /// A bare word.
    Word(String),
    /// `[..]`.
    List(Vec<Literal>),
    /// `{..}`.
    Object(Vec<(String, Literal)>),
}

/// `name: value`.
pub type Argument = (String, Literal);

/// `@name(..)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Directive {
    /// Without the `@`.
    pub name: String,
    /// In order.
    pub arguments: Vec<Argument>,
}

/// One selection.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// A field.
    Field(Field),
    /// `...name`.
    Spread {
        /// The fragment.
        name: String,
        /// In order.
        directives: Vec<Directive>,
    },
    /// `... on Type {..}`.
    Inline {
        /// The type; none: any.
        on: Option<String>,
        /// In order.
        directives: Vec<Directive>,
        /// What is selected.
        selections: Vec<Selection>,
    },
}

/// A field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// What it is called in the answer, where that is not its name.
    pub alias: Option<String>,
    /// Its name.
    pub name: String,
    /// In order.
    pub arguments: Vec<Argument>,
    /// In order.
    pub directives: Vec<Directive>,
    /// What is selected of it.
    pub selections: Vec<Selection>,
}

impl Field {
    /// What it is called in the answer.
    #[must_use]
    pub fn key(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

/// A variable of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// Without the `$`.
    pub name: String,
    /// Whether its type ends with `!`.
    pub required: bool,
    /// Its value where none is given.
    pub default: Option<Literal>,
}

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its name.
    pub name: Option<String>,
    /// In order.
    pub variables: Vec<Variable>,
    /// What is selected.
    pub selections: Vec<Selection>,
}

/// A named fragment.
#[derive(Debug, Clone, PartialEq)]
pub struct Fragment {
    /// The type it applies to.
    pub on: String,
    /// What is selected.
    pub selections: Vec<Selection>,
}

/// A document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// In order.
    pub operations: Vec<Operation>,
    /// By name.
    pub fragments: HashMap<String, Fragment>,
}

/// Reads a document.
///
/// # Errors
/// What is no GraphQL, too large, or not offered.
pub fn parse(text: &str) -> Result<Query, SyntaxError> {
    if text.len() > BYTES {
        return Err(SyntaxError::TooLarge("has more than 64 KiB"));
    }
    let tokens = Lexer { text, at: 0 }.all()?;
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        depth: 0,
    };
    parser.document()
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Mark(char),
    Spread,
    Name(String),
    Number(String),
    Text(String),
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

fn malformed(text: &str, at: usize, what: impl Into<String>) -> SyntaxError {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = at - before.rfind('\n').map_or(0, |end| end + 1) + 1;
    SyntaxError::Malformed {
        what: what.into(),
        line,
        column,
    }
}

impl Lexer<'_> {
    fn all(mut self) -> Result<Vec<(usize, Token)>, SyntaxError> {
        let mut tokens = Vec::new();
        loop {
            self.blank();
            let begin = self.at;
            let Some(token) = self.token()? else {
                return Ok(tokens);
            };
            tokens.push((begin, token));
            if tokens.len() > TOKENS {
                return Err(SyntaxError::TooLarge("has too many parts"));
            }
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest
                .find(|c: char| !matches!(c, ' ' | '\t' | '\n' | '\r' | ',' | '\u{feff}'))
                .unwrap_or(rest.len());
            let comment = rest.get(blank..).filter(|rest| rest.starts_with('#'));
            let skipped = comment.map_or(0, |rest| rest.find('\n').unwrap_or(rest.len()));
            self.at += blank + skipped;
            if skipped == 0 {
                return;
            }
        }
    }

    fn token(&mut self) -> Result<Option<Token>, SyntaxError> {
        let Some(first) = self.rest().chars().next() else {
            return Ok(None);
        };
        let token = match first {
            '!' | '$' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '|' | '}' | '&' => {
                self.at += 1;
                Token::Mark(first)
            }
            '.' if self.rest().starts_with("...") => {
                self.at += 3;
                Token::Spread
            }
            'a'..='z' | 'A'..='Z' | '_' => Token::Name(self.name()?),
            '-' | '0'..='9' => Token::Number(self.number()?),
            '"' if self.rest().starts_with("\"\"\"") => Token::Text(self.block()?),
            '"' => Token::Text(self.string()?),
            other => {
                let what = format!("unexpected character {other:?}");
                return Err(malformed(self.text, self.at, what));
            }
        };
        Ok(Some(token))
    }

    fn taken(&mut self, until: usize) -> String {
        let taken = self.rest().get(..until).unwrap_or_default().to_owned();
        self.at += until;
        taken
    }

    fn name(&mut self) -> Result<String, SyntaxError> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        if end > MAX_NAME {
            let what = format!("a name of more than {MAX_NAME} characters");
            return Err(malformed(self.text, self.at, what));
        }
        Ok(self.taken(end))
    }

    fn number(&mut self) -> Result<String, SyntaxError> {
        let begin = self.at;
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-')))
            .unwrap_or(rest.len());
        let number = self.taken(end);
        let right = serde_json::from_str::<serde_json::Number>(&number).is_ok();
        if right {
            Ok(number)
        } else {
            Err(malformed(self.text, begin, "a malformed number"))
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let begin = self.at;
        let open = || malformed(self.text, begin, "a string that does not end");
        let mut end = 1;
        let mut escaped = false;
        for byte in self.rest().bytes().skip(1) {
            end += 1;
            match byte {
                b'\n' | b'\r' => return Err(open()),
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    // The escapes are those of JSON.
                    let quoted = self.rest().get(..end).unwrap_or_default();
                    let text = serde_json::from_str(quoted)
                        .map_err(|_| malformed(self.text, begin, "a malformed string"))?;
                    self.at += end;
                    return Ok(text);
                }
                _ => {}
            }
        }
        Err(open())
    }

    fn block(&mut self) -> Result<String, SyntaxError> {
        let begin = self.at;
        let inner = self.rest().get(3..).unwrap_or_default();
        let mut from = 0;
        loop {
            let found = inner.get(from..).and_then(|rest| rest.find("\"\"\""));
            let Some(end) = found.map(|end| from + end) else {
                return Err(malformed(
                    self.text,
                    begin,
                    "a block string that does not end",
                ));
            };
            let escaped = inner.get(..end).is_some_and(|text| text.ends_with('\\'));
            if escaped {
                from = end + 3;
                continue;
            }
            let text = inner.get(..end).unwrap_or_default();
            let text = text.replace("\\\"\"\"", "\"\"\"");
            self.at += end + 6;
            return Ok(text.trim_matches(['\n', '\r']).to_owned());
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(_, token)| token.clone());
        self.at += 1;
        token
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, SyntaxError> {
        let place = self
            .tokens
            .get(self.at)
            .map_or(self.text.len(), |(at, _)| *at);
        Err(malformed(self.text, place, format!("expected {expected}")))
    }

    fn is(&self, mark: char) -> bool {
        self.peek() == Some(&Token::Mark(mark))
    }

    fn take(&mut self, mark: char) -> bool {
        let is = self.is(mark);
        if is {
            self.at += 1;
        }
        is
    }

    fn expect(&mut self, mark: char) -> Result<(), SyntaxError> {
        if self.take(mark) {
            Ok(())
        } else {
            self.wrong(&format!("{mark:?}"))
        }
    }

    fn name(&mut self) -> Result<String, SyntaxError> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => self.wrong("a name"),
        }
    }

    fn word(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Name(name)) => Some(name),
            _ => None,
        }
    }

    fn deeper(&mut self) -> Result<(), SyntaxError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(SyntaxError::TooLarge("is nested deeper than 32 levels"));
        }
        Ok(())
    }

    fn document(&mut self) -> Result<Query, SyntaxError> {
        let mut query = Query::default();
        while self.peek().is_some() {
            match self.word() {
                Some("fragment") => {
                    self.at += 1;
                    let name = self.name()?;
                    let fragment = self.fragment()?;
                    if name == "on" || query.fragments.insert(name, fragment).is_some() {
                        return self.wrong("fragments with names of their own");
                    }
                }
                Some("mutation") => return Err(SyntaxError::NotOffered("a mutation")),
                Some("subscription") => return Err(SyntaxError::NotOffered("a subscription")),
                Some("query") => {
                    self.at += 1;
                    let operation = self.operation()?;
                    query.operations.push(operation);
                }
                _ if self.is('{') => {
                    let selections = self.selections()?;
                    query.operations.push(Operation {
                        name: None,
                        variables: Vec::new(),
                        selections,
                    });
                }
                _ => return self.wrong("a query or a fragment"),
            }
        }
        if query.operations.is_empty() {
            return self.wrong("a query");
        }
        Ok(query)
    }

    fn operation(&mut self) -> Result<Operation, SyntaxError> {
        let name = if self.word().is_some() {
            Some(self.name()?)
        } else {
            None
        };
        let mut variables = Vec::new();
        if self.take('(') {
            while !self.take(')') {
                variables.push(self.variable()?);
            }
        }
        // Directives of a whole query mean nothing here.
        self.directives()?;
        Ok(Operation {
            name,
            variables,
            selections: self.selections()?,
        })
    }

    fn variable(&mut self) -> Result<Variable, SyntaxError> {
        self.expect('$')?;
        let name = self.name()?;
        self.expect(':')?;
        let mut lists = 0;
        while self.take('[') {
            lists += 1;
            if lists > DEPTH {
                return Err(SyntaxError::TooLarge("is nested deeper than 32 levels"));
            }
        }
        self.name()?;
        let mut required = self.take('!');
        for _ in 0..lists {
            self.expect(']')?;
            required = self.take('!');
        }
        let default = if self.take('=') {
            Some(self.literal()?)
        } else {
            None
        };
        Ok(Variable {
            name,
            required,
            default,
        })
    }

    fn fragment(&mut self) -> Result<Fragment, SyntaxError> {
        if self.name()? != "on" {
            self.at -= 1;
            return self.wrong("on");
        }
        let on = self.name()?;
        self.directives()?;
        Ok(Fragment {
            on,
            selections: self.selections()?,
        })
    }

    fn selections(&mut self) -> Result<Vec<Selection>, SyntaxError> {
        self.expect('{')?;
        self.deeper()?;
        let mut selections = Vec::new();
        while !self.take('}') {
            selections.push(self.selection()?);
        }
        self.depth -= 1;
        if selections.is_empty() {
            self.at -= 1;
            return self.wrong("a field");
        }
        Ok(selections)
    }

    fn selection(&mut self) -> Result<Selection, SyntaxError> {
        if self.peek() != Some(&Token::Spread) {
            return Ok(Selection::Field(self.field()?));
        }
        self.at += 1;
        let on = match self.word() {
            Some("on") => {
                self.at += 1;
                Some(self.name()?)
            }
            Some(_) => {
                return Ok(Selection::Spread {
                    name: self.name()?,
                    directives: self.directives()?,
                });
            }
            None => None,
        };
        Ok(Selection::Inline {
            on,
            directives: self.directives()?,
            selections: self.selections()?,
        })
    }

    fn field(&mut self) -> Result<Field, SyntaxError> {
        let first = self.name()?;
        let (alias, name) = if self.take(':') {
            (Some(first), self.name()?)
        } else {
            (None, first)
        };
        Ok(Field {
            alias,
            name,
            arguments: self.arguments()?,
            directives: self.directives()?,
            selections: if self.is('{') {
                self.selections()?
            } else {
                Vec::new()
            },
        })
    }

    fn arguments(&mut self) -> Result<Vec<Argument>, SyntaxError> {
        let mut arguments: Vec<Argument> = Vec::new();
        if !self.take('(') {
            return Ok(arguments);
        }
        while !self.take(')') {
            let name = self.name()?;
            self.expect(':')?;
            arguments.push((name, self.literal()?));
        }
        Ok(arguments)
    }

    fn directives(&mut self) -> Result<Vec<Directive>, SyntaxError> {
        let mut directives = Vec::new();
        while self.take('@') {
            directives.push(Directive {
                name: self.name()?,
                arguments: self.arguments()?,
            });
        }
        Ok(directives)
    }

    fn literal(&mut self) -> Result<Literal, SyntaxError> {
        self.deeper()?;
        let literal = match self.next() {
            Some(Token::Mark('$')) => Literal::Variable(self.name()?),
            Some(Token::Number(number)) => Literal::Number(number),
            Some(Token::Text(text)) => Literal::Text(text),
            Some(Token::Name(name)) => match name.as_str() {
                "true" => Literal::Flag(true),
                "false" => Literal::Flag(false),
                "null" => Literal::Null,
                _ => Literal::Word(name),
            },
            Some(Token::Mark('[')) => {
                let mut items = Vec::new();
                while !self.take(']') {
                    items.push(self.literal()?);
                }
                Literal::List(items)
            }
            Some(Token::Mark('{')) => {
                let mut members = Vec::new();
                while !self.take('}') {
                    let name = self.name()?;
                    self.expect(':')?;
                    members.push((name, self.literal()?));
                }
                Literal::Object(members)
            }
            _ => {
                self.at -= 1;
                return self.wrong("a value");
            }
        };
        self.depth -= 1;
        Ok(literal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_language() {
        let query = parse(
            r#"# of a ward
            query Ward($id: ID!, $codes: [String!]! = ["a", "b"], $n: Int = 3) {
              patient: Patient(id: $id) @first { ...names, name(use: official, n: -1.5e3) { given @flatten } }
              ... on Query @include(if: true) { x(y: {a: [1, null, true], b: """block "quoted" text"""}) }
              ... @skip(if: $no) { z }
            }
            fragment names on Patient { name { family } }"#,
        )
        .unwrap();
        let operation = &query.operations[0];
        assert_eq!(operation.name.as_deref(), Some("Ward"));
        let required: Vec<bool> = operation.variables.iter().map(|v| v.required).collect();
        assert_eq!(required, [true, true, false]);
        assert_eq!(operation.selections.len(), 3);
        let Selection::Field(field) = &operation.selections[0] else {
            panic!()
        };
        assert_eq!((field.key(), field.name.as_str()), ("patient", "Patient"));
        assert_eq!(field.arguments[0].1, Literal::Variable("id".to_owned()));
        assert_eq!(query.fragments["names"].on, "Patient");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let text = |query: &str| parse(query).unwrap_err().to_string();
        assert!(text("{\n  name(\n}").contains("line 3, column 1"));
        for (query, what) in [
            ("", "a query"),
            ("{}", "a field"),
            ("{ a", "a name"),
            ("{ a(b) }", "':'"),
            ("{ a(b: ) }", "a value"),
            ("{ a(b: 1.) }", "number"),
            ("{ a(b: \"x) }", "does not end"),
            ("{ a(b: \"\"\"x) }", "does not end"),
            ("{ a(b: \"\\x\") }", "malformed string"),
            ("{ a } ;", "unexpected character"),
            ("fragment on on X { a }", "names of their own"),
            ("fragment f on X { a }", "a query"),
            ("query { ... on }", "a name"),
            ("mutation { a }", "mutation is not offered"),
            ("subscription { a }", "subscription is not offered"),
        ] {
            assert!(text(query).contains(what), "{query}: {}", text(query));
        }
    }

    #[test]
    fn bombs_are_refused() {
        let deep = format!("{}{}", "{ a ".repeat(40), "}".repeat(40));
        let lists = format!("{{ a(b: {}{}) }}", "[".repeat(40), "]".repeat(40));
        let types = format!("query Q($a: {}X{}) {{ a }}", "[".repeat(40), "]".repeat(40));
        let long = format!("{{ {} }}", "a ".repeat(40_000));
        let many = format!("{{ {} }}", "a ".repeat(21_000));
        for bomb in [deep, lists, types, long, many] {
            assert!(matches!(parse(&bomb), Err(SyntaxError::TooLarge(_))));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}()\\[\\]a-c$@:=!.\"\\\\ \n0-9#-]{0,80}") {
            let _ = parse(&text);
        }
    }
}
