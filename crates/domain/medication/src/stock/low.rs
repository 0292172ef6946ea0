//! When stock becomes low, runs out or is filled again: said once, when it crosses the line, not with
//! every dose below it. Must not decide what is done about it.

use rust_decimal::Decimal;

/// A line that was crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crossing {
    /// To the threshold or below.
    Low,
    /// To nothing.
    Out,
    /// Above the threshold again.
    Filled,
}

/// The line that a change from `before` to `after` crosses; none where it stays on its side. Running out
/// from above the threshold is `Out` alone.
#[must_use]
pub fn crossing(before: Decimal, after: Decimal, threshold: Decimal) -> Option<Crossing> {
    let out = |held: Decimal| held <= Decimal::ZERO;
    let low = |held: Decimal| out(held) || held <= threshold;
    match (before, after) {
        _ if !out(before) && out(after) => Some(Crossing::Out),
        _ if !low(before) && low(after) => Some(Crossing::Low),
        _ if low(before) && !low(after) => Some(Crossing::Filled),
        _ => None,
    }
}
