//! Model packages: one file that holds a model and everything that must be known to run it as a device is
//! run. A package is read whole or refused: unknown words, numbers that are not finite, sizes beyond the
//! limits and files it does not name are errors that say the field and the remedy. What it is called by is
//! the hash of its content; who made it is said by an Ed25519 signature over that hash. Must not read files
//! or trust a key that the package brings itself.

pub mod archive;
mod attributes;
mod card;
mod content;
mod error;
mod manifest;
mod raw;
mod read;
mod read_numbers;

pub use archive::Limits;
pub use attributes::{Attribute, SourceAttributes};
pub use card::{Card, Section};
pub use content::{ContentHash, Package, PublicKey, open, seal};
pub use error::{ManifestError, PackageError};
pub use manifest::{
    Bins, CalibrationSummary, ChangeControl, CodedConcept, Conformal, ConformalKind, Evidence,
    Gives, Guideline, Identity, ImageInput, Input, Inputs, Intended, Label, Manifest, ModelName,
    Neighbours, Output, Reference, Role, Source, TensorSpec, Version,
};

#[cfg(test)]
pub(crate) mod tests;
