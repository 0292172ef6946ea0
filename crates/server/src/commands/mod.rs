//! The commands, one file each, and the way to them: settings are read, logging begins, a runtime runs.

pub mod backup;
mod branch;
pub mod client;
mod demo;
mod doctor;
mod erase;
pub mod export;
mod import;
mod init;
mod model;
mod package;
mod products;
mod release;
mod restore;
pub mod serve;
mod settings;
pub mod tenant;
mod terminology;
mod token;
pub mod user;
pub mod verify;

use std::future::Future;

use kernel::Category;
use zeroize::Zeroizing;

use crate::cli::{Cli, Command, Config as ConfigCommand, Format, Global};
use crate::config::{Config, Origin};
use crate::failure::Failure;
use crate::output::Printer;
use crate::wiring::{self, Instance, Opening};

/// Runs a command; answers the exit code.
pub fn run(cli: Cli, printer: Printer) -> Result<u8, Failure> {
    let global = cli.global;
    match cli.command {
        Command::Demo(arguments) => served(demo::run(&global, &arguments, printer)),
        Command::Serve(arguments) => served(serve::run(&config(&global)?, &arguments, printer)),
        Command::Init(arguments) => later(init::run(&config(&global)?, &arguments, printer)),
        Command::Import(arguments) => later(import::run(&config(&global)?, &arguments, printer)),
        Command::Export(arguments) => later(export::run(&config(&global)?, &arguments, printer)),
        Command::Verify(arguments) => verify::run(&arguments, &global, printer),
        Command::Doctor => later(doctor::run(&global, printer)),
        Command::Tenant(what) => later(tenant::run(&config(&global)?, &what, printer)),
        Command::Package(what) => later(package::run(&config(&global)?, &what, printer)),
        Command::Branch(what) => later(branch::run(&config(&global)?, &what, printer)),
        Command::User(what) => later(user::run(&config(&global)?, &what, printer)),
        Command::Role(_) => {
            settings::roles(printer);
            Ok(0)
        }
        Command::Client(what) => later(client::run(&config(&global)?, &what, printer)),
        Command::Token(what) => later(token::run(&config(&global)?, &what, printer)),
        Command::Terminology(what) => later(terminology::run(&config(&global)?, &what, printer)),
        Command::Products(what) => later(products::run(&config(&global)?, &what, printer)),
        Command::Model(what) => model::run(&what, printer),
        Command::Erase(arguments) => later(erase::run(&config(&global)?, &arguments, printer)),
        Command::Backup(arguments) => later(backup::run(&config(&global)?, &arguments, printer)),
        Command::Restore(arguments) => later(restore::run(config(&global)?, arguments, printer)),
        Command::Bench(arguments) => later(crate::bench::run(&arguments, printer)),
        Command::Config(ConfigCommand::Show { origin }) => {
            settings::show(
                &config(&global)?,
                origin,
                global.output == Format::Json,
                printer,
            );
            Ok(0)
        }
        Command::Config(ConfigCommand::Check) => {
            settings::check(&config(&global)?, printer)?;
            Ok(0)
        }
        Command::Completions { shell } => {
            settings::completions(shell);
            Ok(0)
        }
    }
}

/// The settings: defaults, file, variables, flags.
pub fn config(global: &Global) -> Result<Config, Failure> {
    let mut config = Config::load(global.config.as_deref(), Config::environment())?;
    if let Some(folder) = &global.data {
        config.set(
            "data.folder",
            folder.display().to_string(),
            Origin::Flag("--data"),
        )?;
    }
    Ok(config)
}

/// Runs a command to its end, or until Ctrl-C or SIGTERM: then what it has in temporary folders goes, and
/// the store is closed.
pub fn later(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    served(async {
        tokio::select! {
            outcome = work => outcome,
            () = crate::serving::asked_to_end() => Err(Failure::interrupted()),
        }
    })
}

/// Runs a future to its end on the program's runtime; it looks after signals itself.
fn served(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                Category::Fault,
                format!("the runtime did not start: {error}"),
            )
        })?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    outcome
}

/// Opens the instance, works with it, and closes it whatever came of the work.
pub async fn with_instance<F, W>(config: &Config, work: W) -> Result<u8, Failure>
where
    W: FnOnce(Instance) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    let instance = wiring::open(config, Opening::Existing).await?;
    let outcome = work(instance.clone()).await;
    wiring::close(&instance).await;
    outcome.map(|()| 0)
}

/// The first line of a file that holds a secret.
pub fn secret_file(path: &std::path::Path) -> Result<Zeroizing<String>, Failure> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| Failure::file(path, &error))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(Failure::new(
            kernel::Category::Invalid,
            format!(
                "{} is empty: write the secret into its first line",
                path.display()
            ),
        ));
    }
    Ok(Zeroizing::new(line.to_owned()))
}
