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
use Function as F;

macro_rules! functions {
    ($($variant:ident $name:literal $least:literal $most:literal,)*) => {
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
    };
}

functions! {
    Empty "empty" 0 0,
    Exists "exists" 0 1,
    All "all" 1 1,
    AllTrue "allTrue" 0 0,
    AnyTrue "anyTrue" 0 0,
    AllFalse "allFalse" 0 0,
    AnyFalse "anyFalse" 0 0,
    SubsetOf "subsetOf" 1 1,
    SupersetOf "supersetOf" 1 1,
    Count "count" 0 0,
    Distinct "distinct" 0 0,
    IsDistinct "isDistinct" 0 0,
    Not "not" 0 0,
    Where "where" 1 1,
    Select "select" 1 1,
    Repeat "repeat" 1 1,
    RepeatAll "repeatAll" 1 1,
    Aggregate "aggregate" 1 2,
    Iif "iif" 2 3,
    Single "single" 0 0,
    First "first" 0 0,
    Last "last" 0 0,
    Tail "tail" 0 0,
    Skip "skip" 1 1,
    Take "take" 1 1,
    Intersect "intersect" 1 1,
    Exclude "exclude" 1 1,
    Union "union" 1 1,
    Combine "combine" 1 1,
    Sort "sort" 0 8,
    ToBoolean "toBoolean" 0 0,
    ToInteger "toInteger" 0 0,
    ToDecimal "toDecimal" 0 0,
    ToString "toString" 0 0,
    ToDate "toDate" 0 0,
    ToDateTime "toDateTime" 0 0,
    ToTime "toTime" 0 0,
    ToQuantity "toQuantity" 0 1,
    ConvertsToBoolean "convertsToBoolean" 0 0,
    ConvertsToInteger "convertsToInteger" 0 0,
    ConvertsToDecimal "convertsToDecimal" 0 0,
    ConvertsToString "convertsToString" 0 0,
    ConvertsToDate "convertsToDate" 0 0,
    ConvertsToDateTime "convertsToDateTime" 0 0,
    ConvertsToTime "convertsToTime" 0 0,
    ConvertsToQuantity "convertsToQuantity" 0 1,
    IndexOf "indexOf" 1 1,
    LastIndexOf "lastIndexOf" 1 1,
    Substring "substring" 1 2,
    StartsWith "startsWith" 1 1,
    EndsWith "endsWith" 1 1,
    Contains "contains" 1 1,
    Upper "upper" 0 0,
    Lower "lower" 0 0,
    Replace "replace" 2 2,
    Matches "matches" 1 2,
    MatchesFull "matchesFull" 1 2,
    ReplaceMatches "replaceMatches" 2 3,
    Length "length" 0 0,
    ToChars "toChars" 0 0,
    Encode "encode" 1 1,
    Decode "decode" 1 1,
    Escape "escape" 1 1,
    Unescape "unescape" 1 1,
    Trim "trim" 0 0,
    Split "split" 1 1,
    Join "join" 0 1,
    Abs "abs" 0 0,
    Ceiling "ceiling" 0 0,
    Exp "exp" 0 0,
    Floor "floor" 0 0,
    Ln "ln" 0 0,
    Log "log" 1 1,
    Power "power" 1 1,
    Round "round" 0 1,
    Sqrt "sqrt" 0 0,
    Truncate "truncate" 0 0,
    Children "children" 0 0,
    Descendants "descendants" 0 0,
    Trace "trace" 1 2,
    DefineVariable "defineVariable" 1 2,
    Now "now" 0 0,
    Today "today" 0 0,
    TimeOfDay "timeOfDay" 0 0,
    LowBoundary "lowBoundary" 0 1,
    HighBoundary "highBoundary" 0 1,
    Precision "precision" 0 0,
    Comparable "comparable" 1 1,
    Type "type" 0 0,
    Extension "extension" 1 1,
    HasValue "hasValue" 0 0,
    GetValue "getValue" 0 0,
    Resolve "resolve" 0 0,
    MemberOf "memberOf" 1 1,
    Subsumes "subsumes" 1 1,
    SubsumedBy "subsumedBy" 1 1,
    ConformsTo "conformsTo" 1 1,
    HtmlChecks "htmlChecks" 0 0,
    GetResourceKey "getResourceKey" 0 0,
    GetReferenceKey "getReferenceKey" 0 1,
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

/// Calls a function.
pub(crate) fn call<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    function: Function,
    input: &Collection<'a>,
    arguments: &'a [Expr],
    frame: Frame<'_, 'a>,
    first: bool,
) -> Outcome<'a> {
    let call = Call {
        function,
        input,
        arguments,
        frame,
        first,
    };
    match function {
        F::Empty
        | F::Exists
        | F::All
        | F::AllTrue
        | F::AnyTrue
        | F::AllFalse
        | F::AnyFalse
        | F::SubsetOf
        | F::SupersetOf
        | F::Count
        | F::Distinct
        | F::IsDistinct
        | F::Not => existence::call(evaluator, &call),
        F::Where | F::Select | F::Repeat | F::RepeatAll | F::Aggregate | F::Iif => {
            filtering::call(evaluator, &call)
        }
        F::Single
        | F::First
        | F::Last
        | F::Tail
        | F::Skip
        | F::Take
        | F::Intersect
        | F::Exclude
        | F::Union
        | F::Combine => subsetting::call(evaluator, &call),
        F::Sort => sorting::sort(evaluator, &call),
        F::ToBoolean
        | F::ToInteger
        | F::ToDecimal
        | F::ToString
        | F::ToDate
        | F::ToDateTime
        | F::ToTime
        | F::ToQuantity
        | F::ConvertsToBoolean
        | F::ConvertsToInteger
        | F::ConvertsToDecimal
        | F::ConvertsToString
        | F::ConvertsToDate
        | F::ConvertsToDateTime
        | F::ConvertsToTime
        | F::ConvertsToQuantity => conversion::call(evaluator, &call),
        F::IndexOf
        | F::LastIndexOf
        | F::Substring
        | F::StartsWith
        | F::EndsWith
        | F::Contains
        | F::Upper
        | F::Lower
        | F::Replace
        | F::Matches
        | F::MatchesFull
        | F::ReplaceMatches
        | F::Length
        | F::ToChars
        | F::Trim
        | F::Split => strings::call(evaluator, &call),
        F::Join => strings::join(evaluator, &call),
        F::Encode | F::Decode | F::Escape | F::Unescape => encoding::call(evaluator, &call),
        F::Abs
        | F::Ceiling
        | F::Exp
        | F::Floor
        | F::Ln
        | F::Log
        | F::Power
        | F::Round
        | F::Sqrt
        | F::Truncate => math::call(evaluator, &call),
        F::LowBoundary | F::HighBoundary | F::Precision | F::Comparable => {
            boundary::call(evaluator, &call)
        }
        F::Children
        | F::Descendants
        | F::Trace
        | F::DefineVariable
        | F::Now
        | F::Today
        | F::TimeOfDay
        | F::Type => utility::call(evaluator, &call),
        F::Extension
        | F::HasValue
        | F::GetValue
        | F::Resolve
        | F::MemberOf
        | F::Subsumes
        | F::SubsumedBy
        | F::ConformsTo
        | F::HtmlChecks
        | F::GetResourceKey
        | F::GetReferenceKey => fhir::call(evaluator, &call),
    }
}
