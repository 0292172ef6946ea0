//! `theriac terminology`: code systems that the customer licenses, for all tenants of the instance. A
//! release is read whole and packed before anything is installed: a load that is stopped leaves all as it
//! was, and a running server sees a new release within seconds.

use std::sync::Arc;

use app::terminology::install::{self, Source};
use serde_json::json;
use terminology::load::{LoadError, Report, Wish};
use terminology::system::CodeSystem;

use super::release::{Release, last_name};
use crate::cli::{LoadTerminology, Terminology, TerminologyKind};
use crate::config::Config;
use crate::console;
use crate::failure::Failure;
use crate::output::Printer;

/// Runs it.
pub async fn run(config: &Config, what: &Terminology, printer: Printer) -> Result<u8, Failure> {
    super::with_instance(config, async |instance| {
        let caller = console::operator(&instance.app)?;
        match what {
            Terminology::Load(arguments) => {
                let (system, report) = load(arguments, printer, &instance.clock).await?;
                for one in &report.refusals {
                    printer.note(&format!("refused: {}:{}: {}", one.file, one.line, one.why));
                }
                let source = Source {
                    name: last_name(&arguments.path),
                    refused: report.refused,
                };
                let made = install::install(&instance.app, &caller, system, source).await?;
                printer.object(&json!({
                    "url": made.url,
                    "version": made.version,
                    "concepts": made.concepts,
                    "bytes": made.bytes,
                    "read": report.read,
                    "refused": report.refused,
                }));
            }
            Terminology::List => {
                let installed = install::installed(&instance.app, &caller).await?;
                let rows: Vec<Vec<String>> = installed
                    .into_iter()
                    .map(|one| {
                        vec![
                            one.url,
                            one.version.unwrap_or_default(),
                            one.name,
                            one.concepts.to_string(),
                            one.bytes.to_string(),
                            one.source,
                        ]
                    })
                    .collect();
                let headings = ["url", "version", "name", "concepts", "bytes", "source"];
                printer.rows(&headings, &rows);
            }
            Terminology::Remove { url, release } => {
                let version = release.as_deref();
                let count = install::remove(&instance.app, &caller, url, version).await?;
                printer.object(&json!({ "removed": count }));
            }
        }
        Ok(())
    })
    .await
}

async fn load(
    arguments: &LoadTerminology,
    printer: Printer,
    clock: &Arc<dyn kernel::Clock>,
) -> Result<(CodeSystem, Report), Failure> {
    let wish = Wish {
        version: arguments.release.clone(),
        url: arguments.url.clone(),
        edition: arguments.edition.clone(),
        languages: arguments.language.clone(),
    };
    let mut release = Release::open(&arguments.path)?;
    let total = release.bytes(|name| is_read(arguments.kind, name));
    let mut progress = printer.progress("MiB", total.div_ceil(1 << 20).max(1), Arc::clone(clock));
    let kind = arguments.kind;
    let work = move || {
        let mut step = |mebibytes: u64| progress.advance(mebibytes);
        let read = read(kind, &mut release, &wish, &mut step);
        progress.finish();
        let (mut system, report) = read?;
        system.store_words();
        Ok((system, report))
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(kernel::Category::Fault, error.to_string()))?
}

fn of_load(error: &LoadError) -> Failure {
    Failure::from_error(error)
}

fn read(
    kind: TerminologyKind,
    release: &mut Release,
    wish: &Wish,
    step: &mut dyn FnMut(u64),
) -> Result<(CodeSystem, Report), Failure> {
    use terminology::load::{dmd, icd10, loinc, rf2};
    match kind {
        TerminologyKind::Snomed => {
            let names = release.names();
            let mut loader = rf2::Rf2::new(wish, &names).map_err(|error| of_load(&error))?;
            for (kind, name) in ordered(&names, rf2::Kind::of) {
                let reader = release.reader(&name, step)?;
                loader
                    .read(kind, &name, reader)
                    .map_err(|error| of_load(&error))?;
            }
            loader.finish().map_err(|error| of_load(&error))
        }
        TerminologyKind::Loinc => {
            let mut loader = loinc::Loinc::new(wish).map_err(|error| of_load(&error))?;
            for (kind, name) in ordered(&release.names(), loinc::Kind::of) {
                let reader = release.reader(&name, step)?;
                loader
                    .read(kind, &name, reader)
                    .map_err(|error| of_load(&error))?;
            }
            loader.finish().map_err(|error| of_load(&error))
        }
        TerminologyKind::Dmd => {
            let mut loader = dmd::Dmd::new(wish);
            for (_, name) in ordered(&release.names(), dmd::Kind::of) {
                let reader = release.reader(&name, step)?;
                loader
                    .read(&name, reader)
                    .map_err(|error| of_load(&error))?;
            }
            loader.finish().map_err(|error| of_load(&error))
        }
        TerminologyKind::Icd10 => {
            let mut loader = icd10::Icd10::new(wish);
            let is_xml = |name: &str| {
                let name = name.to_ascii_lowercase();
                let ends = |wanted: &[&str]| wanted.iter().any(|end| name.ends_with(end));
                if ends(&[".xml"]) {
                    return Some(true);
                }
                let is_table = ends(&[".csv", ".tsv", ".txt"]);
                is_table.then_some(false)
            };
            for (is_xml, name) in ordered(&release.names(), is_xml) {
                let reader = release.reader(&name, step)?;
                let done = if is_xml {
                    loader.read_claml(&name, reader)
                } else {
                    loader.read_table(&name, reader)
                };
                done.map_err(|error| of_load(&error))?;
            }
            loader.finish().map_err(|error| of_load(&error))
        }
    }
}

/// The files of a release that are read, in the order they are.
fn ordered<K: Ord + Copy>(names: &[String], kind: impl Fn(&str) -> Option<K>) -> Vec<(K, String)> {
    let mut found: Vec<(K, String)> = names
        .iter()
        .filter_map(|name| Some((kind(name)?, name.clone())))
        .collect();
    found.sort_unstable();
    found
}

/// Whether a file is read for a kind of release.
fn is_read(kind: TerminologyKind, name: &str) -> bool {
    use terminology::load::{dmd, loinc, rf2};
    match kind {
        TerminologyKind::Snomed => rf2::Kind::of(name).is_some(),
        TerminologyKind::Loinc => loinc::Kind::of(name).is_some(),
        TerminologyKind::Dmd => dmd::Kind::of(name).is_some(),
        TerminologyKind::Icd10 => true,
    }
}
