//! What a query asks for: modifiers, prefixes, values, and the errors of those that cannot be read.
//! Holds data only; `query_parse` reads it, `matching` compares it.

use kernel::{Categorised, Category};

use crate::definitions::{Definitions, TypeId};
use crate::search::near::Around;
use crate::search::params::ParamKind;

/// A suffix of a parameter name (FHIR R4 search, section 3.1.1.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Modifier {
    /// No suffix.
    None,
    /// `:missing`.
    Missing,
    /// `:exact`.
    Exact,
    /// `:contains`.
    Contains,
    /// `:not`.
    Not,
    /// `:identifier`.
    Identifier,
    /// `:Patient` and other type names.
    Type(TypeId),
    /// `:text`.
    Text,
    /// `:in`.
    In,
    /// `:not-in`.
    NotIn,
    /// `:above`.
    Above,
    /// `:below`.
    Below,
    /// `:of-type`.
    OfType,
    /// `:code-text` (of R5; this server has it for R4).
    CodeText,
}

impl Modifier {
    /// Reads the part after the colon; `None` for one FHIR R4 does not define.
    #[must_use]
    pub fn parse(definitions: &Definitions, text: &str) -> Option<Self> {
        Some(match text {
            "" => Self::None,
            "missing" => Self::Missing,
            "exact" => Self::Exact,
            "contains" => Self::Contains,
            "not" => Self::Not,
            "identifier" => Self::Identifier,
            "text" => Self::Text,
            "in" => Self::In,
            "not-in" => Self::NotIn,
            "above" => Self::Above,
            "below" => Self::Below,
            "of-type" => Self::OfType,
            "code-text" => Self::CodeText,
            name => Self::Type(definitions.resource(name)?),
        })
    }

    /// As written after the parameter name, without the colon.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Missing => "missing",
            Self::Exact => "exact",
            Self::Contains => "contains",
            Self::Not => "not",
            Self::Identifier => "identifier",
            Self::Type(ty) => Definitions::r4().resource_name(ty),
            Self::Text => "text",
            Self::In => "in",
            Self::NotIn => "not-in",
            Self::Above => "above",
            Self::Below => "below",
            Self::OfType => "of-type",
            Self::CodeText => "code-text",
        }
    }

    /// The modifiers offered for a kind, for errors and the CapabilityStatement; `[type]` stands for
    /// the name of a target type.
    #[must_use]
    pub const fn offered(kind: ParamKind) -> &'static [&'static str] {
        match kind {
            ParamKind::String => &["missing", "exact", "contains"],
            ParamKind::Token => &[
                "missing",
                "not",
                "text",
                "code-text",
                "of-type",
                "in",
                "not-in",
                "above",
                "below",
            ],
            ParamKind::Reference => &[
                "missing",
                "not",
                "identifier",
                "[type]",
                "text",
                "above",
                "below",
            ],
            ParamKind::Uri => &["missing", "not", "above", "below"],
            ParamKind::Special => &[],
            _ => &["missing"],
        }
    }

    pub(crate) const fn is_offered(self, kind: ParamKind) -> bool {
        match self {
            Self::None => true,
            Self::Missing => !matches!(kind, ParamKind::Special),
            Self::Exact | Self::Contains => matches!(kind, ParamKind::String),
            Self::Not => matches!(
                kind,
                ParamKind::Token | ParamKind::Reference | ParamKind::Uri
            ),
            Self::Identifier | Self::Type(_) => matches!(kind, ParamKind::Reference),
            Self::Text => matches!(kind, ParamKind::Token | ParamKind::Reference),
            Self::CodeText | Self::OfType | Self::In | Self::NotIn => {
                matches!(kind, ParamKind::Token)
            }
            Self::Above | Self::Below => matches!(
                kind,
                ParamKind::Token | ParamKind::Uri | ParamKind::Reference
            ),
        }
    }

    /// Whether it asks for the resources that do not match: none of the alternatives may hold.
    #[must_use]
    pub const fn negates(self) -> bool {
        matches!(self, Self::Not | Self::NotIn)
    }
}

/// How a range compares (FHIR R4 search, section 3.1.1.4.2). `v` is the resource's range, `q` the query's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// `q` contains `v`.
    Eq,
    /// `q` does not contain `v`.
    Ne,
    /// `v` reaches above `q`.
    Gt,
    /// `v` reaches below `q`.
    Lt,
    /// Above or equal.
    Ge,
    /// Below or equal.
    Le,
    /// `v` starts after `q` ends.
    Sa,
    /// `v` ends before `q` starts.
    Eb,
    /// `v` overlaps `q`, which parsing has already widened by 10 %.
    Ap,
}

impl Prefix {
    /// Splits a value into its prefix and the rest; no letters mean `eq`.
    pub(crate) fn split(raw: &str) -> Option<(Self, &str)> {
        let letters = raw.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (head, rest) = raw.split_at_checked(letters)?;
        let prefix = match head {
            "" | "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "lt" => Self::Lt,
            "ge" => Self::Ge,
            "le" => Self::Le,
            "sa" => Self::Sa,
            "eb" => Self::Eb,
            "ap" => Self::Ap,
            _ => return None,
        };
        Some((prefix, rest))
    }
}

/// One alternative of a query clause, ready to be planned or matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryValue {
    /// `:missing=true` (the resource has no such element) or `false`.
    Missing(bool),
    /// Token; `negated` for `:not`, which then asks for resources without any such value.
    Token {
        /// What to look for.
        token: TokenQuery,
        /// Whether to keep the resources that do not have it.
        negated: bool,
    },
    /// String.
    Text {
        /// How to compare; `Exact` compares `exact`, the others `folded`.
        mode: TextMode,
        /// The folded text.
        folded: String,
        /// The text as written.
        exact: String,
    },
    /// Date, microseconds since the Unix epoch, `[lo, hi)`.
    Range {
        /// Comparison.
        prefix: Prefix,
        /// First microsecond.
        lo: i64,
        /// First microsecond after.
        hi: i64,
    },
    /// Number, in [`crate::search::number_key`] space, `[lo, hi)`.
    Number {
        /// Comparison.
        prefix: Prefix,
        /// First key.
        lo: i64,
        /// First key after.
        hi: i64,
    },
    /// Quantity: a number with the form its unit is asked in.
    Quantity {
        /// Comparison.
        prefix: Prefix,
        /// First key.
        lo: i64,
        /// First key after.
        hi: i64,
        /// The unit.
        unit: UnitQuery,
    },
    /// Reference.
    Reference(ReferenceQuery),
    /// URI, compared exactly.
    Uri(String),
    /// `:below` of a URI: it, or one that goes on after it with `/`.
    UriBelow(String),
    /// `:above` of a URI: it, or one that it goes on after with `/`.
    UriAbove(String),
    /// `:text`: the text of a code, or the display of a reference, begins with it (folded).
    CodedText(String),
    /// `:code-text`: the code itself begins with it (folded).
    CodeText(String),
    /// `:of-type`: an identifier of a type.
    OfType {
        /// The system of the type's coding.
        system: String,
        /// The code of the type's coding.
        code: String,
        /// The identifier's value.
        value: String,
    },
    /// `:in`, `:not-in`, `:above` and `:below` of a code: what terminology must resolve into codes, and
    /// these into [`QueryValue::Token`], before it can be planned.
    Concepts(ConceptQuery),
    /// `:above` and `:below` of a reference: a resource, or one above or below it in a hierarchy of its
    /// type. What others say decides it: to be resolved by whoever knows them.
    Hierarchy {
        /// The types that the resource may be of.
        types: Vec<TypeId>,
        /// Its id.
        id: String,
        /// Below; else above.
        below: bool,
    },
    /// Positions within a distance (`near`).
    Near(Around),
    /// One value per component, in order.
    Composite(Vec<QueryValue>),
}

impl QueryValue {
    /// Whether the values of a resource decide it: not where terminology or other resources do.
    #[must_use]
    pub const fn is_of_values(&self) -> bool {
        !matches!(self, Self::Concepts(_) | Self::Hierarchy { .. })
    }
}

/// What a token query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenQuery {
    /// `code`: whatever its system.
    Code(String),
    /// `system|code`.
    SystemCode {
        /// The system.
        system: String,
        /// The code.
        code: String,
    },
    /// `|code`: only where the element has no system.
    NoSystem(String),
    /// `system|`: any code of it.
    System(String),
}

/// A set of codes that only terminology knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConceptQuery {
    /// The codes of a value set (canonical, perhaps with `|version`).
    ValueSet(String),
    /// A code and those it subsumes.
    Below {
        /// The code system.
        system: String,
        /// The code.
        code: String,
    },
    /// A code and those that subsume it.
    Above {
        /// The code system.
        system: String,
        /// The code.
        code: String,
    },
}

/// Longest folded text of `:text` and `:code-text`, in bytes: so much of each is in the index.
pub const CODED_TEXT_LIMIT: usize = 48;

/// Cuts a folded text to [`CODED_TEXT_LIMIT`] bytes at a character.
#[must_use]
pub fn coded_text(folded: &str) -> &str {
    let end = folded.floor_char_boundary(CODED_TEXT_LIMIT);
    folded.get(..end).unwrap_or_default()
}

/// How texts compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextMode {
    /// Folded text starts with it.
    Prefix,
    /// Folded text contains it.
    Contains,
    /// The text as written is equal.
    Exact,
}

/// The unit of a quantity query; see [`crate::search::UnitKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitQuery {
    /// None named: any unit.
    Any,
    /// By system and code.
    Coded {
        /// The system.
        system: String,
        /// The code.
        code: String,
    },
    /// By code or display unit.
    Label(String),
}

/// What a reference query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceQuery {
    /// `Type/id`, or `id` with the types it may have (empty: any type).
    Local {
        /// Candidate types.
        types: Vec<TypeId>,
        /// The logical id.
        id: String,
    },
    /// An absolute URL, URN or canonical. The caller maps its own base address to `Local` first.
    Absolute(String),
    /// `:identifier`.
    Identifier(TokenQuery),
}

/// Why a query value is refused. All belong to [`Category::Invalid`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The parameter needs code that is not there.
    #[error("search parameter {code} is not offered: leave it out")]
    NotOffered {
        /// The parameter.
        code: &'static str,
    },
    /// The modifier does not fit the kind, or is not offered yet.
    #[error(
        "modifier :{modifier} is not offered for {kind} parameter {code}: use none or one of {offered:?}"
    )]
    Modifier {
        /// The parameter.
        code: &'static str,
        /// Its kind.
        kind: &'static str,
        /// The modifier asked for.
        modifier: &'static str,
        /// Those offered.
        offered: &'static [&'static str],
    },
    /// The value cannot be read.
    #[error("value {value:?} of search parameter {code} is malformed: {remedy}")]
    Malformed {
        /// The parameter.
        code: &'static str,
        /// The value, cut to 80 characters.
        value: String,
        /// What would be accepted.
        remedy: &'static str,
    },
}

impl Categorised for SearchError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}
