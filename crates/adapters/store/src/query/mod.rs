//! Searches between the port and the engines: [`plan`] hashes a search's values and decides which clause
//! drives; [`render`] writes SQL that differs between the engines only where [`render::Dialect`] says so.
//! Must not run anything.

pub mod plan;
pub mod render;

pub use plan::{Query, Strategy, Test};
pub use render::{Bind, Dialect, Sql};
