//! Sort keys as SQL: what is selected, how it is ordered, and what comes after the last item of a page.
//! Missing values come last in both directions.

use core::fmt::Write as _;

use fhir::Definitions;
use fhir::search::ParamId;

use super::{Bind, Writer};
use crate::index::{CODE_TEXT, NEXT_TEXT, TARGET_TEXT};
use crate::port::search::{PositionValue, Sort, SortKey};
use crate::query::tree::Query;

/// A sort key with the expression it stands for; `None` for the row itself.
pub(super) struct Key {
    pub(super) value: Option<String>,
    /// Whether every resource has a value.
    always: bool,
    descending: bool,
}

/// An order: its keys, and the expression of the row that breaks ties.
pub(super) struct Order {
    pub(super) keys: Vec<Key>,
    row: String,
}

impl Order {
    /// Of a search on heads `r`; `first` replaces the expression of the first key, where an index is walked.
    pub(super) fn of(w: &Writer<'_>, query: &Query, row: &str, first: Option<String>) -> Self {
        let mut keys: Vec<Key> = query.sort.iter().map(|sort| key(w, query, *sort)).collect();
        if let (Some(expression), Some(key)) = (first, keys.first_mut()) {
            *key = Key {
                value: Some(expression),
                always: true,
                descending: key.descending,
            };
        }
        Self {
            keys,
            row: row.to_owned(),
        }
    }

    /// Of columns `v0`, `v1` and so on of a derived table.
    pub(super) fn columns(query: &Query) -> Self {
        let key = |(at, sort): (usize, &Sort)| Key {
            value: (sort.key != SortKey::Row).then(|| format!("v{at}")),
            always: matches!(sort.key, SortKey::Updated | SortKey::Id),
            descending: sort.descending,
        };
        Self {
            keys: query.sort.iter().enumerate().map(key).collect(),
            row: "rid".to_owned(),
        }
    }

    /// The selected values, each beginning with a comma.
    pub(super) fn selected(&self) -> String {
        let mut text = String::new();
        for (at, key) in self.keys.iter().enumerate() {
            let value = key.value.as_deref().unwrap_or("NULL");
            let _ = write!(text, ", {value} AS v{at}");
        }
        text
    }

    fn direction(descending: bool) -> &'static str {
        if descending { " DESC" } else { " ASC" }
    }

    /// Writes ` ORDER BY ...`.
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.push(" ORDER BY ");
        for (at, key) in self.keys.iter().enumerate() {
            let direction = Self::direction(key.descending);
            let Some(value) = &key.value else {
                // The row is unique: what comes after it decides nothing.
                w.push(&self.row).push(direction);
                return;
            };
            if key.always {
                w.push(value).push(direction).push(", ");
            } else {
                // By its name: the expression is a look-up, made once.
                let _ = write!(w.text, "v{at}{direction} NULLS LAST, ");
            }
        }
        let last = self.keys.last().is_some_and(|key| key.descending);
        w.push(&self.row).push(Self::direction(last));
    }

    /// Writes what keeps to the items after the last one, beginning with ` AND `.
    pub(super) fn after(&self, w: &mut Writer<'_>, query: &Query) {
        let Some(after) = &query.after else { return };
        let rows = self.keys.last().is_some_and(|key| key.descending);
        let mut open = 0;
        // The first key alone bounds the walk from one side, so that an index can be sought in.
        if let (Some(key), Some(Some(value))) = (self.keys.first(), after.values.first())
            && key.always
            && let Some(expression) = &key.value
        {
            let seek = if key.descending { " <= " } else { " >= " };
            w.push(" AND ")
                .push(expression)
                .push(seek)
                .bind(bound(value));
        }
        w.push(" AND (");
        for (key, value) in self.keys.iter().zip(&after.values) {
            let beyond = if key.descending { " < " } else { " > " };
            let Some(expression) = &key.value else {
                w.push(&self.row).push(beyond).int(after.row.0);
                w.push(&")".repeat(open + 1));
                return;
            };
            let Some(value) = value else {
                w.push(expression).push(" IS NULL AND (");
                open += 1;
                continue;
            };
            w.push(expression).push(beyond).bind(bound(value));
            if !key.always {
                w.push(" OR ").push(expression).push(" IS NULL");
            }
            w.push(" OR (").push(expression).push(" = ");
            w.bind(bound(value)).push(" AND (");
            open += 2;
        }
        let beyond = if rows { " < " } else { " > " };
        w.push(&self.row).push(beyond).int(after.row.0);
        w.push(&")".repeat(open + 1));
    }
}

fn bound(value: &PositionValue) -> Bind {
    match value {
        PositionValue::Number(number) => Bind::Int(*number),
        PositionValue::Text(text) => Bind::Text(text.clone()),
    }
}

/// Between which texts the values of a key lie among those of its parameter.
pub(super) const fn band(key: SortKey) -> Option<(char, char)> {
    match key {
        SortKey::Code(_) => Some((CODE_TEXT, TARGET_TEXT)),
        _ => None,
    }
}

/// A condition on the texts of an alias, beginning with ` AND `.
pub(super) fn within(alias: &str, band: Option<(char, char)>) -> String {
    band.map_or_else(String::new, |(from, to)| {
        format!(" AND {alias}.v >= '{from}' AND {alias}.v < '{to}'")
    })
}

/// What a resource refers to, written as [`crate::index::local_text`] and [`crate::index::target_text`]
/// write it: what is stored here is found by its name's hash, the rest is kept as text.
fn target(w: &Writer<'_>, end: &str, ps: &str) -> String {
    let [link, head, text] = ["s", "t", "x"].map(|alias| w.dialect.tenant(alias));
    let kept = within("x", Some((TARGET_TEXT, NEXT_TEXT)));
    format!(
        "(SELECT {end}(g.v) FROM (SELECT '{TARGET_TEXT}' || cast(10000 + t.ty AS text) || '/' || t.fid AS v \
         FROM ix_ref s JOIN res t ON {head}t.rh = s.v WHERE {link}s.rid = r.rid AND s.p {ps} \
         UNION ALL SELECT x.v AS v FROM ix_txt x WHERE {text}x.rid = r.rid AND x.p {ps}{kept}) g)"
    )
}

/// The parameters that a key stands for, as ` = 1` or ` IN (1, 2)`: in a search of several types, those of
/// each type with its code and kind.
fn numbers(query: &Query, param: ParamId) -> String {
    let definitions = Definitions::r4();
    let same = definitions
        .search_param_by_id(param)
        .map_or_else(Vec::new, |known| {
            let types = query.types().iter();
            let own = types.filter_map(|ty| definitions.search_param(*ty, known.code));
            let own = own.filter(|own| own.kind == known.kind);
            own.map(|own| own.id.0.to_string()).collect()
        });
    match same.as_slice() {
        [] | [_] => format!("= {}", param.0),
        many => format!("IN ({})", many.join(", ")),
    }
}

/// The expression sorted by. Parameter numbers are ours and small: written into the text, so that the
/// expression can be repeated.
fn key(w: &Writer<'_>, query: &Query, sort: Sort) -> Key {
    let descending = sort.descending;
    let end = if descending { "max" } else { "min" };
    let of = |table: &str, column: &str, end: &str, param: ParamId, more: &str| {
        let (tenant, ps) = (w.dialect.tenant("s"), numbers(query, param));
        format!(
            "(SELECT {end}(s.{column}) FROM {table} s WHERE {tenant}s.rid = r.rid AND s.p {ps}{more})"
        )
    };
    let (value, always) = match sort.key {
        SortKey::Row => (None, true),
        SortKey::Updated => (Some("r.vid".to_owned()), true),
        SortKey::Id => (Some("r.fid".to_owned()), true),
        SortKey::Range(param) if descending => {
            let value = of("ix_rng", "hi", "max", param, " AND s.u = 0");
            (Some(value), false)
        }
        SortKey::Range(param) => {
            let value = of("ix_rng", "lo", "min", param, " AND s.u = 0");
            (Some(value), false)
        }
        SortKey::Text(param) | SortKey::Code(param) => {
            let more = within("s", band(sort.key));
            (Some(of("ix_txt", "v", end, param, &more)), false)
        }
        SortKey::Reference(param) => (Some(target(w, end, &numbers(query, param))), false),
    };
    Key {
        value,
        always,
        descending,
    }
}
