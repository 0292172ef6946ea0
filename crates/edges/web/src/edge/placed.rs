//! Where an issue stands in a text: the line of the element that an expression such as
//! `Patient.contact[0].name.given[1]` names, in JSON and in XML. Must not guess: what cannot be found has
//! no line, or that of the nearest element above it.

use fhir::json::{Kind, Value};

/// A step of an expression: a member and its place.
fn steps(expression: &str) -> impl Iterator<Item = (&str, usize)> {
    let path = expression.split_once('.').map_or("", |(_, path)| path);
    path.split('.').filter(|step| !step.is_empty()).map(|step| {
        let (name, rest) = step.split_once('[').unwrap_or((step, ""));
        let at = rest.trim_end_matches(']').parse().unwrap_or(0);
        (name, at)
    })
}

/// The line of an offset, from 1.
fn line_of(source: &[u8], offset: usize) -> usize {
    let before = source.get(..offset).unwrap_or(source);
    before.split(|byte| *byte == b'\n').count()
}

/// The line of an expression in the source of a resource in JSON.
pub fn in_json(source: &[u8], root: Value<'_>, expression: &str) -> usize {
    let mut found = root;
    for (name, at) in steps(expression) {
        let Some(member) = member(found, name) else {
            break;
        };
        found = if member.kind() == Kind::Array {
            match member.items().nth(at) {
                Some(item) => item,
                None => break,
            }
        } else {
            member
        };
    }
    line_of(source, found.offset())
}

/// A member by its name, or a choice by the name without its type.
fn member<'a>(value: Value<'a>, name: &str) -> Option<Value<'a>> {
    value.get(name).or_else(|| {
        let stem = name.trim_end_matches("[x]");
        value
            .members()
            .find(|(key, _)| {
                key.strip_prefix(stem)
                    .is_some_and(|more| more.starts_with(|c: char| c.is_ascii_uppercase()))
            })
            .map(|(_, member)| member)
    })
}

/// The line of an expression in the source of a resource in XML.
pub fn in_xml(source: &str, expression: &str) -> usize {
    let wanted: Vec<(&str, usize)> = steps(expression).collect();
    // Steps that led there, and its offset.
    let mut best: Option<(usize, usize)> = None;
    let mut open: Vec<Level> = Vec::new();
    for tag in Tags::of(source) {
        if tag.closes {
            open.pop();
            continue;
        }
        let depth = match open.last_mut() {
            None => Some(0),
            Some(above) => above.child(tag.name, &wanted),
        };
        if let Some(depth) = depth
            && best.is_none_or(|(known, _)| depth > known)
        {
            best = Some((depth, tag.offset));
        }
        if !tag.is_empty {
            open.push(Level { depth, seen: 0 });
        }
    }
    line_of(source.as_bytes(), best.map_or(0, |(_, offset)| offset))
}

/// An open element.
struct Level {
    /// Steps that lead here, where they do.
    depth: Option<usize>,
    /// Children of the wanted name so far.
    seen: usize,
}

impl Level {
    /// How many steps lead to a child of a name.
    fn child(&mut self, name: &str, wanted: &[(&str, usize)]) -> Option<usize> {
        let depth = self.depth?;
        // A contained resource stands in an element of its type.
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Some(depth);
        }
        let (step, at) = *wanted.get(depth)?;
        let more = name.strip_prefix(step.trim_end_matches("[x]"))?;
        if !more.is_empty() && !more.starts_with(|c: char| c.is_ascii_uppercase()) {
            return None;
        }
        self.seen += 1;
        (self.seen == at + 1).then_some(depth + 1)
    }
}

struct Tag<'a> {
    name: &'a str,
    offset: usize,
    closes: bool,
    is_empty: bool,
}

/// Element tags of a text, without comments, instructions and declarations.
struct Tags<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Tags<'a> {
    const fn of(source: &'a str) -> Self {
        Self { source, at: 0 }
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let rest = self.source.get(self.at..)?;
            let begin = self.at + rest.find('<')?;
            let inside = self.source.get(begin + 1..)?;
            if inside.starts_with("!--") {
                let end = inside.find("-->")?;
                self.at = begin + 1 + end + 3;
                continue;
            }
            let end = end_of(inside);
            self.at = begin + 1 + end + 1;
            let tag = inside.get(..end)?;
            if tag.starts_with(['?', '!']) {
                continue;
            }
            let closes = tag.starts_with('/');
            let name = tag.trim_start_matches('/');
            let name = name
                .split(|c: char| c.is_whitespace() || c == '/')
                .next()
                .unwrap_or_default();
            return Some(Tag {
                name,
                offset: begin,
                closes,
                is_empty: tag.ends_with('/'),
            });
        }
    }
}

/// The end of a tag: a `>` outside quotes.
fn end_of(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, b'>') => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    const JSON: &str = "{\n\"resourceType\":\"Patient\",\n\"contact\":[{\n\"name\":{\n\"given\":[\n\"a\",\n\"b\"]}},\n{}],\n\"deceasedBoolean\":1\n}";
    const XML: &str = "<?xml version=\"1.0\"?>\n<Patient xmlns=\"http://hl7.org/fhir\">\n<!-- <contact> -->\n<contact>\n<name>\n<given value=\"a>b\"/>\n<given value=\"b\"/>\n</name>\n</contact>\n<contact>\n<gender value=\"x\"/>\n</contact>\n<deceasedBoolean value=\"1\"/>\n</Patient>";

    #[test]
    fn expressions_have_lines() {
        let document = parse(JSON);
        for (expression, json, xml) in [
            ("Patient", 1, 2),
            ("", 1, 2),
            ("Patient.contact[0]", 3, 4),
            ("Patient.contact", 3, 4),
            ("Patient.contact[0].name.given[1]", 7, 7),
            ("Patient.contact[0].name.given[0]", 6, 6),
            ("Patient.contact[1]", 8, 10),
            ("Patient.deceased", 9, 13),
            ("Patient.deceased[x]", 9, 13),
            ("Patient.nothing", 1, 2),
            ("Patient.contact[0].name.nothing", 4, 5),
            ("Patient.contact[7].name", 1, 2),
        ] {
            assert_eq!(
                in_json(JSON.as_bytes(), document.root(), expression),
                json,
                "{expression} in JSON"
            );
            assert_eq!(in_xml(XML, expression), xml, "{expression} in XML");
        }
    }

    #[test]
    fn broken_markup_ends() {
        for text in ["", "<", "<a", "<!--", "</a></a>", "<a b='", "<a><a><a>"] {
            assert_eq!(in_xml(text, "A.b.c"), 1, "{text}");
        }
    }
}
