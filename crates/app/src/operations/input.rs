//! What an operation was given (FHIR R4, section 3.2.0.3), free of how it came: a query, a Parameters
//! resource, an entry of a bundle. Must not know which parameters an operation has.

use crate::error::AppError;

/// A coding as it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenCoding {
    /// Its code system.
    pub system: Option<String>,
    /// The version of that.
    pub version: Option<String>,
    /// Its code.
    pub code: Option<String>,
    /// Its display.
    pub display: Option<String>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// A primitive, as text.
    Text(String),
    /// A coding.
    Coding(GivenCoding),
    /// A CodeableConcept's codings.
    Concept(Vec<GivenCoding>),
    /// A resource, its bytes.
    Resource(Vec<u8>),
    /// Parts.
    Parts(Vec<(String, Given)>),
}

/// Everything an operation was given, in order, repeats kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    /// Names and values.
    pub parameters: Vec<(String, Given)>,
}

impl Input {
    /// Refuses parameters an operation does not have: to leave one out could change the answer.
    ///
    /// # Errors
    /// The first that is not in the list.
    pub fn only(&self, known: &[&str]) -> Result<(), AppError> {
        let common = ["_format", "_pretty"];
        let other = self
            .parameters
            .iter()
            .map(|(name, _)| name.as_str())
            .find(|name| !known.contains(name) && !common.contains(name));
        match other {
            None => Ok(()),
            Some(name) => Err(AppError::Invalid(format!(
                "parameter {:?} is not one of this operation: use {}",
                name.chars().take(64).collect::<String>(),
                known.join(", ")
            ))),
        }
    }

    /// The values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Given> {
        self.parameters
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value)
    }

    fn first<'a, T: ?Sized>(
        &'a self,
        name: &str,
        pick: fn(&'a Given) -> Option<&'a T>,
    ) -> Option<&'a T> {
        let named = self.parameters.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value).find_map(pick)
    }

    /// Every text of a parameter.
    pub fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).filter_map(|value| match value {
            Given::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The first text of a parameter.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.first(name, |value| match value {
            Given::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The text of a parameter that must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn required(&self, name: &str) -> Result<&str, AppError> {
        self.text(name)
            .ok_or_else(|| AppError::Invalid(format!("parameter {name} is missing: give it")))
    }

    /// The first coding of a parameter.
    #[must_use]
    pub fn coding(&self, name: &str) -> Option<&GivenCoding> {
        self.first(name, |value| match value {
            Given::Coding(coding) => Some(coding),
            _ => None,
        })
    }

    /// The codings of a CodeableConcept.
    #[must_use]
    pub fn concept(&self, name: &str) -> Option<&[GivenCoding]> {
        self.first(name, |value| match value {
            Given::Concept(codings) => Some(codings.as_slice()),
            _ => None,
        })
    }

    /// The bytes of a resource.
    #[must_use]
    pub fn resource(&self, name: &str) -> Option<&[u8]> {
        self.first(name, |value| match value {
            Given::Resource(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
    }

    /// A yes or no.
    ///
    /// # Errors
    /// Any other text.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, AppError> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(AppError::Invalid(format!(
                "parameter {name} is neither true nor false: give one of them"
            ))),
        }
    }

    /// A count.
    ///
    /// # Errors
    /// Anything but a whole number from 0.
    pub fn number(&self, name: &str) -> Result<Option<usize>, AppError> {
        self.text(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    AppError::Invalid(format!(
                        "parameter {name} is no whole number from 0: give one"
                    ))
                })
            })
            .transpose()
    }
}
