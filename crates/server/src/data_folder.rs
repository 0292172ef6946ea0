//! `theriac verify` on what a store holds: a data folder, or the store that the settings name. Must not
//! decide what is sound, and must not write to a data folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ledger::checkpoint::Checkpoint;
use ledger::policy::Policy;
use ledger::verify::Report;
use store::Store;
use store::evidence::{RecordSummary, StoreLogs, verify_logs, verify_record};
use tokio::runtime::Handle;

use crate::cli::{Format, Verify};
use crate::commands::verify::{Tracker, policy, print};
use crate::config::{Config, Origin};
use crate::failure::Failure;
use crate::output::Printer;
use crate::wiring;

/// What was found, and what of the record was looked at, by change log.
pub type Examined = (Report, BTreeMap<String, RecordSummary>);

/// Verifies the logs of an open store and its record against them; blocks.
pub fn examine<P: FnMut(&str, u64, u64)>(
    logs: &mut StoreLogs<P>,
    policy: &Policy,
    held: &[Checkpoint],
) -> Result<Examined, Failure> {
    let mut report = verify_logs(logs, policy, held)?;
    let record = verify_record(logs, &mut report)?;
    Ok((report, record))
}

/// The policy that trusts the instance's own key.
pub fn own_policy(store: &dyn Store) -> Result<Policy, Failure> {
    Ok(Policy::of_logs(vec![store.log_verifier().parse()?]))
}

/// `theriac verify` on a data folder, or on the configured store where none is given.
pub fn verify(
    arguments: &Verify,
    folder: Option<&Path>,
    held: &[Checkpoint],
    config: &Config,
    format: Format,
    printer: Printer,
) -> Result<u8, Failure> {
    let (report, record) = report(arguments, folder, held, config, printer)?;
    let has_policy = arguments.policy.is_some();
    print(&report, &record, has_policy, format, printer);
    Ok(report.verdict().exit_code())
}

/// What is found in a data folder, or in the configured store where none is given; blocks.
pub fn report(
    arguments: &Verify,
    folder: Option<&Path>,
    held: &[Checkpoint],
    config: &Config,
    printer: Printer,
) -> Result<Examined, Failure> {
    let mut config = config.clone();
    if let Some(folder) = folder {
        let folder = folder.display().to_string();
        config.set("data.folder", folder, Origin::Flag("verify"))?;
        config.set("store.kind", "sqlite".to_owned(), Origin::Flag("verify"))?;
    }
    let data = config.data_folder();
    if !wiring::is_postgres(&config)? && wiring::is_held(&data) {
        return Err(Failure::new(
            kernel::Category::Unavailable,
            format!(
                "{} is in use by another process: verify a `theriac backup`, which can be written meanwhile and is verified by that, or end the process first",
                data.display()
            ),
        ));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::new(
            kernel::Category::Fault,
            format!("the runtime did not start: {error}"),
        )
    })?;
    let store = runtime.block_on(wiring::open_to_examine(&config))?;
    let policy = match &arguments.policy {
        Some(_) => policy(arguments, &data)?,
        None => own_policy(&*store)?,
    };
    let mut tracker = Tracker::new(printer);
    let mut logs = StoreLogs::new(
        Arc::clone(&store),
        Handle::clone(runtime.handle()),
        Some(&data),
        |origin, checked, size| tracker.at(origin, checked, size),
    );
    let examined = examine(&mut logs, &policy, held);
    runtime.block_on(store.close());
    drop(logs);
    drop(tracker);
    examined
}
