//! Expression constraints of SNOMED CT in their simple forms: concepts with `<`, `<<`, `<!`, `>`, `>>`,
//! `>!`, `^` and `*`, joined by AND, OR, MINUS and brackets. Refinements are refused, never guessed.

use crate::error::TerminologyError;
use crate::members::Members;
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
        let mut members = self.single(depth)?;
        loop {
            if self.take_word("and") || self.take(",") {
                members.keep(&self.single(depth)?);
            } else if self.take_word("or") {
                members.add(&self.single(depth)?);
            } else if self.take_word("minus") {
                members.take_out(&self.single(depth)?);
            } else {
                return Ok(members);
            }
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
        const WAYS: [(&str, Way); 6] = [
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
        Way::Children => focus.iter().for_each(|at| {
            system.children(at).iter().for_each(|child| {
                found.insert(*child);
            });
        }),
        Way::Parents | Way::Above | Way::AboveOrSelf => {
            let mut open: Vec<u32> = focus.iter().collect();
            while let Some(at) = open.pop() {
                for parent in hierarchy.parents(at) {
                    if found.insert(*parent) && !matches!(way, Way::Parents) {
                        open.push(*parent);
                    }
                }
            }
            if matches!(way, Way::AboveOrSelf) {
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
        ];
        for (text, expected) in table {
            assert_eq!(codes(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "<",
            "3 : 7 = 8",
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
}
