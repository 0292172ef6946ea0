//! The reference page of the command line, made from what clap parses; a test keeps it fresh. Must not
//! describe what a command does beyond its help text.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::cli::Cli;

const INTRODUCTION: &str = "# Command line\nResults go to standard output, as a table or with `-o json` as one JSON document; logs, progress, hints and errors go to standard error (with `-o json` an error is one JSON line there: `{\"error\": ..., \"exit\": ...}`). Exit codes are those of [errors](errors.md), and for `verify` those of its verdict: 0 sound, 1 altered, 2 incomplete, 3 untrusted. `doctor` answers 1 when a check failed.\n";

/// The page.
fn reference() -> String {
    let mut root = Cli::command();
    root.build();
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## Flags of every command\n");
    let globals: Vec<&Arg> = root
        .get_arguments()
        .filter(|argument| argument.is_global_set())
        .collect();
    table(&mut page, &globals);
    for command in root.get_subcommands() {
        section(&mut page, command, "theriac", 2);
    }
    page
}

fn section(page: &mut String, command: &Command, parent: &str, depth: usize) {
    let name = command.get_name();
    if name == "help" {
        return;
    }
    let path = format!("{parent} {name}");
    let about = command.get_about().map(ToString::to_string);
    let (marks, about) = ("#".repeat(depth), about.unwrap_or_default());
    let _ = writeln!(page, "\n{marks} {path}\n{about}");
    if command.get_subcommands().next().is_some() {
        for inner in command.get_subcommands() {
            section(page, inner, &path, depth + 1);
        }
        return;
    }
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_global_set())
        .filter(|argument| !matches!(argument.get_action(), ArgAction::Help | ArgAction::Version))
        .collect();
    let synopsis: Vec<String> = arguments
        .iter()
        .filter(|argument| argument.is_required_set())
        .map(|argument| shown(argument))
        .collect();
    let usage = [path, synopsis.join(" ")].join(" ");
    let _ = writeln!(page, "\n```\n{}\n```", usage.trim_end());
    table(page, &arguments);
}

fn table(page: &mut String, arguments: &[&Arg]) {
    if arguments.is_empty() {
        return;
    }
    page.push_str("\n| argument | default | what it does |\n|---|---|---|\n");
    for argument in arguments {
        let required = if argument.is_required_set() {
            "required".to_owned()
        } else {
            let values: Vec<String> = argument
                .get_default_values()
                .iter()
                .filter(|_| argument.get_action().takes_values())
                .map(|value| format!("`{}`", value.to_string_lossy()))
                .collect();
            values.join(" ")
        };
        let mut help = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let accepted: Vec<String> = argument
            .get_possible_values()
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        if !accepted.is_empty() && argument.get_action().takes_values() {
            help = format!("{help}: {}", accepted.join(", "));
        }
        let short = argument
            .get_short()
            .map_or_else(String::new, |short| format!("`-{short}`, "));
        let _ = writeln!(
            page,
            "| {short}`{}` | {required} | {help} |",
            shown(argument)
        );
    }
}

fn shown(argument: &Arg) -> String {
    let value = argument
        .get_value_names()
        .and_then(|names| names.first())
        .map_or_else(String::new, ToString::to_string);
    match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => format!("--{long} {value}"),
        Some(long) => format!("--{long}"),
        None => value,
    }
}

#[test]
fn the_reference_page_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/command-line.md");
    let page = reference();
    if std::fs::read_to_string(&path).ok().as_deref() != Some(page.as_str()) {
        std::fs::write(&path, &page).unwrap();
        panic!(
            "{} was stale and has been rewritten: commit it",
            path.display()
        );
    }
}

#[test]
fn every_command_and_argument_says_what_it_is() {
    fn check(command: &Command) {
        let name = command.get_name();
        assert!(command.get_about().is_some(), "{name} has no help");
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{name} {}",
                argument.get_id()
            );
        }
        command.get_subcommands().for_each(check);
    }
    let mut root = Cli::command();
    root.build();
    root.get_subcommands().for_each(check);
}
