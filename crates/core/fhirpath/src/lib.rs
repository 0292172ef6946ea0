//! FHIRPath (N1, release 2.0.0) over the R4 tree: text is compiled once, evaluation is typed, decimal,
//! bounded in cost, and pure. FHIRPath Patch stands here because its paths are FHIRPath.
//!
//! ```text
//! let expression = fhirpath::compile("Patient.name.where(use = 'official').given")?;
//! let document = fhir::json::Document::parse(bytes, &Limits::default())?;
//! let patient = fhirpath::Item::resource(document.root());
//! let environment = fhirpath::Environment::new(patient.clone());
//! for item in expression.evaluate(&environment, patient)?.iter() { .. }
//! ```
//!
//! - [`compile`] parses and resolves functions and types; the [`Expression`] is immutable and shared. It
//!   must outlive the [`Environment`]: what it yields may borrow its literals.
//! - [`Environment`] carries `%resource`, `%context`, given variables, the clock's value, and the ports
//!   ([`Resolver`], [`Conformance`], `fhir::terminology::Terminology`). Without a port, what needs it is
//!   empty: unknown is never false.
//! - [`Item`] is a value: a node of the tree with its FHIR type, or a System value. [`Item::element`]
//!   makes a node of any element whose type is known.
//! - [`Expression::evaluate`] gives a [`Collection`]; [`Expression::evaluate_boolean`] the truth of one.
//! - Cost: [`Limits`] bounds steps, items and text; beyond them evaluation ends with
//!   [`EvaluationError::TooCostly`]. No text makes it panic.
//!
//! Must not do I/O, read a clock or log (`trace()` returns its input).

mod collection;
mod environment;
mod error;
mod evaluate;
mod expr;
mod functions;
mod item;
mod lex;
mod parse;
pub mod patch;
mod quantity;
mod temporal;
mod types;

pub use collection::Collection;
pub use environment::{Conformance, Environment, Limits, Resolver};
pub use error::{CompileError, EvaluationError};
pub use evaluate::Expression;
pub use item::{Item, Node};
pub use quantity::{CalendarUnit, Quantity, Unit};
pub use temporal::{Precision, Temporal, TemporalKind};
pub use types::{FhirType, TypeInfo};

/// Compiles an expression.
///
/// # Errors
/// Text that is no FHIRPath, unknown functions and types, wrong numbers of arguments, and expressions
/// longer or deeper than the limits; each with its place.
pub fn compile(text: &str) -> Result<Expression, CompileError> {
    Expression::compile(text)
}
