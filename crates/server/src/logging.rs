//! Logs: one JSON object (or one line of text) per event on standard error. Must not log patient data;
//! that is each caller's duty, and tests of the edges look for it.

use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::failure::Failure;

/// Begins logging as configured. A second call does nothing.
pub fn begin(config: &Config) -> Result<(), Failure> {
    let level = config.text("log.level");
    let filter: EnvFilter = level.parse().map_err(|error| {
        Failure::new(
            kernel::Category::Invalid,
            format!("setting log.level is {level:?} ({error}): give a level or a tracing filter"),
        )
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // An error only says that a subscriber is there already.
    let _ = if config.text("log.format") == "text" {
        builder.with_target(false).try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
    };
    Ok(())
}
