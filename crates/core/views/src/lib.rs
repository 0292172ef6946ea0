//! SQL on FHIR v2: a ViewDefinition is compiled once and turns resources into rows. Pure: where rows go
//! and where resources come from is the caller's.
//!
//! ```text
//! let view = views::View::compile(view_definition.root())?;
//! for row in view.rows(resource.root(), &Limits::default())? { .. }
//! ```
//!
//! [`View::columns`] names and types the columns in their order, [`Row`]s hold one [`Cell`] for each.
//! [`write_ndjson`], [`write_csv`] and [`Table`] (typed columns with Dremel levels, as Parquet stores
//! them) are the ways out. A resource of another type yields no rows.

mod cell;
mod columns;
mod compile;
mod error;
mod run;
mod text;

pub use cell::{Cell, Row};
pub use columns::{Table, TypedColumn, Values};
pub use compile::View;
pub use error::{RowError, ViewError};
pub use run::Limits;
pub use text::{write_csv, write_csv_header, write_ndjson};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// `boolean`
    Boolean,
    /// `integer`, `positiveInt`, `unsignedInt`
    Integer,
    /// `decimal`, exact
    Decimal,
    /// Every other primitive, as its text.
    Text,
}

/// A column of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name: letters, digits and underscores.
    pub name: String,
    /// What it holds.
    pub ty: ColumnType,
    /// The FHIR type it was declared with; none where it was not.
    pub declared: Option<String>,
    /// Whether it holds lists.
    pub collection: bool,
    /// Its description, for catalogues.
    pub description: Option<String>,
}
