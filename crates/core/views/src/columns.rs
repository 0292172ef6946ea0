//! Rows as typed columns with definition and repetition levels (Dremel), the form Parquet and Arrow writers
//! take. Engine-neutral: no file format is known here.

use rust_decimal::Decimal;

use crate::{Cell, Column, ColumnType, Row, RowError, View};

/// The values of a column, without nothings.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Booleans.
    Boolean(Vec<bool>),
    /// Integers.
    Integer(Vec<i64>),
    /// Decimals, each with its own scale.
    Decimal(Vec<Decimal>),
    /// Text.
    Text(Vec<String>),
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TypedColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub ty: ColumnType,
    /// Whether rows may have nothing in it; lists are empty instead.
    pub nullable: bool,
    /// Whether each row holds a list.
    pub repeated: bool,
    /// The values there are.
    pub values: Values,
    /// For each place: 1 where there is a value, 0 for nothing and for an empty list.
    pub definition: Vec<u8>,
    /// For each place: 0 where a row begins, 1 for further values of its list.
    pub repetition: Vec<u8>,
}

impl TypedColumn {
    fn new(column: &Column) -> Self {
        Self {
            name: column.name.clone(),
            ty: column.ty,
            nullable: !column.collection,
            repeated: column.collection,
            values: match column.ty {
                ColumnType::Boolean => Values::Boolean(Vec::new()),
                ColumnType::Integer => Values::Integer(Vec::new()),
                ColumnType::Decimal => Values::Decimal(Vec::new()),
                ColumnType::Text => Values::Text(Vec::new()),
            },
            definition: Vec::new(),
            repetition: Vec::new(),
        }
    }

    fn push(&mut self, cell: Cell, repetition: u8) -> Result<(), RowError> {
        let refused = |found: &str| RowError::Type {
            column: self.name.clone(),
            expected: self.ty.article(),
            found: found.to_owned(),
        };
        match (&mut self.values, cell) {
            (_, Cell::Null) => {
                self.definition.push(0);
                self.repetition.push(repetition);
                return Ok(());
            }
            (Values::Boolean(values), Cell::Boolean(value)) => values.push(value),
            (Values::Integer(values), Cell::Integer(value)) => values.push(value),
            (Values::Decimal(values), Cell::Decimal(value)) => values.push(value),
            (Values::Text(values), Cell::Text(value)) => values.push(value),
            // Columns without a declared type hold text.
            (Values::Text(values), Cell::Boolean(value)) => values.push(value.to_string()),
            (Values::Text(values), Cell::Integer(value)) => values.push(value.to_string()),
            (Values::Text(values), Cell::Decimal(value)) => values.push(value.to_string()),
            (_, Cell::List(_)) => return Err(refused("a list")),
            _ => return Err(refused("of another type")),
        }
        self.definition.push(1);
        self.repetition.push(repetition);
        Ok(())
    }

    fn add(&mut self, cell: Cell) -> Result<(), RowError> {
        let Cell::List(cells) = cell else {
            return self.push(cell, 0);
        };
        if cells.is_empty() {
            return self.push(Cell::Null, 0);
        }
        for (at, cell) in cells.into_iter().enumerate() {
            self.push(cell, u8::from(at > 0))?;
        }
        Ok(())
    }
}

/// Rows gathered by column.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    columns: Vec<TypedColumn>,
    rows: usize,
}

impl Table {
    /// An empty table with the columns of a view.
    #[must_use]
    pub fn new(view: &View) -> Self {
        Self {
            columns: view.columns().iter().map(TypedColumn::new).collect(),
            rows: 0,
        }
    }

    /// Adds a row of the view.
    ///
    /// # Errors
    /// Cells that are not of their column's type; rows the view itself made have none.
    pub fn push(&mut self, row: Row) -> Result<(), RowError> {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            column.add(cell)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// How many rows it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[TypedColumn] {
        &self.columns
    }
}
