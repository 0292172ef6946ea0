//! How results and progress are printed: data on standard output as a table or one JSON document,
//! progress on standard error, a bar on a terminal and a line every ten seconds elsewhere.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where the program prints"
)]

use std::io::IsTerminal as _;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kernel::Clock;
use serde_json::Value;

use crate::cli::Format;

/// Prints results as asked.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    format: Format,
    quiet: bool,
}

impl Printer {
    /// From the global flags.
    #[must_use]
    pub const fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet }
    }

    /// How results are printed.
    #[must_use]
    pub const fn format(self) -> Format {
        self.format
    }

    /// Rows under headings; as JSON an array of objects with the headings as keys.
    pub fn rows(self, headings: &[&str], rows: &[Vec<String>]) {
        if self.format == Format::Json {
            let items: Vec<Value> = rows
                .iter()
                .map(|row| {
                    let members = headings
                        .iter()
                        .zip(row)
                        .map(|(k, v)| ((*k).to_owned(), Value::from(v.as_str())));
                    Value::Object(members.collect())
                })
                .collect();
            println!("{}", Value::Array(items));
            return;
        }
        let widths: Vec<usize> = headings
            .iter()
            .enumerate()
            .map(|(column, heading)| {
                let cells = rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count());
                cells.chain([heading.chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: Vec<&str>| {
            let padded: Vec<String> = cells
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            padded.join("  ").trim_end().to_owned()
        };
        println!("{}", line(headings.to_vec()));
        for row in rows {
            println!("{}", line(row.iter().map(String::as_str).collect()));
        }
    }

    /// One result: a JSON object, or its members as `key  value` lines.
    pub fn object(self, value: &Value) {
        if self.format == Format::Json {
            println!("{value}");
            return;
        }
        let Some(members) = value.as_object() else {
            println!("{value}");
            return;
        };
        let width = members.keys().map(String::len).max().unwrap_or(0);
        for (key, member) in members {
            match member {
                Value::String(text) => println!("{key:<width$}  {text}"),
                other => println!("{key:<width$}  {other}"),
            }
        }
    }

    /// A plain text on standard output (nothing when JSON was asked).
    pub fn text(self, text: &str) {
        if self.format == Format::Table {
            println!("{text}");
        }
    }

    /// A note on standard error.
    pub fn note(self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// An error on standard error, as JSON when JSON was asked; always printed.
    pub fn error(self, text: &str, code: u8) {
        if self.format == Format::Json {
            eprintln!("{}", serde_json::json!({ "error": text, "exit": code }));
        } else {
            eprintln!("error: {text}");
        }
    }

    /// Progress over `total` steps (0: unknown).
    #[must_use]
    pub fn progress(self, what: &str, total: u64, clock: Arc<dyn Clock>) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let bar = if self.quiet || !terminal {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(total)
        };
        if !self.quiet && terminal {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
            let template = "{msg} [{bar:32}] {human_pos}/{human_len} {per_sec} {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
        }
        bar.set_message(what.to_owned());
        Progress {
            bar,
            what: what.to_owned(),
            total,
            done: 0,
            lines: !self.quiet && !terminal,
            last_ns: 0,
            clock,
        }
    }
}

/// Progress of one piece of work.
pub struct Progress {
    bar: ProgressBar,
    what: String,
    total: u64,
    done: u64,
    lines: bool,
    last_ns: u64,
    clock: Arc<dyn Clock>,
}

impl Progress {
    /// More steps done.
    pub fn advance(&mut self, steps: u64) {
        self.done += steps;
        self.bar.inc(steps);
        let now = self.clock.monotonic_ns();
        if self.lines && now.saturating_sub(self.last_ns) > 10_000_000_000 {
            self.last_ns = now;
            eprintln!("{}: {} of {}", self.what, self.done, self.total);
        }
    }
    /// The work is done.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        if self.lines {
            eprintln!("{}: {} done", self.what, self.done);
        }
    }
}
