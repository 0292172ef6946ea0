//! Search parameters: what a resource is found by, and what a query asks for.
//!
//! The way of the data:
//!
//! 1. **When the pack is made** (`cargo xtask definitions`): `compile` turns the FHIRPath expression of
//!    each base R4 SearchParameter, once per resource type, into `pack::Path`s: member names, at most a
//!    filter, and a `pack::Leaf` that says what the element is and what it becomes. Choice types are
//!    settled there (`Observation.value as Quantity` is the member `valueQuantity`), with the element
//!    types of the R4 definitions. Numbers come from the append-only `search-parameter-ids.tsv`.
//! 2. **At start**: `params` unpacks the table and merges the paths of each type into one `trie`.
//! 3. **For each resource written**: [`extract`] walks the document once, along the trie; `convert`
//!    makes [`IndexValue`]s of the elements it meets (`date`, `number`, `fold` and `reference` hold the
//!    rules). No expression is looked at.
//! 4. **For each query**: [`parse_query_value`] reads a value with the same rules, so that both sides of
//!    a comparison come from one place. The store plans it over its index; [`matches`] is the naive
//!    evaluator that the property tests hold the store against.
//!
//! Extract from the document as stored (stamped): `_id` and `_lastUpdated` are read from it.
//! UCUM conversion is not offered here; `:in`, `:not-in` and hierarchies of codes are read as
//! [`ConceptQuery`], which terminology resolves.
//!
//! [`words`] is the second walk, for full text: every word of a resource's texts and of its narrative.
//! Must not do I/O or read a clock; `ap` takes the present time as an argument.

pub mod compile;
mod convert;
mod custom;
mod date;
mod extract;
mod fold;
mod matching;
mod near;
mod number;
pub mod pack;
mod params;
mod query;
mod query_parse;
mod reference;
mod trie;
mod values;
mod words;

pub use custom::{value_of_boolean, value_of_text, values_of_element};
pub use date::{Period, implied_period};
pub use extract::extract;
pub use fold::fold;
pub use matching::matches;
pub use near::{Around, Point};
pub use number::{NumberRange, number_key, number_range};
pub use params::{Component, ParamId, ParamKind, SearchParam};
pub use query::{
    CODED_TEXT_LIMIT, ConceptQuery, Modifier, Prefix, QueryValue, ReferenceQuery, SearchError,
    TextMode, TokenQuery, UnitQuery, coded_text,
};
pub use query_parse::{escape, parse_query_value, split_alternatives, unescape};
pub use reference::{is_logical_id, local_reference};
pub use values::{Extracted, IndexValue, PresenceBits, RefTarget, UnitKey};
pub use words::{Words, fold_words, ordered_words, words};

#[cfg(test)]
mod tests;
