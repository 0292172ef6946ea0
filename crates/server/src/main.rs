//! The `theriac` binary: parses the command line, runs one command, and answers with an exit code of the
//! error category table. Must not hold logic of its own.

mod archive;
mod backups;
mod bench;
mod cli;
#[cfg(test)]
mod cli_reference;
mod commands;
mod config;
mod console;
mod data_folder;
mod erasures;
mod failure;
mod import;
mod log_folder;
mod logging;
mod output;
mod ports;
mod scenario;
mod serving;
mod tenancy;
mod wiring;
mod words;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::output::Printer;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let printer = Printer::new(cli.global.output, cli.global.quiet);
    match commands::run(cli, printer) {
        Ok(0) if output::is_lost() => ExitCode::FAILURE,
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            printer.error(&failure.text, failure.exit_code());
            ExitCode::from(failure.exit_code())
        }
    }
}
