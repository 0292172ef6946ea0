//! Bundles that operations answer: stored bytes copied in, never parsed. Must not decide what is in them.

use fhir::validate::Issue;
use store::StoredVersion;

use crate::record::render::{outcome, string};
use crate::record::{name_of, query_string};

/// Why a resource is in an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// It is what was asked for.
    Match,
    /// What was asked for refers to it.
    Include,
    /// It is like what was asked for, with a score from 0 to 1 and the code of its grade.
    Score(f64, &'static str),
}

/// A searchset that an operation answers.
#[derive(Debug)]
pub struct Found {
    /// What was asked: `Patient/1/$everything`.
    pub named: String,
    /// In order.
    pub entries: Vec<(StoredVersion, Mode)>,
    /// How many match in all, where it is known.
    pub total: Option<u64>,
    /// What was understood, for the self link.
    pub params: Vec<(String, String)>,
    /// The cursor of the next page.
    pub next: Option<String>,
    /// What the caller must know of the answer, such as what could not be looked at.
    pub issues: Vec<Issue>,
}

impl Found {
    /// The bundle; `base` is the tenant's FHIR base address.
    #[must_use]
    pub fn bundle(&self, base: &str) -> Vec<u8> {
        let bodies: usize = self
            .entries
            .iter()
            .map(|(version, _)| version.body.as_ref().map_or(0, bytes::Bytes::len) + 200)
            .sum();
        let mut out = Vec::with_capacity(bodies + 512);
        out.extend_from_slice(b"{\"resourceType\":\"Bundle\",\"type\":\"searchset\"");
        if let Some(total) = self.total {
            out.extend_from_slice(format!(",\"total\":{total}").as_bytes());
        }
        out.extend_from_slice(b",\"link\":[");
        self.link(base, "self", None, &mut out);
        if let Some(next) = &self.next {
            out.push(b',');
            self.link(base, "next", Some(next), &mut out);
        }
        out.push(b']');
        for (place, (version, mode)) in self.entries.iter().enumerate() {
            out.extend_from_slice(if place == 0 { b",\"entry\":[" } else { b"," });
            entry(base, version, *mode, &mut out);
        }
        if !self.issues.is_empty() {
            let is_first = self.entries.is_empty();
            out.extend_from_slice(if is_first { b",\"entry\":[" } else { b"," });
            out.extend_from_slice(b"{\"resource\":");
            out.extend_from_slice(&outcome(&self.issues));
            out.extend_from_slice(b",\"search\":{\"mode\":\"outcome\"}}");
        }
        if !self.entries.is_empty() || !self.issues.is_empty() {
            out.push(b']');
        }
        out.push(b'}');
        out
    }

    fn link(&self, base: &str, relation: &str, cursor: Option<&str>, out: &mut Vec<u8>) {
        let pairs = self.params.iter().map(|(a, b)| (a.as_str(), b.as_str()));
        let cursor = cursor.map(|cursor| (crate::record::search::CURSOR, cursor));
        let query = query_string::print(pairs.chain(cursor));
        out.extend_from_slice(b"{\"relation\":");
        string(out, relation);
        out.extend_from_slice(b",\"url\":");
        let mark = if query.is_empty() { "" } else { "?" };
        string(out, &format!("{base}/{}{mark}{query}", self.named));
        out.push(b'}');
    }
}

fn entry(base: &str, version: &StoredVersion, mode: Mode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"fullUrl\":");
    string(out, &format!("{base}/{}", name_of(&version.key)));
    if let Some(body) = &version.body {
        out.extend_from_slice(b",\"resource\":");
        out.extend_from_slice(body);
    }
    out.extend_from_slice(b",\"search\":{");
    if let Mode::Score(score, grade) = mode {
        out.extend_from_slice(
            b"\"extension\":[{\"url\":\"http://hl7.org/fhir/StructureDefinition/match-grade\",\"valueCode\":",
        );
        string(out, grade);
        out.extend_from_slice(format!("}}],\"mode\":\"match\",\"score\":{score:.4}").as_bytes());
    } else if mode == Mode::Match {
        out.extend_from_slice(b"\"mode\":\"match\"");
    } else {
        out.extend_from_slice(b"\"mode\":\"include\"");
    }
    out.extend_from_slice(b"}}");
}
