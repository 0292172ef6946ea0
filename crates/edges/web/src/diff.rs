//! What changed between two versions of a resource, field by field, by JSON path. Must not hide a
//! change: everything but the version's own number and time is compared.

use std::collections::BTreeMap;

use fhir::json::{Kind, Value};
use similar::{Algorithm, ChangeTag, DiffOp, TextDiff, capture_diff_slices};

/// A piece of a text, and whether it differs from the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it differs.
    pub changed: bool,
}

/// One changed field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `name[0].given[1]`.
    pub path: String,
    /// Before; empty where it was absent.
    pub before: Vec<Piece>,
    /// After; empty where it is gone.
    pub after: Vec<Piece>,
}

impl Change {
    /// `Added`, `Removed` or `Changed`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match (self.before.is_empty(), self.after.is_empty()) {
            (true, _) => "Added",
            (_, true) => "Removed",
            _ => "Changed",
        }
    }
    /// The word that picks the colours.
    #[must_use]
    pub fn tone(&self) -> &'static str {
        match self.kind() {
            "Added" => "good",
            "Removed" => "bad",
            _ => "info",
        }
    }
}

/// The fields that differ, in the order of the newer version.
#[must_use]
pub fn changes(before: Value<'_>, after: Value<'_>) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(
    path: &str,
    before: Option<Value<'_>>,
    after: Option<Value<'_>>,
    found: &mut Vec<Change>,
) {
    if matches!(path, "meta.versionId" | "meta.lastUpdated") {
        return;
    }
    match (before, after) {
        (Some(a), Some(b)) if a.kind() == Kind::Object && b.kind() == Kind::Object => {
            objects(path, a, b, found);
        }
        (Some(a), Some(b)) if a.kind() == Kind::Array && b.kind() == Kind::Array => {
            arrays(path, a, b, found);
        }
        (Some(a), Some(b)) => leaves(path, a, b, found),
        (one, other) => {
            if let Some(value) = one {
                whole(path, value, true, found);
            }
            if let Some(value) = other {
                whole(path, value, false, found);
            }
        }
    }
}

fn member_path(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn objects(path: &str, before: Value<'_>, after: Value<'_>, found: &mut Vec<Change>) {
    for (key, value) in after.members() {
        compare(
            &member_path(path, &key),
            before.get(&key),
            Some(value),
            found,
        );
    }
    for (key, value) in before.members() {
        if after.get(&key).is_none() {
            compare(&member_path(path, &key), Some(value), None, found);
        }
    }
}

/// Items are aligned by content, so that one inserted item is one addition and not a change of every
/// item after it.
fn arrays(path: &str, before: Value<'_>, after: Value<'_>, found: &mut Vec<Change>) {
    let (old, new): (Vec<_>, Vec<_>) = (before.items().collect(), after.items().collect());
    let (old_raw, new_raw): (Vec<_>, Vec<_>) = (
        old.iter().map(|item| item.raw()).collect(),
        new.iter().map(|item| item.raw()).collect(),
    );
    for op in capture_diff_slices(Algorithm::Myers, &old_raw, &new_raw) {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let (from, to) = (op.old_range(), op.new_range());
        for offset in 0..from.len().max(to.len()) {
            let one = from.clone().nth(offset);
            let other = to.clone().nth(offset);
            let index = other.or(one).unwrap_or_default();
            compare(
                &format!("{path}[{index}]"),
                one.and_then(|index| old.get(index).copied()),
                other.and_then(|index| new.get(index).copied()),
                found,
            );
        }
    }
}

fn leaves(path: &str, before: Value<'_>, after: Value<'_>, found: &mut Vec<Change>) {
    if before.raw() == after.raw() {
        return;
    }
    let (old, new) = (shown(before), shown(after));
    if old == new && before.kind() == after.kind() {
        return; // the same text, escaped otherwise
    }
    let (before, after) = marked(&old, &new);
    found.push(Change {
        path: path.to_owned(),
        before,
        after,
    });
}

/// Every leaf of an added or removed value.
fn whole(path: &str, value: Value<'_>, gone: bool, found: &mut Vec<Change>) {
    match value.kind() {
        Kind::Object => {
            for (key, member) in value.members() {
                whole(&member_path(path, &key), member, gone, found);
            }
        }
        Kind::Array => {
            for (index, item) in value.items().enumerate() {
                whole(&format!("{path}[{index}]"), item, gone, found);
            }
        }
        _ => {
            let piece = vec![Piece {
                text: shown(value),
                changed: true,
            }];
            let (before, after) = if gone {
                (piece, Vec::new())
            } else {
                (Vec::new(), piece)
            };
            found.push(Change {
                path: path.to_owned(),
                before,
                after,
            });
        }
    }
}

fn shown(value: Value<'_>) -> String {
    match value.kind() {
        Kind::String => value.as_str().unwrap_or_default().into_owned(),
        Kind::Null => "null".to_owned(),
        _ => String::from_utf8_lossy(value.raw()).into_owned(),
    }
}

/// Both sides cut into equal and differing pieces, word by word.
fn marked(old: &str, new: &str) -> (Vec<Piece>, Vec<Piece>) {
    let diff = TextDiff::from_words(old, new);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for change in diff.iter_all_changes() {
        let text = change.value();
        match change.tag() {
            ChangeTag::Equal => {
                push(&mut before, text, false);
                push(&mut after, text, false);
            }
            ChangeTag::Delete => push(&mut before, text, true),
            ChangeTag::Insert => push(&mut after, text, true),
        }
    }
    for side in [&mut before, &mut after] {
        if side.is_empty() {
            side.push(Piece {
                text: "(empty text)".to_owned(),
                changed: true,
            });
        }
    }
    (before, after)
}

fn push(pieces: &mut Vec<Piece>, text: &str, changed: bool) {
    match pieces.last_mut() {
        Some(last) if last.changed == changed => last.text.push_str(text),
        _ => pieces.push(Piece {
            text: text.to_owned(),
            changed,
        }),
    }
}

/// The leaves of a resource as path and text, grouped by top-level field, for the readable view.
#[must_use]
pub fn fields(resource: Value<'_>) -> Vec<(String, Vec<(String, String)>)> {
    let mut order: Vec<String> = Vec::new();
    let mut groups: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (key, value) in resource.members() {
        let mut leaves = Vec::new();
        whole("", value, false, &mut leaves);
        let group = groups.entry(key.to_string()).or_default();
        order.push(key.into_owned());
        group.extend(leaves.into_iter().map(|leaf| {
            (
                leaf.path.trim_start_matches('.').to_owned(),
                leaf.after.into_iter().map(|piece| piece.text).collect(),
            )
        }));
    }
    order
        .into_iter()
        .filter_map(|key| groups.remove(&key).map(|group| (key, group)))
        .collect()
}

/// A resource as JSON indented for reading; numbers and texts as they are stored.
#[must_use]
pub fn indented(value: Value<'_>) -> String {
    let mut shown = String::new();
    indent(value, 0, &mut shown);
    shown
}

fn indent(value: Value<'_>, depth: usize, into: &mut String) {
    let (open, close) = match value.kind() {
        Kind::Object if !value.is_empty() => ('{', '}'),
        Kind::Array if !value.is_empty() => ('[', ']'),
        _ => {
            into.push_str(&String::from_utf8_lossy(value.raw()));
            return;
        }
    };
    into.push(open);
    let line = |into: &mut String, first: bool| {
        into.push_str(if first { "\n" } else { ",\n" });
        into.extend(core::iter::repeat_n("  ", depth + 1));
    };
    if value.kind() == Kind::Object {
        for (place, (key, member)) in value.members().enumerate() {
            line(into, place == 0);
            into.push('"');
            into.push_str(&key);
            into.push_str("\": ");
            indent(member, depth + 1, into);
        }
    } else {
        for (place, item) in value.items().enumerate() {
            line(into, place == 0);
            indent(item, depth + 1, into);
        }
    }
    into.push('\n');
    into.extend(core::iter::repeat_n("  ", depth));
    into.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    fn lines(before: &str, after: &str) -> Vec<String> {
        let (before, after) = (parse(before), parse(after));
        let side = |pieces: &[Piece]| {
            pieces
                .iter()
                .map(|p| {
                    if p.changed {
                        format!("[{}]", p.text)
                    } else {
                        p.text.clone()
                    }
                })
                .collect::<String>()
        };
        changes(before.root(), after.root())
            .iter()
            .map(|c| {
                format!(
                    "{} {}: {} -> {}",
                    c.kind(),
                    c.path,
                    side(&c.before),
                    side(&c.after)
                )
            })
            .collect()
    }

    #[test]
    fn names_the_changed_words() {
        let found = lines(
            r#"{"id":"1","note":"take with food"}"#,
            r#"{"id":"1","note":"take without food"}"#,
        );
        assert_eq!(
            found,
            ["Changed note: take [with] food -> take [without] food"]
        );
    }

    #[test]
    fn an_inserted_item_is_one_addition() {
        let found = lines(
            r#"{"given":[{"v":"a"},{"v":"b"}]}"#,
            r#"{"given":[{"v":"new"},{"v":"a"},{"v":"b"}]}"#,
        );
        assert_eq!(found, ["Added given[0].v:  -> [new]"]);
    }

    #[test]
    fn decimals_differ_by_their_precision() {
        assert_eq!(
            lines(r#"{"value":1.5}"#, r#"{"value":1.50}"#),
            ["Changed value: [1.5] -> [1.50]"]
        );
        assert_eq!(
            lines(r#"{"value":1.50}"#, r#"{"value":1.50}"#),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_versions_own_number_and_time_are_left_out() {
        let found = lines(
            r#"{"meta":{"versionId":"1","lastUpdated":"x","tag":[{"code":"a"}]},"active":true}"#,
            r#"{"meta":{"versionId":"2","lastUpdated":"y"}}"#,
        );
        assert_eq!(
            found,
            [
                "Removed meta.tag[0].code: [a] -> ",
                "Removed active: [true] -> "
            ]
        );
    }

    #[test]
    fn text_and_number_of_the_same_writing_differ() {
        assert_eq!(lines(r#"{"v":"1"}"#, r#"{"v":1}"#).len(), 1);
    }

    #[test]
    fn indentation_keeps_every_value_as_stored() {
        let document = parse(r#"{"a":1.50,"b":[],"c":[{"d":"\u00e9"},null]}"#);
        let shown = indented(document.root());
        assert_eq!(
            shown,
            "{\n  \"a\": 1.50,\n  \"b\": [],\n  \"c\": [\n    {\n      \"d\": \"\\u00e9\"\n    },\n    null\n  ]\n}"
        );
    }
}
