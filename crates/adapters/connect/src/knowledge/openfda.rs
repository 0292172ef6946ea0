//! Labels of openFDA (`/drug/label.json`). A label's text is evidence to show: which ingredients it names in
//! the sections on harm, with the words around. Must not grade: a text that names nothing proves nothing.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Claim, Concept, Edition, KnowledgeSource, Question, Said, SourceError, SourceSetting, Unit,
    call, encoded, request, text, texts,
};
use crate::outbound::Outbound;

/// The sections that are read, the gravest first, with what people call them.
const SECTIONS: [(&str, &str); 4] = [
    ("contraindications", "contraindications"),
    ("boxed_warning", "boxed warning"),
    ("drug_interactions", "drug interactions"),
    ("warnings_and_cautions", "warnings and cautions"),
];
/// Labels of an ingredient that are looked at, the newest first.
const LABELS: u32 = 10;
/// Names of an ingredient that are tried.
const NAMES: usize = 3;
/// Bytes of an answer: labels are long.
const BYTES: usize = 16 << 20;
/// Characters of the words around a name.
const AROUND: usize = 300;

/// The connector.
#[derive(Debug)]
pub struct OpenFda(pub SourceSetting);

/// A label that is the ingredient's own.
struct Label {
    edition: Edition,
    claims: Vec<Claim>,
}

#[async_trait]
impl KnowledgeSource for OpenFda {
    fn setting(&self) -> &SourceSetting {
        &self.0
    }

    fn unit(&self) -> Unit {
        Unit::Ingredient
    }

    async fn ask(&self, outbound: &dyn Outbound, question: &Question<'_>) -> Said {
        let names = &Names::of(question.named);
        let labels = question.about.iter().map(|one| async move {
            let label = self.label(outbound, one, names, question.until).await;
            (one, label)
        });
        let mut said = Said::default();
        for (one, label) in join_all(labels).await {
            match label {
                Ok(Some(label)) => {
                    said.edition = Some(label.edition);
                    said.claims.extend(label.claims);
                    said.answered.push(one.key.clone());
                }
                Ok(None) => said.unknown.push(one.key.clone()),
                Err(error) => said.failed = Some(error),
            }
        }
        said
    }
}

impl OpenFda {
    /// The newest label of an ingredient alone. No match is status 404; then its next name is tried.
    async fn label(
        &self,
        outbound: &dyn Outbound,
        one: &Concept,
        names: &Names<'_>,
        until: Instant,
    ) -> Result<Option<Label>, SourceError> {
        for name in one.names.iter().take(NAMES) {
            let asked = format!(
                "openfda.generic_name:\"{}\" AND _exists_:drug_interactions",
                name.to_uppercase().replace('"', "")
            );
            let mut url = format!(
                "{}/drug/label.json?search={}&limit={LABELS}&skip=0&sort=effective_time:desc",
                self.0.url,
                encoded(&asked)
            );
            if let Some(key) = &self.0.key {
                url.push_str("&api_key=");
                url.push_str(&encoded(key));
            }
            let request = request(Method::GET, url, Vec::new(), Bytes::new(), BYTES);
            let Some(body) = call(outbound, request, until).await? else {
                continue;
            };
            let results = body.get("results").and_then(Value::as_array);
            let results = results.ok_or(SourceError::Shape("it has no results"))?;
            let own = results.iter().find(|label| is_of(label, name));
            if let Some(label) = own {
                return Ok(Some(Label {
                    edition: edition(&body),
                    claims: claims(label, one, names)?,
                }));
            }
        }
        Ok(None)
    }
}

/// Whether a label is of an ingredient alone, with or without its salt.
fn is_of(label: &Value, name: &str) -> bool {
    let generic = label.get("openfda").and_then(|own| own.get("generic_name"));
    let wanted = name.to_lowercase();
    texts(generic).iter().any(|own| {
        let own = own.to_lowercase();
        let rest = own.strip_prefix(&wanted);
        rest.is_some_and(|rest| {
            (rest.is_empty() || rest.starts_with(' '))
                && !rest.contains([',', ';', '/'])
                && !rest.contains(" and ")
        })
    })
}

fn edition(body: &Value) -> Edition {
    let meta = body.get("meta");
    let own = |name| meta.map(|meta| text(meta, name)).unwrap_or_default();
    Edition {
        version: own("last_updated").to_owned(),
        effective: own("last_updated").to_owned(),
        licence: own("license").to_owned(),
    }
}

/// What a label says of others, the gravest section first; each other once.
fn claims(label: &Value, one: &Concept, names: &Names<'_>) -> Result<Vec<Claim>, SourceError> {
    let set = text(label, "set_id");
    if set.is_empty() {
        return Err(SourceError::Shape("a label has no set_id"));
    }
    let mut found: BTreeMap<&str, Claim> = BTreeMap::new();
    for (section, called) in SECTIONS {
        for content in texts(label.get(section)) {
            for (other, place) in names.found(content) {
                if other.key == one.key || found.contains_key(other.key.as_str()) {
                    continue;
                }
                let name = other.names.first().map_or("", String::as_str);
                let own = one.names.first().map_or("", String::as_str);
                let claim = Claim {
                    id: format!("{set}/{section}/{}", other.key),
                    between: (one.key.clone(), other.key.clone()),
                    severity: None,
                    effect: format!(
                        "The label of {own} names {name} under {called}: \u{201c}{}\u{201d}",
                        around(content, place)
                    ),
                    mechanism: String::new(),
                    management: String::new(),
                    citations: vec![format!(
                        "FDA label {set}, version {} of {}, {called}",
                        version(label),
                        text(label, "effective_time")
                    )],
                };
                found.insert(&other.key, claim);
            }
        }
    }
    Ok(found.into_values().collect())
}

fn version(label: &Value) -> String {
    match label.get("version") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "unknown".to_owned(),
    }
}

/// The sentence around a place, within [`AROUND`] characters.
fn around(content: &str, place: usize) -> String {
    let (before, after) = content.split_at_checked(place).unwrap_or((content, ""));
    let start = before.rfind(". ").map_or(0, |at| at + 2);
    let before = before.get(start..).unwrap_or_default();
    let end = after.find(". ").map_or(after.len(), |at| at + 1);
    let after = after.get(..end).unwrap_or(after);
    let half = AROUND / 2;
    let skipped = before.chars().count().saturating_sub(half);
    let mut text: String = before.chars().skip(skipped).collect();
    if skipped > 0 {
        text.insert(0, '\u{2026}');
    }
    text.extend(after.chars().take(half));
    if after.chars().count() > half {
        text.push('\u{2026}');
    }
    text
}

/// Names by their first word.
struct Names<'a>(HashMap<String, Vec<(Vec<String>, &'a Concept)>>);

impl<'a> Names<'a> {
    fn of(concepts: &'a [Concept]) -> Self {
        let mut own: HashMap<String, Vec<(Vec<String>, &Concept)>> = HashMap::new();
        for concept in concepts {
            for name in &concept.names {
                let words: Vec<String> = words(name).map(|(_, word)| word).collect();
                // Shorter names are also other words.
                let Some(first) = words.first().filter(|_| name.len() >= 4) else {
                    continue;
                };
                own.entry(first.clone()).or_default().push((words, concept));
            }
        }
        Self(own)
    }

    /// Every name in a text, with its place in bytes.
    fn found(&self, content: &str) -> Vec<(&'a Concept, usize)> {
        let all: Vec<(usize, String)> = words(content).collect();
        let mut found = Vec::new();
        for (number, (place, word)) in all.iter().enumerate() {
            let Some(names) = self.0.get(word) else {
                continue;
            };
            let rest = all.get(number..).unwrap_or_default();
            for (name, concept) in names {
                let same = rest.len() >= name.len()
                    && rest
                        .iter()
                        .zip(name)
                        .all(|((_, own), wanted)| own == wanted);
                if same {
                    found.push((*concept, *place));
                }
            }
        }
        found
    }
}

/// The words of a text in lower case, with their places in bytes.
fn words(content: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    let mut rest = 0;
    core::iter::from_fn(move || {
        let tail = content.get(rest..)?;
        let start = rest + tail.find(char::is_alphanumeric)?;
        let tail = content.get(start..)?;
        let length = tail.find(|c: char| !c.is_alphanumeric());
        let end = start + length.unwrap_or(tail.len());
        rest = end;
        Some((start, content.get(start..end)?.to_lowercase()))
    })
}
