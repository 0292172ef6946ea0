//! The functions of the language and those FHIR and SQL on FHIR add, by name. Which file does what: the
//! groups of the specification's section 5. Must not know how text becomes a call.

mod boundary;
mod conversion;
mod encoding;
mod existence;
mod fhir;
mod filtering;
mod math;
mod sorting;
mod strings;
mod subsetting;
mod utility;

use crate::collection::Collection;
use crate::evaluate::{Evaluator, Frame, Outcome};
use crate::expr::Expr;

macro_rules! functions {
    ($($variant:ident $name:literal $least:literal $most:literal $group:ident,)*) => {
        /// A function.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Function {
            $($variant,)*
        }

        impl Function {
            /// The function of this name.
            pub(crate) fn named(name: &str) -> Option<Self> {
                Some(match name {
                    $($name => Self::$variant,)*
                    _ => return None,
                })
            }

            /// Its name and the least and most arguments it takes.
            const fn row(self) -> (&'static str, usize, usize) {
                match self {
                    $(Self::$variant => ($name, $least, $most),)*
                }
            }
        }

        /// Calls a function.
        pub(crate) fn call<'a>(
            evaluator: &mut Evaluator<'_, 'a>,
            call: &Call<'_, 'a>,
        ) -> Outcome<'a> {
            match call.function {
                $(Function::$variant => $group::call(evaluator, call),)*
            }
        }
    };
}

functions! {
    Empty "empty" 0 0 existence,
    Exists "exists" 0 1 existence,
    All "all" 1 1 existence,
    AllTrue "allTrue" 0 0 existence,
    AnyTrue "anyTrue" 0 0 existence,
    AllFalse "allFalse" 0 0 existence,
    AnyFalse "anyFalse" 0 0 existence,
    SubsetOf "subsetOf" 1 1 existence,
    SupersetOf "supersetOf" 1 1 existence,
    Count "count" 0 0 existence,
    Distinct "distinct" 0 0 existence,
    IsDistinct "isDistinct" 0 0 existence,
    Not "not" 0 0 existence,
    Where "where" 1 1 filtering,
    Select "select" 1 1 filtering,
    Repeat "repeat" 1 1 filtering,
    RepeatAll "repeatAll" 1 1 filtering,
    Aggregate "aggregate" 1 2 filtering,
    Iif "iif" 2 3 filtering,
    Single "single" 0 0 subsetting,
    First "first" 0 0 subsetting,
    Last "last" 0 0 subsetting,
    Tail "tail" 0 0 subsetting,
    Skip "skip" 1 1 subsetting,
    Take "take" 1 1 subsetting,
    Intersect "intersect" 1 1 subsetting,
    Exclude "exclude" 1 1 subsetting,
    Union "union" 1 1 subsetting,
    Combine "combine" 1 1 subsetting,
    Sort "sort" 0 8 sorting,
    ToBoolean "toBoolean" 0 0 conversion,
    ToInteger "toInteger" 0 0 conversion,
    ToDecimal "toDecimal" 0 0 conversion,
    ToString "toString" 0 0 conversion,
    ToDate "toDate" 0 0 conversion,
    ToDateTime "toDateTime" 0 0 conversion,
    ToTime "toTime" 0 0 conversion,
    ToQuantity "toQuantity" 0 1 conversion,
    ConvertsToBoolean "convertsToBoolean" 0 0 conversion,
    ConvertsToInteger "convertsToInteger" 0 0 conversion,
    ConvertsToDecimal "convertsToDecimal" 0 0 conversion,
    ConvertsToString "convertsToString" 0 0 conversion,
    ConvertsToDate "convertsToDate" 0 0 conversion,
    ConvertsToDateTime "convertsToDateTime" 0 0 conversion,
    ConvertsToTime "convertsToTime" 0 0 conversion,
    ConvertsToQuantity "convertsToQuantity" 0 1 conversion,
    IndexOf "indexOf" 1 1 strings,
    LastIndexOf "lastIndexOf" 1 1 strings,
    Substring "substring" 1 2 strings,
    StartsWith "startsWith" 1 1 strings,
    EndsWith "endsWith" 1 1 strings,
    Contains "contains" 1 1 strings,
    Upper "upper" 0 0 strings,
    Lower "lower" 0 0 strings,
    Replace "replace" 2 2 strings,
    Matches "matches" 1 2 strings,
    MatchesFull "matchesFull" 1 2 strings,
    ReplaceMatches "replaceMatches" 2 3 strings,
    Length "length" 0 0 strings,
    ToChars "toChars" 0 0 strings,
    Encode "encode" 1 1 encoding,
    Decode "decode" 1 1 encoding,
    Escape "escape" 1 1 encoding,
    Unescape "unescape" 1 1 encoding,
    Trim "trim" 0 0 strings,
    Split "split" 1 1 strings,
    Join "join" 0 1 strings,
    Abs "abs" 0 0 math,
    Ceiling "ceiling" 0 0 math,
    Exp "exp" 0 0 math,
    Floor "floor" 0 0 math,
    Ln "ln" 0 0 math,
    Log "log" 1 1 math,
    Power "power" 1 1 math,
    Round "round" 0 1 math,
    Sqrt "sqrt" 0 0 math,
    Truncate "truncate" 0 0 math,
    Children "children" 0 0 utility,
    Descendants "descendants" 0 0 utility,
    Trace "trace" 1 2 utility,
    DefineVariable "defineVariable" 1 2 utility,
    Now "now" 0 0 utility,
    Today "today" 0 0 utility,
    TimeOfDay "timeOfDay" 0 0 utility,
    LowBoundary "lowBoundary" 0 1 boundary,
    HighBoundary "highBoundary" 0 1 boundary,
    Precision "precision" 0 0 boundary,
    Comparable "comparable" 1 1 boundary,
    Type "type" 0 0 utility,
    Extension "extension" 1 1 fhir,
    HasValue "hasValue" 0 0 fhir,
    GetValue "getValue" 0 0 fhir,
    Resolve "resolve" 0 0 fhir,
    MemberOf "memberOf" 1 1 fhir,
    Subsumes "subsumes" 1 1 fhir,
    SubsumedBy "subsumedBy" 1 1 fhir,
    ConformsTo "conformsTo" 1 1 fhir,
    CheckModifiers "checkModifiers" 0 32 fhir,
    HtmlChecks "htmlChecks" 0 0 fhir,
    GetResourceKey "getResourceKey" 0 0 fhir,
    GetReferenceKey "getReferenceKey" 0 1 fhir,
}

impl Function {
    pub(crate) const fn name(self) -> &'static str {
        self.row().0
    }

    /// Whether it takes this many arguments.
    pub(crate) const fn takes(self, count: usize) -> bool {
        let (_, least, most) = self.row();
        least <= count && count <= most
    }

    /// Whether its first argument is a regular expression.
    pub(crate) const fn takes_pattern(self) -> bool {
        matches!(
            self,
            Self::Matches | Self::MatchesFull | Self::ReplaceMatches
        )
    }

    /// How many it takes, in words.
    pub(crate) fn arity_text(self) -> String {
        let (_, least, most) = self.row();
        if least == most {
            least.to_string()
        } else {
            format!("{least} to {most}")
        }
    }
}

/// A call in progress.
pub(crate) struct Call<'c, 'a> {
    pub(crate) function: Function,
    /// What it is invoked on.
    pub(crate) input: &'c Collection<'a>,
    pub(crate) arguments: &'a [Expr],
    /// Where it stands: arguments that are no lambdas see this `$this`.
    pub(crate) frame: Frame<'c, 'a>,
    /// Whether it begins its path, so that its input is `$this` itself.
    pub(crate) first: bool,
}

impl<'a> Call<'_, 'a> {
    /// An argument as written.
    pub(crate) fn expr(&self, at: usize) -> Option<&'a Expr> {
        self.arguments.get(at)
    }

    /// An argument's value; none where it was left out.
    pub(crate) fn value(
        &self,
        evaluator: &mut Evaluator<'_, 'a>,
        at: usize,
    ) -> Result<Option<Collection<'a>>, crate::EvaluationError> {
        match self.expr(at) {
            Some(expr) => evaluator.scoped(expr, self.frame).map(Some),
            None => Ok(None),
        }
    }
}
