//! Ordering medicines: what is needed for a cycle, whether a program may ask for it, the request or the
//! order itself and its states, and what arrives against it. Must not send anything, buy what needs a
//! prescription, or order a controlled drug by itself.

mod auto;
mod book_in;
mod key;
mod need;
mod order;
mod packs;
mod product;
pub mod resources;
mod state;
#[cfg(test)]
mod tests;

pub use auto::{Action, Candidate, Decision, Mode, OpenOrder, Policy, Proposal, Why, decide};
pub use book_in::{BookedIn, Chase, Delivered, Delivery, LineResult, Problem, Received, book_in};
pub use key::IdempotencyKey;
pub use need::{Cycle, Need, need};
pub use order::{Line, Order, OrderError, Verb, order_supply, request_repeat};
pub use packs::{Packs, Rounded, round};
pub use product::{Control, Currency, Legal, Money, MoneyError, Pack, Product};
pub use state::{
    Dispensed, Event, Kind, Moved, Path, State, StateError, TRANSITIONS, Track, of_items,
};
