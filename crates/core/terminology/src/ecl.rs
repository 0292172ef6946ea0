//! Expression constraints of SNOMED CT: concepts with `<`, `<<`, `<!`, `<<!`, `>`, `>>`, `>!`, `>>!`, `^` and
//! `*`, joined by AND, OR, MINUS and brackets; refined by attributes, in groups, with cardinality, reversed,
//! with concepts, numbers, texts and booleans; and dotted. Filters in `{{ }}` and everything else is refused,
//! never guessed.

use crate::error::TerminologyError;
use crate::members::Members;
use crate::refine::{self, Attribute, Compare, Number, Often, Refinement, Wanted};
use crate::system::CodeSystem;

const LONGEST: usize = 4096;
const DEEPEST: u32 = 32;

/// The concepts a constraint stands for.
///
/// # Errors
/// A form beyond the supported ones, or a concept or reference set that is not here.
pub fn evaluate(system: &CodeSystem, text: &str) -> Result<Members, TerminologyError> {
    let mut reader = Reader {
        system,
        whole: text,
        rest: text,
    };
    if text.len() > LONGEST {
        return Err(reader.refused());
    }
    let members = reader.compound(0)?;
    reader.skip_space();
    if reader.rest.is_empty() {
        Ok(members)
    } else {
        Err(reader.refused())
    }
}

struct Reader<'a> {
    system: &'a CodeSystem,
    whole: &'a str,
    rest: &'a str,
}

#[derive(Clone, Copy)]
enum Way {
    Itself,
    Below,
    BelowOrSelf,
    Children,
    Above,
    AboveOrSelf,
    Parents,
    ChildrenOrSelf,
    ParentsOrSelf,
}

impl Reader<'_> {
    fn refused(&self) -> TerminologyError {
        TerminologyError::Expression(self.whole.chars().take(200).collect())
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A word that ends where letters end, in any case.
    fn take_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let Some(head) = self.rest.get(..word.len()) else {
            return false;
        };
        let rest = self.rest.get(word.len()..).unwrap_or_default();
        let whole = !rest.starts_with(char::is_alphanumeric);
        let same = head.eq_ignore_ascii_case(word) && whole;
        if same {
            self.rest = rest;
        }
        same
    }

    fn compound(&mut self, depth: u32) -> Result<Members, TerminologyError> {
        if depth > DEEPEST {
            return Err(self.refused());
        }
        let mut members = self.refined(depth)?;
        loop {
            if self.take_word("and") || self.take(",") {
                members.keep(&self.refined(depth)?);
            } else if self.take_word("or") {
                members.add(&self.refined(depth)?);
            } else if self.take_word("minus") {
                members.take_out(&self.refined(depth)?);
            } else {
                return Ok(members);
            }
        }
    }

    /// One constraint with what follows its dots or its colon.
    fn refined(&mut self, depth: u32) -> Result<Members, TerminologyError> {
        let mut members = self.single(depth)?;
        while self.take(".") {
            let names = self.single(depth)?;
            let properties = refine::named(self.system, &names);
            members = refine::values(self.system, &members, &properties);
        }
        if self.take(":") {
            let refinement = self.refinement(depth + 1, false)?;
            let system = self.system;
            members = Members::filtered(system.len(), |at| {
                members.contains(at) && refinement.holds(system, at, None)
            });
        }
        Ok(members)
    }

    fn refinement(&mut self, depth: u32, grouped: bool) -> Result<Refinement, TerminologyError> {
        if depth > DEEPEST {
            return Err(self.refused());
        }
        let mut parts = vec![self.part(depth, grouped)?];
        // All of them, or any: one without the other, since no order between them is defined.
        let mut all: Option<bool> = None;
        loop {
            let and = self.take(",") || self.take_word("and");
            if !and && !self.take_word("or") {
                break;
            }
            if all.replace(and).is_some_and(|before| before != and) {
                return Err(self.refused());
            }
            parts.push(self.part(depth, grouped)?);
        }
        Ok(if all == Some(false) {
            Refinement::Any(parts)
        } else {
            Refinement::All(parts)
        })
    }

    fn part(&mut self, depth: u32, grouped: bool) -> Result<Refinement, TerminologyError> {
        let often = self.often()?;
        if !self.rest.trim_start().starts_with("{{") && self.take("{") {
            if grouped {
                return Err(self.refused());
            }
            if !refine::has_groups(self.system) {
                return Err(self.lacks("groups of attributes"));
            }
            let inner = self.refinement(depth + 1, true)?;
            if !self.take("}") {
                return Err(self.refused());
            }
            return Ok(Refinement::Group(
                often.unwrap_or(Often::ONCE),
                inner.into(),
            ));
        }
        if often.is_none() && self.opens_refinement() {
            self.take("(");
            let inner = self.refinement(depth + 1, grouped)?;
            return if self.take(")") {
                Ok(inner)
            } else {
                Err(self.refused())
            };
        }
        self.attribute(depth, often, grouped)
    }

    /// Whether brackets hold attributes, rather than the names of one.
    fn opens_refinement(&self) -> bool {
        let mut open = 0_usize;
        let mut quoted: Option<char> = None;
        let mut letters = self.rest.trim_start().chars();
        if !self.rest.trim_start().starts_with('(') {
            return false;
        }
        while let Some(letter) = letters.next() {
            if let Some(end) = quoted {
                quoted = Some(end).filter(|end| *end != letter);
                continue;
            }
            match letter {
                '|' | '"' => quoted = Some(letter),
                '(' => open += 1,
                ')' => {
                    open -= 1;
                    if open == 0 {
                        let next = letters.as_str().trim_start();
                        return !next.starts_with(['=', '!', '<', '>']);
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// `[1..3]` or `[0..*]`.
    fn often(&mut self) -> Result<Option<Often>, TerminologyError> {
        if !self.take("[") {
            return Ok(None);
        }
        let (inside, rest) = self.rest.split_once(']').ok_or_else(|| self.refused())?;
        let (least, most) = inside.split_once("..").ok_or_else(|| self.refused())?;
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| self.refused());
        let often = Often {
            least: number(least)?,
            most: match most.trim() {
                "*" => None,
                most => Some(number(most)?),
            },
        };
        if often.most.is_some_and(|most| most < often.least) {
            return Err(self.refused());
        }
        self.rest = rest;
        Ok(Some(often))
    }

    fn attribute(
        &mut self,
        depth: u32,
        often: Option<Often>,
        grouped: bool,
    ) -> Result<Refinement, TerminologyError> {
        let reversed = self.take_word("r");
        let names = self.single(depth)?;
        let properties = refine::named(self.system, &names);
        let how = self.compare().ok_or_else(|| self.refused())?;
        let wanted = self.wanted(depth, how, &properties)?;
        if !reversed {
            let often = often.unwrap_or(Often::ONCE);
            return Ok(Refinement::One(Attribute::new(often, properties, wanted)));
        }
        // Whose value it is stands with others: neither their groups nor their number can be asked.
        let never = Often {
            least: 0,
            most: Some(0),
        };
        let inside = match often {
            None | Some(Often::ONCE) => true,
            Some(often) if often == never => false,
            Some(_) => return Err(self.refused()),
        };
        match wanted {
            Wanted::Concept {
                among,
                inside: true,
            } if !grouped => {
                let at = refine::values(self.system, &among, &properties);
                Ok(Refinement::Pointed { at, inside })
            }
            _ => Err(self.refused()),
        }
    }

    fn compare(&mut self) -> Option<Compare> {
        const SIGNS: [(&str, Compare); 6] = [
            ("!=", Compare::Unequal),
            ("<=", Compare::AtMost),
            (">=", Compare::AtLeast),
            ("=", Compare::Equal),
            ("<", Compare::Less),
            (">", Compare::More),
        ];
        let found = SIGNS.iter().find(|(sign, _)| self.take(sign));
        found.map(|(_, how)| *how)
    }

    fn wanted(
        &mut self,
        depth: u32,
        how: Compare,
        properties: &[bool],
    ) -> Result<Wanted, TerminologyError> {
        let same = matches!(how, Compare::Equal | Compare::Unequal);
        let wanted = if self.take("#") {
            let end = self
                .rest
                .find(|letter: char| !letter.is_ascii_digit() && !"+-.".contains(letter))
                .unwrap_or(self.rest.len());
            let (number, rest) = self.rest.split_at_checked(end).unwrap_or_default();
            let number = Number::read(number).ok_or_else(|| self.refused())?;
            self.rest = rest;
            Wanted::Number(how, number)
        } else if !same {
            return Err(self.refused());
        } else if self.take("\"") {
            let (text, rest) = self.rest.split_once('"').ok_or_else(|| self.refused())?;
            if text.contains('\\') {
                return Err(self.refused());
            }
            let text = text.to_owned();
            self.rest = rest;
            Wanted::Text(how, text)
        } else if self.take_word("true") {
            Wanted::Flag(how, true)
        } else if self.take_word("false") {
            Wanted::Flag(how, false)
        } else {
            return Ok(Wanted::Concept {
                among: self.single(depth)?,
                inside: how == Compare::Equal,
            });
        };
        if refine::has_concrete(self.system, properties) {
            Ok(wanted)
        } else {
            Err(self.lacks("values of this attribute that are no concepts"))
        }
    }

    fn lacks(&self, what: &str) -> TerminologyError {
        TerminologyError::Faulty {
            what: format!("{what} of {}", self.system.canonical()),
            why: "none are loaded: load the release again, whole".to_owned(),
        }
    }

    fn single(&mut self, depth: u32) -> Result<Members, TerminologyError> {
        let way = self.way();
        let focus = if self.take("^") {
            let name = self.concept_id()?;
            self.subset(&name)?
        } else if self.take("(") {
            let inner = self.compound(depth + 1)?;
            if !self.take(")") {
                return Err(self.refused());
            }
            inner
        } else if self.take("*") {
            Members::all(self.system.len())
        } else {
            let code = self.concept_id()?;
            let mut one = Members::none(self.system.len());
            match self.system.find(&code) {
                Some(at) => one.insert(at),
                None => {
                    return Err(TerminologyError::CodeUnknown {
                        system: self.system.canonical(),
                        code,
                    });
                }
            };
            one
        };
        Ok(walk(self.system, way, focus))
    }

    fn way(&mut self) -> Way {
        const WAYS: [(&str, Way); 8] = [
            ("<<!", Way::ChildrenOrSelf),
            (">>!", Way::ParentsOrSelf),
            ("<<", Way::BelowOrSelf),
            ("<!", Way::Children),
            ("<", Way::Below),
            (">>", Way::AboveOrSelf),
            (">!", Way::Parents),
            (">", Way::Above),
        ];
        WAYS.iter()
            .find(|(token, _)| self.take(token))
            .map_or(Way::Itself, |(_, way)| *way)
    }

    fn concept_id(&mut self) -> Result<String, TerminologyError> {
        self.skip_space();
        let end = self
            .rest
            .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
            .unwrap_or(self.rest.len());
        let (id, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        if id.is_empty() || !id.starts_with(|letter: char| letter.is_ascii_digit()) {
            return Err(self.refused());
        }
        let id = id.to_owned();
        self.rest = rest;
        // A term between bars is a comment.
        if self.take("|") {
            let (_, rest) = self.rest.split_once('|').ok_or_else(|| self.refused())?;
            self.rest = rest;
        }
        Ok(id)
    }

    fn subset(&self, name: &str) -> Result<Members, TerminologyError> {
        subset(self.system, name).ok_or_else(|| TerminologyError::Faulty {
            what: format!("reference set {name} of {}", self.system.canonical()),
            why: "it is not loaded: load a release that holds it".to_owned(),
        })
    }
}

/// A named subset as a set.
pub(crate) fn subset(system: &CodeSystem, name: &str) -> Option<Members> {
    let mut members = Members::none(system.len());
    for at in system.subset(name)? {
        members.insert(*at);
    }
    Some(members)
}

/// Everything at or below a concept.
pub(crate) fn at_or_below(system: &CodeSystem, at: u32) -> Members {
    let mut members = Members::none(system.len());
    for span in system.hierarchy().spans(at) {
        members.insert_range(span);
    }
    members
}

fn walk(system: &CodeSystem, way: Way, focus: Members) -> Members {
    let hierarchy = system.hierarchy();
    let mut found = Members::none(system.len());
    match way {
        Way::Itself => return focus,
        Way::Below | Way::BelowOrSelf => {
            for at in focus.iter() {
                for span in hierarchy.spans(at) {
                    let own = span.start == at && matches!(way, Way::Below);
                    found.insert_range(span.start + u32::from(own)..span.end);
                }
            }
        }
        Way::Children | Way::ChildrenOrSelf => {
            focus.iter().for_each(|at| {
                system.children(at).iter().for_each(|child| {
                    found.insert(*child);
                });
            });
            if matches!(way, Way::ChildrenOrSelf) {
                found.add(&focus);
            }
        }
        Way::Parents | Way::ParentsOrSelf | Way::Above | Way::AboveOrSelf => {
            let mut open: Vec<u32> = focus.iter().collect();
            while let Some(at) = open.pop() {
                for parent in hierarchy.parents(at) {
                    if found.insert(*parent) && matches!(way, Way::Above | Way::AboveOrSelf) {
                        open.push(*parent);
                    }
                }
            }
            if matches!(way, Way::AboveOrSelf | Way::ParentsOrSelf) {
                found.add(&focus);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tests::zoo;
    use crate::system::{Builder, ConceptDraft, Head, PropertyKind};

    #[test]
    fn simple_constraints_are_answered_and_others_refused() {
        let system = zoo();
        let codes = |text: &str| {
            let members = evaluate(&system, text);
            members.map(|members| {
                let mut codes: Vec<&str> = members.iter().map(|at| system.code(at)).collect();
                codes.sort_unstable();
                codes.join(" ")
            })
        };
        let table = [
            ("3", "3"),
            ("<< 3 |Mammal|", "3 4 5 6"),
            ("<3", "4 5 6"),
            ("<! 1", "2 3"),
            (">! 6", "2 3"),
            ("> 6", "1 2 3"),
            (">>6", "1 2 3 6"),
            ("^ 900", "4 6"),
            ("<< 3 AND << 2", "6"),
            ("<<3 minus (4 OR 5)", "3 6"),
            ("* MINUS <<3", "1 2"),
            ("< ^900", ""),
            ("<<! 3", "3 4 5 6"),
            (">>! 6", "2 3 6"),
        ];
        for (text, expected) in table {
            assert_eq!(codes(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "<",
            "3 : 7 = 8",
            "3 {{ term = \"x\" }}",
            "3 : { 1 = 2 }",
            "3 : 1 = #4",
            "(3",
            "3 3",
            "<<< 3",
            "3 ANDS 4",
            "^ 901",
            "77",
        ] {
            assert!(codes(text).is_err(), "{text}");
        }
        let deep = format!("{}3{}", "(".repeat(200), ")".repeat(200));
        assert!(matches!(codes(&deep), Err(TerminologyError::Expression(_))));
    }

    /// Drugs: ingredients with strengths in groups, a form beside them.
    fn drugs() -> CodeSystem {
        let mut builder = Builder::new(Head::new("http://drugs", None, "Drugs"));
        for code in [
            "100", "110", "111", "112", "200", "201", "202", "203", "300", "301", "302", "303",
            "304",
        ] {
            let draft = ConceptDraft {
                code,
                ..ConceptDraft::default()
            };
            builder.add(&draft).unwrap();
        }
        let at = |builder: &Builder, code: &str| builder.find(code).unwrap();
        for (child, parent) in [
            ("111", "110"),
            ("112", "110"),
            ("110", "100"),
            ("201", "200"),
            ("202", "200"),
            ("203", "200"),
        ] {
            let (child, parent) = (at(&builder, child), at(&builder, parent));
            builder.parent(child, parent);
        }
        let attributes = ["301", "302", "303", "304"].map(|code| {
            let kind = if code == "302" {
                PropertyKind::Decimal
            } else {
                PropertyKind::Code
            };
            builder.property(code, None, kind).unwrap()
        });
        let [ingredient, strength, form, label] = attributes;
        let (code, number) = (PropertyKind::Code, PropertyKind::Decimal);
        for (of, property, kind, group, text) in [
            ("201", ingredient, code, 1, "111"),
            ("201", strength, number, 1, "250"),
            ("201", ingredient, code, 2, "112"),
            ("201", strength, number, 2, "5.50"),
            ("201", form, code, 0, "300"),
            ("202", ingredient, code, 1, "112"),
            ("202", strength, number, 1, "250.0"),
            ("203", ingredient, code, 1, "110"),
            ("203", label, PropertyKind::String, 1, "forte"),
            ("203", form, code, 0, "100"),
        ] {
            let of = at(&builder, of);
            builder
                .value_in_group(of, (property, kind), group, text)
                .unwrap();
        }
        let made = builder.finish().unwrap();
        // As it is stored and read again.
        CodeSystem::decode(&made.encode().unwrap()).unwrap()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn refinements_are_answered() {
        let system = drugs();
        for (text, expected) in [
            ("<200 : 301 = 112", "201 202"),
            ("<200 : 301 |ingredient| = << 110 |a: (b)|", "201 202 203"),
            ("<200 : 301 = 110", "203"),
            ("<200 : 301 != 112", "201 203"),
            ("<200 : 301 = 111 AND 303 = 300", "201"),
            ("<200 : 301 = 111, 301 = 112", "201"),
            ("<200 : 301 = 110 OR 303 = 300", "201 203"),
            // Together in a group, and not.
            ("<200 : 301 = 112, 302 = #250", "201 202"),
            ("<200 : { 301 = 112, 302 = #250 }", "202"),
            ("<200 : { 301 = 111, 302 >= #250 }, { 302 < #6 }", "201"),
            ("<200 : { 303 = 300 }", ""),
            ("<200 : { 301 = 111 } OR { 301 = 110 }", "201 203"),
            // So many times.
            ("<200 : [2..*] 301 = <<110", "201"),
            ("<200 : [1..1] 301 = <<110", "202 203"),
            ("<200 : [0..0] 303 = *", "202"),
            ("<200 : [2..2] { 301 = * }", "201"),
            ("<200 : [0..0] { 302 = #250 }", "203"),
            ("<200 : { [0..0] 302 > #0 }", "203"),
            // Numbers and texts.
            ("* : 302 = #5.5", "201"),
            ("* : 302 != #250", "201"),
            ("* : 302 > #5.5", "201 202"),
            ("* : 302 <= #5.50", "201"),
            ("* : 304 = \"forte\"", "203"),
            ("* : 304 != \"forte\"", ""),
            // Of any attribute, several, those below one.
            ("<200 : * = 112", "201 202"),
            ("<200 : (301 OR 303) = (111 OR 100)", "201 203"),
            ("<200 : (301 = 111 OR 301 = 110), 303 = *", "201 203"),
            // The other way round, and along.
            ("<<110 : R 301 = 201", "111 112"),
            ("<<110 : [0..0] R 301 = 201", "110"),
            ("201 . 301", "111 112"),
            ("<200 . (301 OR 303)", "100 110 111 112 300"),
            ("(<200 : 303 = 300) . 301 MINUS 112", "111"),
            ("(<200 : 301 = 111) OR (<200 : 301 = 110)", "201 203"),
            ("<200 : 301 = (<<110 MINUS 112)", "201 203"),
        ] {
            let members = evaluate(&system, text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let mut codes: Vec<&str> = members.iter().map(|at| system.code(at)).collect();
            codes.sort_unstable();
            assert_eq!(codes.join(" "), expected, "{text}");
        }
        for text in [
            "<200 : 301",
            "<200 : 301 = ",
            "<200 : 301 = 111 AND 303 = 300 OR 301 = 112",
            "<200 : { { 301 = 111 } }",
            "<200 : { 301 = 111",
            "<200 : [2..1] 301 = 111",
            "<200 : [x..1] 301 = 111",
            "<200 : 301 > 111",
            "<200 : 301 = #5",
            "<200 : 302 = #five",
            "<200 : [2..*] R 301 = 201",
            "<200 : { R 301 = 201 }",
            "<200 : 999 = 111",
            "<200 {{ D term = \"x\" }}",
        ] {
            assert!(evaluate(&system, text).is_err(), "{text}");
        }
        let deep = format!("* : {}301 = 111{}", "(".repeat(200), ")".repeat(200));
        assert!(evaluate(&system, &deep).is_err());
    }
}
