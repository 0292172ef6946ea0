//! Searches between the port and the engines: [`tree`] hashes a search's values, [`plan`] asks for estimates
//! and decides what drives, [`guard`] refuses what would walk too much, [`render`] writes SQL that differs between the engines only where
//! [`render::Dialect`] says so, [`explain`] puts a plan into words. Must not run anything.

pub mod explain;
pub mod guard;
mod hashing;
pub mod plan;
pub mod render;
pub mod tree;

pub use guard::Guard;
pub use hashing::check_words;
pub use plan::{Planner, Strategy};
pub use render::{Bind, Dialect, Sql};
pub use tree::{Query, Test};
