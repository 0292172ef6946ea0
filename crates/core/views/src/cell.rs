//! Cells: what one column of one row holds. Owned, so that rows outlive their resource.

use fhirpath::Item;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::{Column, ColumnType, RowError};

/// A row: one cell for each column of the view.
pub type Row = Vec<Cell>;

/// A value in a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A decimal, its scale as written.
    Decimal(Decimal),
    /// Text.
    Text(String),
    /// The values of a collection column.
    List(Vec<Cell>),
}

impl Cell {
    /// The cell of what a column's path yields.
    pub(crate) fn of(column: &Column, found: &fhirpath::Collection<'_>) -> Result<Self, RowError> {
        let mut values = found
            .iter()
            .filter(|item| !is_valueless(item))
            .map(|item| Self::value(column, item));
        if column.collection {
            return values.collect::<Result<_, _>>().map(Self::List);
        }
        match (values.next(), values.next()) {
            (None, _) => Ok(Self::Null),
            (Some(value), None) => value,
            _ => Err(RowError::Several(column.name.clone())),
        }
    }

    fn value(column: &Column, item: &Item<'_>) -> Result<Self, RowError> {
        let refused = || {
            let info = item.type_info();
            RowError::Type {
                column: column.name.clone(),
                expected: column.ty.article(),
                found: format!("a {}.{}", info.namespace, info.name),
            }
        };
        let value = item.system().ok_or_else(refused)?;
        let complex = item.as_node().is_some_and(|node| !node.is_primitive());
        if complex {
            return Err(refused());
        }
        match (column.ty, value) {
            (ColumnType::Boolean, Item::Boolean(value)) => Ok(Self::Boolean(value)),
            (ColumnType::Integer, Item::Integer(value)) => Ok(Self::Integer(value.into())),
            (ColumnType::Integer, Item::Decimal(value)) if value.fract().is_zero() => {
                value.to_i64().map(Self::Integer).ok_or_else(refused)
            }
            (ColumnType::Decimal, Item::Integer(value)) => Ok(Self::Decimal(value.into())),
            (ColumnType::Decimal, Item::Decimal(value)) => Ok(Self::Decimal(value)),
            // Undeclared columns hold text and show what was found.
            (ColumnType::Text, value) if column.declared.is_none() => Ok(match value {
                Item::Boolean(value) => Self::Boolean(value),
                Item::Integer(value) => Self::Integer(value.into()),
                Item::Decimal(value) => Self::Decimal(value),
                _ => Self::Text(item.to_string()),
            }),
            (ColumnType::Text, _) => Ok(Self::Text(item.to_string())),
            _ => Err(refused()),
        }
    }
}

fn is_valueless(item: &Item<'_>) -> bool {
    item.as_node()
        .is_some_and(|node| node.is_primitive() && node.value().is_none())
}

impl ColumnType {
    /// The type of a column declared with a FHIR type; none for types that are no primitives.
    pub(crate) fn of(declared: &str) -> Option<Self> {
        let name = declared
            .strip_prefix("http://hl7.org/fhir/StructureDefinition/")
            .unwrap_or(declared);
        Some(match name {
            "boolean" => Self::Boolean,
            "integer" | "positiveInt" | "unsignedInt" | "integer64" => Self::Integer,
            "decimal" => Self::Decimal,
            "base64Binary" | "canonical" | "code" | "date" | "dateTime" | "id" | "instant"
            | "markdown" | "oid" | "string" | "time" | "uri" | "url" | "uuid" | "xhtml" => {
                Self::Text
            }
            _ => return None,
        })
    }

    /// In a sentence: `a boolean`.
    #[must_use]
    pub const fn article(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Decimal => "a decimal",
            Self::Text => "text",
        }
    }
}
