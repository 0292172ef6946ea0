//! `theriac config`, `role list` and `completions`: what needs no instance.

use clap::CommandFactory as _;
use identity::{Interaction, Role};
use serde_json::json;

use crate::cli::Cli;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Printer;
use crate::wiring;

/// Prints the settings in force.
pub fn show(config: &Config, origin: bool, as_json: bool, printer: Printer) {
    if as_json && !origin {
        let members = config
            .rows()
            .map(|(key, _, _)| (key.to_owned(), config.value(key)));
        printer.object(&serde_json::Value::Object(members.collect()));
        return;
    }
    let headings: &[&str] = if origin {
        &["setting", "value", "origin"]
    } else {
        &["setting", "value", "about"]
    };
    let rows: Vec<Vec<serde_json::Value>> = config
        .rows()
        .map(|(key, _, from)| {
            let last = if origin {
                from.to_string()
            } else {
                Config::about(key).to_owned()
            };
            vec![key.into(), config.value(key), last.into()]
        })
        .collect();
    printer.cells(headings, &rows);
}

/// Checks what types and ranges cannot: addresses, files, levels.
pub fn check(config: &Config, printer: Printer) -> Result<(), Failure> {
    if let Some(wrong) = problems(config).into_iter().next() {
        return Err(wrong);
    }
    printer.object(&json!({ "settings": "in order" }));
    Ok(())
}

/// What is wrong with the settings beyond types and ranges.
pub fn problems(config: &Config) -> Vec<Failure> {
    let invalid = |text: String| Failure::new(kernel::Category::Invalid, text);
    let mut found = Vec::new();
    let listen = config.text("http.listen");
    if listen.parse::<std::net::SocketAddr>().is_err() {
        found.push(invalid(format!(
            "setting http.listen is {listen:?}: give an address and port such as 127.0.0.1:8090"
        )));
    }
    let url = config.text("http.public_url");
    if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
        found.push(invalid(format!(
            "setting http.public_url is {url:?}: begin it with https://"
        )));
    }
    if let Err(error) = config
        .text("instance.time_zone")
        .parse::<kernel::ZoneName>()
    {
        found.push(invalid(format!("setting instance.time_zone: {error}")));
    }
    let level = config.text("log.level");
    if let Err(error) = level.parse::<tracing_subscriber::EnvFilter>() {
        found.push(invalid(format!(
            "setting log.level is {level:?} ({error}): give a level or a tracing filter"
        )));
    }
    if !matches!(config.text("log.format"), "json" | "text") {
        found.push(invalid("setting log.format: give json or text".to_owned()));
    }
    match wiring::is_postgres(config) {
        Err(failure) => found.push(failure),
        Ok(true) => {
            for key in [
                "store.postgres_file",
                "store.postgres_owner_file",
                "store.postgres_root_certificate",
            ] {
                let file = config.text(key);
                if !file.is_empty() && !std::path::Path::new(file).is_file() {
                    found.push(Failure::missing(format!(
                        "setting {key} names {file}, which is not there"
                    )));
                }
            }
            if config.text("store.postgres_file").is_empty() {
                found.push(invalid("setting store.postgres_file is empty: name the file with the connection string".to_owned()));
            }
        }
        Ok(false) => {}
    }
    found
}

/// Prints the roles and the operations they may do.
pub fn roles(printer: Printer) {
    let rows: Vec<Vec<serde_json::Value>> = Role::ALL
        .iter()
        .map(|role| {
            let may: Vec<&str> = Interaction::OPERATIONS
                .iter()
                .filter(|operation| identity::permissions::may_operate(*role, **operation))
                .map(|operation| operation.as_str())
                .collect();
            vec![role.as_str().into(), may.into()]
        })
        .collect();
    printer.cells(&["role", "operations"], &rows);
    printer.note(
        "\nhint: docs/reference/permissions.md lists what each role may do with which resources",
    );
}

/// Prints completions.
pub fn completions(shell: clap_complete::Shell) {
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "theriac", &mut script);
    crate::output::put(&script);
}
