//! The table of a tenant's own search parameters, kept as one document. Numbers are given once and never
//! again: rows of a retired parameter may still lie in the index.

use std::collections::BTreeMap;

use fhir::definitions::Definitions;
use fhir::search::ParamKind;
use kernel::{TenantScope, Timestamp};
use serde::{Deserialize, Serialize};
use store::{CommitError, DocExpected, DocKind, DocWrite};

use super::definition::Defined;
use super::job::Standing;
use crate::App;
use crate::error::AppError;

/// The document's id; there is one per tenant.
const ID: &str = "table";
/// The first number of a tenant's own parameters.
pub(crate) const FIRST: u16 = store::index::FIRST_OWN;
/// The last.
const LAST: u16 = 0xfeff;
/// Parameters in use at most.
const MOST: usize = 500;

/// Why a definition waits that changes another one once too often.
const CHANGED_TOO_OFTEN: &str =
    "search parameters of this tenant were changed too often since the start: restart the process";

/// How far a parameter is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Given to new versions; stored ones wait until every process knows it.
    Announced {
        /// Since when, in microseconds.
        at: i64,
    },
    /// A pass gives it to stored versions.
    Building,
    /// Searches may use it.
    Ready,
    /// Not offered, and why.
    Refused {
        /// With the remedy.
        reason: String,
    },
    /// Its definition is gone or was changed.
    Retired,
}

/// One parameter of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub url: String,
    pub code: String,
    /// The type's name.
    pub base: String,
    pub kind: ParamKind,
    /// Names of types.
    pub targets: Vec<String>,
    pub expression: String,
    /// 0 where it was refused.
    pub number: u16,
    pub state: State,
    /// Stored resources that it could not be evaluated for: searches do not find them by it.
    #[serde(default)]
    pub failed: u64,
}

/// A pass over a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pass {
    /// The type's name.
    pub base: String,
    /// The last row done.
    pub after: Option<i64>,
    /// Versions looked at.
    pub done: u64,
    /// How many there were when it began.
    pub of: u64,
    /// Versions whose expressions could not be evaluated.
    #[serde(default)]
    pub failed: u64,
    /// The same by parameter's number.
    #[serde(default)]
    pub failures: BTreeMap<u16, u64>,
}

impl Pass {
    /// One that has not begun.
    pub(super) fn over(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            after: None,
            done: 0,
            of: 0,
            failed: 0,
            failures: BTreeMap::new(),
        }
    }
}

/// The table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub rows: Vec<Row>,
    pub passes: Vec<Pass>,
    next: u16,
    /// Which release's rows everything stored has; 0 where that is unknown.
    #[serde(default)]
    generation: u16,
    /// The generation that the passes lead to.
    #[serde(default)]
    renewing: u16,
}

/// Counts up when a release makes index rows that releases before it did not.
const GENERATION: u16 = 2;

impl Default for Table {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            passes: Vec::new(),
            next: FIRST,
            generation: 0,
            renewing: 0,
        }
    }
}

impl Table {
    /// Of a tenant that holds nothing yet.
    pub(super) fn fresh() -> Self {
        Self {
            generation: GENERATION,
            ..Self::default()
        }
    }

    /// Whether everything stored has this release's index rows.
    pub(crate) const fn is_whole(&self) -> bool {
        self.generation == GENERATION
    }

    /// Whether passes that make it so have still to be ordered.
    pub(super) const fn needs_renewal(&self) -> bool {
        !self.is_whole() && self.renewing != GENERATION
    }

    /// Orders a pass over each type that holds something; one that is under way begins again.
    pub(super) fn renew(&mut self, types: &[&str]) {
        self.passes.retain(|pass| !types.contains(&&*pass.base));
        self.passes
            .extend(types.iter().map(|base| Pass::over(base)));
        self.renewing = GENERATION;
        self.renewed();
    }

    fn renewed(&mut self) {
        if self.passes.is_empty() && self.renewing == GENERATION {
            self.generation = GENERATION;
        }
    }

    /// Brings the table to what is defined now; answers whether anything changed.
    pub(super) fn settle(
        &mut self,
        definitions: &Definitions,
        defined: &[Defined],
        now: Timestamp,
    ) -> bool {
        let before = self.clone();
        let mut rows: Vec<Row> = Vec::new();
        for one in defined {
            let row = self.row(definitions, one, &rows, now);
            rows.push(row);
        }
        let kept = |row: &Row| rows.iter().any(|other| other.number == row.number);
        let gone: Vec<Row> = self
            .rows
            .iter()
            .filter(|row| row.number != 0 && !kept(row))
            .cloned()
            .collect();
        rows.extend(gone.into_iter().map(|row| Row {
            state: State::Retired,
            ..row
        }));
        self.rows = rows;
        *self != before
    }

    fn row(
        &mut self,
        definitions: &Definitions,
        one: &Defined,
        taken: &[Row],
        now: Timestamp,
    ) -> Row {
        let base = definitions.resource_name(one.ty);
        let mut row = Row {
            url: one.url.clone(),
            code: one.code.clone(),
            base: base.to_owned(),
            kind: one.kind,
            targets: one
                .targets
                .iter()
                .map(|ty| definitions.resource_name(*ty).to_owned())
                .collect(),
            expression: one.expression.clone(),
            number: 0,
            state: State::Retired,
            failed: 0,
        };
        let same = |other: &&Row| {
            other.number != 0
                && other.state != State::Retired
                && (&other.code, &other.base, other.kind) == (&row.code, &row.base, row.kind)
                && (&other.targets, &other.expression) == (&row.targets, &row.expression)
        };
        let reason = if let Some(reason) = &one.refused {
            Some(reason.clone())
        } else if taken
            .iter()
            .any(|other| other.number != 0 && (&other.code, &other.base) == (&row.code, &row.base))
        {
            Some(format!(
                "another SearchParameter defines {} of {base}: retire one of them",
                row.code
            ))
        } else if let Some(known) = self.rows.iter().find(same) {
            row.number = known.number;
            row.state = known.state.clone();
            row.failed = known.failed;
            return row;
        } else {
            let used = taken.iter().filter(|other| other.number != 0).count();
            (used >= MOST || self.next > LAST)
                .then(|| format!("there are {MOST} parameters in use: retire some"))
        };
        if let Some(reason) = reason {
            row.state = State::Refused { reason };
            return row;
        }
        row.number = self.next;
        self.next += 1;
        row.state = State::Announced {
            at: now.as_micros(),
        };
        row
    }

    /// Marks parameters announced at or before `since` as building, with a pass over each of their types.
    pub(super) fn begin_passes(&mut self, since: i64) -> bool {
        let mut begun = false;
        for row in &mut self.rows {
            let waits = matches!(row.state, State::Announced { at } if at <= since);
            // One pass over a type at a time: what comes later waits for the next.
            if !waits
                || self
                    .passes
                    .iter()
                    .any(|pass| pass.base == row.base && pass.done > 0)
            {
                continue;
            }
            row.state = State::Building;
            if self.passes.iter().all(|pass| pass.base != row.base) {
                self.passes.push(Pass::over(&row.base));
            }
            begun = true;
        }
        begun
    }

    /// Ends the pass over a type: what it built is ready, with how often it could not be evaluated.
    pub(super) fn end_pass(&mut self, base: &str) {
        let ended = self.passes.iter().find(|pass| pass.base == base);
        let failures = ended.map_or_else(BTreeMap::new, |pass| pass.failures.clone());
        self.passes.retain(|pass| pass.base != base);
        self.renewed();
        for row in &mut self.rows {
            if row.base != base {
                continue;
            }
            if matches!(row.state, State::Building | State::Ready) {
                row.failed = failures.get(&row.number).copied().unwrap_or_default();
            }
            if row.state == State::Building {
                row.state = State::Ready;
            }
        }
    }

    /// Notes that parameters could not be evaluated for new versions.
    pub(super) fn add_failures(&mut self, failures: &BTreeMap<u16, u64>) -> bool {
        let mut changed = false;
        for row in self.rows.iter_mut().filter(|row| row.number != 0) {
            if let Some(more) = failures.get(&row.number) {
                row.failed = row.failed.saturating_add(*more);
                changed = true;
            }
        }
        changed
    }

    /// Refuses definitions that are not in the table yet, beyond so many.
    pub(super) fn refuse_beyond(
        &self,
        definitions: &Definitions,
        defined: &mut [Defined],
        mut room: usize,
    ) {
        for one in defined.iter_mut().filter(|one| one.refused.is_none()) {
            let base = definitions.resource_name(one.ty);
            let known = self.rows.iter().any(|row| {
                row.number != 0
                    && row.state != State::Retired
                    && (&*row.code, &*row.base) == (&*one.code, base)
                    && row.expression == one.expression
            });
            if known {
                continue;
            }
            match room.checked_sub(1) {
                Some(left) => room = left,
                None => one.refused = Some(CHANGED_TOO_OFTEN.to_owned()),
            }
        }
    }

    /// Whether there is something to build, now or later.
    pub(super) fn standing(&self) -> Standing {
        if !self.passes.is_empty() {
            return Standing::Going;
        }
        let waits = |row: &Row| matches!(row.state, State::Announced { .. } | State::Building);
        if self.rows.iter().any(waits) {
            Standing::Waiting
        } else {
            Standing::Settled
        }
    }
}

/// The stored table with its document's version; 0 where there is none.
pub(crate) async fn load(app: &App, scope: &TenantScope) -> Result<(Table, u32), AppError> {
    match app
        .store()
        .doc(scope, DocKind::SearchParameters, ID)
        .await?
    {
        Some(doc) => Ok((serde_json::from_slice(&doc.body)?, doc.version)),
        None => Ok((Table::default(), 0)),
    }
}

/// Stores the table over the version it was read at; `false` when another was first.
pub(crate) async fn save(
    app: &App,
    scope: &TenantScope,
    table: &Table,
    version: u32,
) -> Result<bool, AppError> {
    let write = DocWrite {
        kind: DocKind::SearchParameters,
        id: ID.to_owned(),
        expected: match version {
            0 => DocExpected::Absent,
            version => DocExpected::Version(version),
        },
        body: Some(serde_json::to_vec(table)?),
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    };
    match app.store().operate(scope, vec![write]).await {
        Ok(()) => Ok(true),
        Err(CommitError::DocConflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(code: &str, expression: &str) -> Defined {
        Defined {
            url: format!("urn:{code}"),
            code: code.to_owned(),
            ty: Definitions::r4().resource("Patient").unwrap(),
            kind: ParamKind::String,
            targets: Vec::new(),
            expression: expression.to_owned(),
            refused: None,
        }
    }

    fn states(table: &Table) -> Vec<(u16, &str, &State)> {
        table
            .rows
            .iter()
            .map(|row| (row.number, row.expression.as_str(), &row.state))
            .collect()
    }

    #[test]
    fn a_parameter_is_announced_built_and_ready_and_a_change_begins_again() {
        let (definitions, now) = (Definitions::r4(), Timestamp::from_millis(5));
        let mut table = Table::default();
        let one = defined("nick", "a");
        assert!(table.settle(definitions, std::slice::from_ref(&one), now));
        assert!(!table.settle(
            definitions,
            std::slice::from_ref(&one),
            Timestamp::from_millis(9)
        ));
        assert!(!table.begin_passes(now.as_micros() - 1));
        assert!(table.begin_passes(now.as_micros()));
        assert_eq!(table.standing(), Standing::Going);
        table.end_pass("Patient");
        assert_eq!(table.standing(), Standing::Settled);
        assert_eq!(states(&table), [(FIRST, "a", &State::Ready)]);
        assert!(table.settle(definitions, &[defined("nick", "b")], now));
        let announced = State::Announced { at: 5000 };
        assert_eq!(
            states(&table),
            [(FIRST + 1, "b", &announced), (FIRST, "a", &State::Retired)]
        );
        // The first definition again is not the retired one: its rows may be old.
        assert!(table.settle(definitions, &[one], now));
        assert_eq!(states(&table)[0].0, FIRST + 2);
    }

    #[test]
    fn one_code_of_a_type_is_one_parameter() {
        let mut table = Table::default();
        let two = [defined("nick", "a"), defined("nick", "b")];
        table.settle(Definitions::r4(), &two, Timestamp::from_millis(1));
        let State::Refused { reason } = &table.rows[1].state else {
            panic!("{table:?}");
        };
        assert!(reason.contains("another SearchParameter"));
        assert_eq!(table.rows[1].number, 0);
    }

    #[test]
    fn what_could_not_be_evaluated_stays_with_the_parameter() {
        let (definitions, now) = (Definitions::r4(), Timestamp::from_millis(1));
        let mut table = Table::default();
        let two = [defined("a", "a"), defined("b", "b")];
        table.settle(definitions, &two, now);
        table.begin_passes(i64::MAX);
        table.passes[0].failures.insert(FIRST + 1, 3);
        table.end_pass("Patient");
        let failed = |table: &Table| [table.rows[0].failed, table.rows[1].failed];
        assert_eq!(failed(&table), [0, 3]);
        assert!(table.add_failures(&BTreeMap::from([(FIRST, 1), (FIRST + 9, 1)])));
        assert!(!table.settle(definitions, &two, now));
        assert_eq!(failed(&table), [1, 3]);
    }

    #[test]
    fn a_tenant_that_changes_too_much_is_refused_the_change_and_keeps_the_rest() {
        let (definitions, now) = (Definitions::r4(), Timestamp::from_millis(1));
        let mut table = Table::default();
        table.settle(definitions, &[defined("a", "a")], now);
        let mut next = [defined("a", "a"), defined("b", "b"), defined("c", "c")];
        table.refuse_beyond(definitions, &mut next, 1);
        let refused: Vec<bool> = next.iter().map(|one| one.refused.is_some()).collect();
        assert_eq!(refused, [false, false, true]);
        table.settle(definitions, &next, now);
        assert!(
            matches!(&table.rows[2].state, State::Refused { reason } if reason.contains("restart"))
        );
        assert!(matches!(table.rows[0].state, State::Announced { .. }));
    }

    #[test]
    fn a_pass_under_way_is_not_joined() {
        let definitions = Definitions::r4();
        let mut table = Table::default();
        let (one, two) = (defined("a", "a"), defined("b", "b"));
        table.settle(
            definitions,
            std::slice::from_ref(&one),
            Timestamp::from_millis(1),
        );
        table.begin_passes(i64::MAX);
        table.passes[0].done = 10;
        table.settle(definitions, &[one, two], Timestamp::from_millis(2));
        assert!(!table.begin_passes(i64::MAX));
        table.end_pass("Patient");
        assert!(table.begin_passes(i64::MAX));
    }
}
