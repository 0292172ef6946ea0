//! What can be wrong with definitions and packages. Must not describe what is wrong with resources: that
//! is an [`crate::validate::Issue`].

use kernel::{Categorised, Category};

/// A definition or package that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not a StructureDefinition that profiles can be made from.
    #[error("{name} is not a usable StructureDefinition: {detail}")]
    Malformed {
        /// Its URL or name, as far as it is known.
        name: String,
        /// What is missing or wrong, and the remedy.
        detail: String,
    },
    /// A definition that another one needs is not known.
    #[error("{needed_by} needs {canonical}, which is not known: load the package that defines it")]
    Missing {
        /// What is needed.
        canonical: String,
        /// What needs it.
        needed_by: String,
    },
    /// Definitions that need each other in a circle.
    #[error("definitions need each other in a circle: {chain}: break it at one baseDefinition")]
    Circle {
        /// The definitions, in order, joined by arrows.
        chain: String,
    },
    /// A differential that does not fit what it constrains.
    #[error("{profile}: differential element {element} {detail}")]
    Differential {
        /// The profile.
        profile: String,
        /// The element's id or path.
        element: String,
        /// What is wrong, and the remedy.
        detail: String,
    },
    /// More than the limits allow.
    #[error("{what} is larger than is accepted: {detail}")]
    TooLarge {
        /// What.
        what: String,
        /// The limit.
        detail: String,
    },
    /// A package that is not one.
    #[error("the package cannot be read: {0}")]
    Package(String),
}

impl Categorised for ProfileError {
    fn category(&self) -> Category {
        match self {
            Self::TooLarge { .. } => Category::TooLarge,
            _ => Category::Unprocessable,
        }
    }
}
