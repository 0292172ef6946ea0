//! The unit of work: the only way to change anything. Its type says whether a ledger entry was
//! recorded: [`UnitOfWork<Open>`] has no `commit`, only [`UnitOfWork<Recorded>`] has.
//!
//! ```compile_fail
//! # async fn f(unit: app::unit::UnitOfWork<app::unit::Open>) {
//! unit.commit().await; // no method named `commit` found for `UnitOfWork<Open>`
//! # }
//! ```

use core::marker::PhantomData;

use kernel::TenantScope;
use store::{Change, CommitError, DocWrite, Entry, Guard, Receipt, Unit};

use crate::App;

/// Nothing was recorded yet: cannot be committed.
#[derive(Debug)]
pub enum Open {}
/// At least one ledger entry was recorded.
#[derive(Debug)]
pub enum Recorded {}

/// One commit in the making.
#[must_use = "a unit of work does nothing until it is committed"]
pub struct UnitOfWork<S> {
    app: App,
    scope: TenantScope,
    unit: Unit,
    state: PhantomData<S>,
}

impl UnitOfWork<Open> {
    /// Begins a unit for a tenant.
    pub fn begin(app: &App, scope: &TenantScope) -> Self {
        Self {
            app: app.clone(),
            scope: scope.clone(),
            unit: Unit::default(),
            state: PhantomData,
        }
    }
}

impl<S> UnitOfWork<S> {
    /// Adds a condition on other resources.
    pub fn guard(mut self, guard: Guard) -> Self {
        self.unit.guards.push(guard);
        self
    }

    /// Adds several conditions.
    pub fn guards(mut self, guards: impl IntoIterator<Item = Guard>) -> Self {
        self.unit.guards.extend(guards);
        self
    }

    /// Adds a write of a document.
    pub fn doc(mut self, write: DocWrite) -> Self {
        self.unit.docs.push(write);
        self
    }

    /// Adds a new version, which carries its own entry.
    pub fn change(mut self, change: Change) -> UnitOfWork<Recorded> {
        self.unit.changes.push(change);
        self.recorded()
    }

    /// Adds many new versions; `None` where there are none.
    pub fn changes(mut self, changes: Vec<Change>) -> Option<UnitOfWork<Recorded>> {
        if changes.is_empty() {
            return None;
        }
        if self.unit.changes.is_empty() {
            self.unit.changes = changes;
        } else {
            self.unit.changes.extend(changes);
        }
        Some(self.recorded())
    }

    /// Adds an entry beside those of the versions.
    pub fn entry(mut self, entry: Entry) -> UnitOfWork<Recorded> {
        self.unit.entries.push(entry);
        self.recorded()
    }

    /// Adds many entries; `None` where there are none.
    pub fn entries(mut self, entries: Vec<Entry>) -> Option<UnitOfWork<Recorded>> {
        if entries.is_empty() {
            return None;
        }
        self.unit.entries.extend(entries);
        Some(self.recorded())
    }

    fn recorded(self) -> UnitOfWork<Recorded> {
        UnitOfWork {
            app: self.app,
            scope: self.scope,
            unit: self.unit,
            state: PhantomData,
        }
    }
}

impl UnitOfWork<Recorded> {
    /// Commits everything or nothing; on `Ok` it is on disk.
    pub async fn commit(self) -> Result<Receipt, CommitError> {
        let mut unit = self.unit;
        unit.changes = crate::search_parameters::complete(&self.app, &self.scope, unit.changes)
            .await
            .map_err(|error| match error {
                crate::AppError::Store(error) => CommitError::Store(error),
                other => CommitError::Store(store::StoreError::Engine(other.to_string())),
            })?;
        let definitions = self.app.definitions();
        let defines =
            |change: &Change| definitions.resource_name(change.key.ty) == "StructureDefinition";
        let is_definition = unit.changes.iter().any(defines);
        let touched = self.app.touches_terminology(&unit.changes);
        let receipt = self.app.store().commit(&self.scope, unit).await?;
        if let Some(row) = touched {
            let tenant = self.scope.tenant();
            self.app.caches().terminology.committed(tenant, row);
        }
        if is_definition {
            self.app.caches().profiles.forget(self.scope.tenant());
        }
        self.app.board().subscriptions.changed(self.scope.tenant());
        Ok(receipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NotThere;
    // Taken only where the type itself has no `commit`: an inherent method would win and break the test.
    trait Probe: Sized {
        fn commit(self) -> NotThere {
            NotThere
        }
    }
    impl<S> Probe for UnitOfWork<S> {}

    #[test]
    fn an_open_unit_has_no_commit() {
        let probe: fn(UnitOfWork<Open>) -> NotThere = |unit| unit.commit();
        let _ = probe;
    }
}
