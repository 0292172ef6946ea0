//! `theriac bench`: what this machine and this program do, against ceilings taken in the same run.

mod ceilings;
mod load;

use crate::cli::Bench;
use crate::failure::Failure;
use crate::output::Printer;

/// Runs it.
pub async fn run(_arguments: &Bench, _printer: Printer) -> Result<u8, Failure> {
    Ok(0)
}
