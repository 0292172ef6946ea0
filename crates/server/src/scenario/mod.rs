//! `theriac demo --scenario`: a scripted walk through the real addresses of an instance, each step with
//! what was decided and the entry of the ledger. At the end the ledger is exported and verified. Must not
//! take a step that came out otherwise for one that went well.

mod book;
mod clock;
mod furnish;
mod homely;
mod medicines;
mod residents;
mod rounds;
mod shelf;
mod stage;
mod supply;
mod town;

use std::path::Path;

use kernel::{Category, Timestamp};
use ledger::verify::Verdict;
use serde_json::json;

use crate::cli::Format;
use crate::commands::{export, verify};
use crate::failure::Failure;
use crate::log_folder::LogFolder;
use crate::output::Printer;
use crate::wiring::Instance;
pub use furnish::{furnish, settle};
use stage::{Passwords, Stage};
pub use town::Town;

/// The house that a scenario is played in.
#[derive(Clone, Copy)]
pub struct House<'a> {
    /// The instance.
    pub instance: &'a Instance,
    /// The tenant's name in addresses.
    pub slug: &'a str,
    /// Where the ledger is exported to.
    pub folder: &'a Path,
    /// The passwords of its people.
    pub passwords: Passwords<'a>,
    /// When the demo began.
    pub begun: Timestamp,
    /// The town around it.
    pub town: &'a Town,
}

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// From prescription to dose: what is held, by whom it is let go on, what is refused
    Medicines,
}

/// Plays a scenario in a tenant of the demo and verifies what it wrote. 0: every step came out as expected
/// and the ledger is sound; 1 otherwise.
pub async fn play(house: House<'_>, scenario: Scenario, printer: Printer) -> Result<u8, Failure> {
    let House {
        instance, folder, ..
    } = house;
    let mut stage = Stage::open(&house, printer).await?;
    let outcome = match scenario {
        Scenario::Medicines => medicines::play(&mut stage, house.town).await,
    };
    let unexpected = match outcome {
        Ok(()) => None,
        Err(stage::Stop::Unexpected(text)) => Some(text),
        Err(stage::Stop::Failed(failure)) => return Err(failure),
    };
    let told = stage.told().to_vec();
    stage.close().await?;
    let into = free(folder)?;
    let verdict = verified(instance, &into).await?;
    let sound = verdict == Verdict::Sound;
    let code = u8::from(unexpected.is_some() || !sound);
    if printer.format() == Format::Json {
        printer.object(&json!({
            "steps": told, "unexpected": unexpected, "ledger": into.display().to_string(),
            "verdict": verdict.as_str(),
        }));
        return Ok(code);
    }
    match &unexpected {
        Some(text) => printer.text(&format!("\nThis came out otherwise than expected: {text}")),
        None => printer.text(&format!("\nAll {} steps came out as expected.", told.len())),
    }
    printer.text(&format!(
        "The ledger is exported to {} and is {}. Verify it yourself: theriac verify {}",
        into.display(),
        verdict.as_str(),
        into.display()
    ));
    Ok(code)
}

/// A folder for the export that is not there yet.
fn free(folder: &Path) -> Result<std::path::PathBuf, Failure> {
    let named = (1..=9_999).map(|number| folder.join(format!("scenario-ledger-{number}")));
    let mut free = named.filter(|path| !path.exists());
    free.next().ok_or_else(|| {
        let text = format!(
            "{} holds too many exports: remove scenario-ledger-*",
            folder.display()
        );
        Failure::new(Category::Conflict, text)
    })
}

/// Exports the ledger of the instance and verifies the export with the keys beside it.
async fn verified(instance: &Instance, into: &Path) -> Result<Verdict, Failure> {
    export::write_ledger(instance, into, None).await?;
    let into = into.to_owned();
    let examined = tokio::task::spawn_blocking(move || {
        let keys = into.join(ledger::export::KEYS);
        let keys = std::fs::read_to_string(&keys).map_err(|error| Failure::file(&keys, &error))?;
        let policy = keys.parse().map_err(|error| Failure::from_error(&error))?;
        let mut logs =
            LogFolder::open(&into, |_, _, _| {}).map_err(|error| Failure::from_error(&error))?;
        verify::examine(&mut logs, &policy, &[], false)
    });
    let report = examined.await.map_err(|error| {
        let text = format!("the verifier ended early: {error}");
        Failure::new(Category::Fault, text)
    })??;
    Ok(report.verdict())
}
