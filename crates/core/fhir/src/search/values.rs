//! The values a resource is found by, as extraction emits them and the store indexes them. Holds data
//! only; how they are read from a document is in `convert`, how they compare is in `matching`.

use std::borrow::Cow;

use kernel::LogicalId;

use crate::definitions::TypeId;
use crate::search::near::Point;
use crate::search::params::ParamId;
use crate::search::words::Words;

/// One value a resource is found by. Strings borrow from the document where it has no escapes.
///
/// Every range is half-open, `[lo, hi)`, also for a single number (see [`crate::search::number_key`]);
/// an open end is `i64::MIN` or `i64::MAX`. So one comparison rule serves dates, numbers and quantities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IndexValue<'a> {
    /// A code, identifier, boolean, contact point or id (FHIR R4 search, token).
    Token {
        /// The code system or identifier namespace; `None` when the element has none.
        system: Option<Cow<'a, str>>,
        /// The code or identifier value, case kept; `None` for a concept that is only text.
        code: Option<Cow<'a, str>>,
        /// Display text: `Coding.display`, `CodeableConcept.text`, `Identifier.type.text`; with neither
        /// system nor code, also `Reference.display` of a reference parameter.
        text: Option<Cow<'a, str>>,
    },
    /// An identifier with its type, for `:of-type`: one value per coding of the type.
    Typed {
        /// The system of the type's coding.
        system: Cow<'a, str>,
        /// The code of the type's coding.
        code: Cow<'a, str>,
        /// The identifier's value.
        value: Cow<'a, str>,
    },
    /// One string of a string parameter; a name or address gives one value per part.
    Text {
        /// See [`crate::search::fold`].
        folded: String,
        /// As written.
        exact: Cow<'a, str>,
    },
    /// The implied period of a date, microseconds since the Unix epoch, UTC.
    Range {
        /// First microsecond of the period.
        lo: i64,
        /// First microsecond after it.
        hi: i64,
    },
    /// A number or number range in [`crate::search::number_key`] space.
    Number {
        /// Key of the smallest number.
        lo: i64,
        /// Key after that of the greatest number.
        hi: i64,
    },
    /// A quantity in one of the forms it can be asked for; a quantity emits one value per form.
    Quantity {
        /// Key of the smallest number.
        lo: i64,
        /// Key after that of the greatest number.
        hi: i64,
        /// The form.
        unit: UnitKey<'a>,
    },
    /// A reference to another resource.
    Reference {
        /// What it points to.
        target: RefTarget<'a>,
    },
    /// A URI, compared exactly.
    Uri(Cow<'a, str>),
    /// A position on the earth (`near` of a Location).
    Position(Point),
    /// One tuple of a composite parameter: components in their defined order, all from one element.
    Composite(Vec<IndexValue<'a>>),
}

/// Which unit a quantity value is matched with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitKey<'a> {
    /// Matches a query that names no unit (`5.4`).
    Any,
    /// Matches a query by system and code (`5.4|http://unitsofmeasure.org|mg`).
    Coded {
        /// The unit system.
        system: Cow<'a, str>,
        /// The code in it.
        code: Cow<'a, str>,
    },
    /// Matches a query by code or display unit (`5.4||mg`); one value for each where they differ.
    Label(Cow<'a, str>),
}

/// What a reference points to. Contained resources (`#id`) give no value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefTarget<'a> {
    /// `Type/id`, also from `Type/id/_history/n`, whose version is dropped.
    Local {
        /// The resource type.
        ty: TypeId,
        /// The logical id.
        id: Cow<'a, str>,
    },
    /// An absolute URL or URN, `/_history/n` dropped; or a canonical (`url` and `url|version` both).
    Absolute(Cow<'a, str>),
    /// A logical reference (`Reference.identifier`).
    Identifier {
        /// The namespace.
        system: Option<Cow<'a, str>>,
        /// The value.
        value: Cow<'a, str>,
    },
}

/// Which parameters of its type a resource has elements for: answers `:missing`. Bit numbers are
/// [`crate::search::SearchParam::bit`]; every base R4 parameter lies in the first word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PresenceBits([u64; Self::WORDS]);

impl PresenceBits {
    /// Words of 64 bits held.
    pub const WORDS: usize = 4;

    /// From words, the first holding bits 0 to 63.
    #[must_use]
    pub const fn from_words(words: [u64; Self::WORDS]) -> Self {
        Self(words)
    }
    /// The words, the first holding bits 0 to 63.
    #[must_use]
    pub const fn words(&self) -> [u64; Self::WORDS] {
        self.0
    }
    /// Sets a bit; one beyond the range is ignored (no table has such, see the tests).
    pub fn set(&mut self, bit: u16) {
        if let Some(word) = self.0.get_mut(usize::from(bit / 64)) {
            *word |= 1 << (bit % 64);
        }
    }
    /// Whether a bit is set.
    #[must_use]
    pub fn contains(&self, bit: u16) -> bool {
        self.0
            .get(usize::from(bit / 64))
            .is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }
}

/// All that search needs to know of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted<'a> {
    /// Values in document order; the same value may repeat where the document repeats it.
    pub values: Vec<(ParamId, IndexValue<'a>)>,
    /// Parameters whose element is there, even where it gives no value (a reference with only a display).
    pub present: PresenceBits,
    /// Patients in whose compartment the resource lies, sorted, each once; a Patient lies in its own.
    pub patients: Vec<LogicalId>,
    /// Words for full text; [`crate::search::extract`] leaves them out, [`crate::search::words`] finds them.
    pub words: Words,
}
