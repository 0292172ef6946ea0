//! Full text: the words of a resource, folded, each once. Words of markup, of what is compared as a whole
//! (ids, codes, addresses, dates) and of base64 content are not text. Must be applied to both sides of a
//! comparison.

use std::collections::BTreeSet;

use crate::json::{Kind, Value};
use crate::search::fold;

/// Longest word kept, in characters; a longer one is cut, on both sides.
const LONGEST: usize = 40;
/// Words of one resource at most: what a document says beyond them is not found.
const MOST: usize = 4096;

/// The words of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Of the narrative (`text.div`), sorted.
    pub narrative: Vec<String>,
    /// Of every other text, sorted; what the narrative says as well is only there.
    pub content: Vec<String>,
    /// The narrative in its order, where phrases are asked for: see [`Words::add_order`].
    pub narrative_runs: Vec<Vec<String>>,
    /// Every other text by itself in its order.
    pub content_runs: Vec<Vec<String>>,
}

impl Words {
    /// Adds the order in which words stand, so that phrases are found: text by text, none beyond the bound
    /// on words.
    pub fn add_order(&mut self, resource: Value<'_>) {
        let mut left = MOST;
        each_text(resource, &mut |is_narrative, text| {
            let mut run = ordered_words(text);
            run.truncate(left);
            left -= run.len();
            // A word by itself is no phrase.
            if run.len() > 1 {
                let runs = if is_narrative {
                    &mut self.narrative_runs
                } else {
                    &mut self.content_runs
                };
                runs.push(run);
            }
        });
    }
}

/// The words of a text in their order, folded, repeats kept.
#[must_use]
pub fn ordered_words(text: &str) -> Vec<String> {
    let folded = fold(text);
    let words = folded.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(LONGEST).collect())
        .collect()
}

/// The words of a text, folded: runs of letters and digits, without case and accents.
pub fn fold_words(text: &str) -> Vec<String> {
    let mut words = BTreeSet::new();
    add(text, &mut words);
    words.into_iter().collect()
}

/// The words of a resource as stored; contained resources count, their narratives as other text.
#[must_use]
pub fn words(resource: Value<'_>) -> Words {
    let (mut narrative, mut content) = (BTreeSet::new(), BTreeSet::new());
    each_text(resource, &mut |is_narrative, text| {
        let words = if is_narrative {
            &mut narrative
        } else {
            &mut content
        };
        add(text, words);
    });
    content.retain(|word| !narrative.contains(word));
    Words {
        narrative: narrative.into_iter().collect(),
        content: content.into_iter().collect(),
        ..Words::default()
    }
}

/// Calls `visit` with every text of a resource, without markup, and whether it is the narrative.
fn each_text(resource: Value<'_>, visit: &mut dyn FnMut(bool, &str)) {
    if let Some(div) = resource.get("text").and_then(|text| text.get("div"))
        && let Some(html) = div.as_str()
    {
        visit(true, &without_markup(&html));
    }
    for (name, member) in resource.members() {
        if name != "text" {
            collect(&name, member, &mut |text| visit(false, text));
        }
    }
}

fn add(text: &str, words: &mut BTreeSet<String>) {
    let folded = fold(text);
    for word in folded.split(|c: char| !c.is_alphanumeric()) {
        if words.len() >= MOST {
            return;
        }
        if word.is_empty() || words.contains(word) {
            continue;
        }
        words.insert(word.chars().take(LONGEST).collect());
    }
}

/// Members whose strings are no prose: names of systems, codes, references, and encoded content.
fn is_text(name: &str) -> bool {
    !matches!(
        name,
        "resourceType"
            | "id"
            | "system"
            | "url"
            | "uri"
            | "reference"
            | "type"
            | "meta"
            | "code"
            | "status"
            | "use"
            | "data"
            | "hash"
            | "language"
            | "contentType"
            | "lastUpdated"
            | "versionId"
    )
}

fn collect(name: &str, value: Value<'_>, visit: &mut dyn FnMut(&str)) {
    match value.kind() {
        Kind::String if is_text(name) && name != "meta" => {
            let Some(text) = value.as_str() else { return };
            if name == "div" {
                visit(&without_markup(&text));
            } else if !is_moment(&text) && !text.contains("://") {
                visit(&text);
            }
        }
        Kind::Array => {
            for item in value.items() {
                collect(name, item, visit);
            }
        }
        Kind::Object if name != "meta" => {
            for (name, member) in value.members() {
                collect(&name, member, visit);
            }
        }
        _ => {}
    }
}

/// Whether a text is a date or time: `2026-01`, `2026-01-02T...`.
fn is_moment(text: &str) -> bool {
    let mut bytes = text.bytes();
    let year = bytes.by_ref().take(4).filter(u8::is_ascii_digit).count() == 4;
    year && bytes.next() == Some(b'-') && bytes.next().is_some_and(|byte| byte.is_ascii_digit())
}

/// The text between tags, with the entities that XHTML knows without a DTD read.
fn without_markup(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let end = if rest.starts_with('<') { '>' } else { ';' };
        let Some(close) = rest.find(end) else {
            break;
        };
        let inside = rest.get(1..close).unwrap_or_default();
        if end == '>' {
            text.push(' ');
        } else {
            text.push(entity(inside).unwrap_or(' '));
        }
        rest = rest.get(close + 1..).unwrap_or_default();
    }
    if !rest.starts_with('<') {
        text.push_str(rest);
    }
    text
}

fn entity(name: &str) -> Option<char> {
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits};

    #[test]
    fn words_are_folded_and_split_at_what_is_no_letter() {
        assert_eq!(
            fold_words("Herz-Kreislauf: M\u{fc}ller's 2. Befund, herz"),
            ["2", "befund", "herz", "kreislauf", "muller", "s"]
        );
        assert!(fold_words(" .,- ").is_empty());
        let long = "x".repeat(60);
        assert_eq!(fold_words(&long), ["x".repeat(LONGEST)]);
    }

    #[test]
    fn narrative_and_content_are_told_apart_and_names_of_things_left_out() {
        let json = r#"{"resourceType":"Condition","id":"ident","meta":{"profile":["http://x/prof"],"tag":[{"display":"tagged"}]},
          "text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Heart&#160;attack &lt;b&gt; <b class=\"klass\">caf&#xe9;</b></div>"},
          "code":{"coding":[{"system":"http://snomed","code":"22298006","display":"Myocardial infarction"}],"text":"Heart trouble"},
          "recordedDate":"2026-01-02","subject":{"reference":"Patient/p","display":"Ann"},
          "contained":[{"resourceType":"Patient","text":{"div":"<div>inner</div>"}}],"note":[{"text":"seen by \u00c9lise"}]}"#;
        let document = Document::parse(json.as_bytes().to_vec(), &Limits::default()).unwrap();
        let mut found = words(document.root());
        found.add_order(document.root());
        assert_eq!(
            found.narrative_runs,
            [["heart", "attack", "b", "cafe"].map(str::to_owned)]
        );
        let content: Vec<String> = found.content_runs.iter().map(|run| run.join(" ")).collect();
        assert_eq!(
            content,
            ["myocardial infarction", "heart trouble", "seen by elise"]
        );
        assert_eq!(found.narrative, ["attack", "b", "cafe", "heart"]);
        assert_eq!(
            found.content,
            [
                "ann",
                "by",
                "elise",
                "infarction",
                "inner",
                "myocardial",
                "seen",
                "trouble"
            ]
        );
    }
}
