//! How results and progress are printed: data on standard output as a table or one JSON document,
//! progress on standard error, a bar on a terminal and a line every ten seconds elsewhere.

#![expect(clippy::print_stderr, reason = "this is where the program prints")]

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kernel::Clock;
use serde_json::Value;

use crate::cli::Format;

static LOST: AtomicBool = AtomicBool::new(false);

/// Whether a result could not be written, for another reason than that nobody reads it any more.
#[must_use]
pub fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Writes to standard output. A reader that went away (`| head`) is no failure.
pub fn put(text: &[u8]) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        eprintln!("error: results could not be written to standard output: {error}");
    }
}

fn say(line: &str) {
    put(format!("{line}\n").as_bytes());
}

/// A cell as people read it.
fn plain(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            items.join(", ")
        }
        other => other.to_string(),
    }
}

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

    /// Rows of texts under headings; see [`Printer::cells`].
    pub fn rows(self, headings: &[&str], rows: &[Vec<String>]) {
        let cells = |row: &Vec<String>| row.iter().map(|text| text.as_str().into()).collect();
        self.cells(headings, &rows.iter().map(cells).collect::<Vec<_>>());
    }

    /// Rows under headings; as JSON an array of objects with the headings as keys, where numbers and lists
    /// stay what they are.
    pub fn cells(self, headings: &[&str], rows: &[Vec<Value>]) {
        if self.format == Format::Json {
            let items: Vec<Value> = rows
                .iter()
                .map(|row| {
                    let members = headings.iter().zip(row);
                    let members = members.map(|(k, v)| ((*k).to_owned(), v.clone()));
                    Value::Object(members.collect())
                })
                .collect();
            say(&Value::Array(items).to_string());
            return;
        }
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(plain).collect())
            .collect();
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
        say(&line(headings.to_vec()));
        for row in &rows {
            say(&line(row.iter().map(String::as_str).collect()));
        }
    }

    /// One result: a JSON object, or its members as `key  value` lines.
    pub fn object(self, value: &Value) {
        if self.format == Format::Json {
            say(&value.to_string());
            return;
        }
        let Some(members) = value.as_object() else {
            say(&value.to_string());
            return;
        };
        let width = members.keys().map(String::len).max().unwrap_or(0);
        for (key, member) in members {
            say(format!("{key:<width$}  {}", plain(member)).trim_end());
        }
    }

    /// A plain text on standard output (nothing when JSON was asked).
    pub fn text(self, text: &str) {
        if self.format == Format::Table {
            say(text);
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
        // Work that was over before anybody asked needs no words.
        if self.lines && self.last_ns > 0 {
            eprintln!("{}: {} done", self.what, self.done);
        }
    }
}
