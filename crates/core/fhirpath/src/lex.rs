//! Text to tokens (N1, appendix grammar). Keywords come out as names: the parser knows where they mean
//! something.

use std::borrow::Cow;

use crate::error::CompileError;

/// A token and where it starts, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token<'t> {
    pub(crate) at: usize,
    pub(crate) kind: Kind<'t>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind<'t> {
    /// A plain name.
    Name(&'t str),
    /// A name between back ticks.
    Delimited(Cow<'t, str>),
    String(Cow<'t, str>),
    Number(&'t str),
    /// A literal of a date or time, without the `@`.
    Temporal(&'t str),
    /// `%name`, `` %`name` `` or `%'name'`.
    Variable(Cow<'t, str>),
    /// `$this` and its kind, without the `$`.
    Dollar(&'t str),
    /// Operators and brackets.
    Symbol(&'static str),
    End,
}

impl Kind<'_> {
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Name(text) | Self::Number(text) | Self::Symbol(text) => format!("{text:?}"),
            Self::Delimited(text) => format!("`{text}`"),
            Self::String(_) => "a string".to_owned(),
            Self::Temporal(text) => format!("@{text}"),
            Self::Variable(text) => format!("%{text}"),
            Self::Dollar(text) => format!("${text}"),
            Self::End => "the end".to_owned(),
        }
    }
}

const SYMBOLS: [&str; 22] = [
    "!=", "!~", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", "+", "-", "*", "/", "&", "|",
    "<", ">", "=", "~",
];

pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(crate) const fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fail<T>(&self, at: usize, problem: impl Into<String>) -> Result<T, CompileError> {
        Err(failure(self.text, at, problem))
    }

    /// All tokens, the last one [`Kind::End`].
    pub(crate) fn tokens(mut self) -> Result<Vec<Token<'t>>, CompileError> {
        let mut tokens = Vec::new();
        loop {
            self.skip_blanks()?;
            let at = self.at;
            let kind = self.token()?;
            let end = kind == Kind::End;
            tokens.push(Token { at, kind });
            if end {
                return Ok(tokens);
            }
        }
    }

    fn skip_blanks(&mut self) -> Result<(), CompileError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n', '\u{a0}']);
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find(['\n', '\r']).unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                match trimmed.get(2..).unwrap_or_default().find("*/") {
                    Some(end) => self.at += end + 4,
                    None => return self.fail(self.at, "a comment is not closed: add */"),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Kind<'t>, CompileError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Kind::End);
        };
        match first {
            'a'..='z' | 'A'..='Z' | '_' => Ok(Kind::Name(self.word())),
            '0'..='9' => Ok(Kind::Number(self.number())),
            '\'' | '`' => self.quoted(first).map(|text| match first {
                '`' => Kind::Delimited(text),
                _ => Kind::String(text),
            }),
            // Old texts write delimited names this way.
            '"' => self.quoted(first).map(Kind::Delimited),
            '@' => self.temporal(),
            '%' => self.variable(),
            '$' => {
                self.at += 1;
                Ok(Kind::Dollar(self.word()))
            }
            _ => {
                for symbol in SYMBOLS {
                    if rest.starts_with(symbol) {
                        self.at += symbol.len();
                        return Ok(Kind::Symbol(symbol));
                    }
                }
                self.fail(self.at, format!("{first:?} means nothing here: remove it"))
            }
        }
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !keep(byte));
        let taken = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    fn word(&mut self) -> &'t str {
        self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    fn number(&mut self) -> &'t str {
        let start = self.at;
        self.take_while(|byte| byte.is_ascii_digit());
        let mut after = self.rest().bytes();
        if after.next() == Some(b'.') && after.next().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
            self.take_while(|byte| byte.is_ascii_digit());
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Takes `@`, then a date, a date and time, or a time; a `.` belongs to it only before digits.
    fn temporal(&mut self) -> Result<Kind<'t>, CompileError> {
        let from = self.at + 1;
        self.at = from;
        self.take_while(|byte| byte.is_ascii_digit() || byte == b'-');
        if self.rest().starts_with('T') {
            self.at += 1;
            self.take_while(|byte| byte.is_ascii_digit() || byte == b':');
            let mut after = self.rest().bytes();
            if after.next() == Some(b'.') && after.next().is_some_and(|byte| byte.is_ascii_digit())
            {
                self.at += 1;
                self.take_while(|byte| byte.is_ascii_digit());
            }
            self.zone();
        }
        let text = self.text.get(from..self.at).unwrap_or_default();
        if text.is_empty() {
            return self.fail(from, "@ begins a date or time: write one behind it");
        }
        Ok(Kind::Temporal(text))
    }

    /// A zone: `Z` or `+hh:mm`. A `-` or `+` behind a time may also be an operator.
    fn zone(&mut self) {
        let rest = self.rest();
        let end_of_word = |at: usize| {
            rest.as_bytes()
                .get(at)
                .is_none_or(|byte| !byte.is_ascii_alphanumeric())
        };
        if rest.starts_with('Z') && end_of_word(1) {
            self.at += 1;
            return;
        }
        let zone = rest.as_bytes().first_chunk::<6>();
        if let Some([b'+' | b'-', a, b, b':', c, d]) = zone
            && [a, b, c, d].iter().all(|byte| byte.is_ascii_digit())
            && end_of_word(6)
        {
            self.at += 6;
        }
    }

    fn variable(&mut self) -> Result<Kind<'t>, CompileError> {
        self.at += 1;
        if let Some(quote @ ('`' | '\'' | '"')) = self.rest().chars().next() {
            return self.quoted(quote).map(Kind::Variable);
        }
        let name = self.word();
        if name.is_empty() {
            return self.fail(self.at, "% begins a variable: write its name behind it");
        }
        Ok(Kind::Variable(Cow::Borrowed(name)))
    }

    fn quoted(&mut self, quote: char) -> Result<Cow<'t, str>, CompileError> {
        let start = self.at;
        let body = self.text.get(start + 1..).unwrap_or_default();
        let end = body.find([quote, '\\']);
        if let Some(end) = end
            && body.get(end..).is_some_and(|rest| rest.starts_with(quote))
        {
            self.at = start + end + 2;
            return Ok(Cow::Borrowed(body.get(..end).unwrap_or_default()));
        }
        let mut out = String::new();
        let mut chars = body.char_indices();
        while let Some((at, char)) = chars.next() {
            if char == quote {
                self.at = start + at + 2;
                return Ok(Cow::Owned(out));
            }
            if char == '\\' {
                match escape(&mut chars) {
                    Some(char) => out.push(char),
                    None => {
                        return self.fail(
                            start + 1 + at,
                            "this escape is not known: use \\\\ \\/ \\f \\n \\r \\t \\' \\\" \\` or \\uXXXX",
                        );
                    }
                }
            } else {
                out.push(char);
            }
        }
        self.fail(start, "a quoted text is not closed: add the quote")
    }
}

fn escape(chars: &mut core::str::CharIndices<'_>) -> Option<char> {
    Some(match chars.next()?.1 {
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        char @ ('\\' | '/' | '\'' | '"' | '`') => char,
        'u' => {
            let high = unit(chars)?;
            if !(0xd800..0xdc00).contains(&high) {
                return char::from_u32(high);
            }
            (chars.next()?.1 == '\\' && chars.next()?.1 == 'u').then_some(())?;
            let low = unit(chars)?
                .checked_sub(0xdc00)
                .filter(|low| *low < 0x400)?;
            char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)?
        }
        _ => return None,
    })
}

fn unit(chars: &mut core::str::CharIndices<'_>) -> Option<u32> {
    (0..4).try_fold(0, |value, _| {
        Some(value * 16 + chars.next()?.1.to_digit(16)?)
    })
}

/// An error at a byte, told in characters.
pub(crate) fn failure(text: &str, at: usize, problem: impl Into<String>) -> CompileError {
    let before = text.get(..at).map_or(at, |before| before.chars().count());
    CompileError {
        position: before,
        problem: problem.into(),
    }
}
