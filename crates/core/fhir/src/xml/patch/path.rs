//! The paths of RFC 5261: a small part of XPath that names one node. Must not look for descendants, or
//! compute anything: what it does not have is refused by name.

use super::PatchErrorKind;
use super::tree::{Element, Node};

/// Longest path, in bytes.
const LONGEST: usize = 4_096;

/// A path, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    steps: Vec<Step>,
    last: Last,
}

/// What the last step names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Last {
    Element,
    /// An attribute of the element.
    Attribute(String),
    /// The n-th run of characters in the element, from 1; any where nothing is said.
    Text(Option<usize>),
    /// The n-th comment in the element.
    Comment(Option<usize>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    name: Name,
    predicates: Vec<Predicate>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Any,
    Is { space: String, local: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Predicate {
    Position(usize),
    /// Some node of this path has this value.
    Equals(Vec<Name>, Option<String>, String),
}

/// Where a node is: the index at every level, from the document down.
pub(super) type Place = Vec<usize>;

/// What may still be looked at.
#[derive(Debug)]
pub(super) struct Work(pub(super) usize);

impl Work {
    /// Charges for some nodes.
    pub(super) fn charge(&mut self, nodes: usize) -> Result<(), PatchErrorKind> {
        self.0 = self.0.checked_sub(nodes).ok_or(PatchErrorKind::TooCostly)?;
        Ok(())
    }
}

impl Name {
    fn takes(&self, element: &Element) -> bool {
        match self {
            Self::Any => true,
            Self::Is { space, local } => *local == element.name && *space == element.space,
        }
    }
}

impl Path {
    /// Reads a path; `space_of` knows the namespace of a prefix, the empty one among them.
    ///
    /// # Errors
    /// What is no path of RFC 5261, by name.
    pub(super) fn read(
        text: &str,
        space_of: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, PatchErrorKind> {
        let refused = |why: &'static str| PatchErrorKind::Path {
            path: super::shorten(text),
            why,
        };
        if text.len() > LONGEST {
            return Err(refused("it has more than 4096 bytes"));
        }
        let mut reader = Reader {
            rest: text.trim(),
            space_of,
        };
        reader.eat("/");
        reader.path().map_err(refused)
    }

    /// What the path names at its end.
    pub(super) const fn last(&self) -> &Last {
        &self.last
    }

    /// The one node that the path names: the element for a path to an attribute.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub(super) fn find(&self, document: &[Node], work: &mut Work) -> Result<Place, PatchErrorKind> {
        let mut places: Vec<Place> = vec![Vec::new()];
        for step in &self.steps {
            let mut next = Vec::new();
            for place in &places {
                step.of(children(document, place), place, work, &mut next)?;
            }
            places = next;
        }
        let nth = match &self.last {
            Last::Element | Last::Attribute(_) => None,
            Last::Text(nth) | Last::Comment(nth) => Some(*nth),
        };
        if let Some(nth) = nth {
            let mut next = Vec::new();
            for place in &places {
                let inside = children(document, place);
                work.charge(inside.len())?;
                let wanted = inside
                    .iter()
                    .enumerate()
                    .filter(|(_, node)| match &self.last {
                        Last::Text(_) => matches!(node, Node::Text(_)),
                        _ => matches!(node, Node::Comment(_)),
                    });
                let wanted = wanted.map(|(at, _)| below(place, at));
                match nth {
                    None => next.extend(wanted),
                    Some(nth) => next.extend(wanted.skip(nth.saturating_sub(1)).take(1)),
                }
            }
            places = next;
        }
        let found = places.len();
        match (found, places.pop()) {
            (1, Some(place)) => Ok(place),
            _ => Err(PatchErrorKind::NotOne(found)),
        }
    }
}

fn below(place: &Place, at: usize) -> Place {
    let mut longer = place.clone();
    longer.push(at);
    longer
}

/// The nodes at a place.
pub(super) fn children<'d>(document: &'d [Node], place: &[usize]) -> &'d [Node] {
    let mut nodes = document;
    for at in place {
        nodes = match nodes.get(*at) {
            Some(Node::Element(element)) => &element.children,
            _ => &[],
        };
    }
    nodes
}

impl Step {
    fn of(
        &self,
        nodes: &[Node],
        place: &Place,
        work: &mut Work,
        into: &mut Vec<Place>,
    ) -> Result<(), PatchErrorKind> {
        work.charge(nodes.len())?;
        let elements = nodes.iter().enumerate();
        let elements = elements.filter_map(|(at, node)| Some((at, node.element()?)));
        let mut found: Vec<(usize, &Element)> = elements
            .filter(|(_, element)| self.name.takes(element))
            .collect();
        for predicate in &self.predicates {
            match predicate {
                Predicate::Position(nth) => {
                    found = found.into_iter().skip(nth - 1).take(1).collect();
                }
                Predicate::Equals(names, attribute, value) => {
                    let mut kept = Vec::new();
                    for one in found {
                        if equals(one.1, names, attribute.as_deref(), value, work)? {
                            kept.push(one);
                        }
                    }
                    found = kept;
                }
            }
        }
        into.extend(found.into_iter().map(|(at, _)| below(place, at)));
        Ok(())
    }
}

fn equals(
    element: &Element,
    names: &[Name],
    attribute: Option<&str>,
    value: &str,
    work: &mut Work,
) -> Result<bool, PatchErrorKind> {
    let Some((name, deeper)) = names.split_first() else {
        work.charge(1)?;
        if let Some(attribute) = attribute {
            return Ok(element.attribute(attribute) == Some(value));
        }
        let mut text = String::new();
        element.text(&mut text);
        work.charge(text.len() / 16)?;
        return Ok(text == value);
    };
    work.charge(element.children.len())?;
    let inside = element.children.iter().filter_map(Node::element);
    for child in inside.filter(|child| name.takes(child)) {
        if equals(child, deeper, attribute, value, work)? {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Reader<'t> {
    rest: &'t str,
    space_of: &'t dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    fn eat(&mut self, token: &str) -> bool {
        let behind = self.rest.strip_prefix(token);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn path(&mut self) -> Result<Path, &'static str> {
        let mut steps = Vec::new();
        loop {
            if let Some(last) = self.end()? {
                if !self.rest.is_empty() {
                    return Err("something follows its last step");
                }
                return Ok(Path { steps, last });
            }
            let name = self.name()?;
            let mut predicates = Vec::new();
            while self.eat("[") {
                predicates.push(self.predicate()?);
            }
            steps.push(Step { name, predicates });
            if self.rest.is_empty() {
                let last = Last::Element;
                return Ok(Path { steps, last });
            }
            if !self.eat("/") {
                return Err("its steps are not parted by /");
            }
        }
    }

    /// A last step that is no element.
    fn end(&mut self) -> Result<Option<Last>, &'static str> {
        if self.eat("@") {
            return self.word().map(|name| Some(Last::Attribute(name)));
        }
        if self.eat("text()") {
            return self.position().map(|nth| Some(Last::Text(nth)));
        }
        if self.eat("comment()") {
            return self.position().map(|nth| Some(Last::Comment(nth)));
        }
        for (token, why) in [
            ("/", "steps to descendants are not offered"),
            ("id(", "id() is not offered: resources declare no ids"),
            (
                "processing-instruction(",
                "processing instructions are not kept",
            ),
            ("namespace::", "namespace declarations are not kept"),
        ] {
            if self.rest.starts_with(token) {
                return Err(why);
            }
        }
        Ok(None)
    }

    fn name(&mut self) -> Result<Name, &'static str> {
        if self.eat("*") {
            return Ok(Name::Any);
        }
        let word = self.word()?;
        let (prefix, local) = word.split_once(':').unwrap_or(("", &word));
        let space = (self.space_of)(prefix).ok_or("a prefix in it is not declared")?;
        Ok(Name::Is {
            space,
            local: local.to_owned(),
        })
    }

    fn word(&mut self) -> Result<String, &'static str> {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        let starts = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !starts || word.matches(':').count() > 1 || word.ends_with(':') {
            return Err("a step has no name, or uses an axis or a function");
        }
        Ok(word.to_owned())
    }

    fn position(&mut self) -> Result<Option<usize>, &'static str> {
        if !self.eat("[") {
            return Ok(None);
        }
        match self.predicate()? {
            Predicate::Position(nth) => Ok(Some(nth)),
            Predicate::Equals(..) => Err("text() and comment() are chosen by number only"),
        }
    }

    fn predicate(&mut self) -> Result<Predicate, &'static str> {
        self.space();
        let digits = self.rest.find(|c: char| !c.is_ascii_digit());
        let digits = digits.unwrap_or(self.rest.len());
        let predicate = if digits > 0 {
            let (number, rest) = self.rest.split_at(digits);
            self.rest = rest;
            let number = number.parse().ok().filter(|number| *number > 0);
            Predicate::Position(number.ok_or("a position in it is no number from 1")?)
        } else {
            let (names, attribute) = self.operand()?;
            self.space();
            if !self.eat("=") {
                return Err("a condition in it is no number and no comparison with =");
            }
            self.space();
            Predicate::Equals(names, attribute, self.literal()?)
        };
        self.space();
        if !self.eat("]") {
            return Err("a condition in it does not end with ]");
        }
        Ok(predicate)
    }

    fn operand(&mut self) -> Result<(Vec<Name>, Option<String>), &'static str> {
        let mut names = Vec::new();
        if self.eat(".") {
            return Ok((names, None));
        }
        loop {
            if self.eat("@") {
                return Ok((names, Some(self.word()?)));
            }
            names.push(self.name()?);
            if !self.eat("/") {
                return Ok((names, None));
            }
        }
    }

    fn literal(&mut self) -> Result<String, &'static str> {
        let Some(quote @ ('\'' | '"')) = self.rest.chars().next() else {
            return Err("a value in it has no quotes");
        };
        let behind = self.rest.get(1..).unwrap_or_default();
        let (value, rest) = behind
            .split_once(quote)
            .ok_or("a value in it has no closing quote")?;
        self.rest = rest;
        Ok(value.to_owned())
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}
