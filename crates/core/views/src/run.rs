//! Rows of a resource: each select makes the product of its columns, its inner selects and its unions, for
//! each item it stands for.

use fhir::json::Value;
use fhirpath::{Collection, Environment, Expression, Item};
use kernel::Timestamp;

use crate::cell::{Cell, Row};
use crate::compile::{Each, Select, View};
use crate::{Column, RowError};

/// What the rows of one resource may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows of one resource, those on the way to them included.
    pub rows: usize,
    /// How deep `repeat` follows.
    pub depth: u32,
    /// What each path may cost.
    pub path: fhirpath::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 50_000,
            depth: 64,
            path: fhirpath::Limits {
                steps: 1_000_000,
                ..fhirpath::Limits::default()
            },
        }
    }
}

/// A row in the making: cells with the place of their column.
type Part = Vec<(usize, Cell)>;

impl View {
    /// The rows of a resource; none for a resource of another type or one the conditions leave out.
    ///
    /// # Errors
    /// Paths that fail on this resource, several values in a column of one, values a column's type does not
    /// take, and more rows than the limit.
    pub fn rows(
        &self,
        resource: Value<'_>,
        now: Option<Timestamp>,
        limits: &Limits,
    ) -> Result<Vec<Row>, RowError> {
        let item = Item::resource(resource);
        let mine = fhir::Definitions::r4().resource_name(self.resource);
        if item.type_info().name != mine {
            return Ok(Vec::new());
        }
        let mut environment = Environment::new(item.clone()).limited(limits.path);
        if let Some(now) = now {
            environment = environment.at(now, 0);
        }
        for constant in &self.constants {
            let value = constant.document.root().get("value");
            let value = Collection::of(Item::element(value, None, constant.ty));
            environment.set_variable(&constant.name, value);
        }
        let mut runner = Runner {
            columns: self.columns(),
            environment,
            limits,
            made: 0,
        };
        runner.index(0);
        let context = Collection::of(item);
        if !runner.passes(&self.conditions, &context)? {
            return Ok(Vec::new());
        }
        let mut parts = vec![Part::new()];
        for select in &self.selects {
            let made = runner.select(select, &context, 0)?;
            parts = runner.product(parts, &made)?;
        }
        Ok(parts
            .into_iter()
            .map(|part| {
                let mut row = vec![Cell::Null; self.columns().len()];
                for (at, cell) in part {
                    if let Some(place) = row.get_mut(at) {
                        *place = cell;
                    }
                }
                row
            })
            .collect())
    }
}

struct Runner<'v, 'a> {
    columns: &'v [Column],
    environment: Environment<'a>,
    limits: &'v Limits,
    made: usize,
}

impl<'a> Runner<'_, 'a> {
    fn index(&mut self, index: usize) {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        self.environment
            .set_variable("rowIndex", Collection::of(Item::Integer(index)));
    }

    fn charge(&mut self, rows: usize) -> Result<(), RowError> {
        self.made = self.made.saturating_add(rows);
        if self.made > self.limits.rows {
            return Err(RowError::TooMany(self.limits.rows));
        }
        Ok(())
    }

    fn evaluate(
        &self,
        path: &'a Expression,
        context: &Collection<'a>,
        column: impl FnOnce() -> String,
    ) -> Result<Collection<'a>, RowError> {
        path.evaluate_all(&self.environment, context)
            .map_err(|error| RowError::Path {
                column: column(),
                error,
            })
    }

    fn passes(
        &self,
        conditions: &'a [Expression],
        context: &Collection<'a>,
    ) -> Result<bool, RowError> {
        for (at, condition) in conditions.iter().enumerate() {
            let value = self.evaluate(condition, context, || format!("where[{at}]"))?;
            let truth = match value.len() {
                0 => false,
                1 => value
                    .first()
                    .and_then(Item::as_bool)
                    .ok_or(RowError::NotBoolean(at))?,
                _ => return Err(RowError::NotBoolean(at)),
            };
            if !truth {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Every pair of a part and another.
    fn product(&mut self, parts: Vec<Part>, with: &[Part]) -> Result<Vec<Part>, RowError> {
        self.charge(parts.len().saturating_mul(with.len()))?;
        if let ([only], true) = (with, parts.len() == 1) {
            let mut parts = parts;
            if let Some(part) = parts.first_mut() {
                part.extend(only.iter().cloned());
            }
            return Ok(parts);
        }
        let mut made = Vec::with_capacity(parts.len() * with.len());
        for part in &parts {
            for other in with {
                made.push(part.iter().chain(other).cloned().collect());
            }
        }
        Ok(made)
    }

    fn select(
        &mut self,
        select: &'a Select,
        context: &Collection<'a>,
        index: usize,
    ) -> Result<Vec<Part>, RowError> {
        let path = || "forEach".to_owned();
        let found = match &select.each {
            Each::Context => return self.body(select, context, index),
            Each::Item(each) | Each::ItemOrNull(each) => self.evaluate(each, context, path)?,
            Each::Repeat(paths) => {
                let mut found = Collection::empty();
                for item in context {
                    self.descend(paths, item, 0, &mut found)?;
                }
                found
            }
        };
        if found.is_empty() && matches!(select.each, Each::ItemOrNull(_)) {
            return self.body(select, &found, 0);
        }
        let mut rows = Vec::new();
        for (at, item) in found.into_iter().enumerate() {
            self.charge(1)?;
            self.index(at);
            rows.extend(self.body(select, &Collection::of(item), at)?);
        }
        self.index(index);
        Ok(rows)
    }

    /// Items below an item by any of the paths, parents before their children.
    fn descend(
        &mut self,
        paths: &'a [Expression],
        item: &Item<'a>,
        depth: u32,
        found: &mut Collection<'a>,
    ) -> Result<(), RowError> {
        if depth > self.limits.depth {
            return Err(RowError::TooMany(self.limits.rows));
        }
        let context = Collection::of(item.clone());
        for path in paths {
            for child in self.evaluate(path, &context, || "repeat".to_owned())? {
                self.charge(1)?;
                found.push(child.clone());
                self.descend(paths, &child, depth + 1, found)?;
            }
        }
        Ok(())
    }

    fn body(
        &mut self,
        select: &'a Select,
        context: &Collection<'a>,
        index: usize,
    ) -> Result<Vec<Part>, RowError> {
        self.index(index);
        let mut own = Part::with_capacity(select.columns.len());
        for (at, path) in &select.columns {
            let Some(column) = self.columns.get(*at) else {
                continue;
            };
            let found = self.evaluate(path, context, || column.name.clone())?;
            own.push((*at, Cell::of(column, &found)?));
        }
        let mut parts = vec![own];
        for inner in &select.selects {
            let made = self.select(inner, context, index)?;
            parts = self.product(parts, &made)?;
        }
        if !select.unions.is_empty() {
            let mut all = Vec::new();
            for branch in &select.unions {
                all.extend(self.select(branch, context, index)?);
            }
            parts = self.product(parts, &all)?;
        }
        Ok(parts)
    }
}
