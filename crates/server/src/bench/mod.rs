//! `theriac bench`: what this machine and this program do, each number against a ceiling that was taken in
//! the same run, as a Markdown table. Server and load generator share the machine; the server is this
//! process on loopback. Must not be read as a promise: it measures.

mod ceilings;
mod export;
mod fixture;
mod load;
mod measures;
mod medicines;
mod shapes;
mod start;

use std::collections::BTreeSet;
use std::path::Path;

use crate::bench::fixture::Fixture;
use crate::bench::measures::Row;
use crate::cli::{Bench, Format, Measure};
use crate::config::{Config, Origin};
use crate::failure::Failure;
use crate::output::Printer;

/// Every measure, in the order they are taken: reads and searches need what the import loaded.
const ALL: [Measure; 10] = [
    Measure::Import,
    Measure::Create,
    Measure::Read,
    Measure::Search,
    Measure::Export,
    Measure::Shapes,
    Measure::Medicines,
    Measure::Verify,
    Measure::Start,
    Measure::Growth,
];

/// Runs it.
pub async fn run(arguments: &Bench, printer: Printer) -> Result<u8, Failure> {
    let wanted: BTreeSet<Measure> = if arguments.only.is_empty() {
        ALL.into_iter().collect()
    } else {
        arguments.only.iter().copied().collect()
    };
    let mut rows = of_store(arguments, &wanted, None, printer).await?;
    if let Some(file) = &arguments.postgres_file {
        rows.extend(of_store(arguments, &wanted, Some(file), printer).await?);
    }
    print(&rows, printer);
    Ok(0)
}

async fn of_store(
    arguments: &Bench,
    wanted: &BTreeSet<Measure>,
    postgres: Option<&Path>,
    printer: Printer,
) -> Result<Vec<Row>, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("theriac-bench-")
        .tempdir()
        .map_err(|error| Failure::file(&std::env::temp_dir(), &error))?;
    let mut config = Config::load(None, Vec::new())?;
    let flag = Origin::Flag("bench");
    let data = folder.path().join("data").display().to_string();
    config.set("data.folder", data, flag.clone())?;
    config.set("http.max_connections", "4096".to_owned(), flag.clone())?;
    let mut store = "SQLite";
    if let Some(file) = postgres {
        store = "PostgreSQL";
        config.set("store.kind", "postgres".to_owned(), flag.clone())?;
        let text = std::fs::read_to_string(file).map_err(|error| Failure::file(file, &error))?;
        let mut lines = text.lines();
        for key in ["store.postgres_owner_file", "store.postgres_file"] {
            let path = folder.path().join(key);
            std::fs::write(&path, lines.next().unwrap_or_default())
                .map_err(|error| Failure::file(&path, &error))?;
            config.set(key, path.display().to_string(), flag.clone())?;
        }
    }
    printer.note(&format!("measuring {store}"));
    let mut fixture = Fixture::open(&config, folder.path(), arguments, store).await?;
    let mut rows = Vec::new();
    // Without the import there is nothing to read; it is always taken, and shown where wanted.
    let import = measures::import(&mut fixture, arguments.resources).await?;
    for measure in ALL.into_iter().filter(|measure| wanted.contains(measure)) {
        match measure {
            Measure::Import => rows.extend(import.clone()),
            Measure::Create => rows.extend(measures::create(&fixture).await?),
            Measure::Read => rows.extend(measures::read(&fixture).await?),
            Measure::Search => rows.extend(measures::search(&fixture).await?),
            Measure::Export => rows.extend(export::export(&fixture).await?),
            Measure::Shapes => rows.extend(shapes::shapes(&fixture).await?),
            Measure::Medicines => rows.extend(medicines::medicines(&fixture).await?),
            Measure::Verify => rows.extend(measures::verify(&fixture).await?),
            Measure::Growth => {
                let (from, to) = (arguments.resources, arguments.grow_to);
                rows.extend(measures::growth(&mut fixture, from, to).await?);
            }
            // Taken last: another process needs the folder.
            Measure::Start => {}
        }
    }
    let data = config.data_folder();
    fixture.close().await;
    if wanted.contains(&Measure::Start) && postgres.is_none() {
        rows.extend(start::start(&data, store).await?);
    }
    Ok(rows)
}

fn print(rows: &[Row], printer: Printer) {
    let headings = [
        "store", "measure", "value", "ceiling", "ratio", "target", "p50 ms", "p99 ms",
    ];
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    if printer.format() == Format::Json {
        printer.rows(&headings, &cells);
        return;
    }
    printer.text(&format!("| {} |", headings.join(" | ")));
    printer.text(&format!("|{}", "---|".repeat(headings.len())));
    for row in cells {
        printer.text(&format!("| {} |", row.join(" | ")));
    }
}
