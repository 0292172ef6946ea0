//! `theriac products`: lists of medicinal products that the customer holds, and recalls of packs, for all
//! tenants of the instance. A release is read whole before anything is installed: a load that is refused or
//! stopped leaves the list of before, and a running server sees a new one within seconds.

use std::sync::Arc;

use app::medicines::dictionary::install::{self, Source};
use kernel::Category;
use medication::dictionary::{DictionaryError, Product, dmd, rxnorm};
use serde_json::json;

use super::release::{Release, last_name};
use crate::cli::{LoadProducts, Products, ProductsKind};
use crate::config::Config;
use crate::console;
use crate::failure::Failure;
use crate::output::Printer;

/// Runs it.
pub async fn run(config: &Config, what: &Products, printer: Printer) -> Result<u8, Failure> {
    super::with_instance(config, async |instance| {
        let (app, caller) = (&instance.app, console::operator(&instance.app)?);
        match what {
            Products::Load(arguments) => {
                let products = load(arguments, printer, &instance.clock).await?;
                let first = arguments.paths.first();
                let named = first.map(|path| last_name(path)).unwrap_or_default();
                let source = Source {
                    kind: word(arguments.kind),
                    release: arguments.release.clone().unwrap_or_else(|| named.clone()),
                    name: named,
                };
                let made = install::install(app, &caller, products, source).await?;
                printer.object(&json!({
                    "kind": made.kind,
                    "release": made.release,
                    "products": made.products,
                    "numbers": made.numbers,
                    "bytes": made.bytes,
                }));
            }
            Products::List => {
                let installed = install::installed(app, &caller).await?;
                let row = |one: install::InstalledProducts| {
                    vec![
                        one.kind,
                        one.release,
                        one.products.to_string(),
                        one.numbers.to_string(),
                        one.bytes.to_string(),
                        one.source,
                    ]
                };
                let rows: Vec<Vec<String>> = installed.into_iter().map(row).collect();
                let headings = ["kind", "release", "products", "numbers", "bytes", "source"];
                printer.rows(&headings, &rows);
            }
            Products::Remove { kind } => {
                install::remove(app, &caller, word(*kind)).await?;
                printer.object(&json!({ "removed": word(*kind) }));
            }
            other => recalls(app, &caller, other, printer).await?,
        }
        Ok(())
    })
    .await
}

/// The commands on recalls.
async fn recalls(
    app: &app::App,
    caller: &app::Caller,
    what: &Products,
    printer: Printer,
) -> Result<(), Failure> {
    match what {
        Products::Recall {
            gtin,
            batch,
            notice,
        } => {
            let what = (gtin.as_str(), batch.as_deref(), notice.as_str());
            let made = install::recall(app, caller, what).await?;
            printer.object(&json!({
                "gtin": made.gtin, "batch": made.batch, "notice": made.notice,
            }));
        }
        Products::Recalls => {
            let kept = install::recalls(app, caller).await?;
            let rows: Vec<Vec<String>> = kept
                .into_iter()
                .map(|own| vec![own.gtin, own.batch.unwrap_or_default(), own.notice])
                .collect();
            printer.rows(&["gtin", "batch", "notice"], &rows);
        }
        Products::EndRecall { gtin, batch } => {
            install::end_recall(app, caller, (gtin, batch.as_deref())).await?;
            printer.object(&json!({ "ended": gtin, "batch": batch }));
        }
        Products::Load(_) | Products::List | Products::Remove { .. } => {}
    }
    Ok(())
}

const fn word(kind: ProductsKind) -> &'static str {
    match kind {
        ProductsKind::Dmd => "dmd",
        ProductsKind::Rxnorm => "rxnorm",
    }
}

fn is_read(kind: ProductsKind, name: &str) -> bool {
    match kind {
        ProductsKind::Dmd => dmd::is_read(name),
        ProductsKind::Rxnorm => rxnorm::File::of(name).is_some(),
    }
}

/// Reads the files of every path as one release.
async fn load(
    arguments: &LoadProducts,
    printer: Printer,
    clock: &Arc<dyn kernel::Clock>,
) -> Result<Vec<Product>, Failure> {
    let kind = arguments.kind;
    let opened: Result<Vec<Release>, Failure> = arguments
        .paths
        .iter()
        .map(|path| Release::open(path))
        .collect();
    let mut releases = opened?;
    let total: u64 = releases
        .iter()
        .map(|own| own.bytes(|name| is_read(kind, name)))
        .sum();
    let mut progress = printer.progress("MiB", total.div_ceil(1 << 20).max(1), Arc::clone(clock));
    let work = move || {
        let mut step = |mebibytes: u64| progress.advance(mebibytes);
        let read = match kind {
            ProductsKind::Dmd => read_dmd(&mut releases, &mut step),
            ProductsKind::Rxnorm => read_rxnorm(&mut releases, &mut step),
        };
        progress.finish();
        read
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(Category::Fault, error.to_string()))?
}

fn refused(error: &DictionaryError) -> Failure {
    Failure::from_error(error)
}

fn lacking(file: &str) -> Failure {
    Failure::new(
        Category::Unprocessable,
        format!("the release holds no {file}: give every file, folder or archive of it"),
    )
}

fn knowledge() -> Result<&'static medication::knowledge::Knowledge, Failure> {
    medication::knowledge::builtin::built_in().map_err(Failure::from_error)
}

fn read_dmd(releases: &mut [Release], step: &mut dyn FnMut(u64)) -> Result<Vec<Product>, Failure> {
    let names: Vec<String> = releases.iter().flat_map(Release::names).collect();
    if let Some(file) = dmd::missing(&names) {
        return Err(lacking(&format!("{file}_*.xml")));
    }
    let mut read = dmd::Release::default();
    for release in releases {
        for name in release
            .names()
            .into_iter()
            .filter(|name| dmd::is_read(name))
        {
            let reader = release.reader(&name, step)?;
            read.read(&name, reader).map_err(|error| refused(&error))?;
        }
    }
    read.finish(knowledge()?).map_err(|error| refused(&error))
}

fn read_rxnorm(
    releases: &mut [Release],
    step: &mut dyn FnMut(u64),
) -> Result<Vec<Product>, Failure> {
    let mut read = rxnorm::Release::default();
    for file in rxnorm::File::ALL {
        // A full release holds the prescribable content in a folder of its own, under the same names.
        let found = releases.iter_mut().enumerate().find_map(|(at, release)| {
            let names = release.names();
            let mut own = names
                .into_iter()
                .filter(|name| rxnorm::File::of(name) == Some(file))
                .collect::<Vec<_>>();
            own.sort_by_key(|name| !name.to_lowercase().contains("prescribe"));
            own.into_iter().next().map(|name| (at, name))
        });
        let (at, name) = found.ok_or_else(|| lacking(file.name()))?;
        let Some(release) = releases.get_mut(at) else {
            continue;
        };
        let reader = release.reader(&name, step)?;
        read.read(file, reader).map_err(|error| refused(&error))?;
    }
    read.finish(knowledge()?).map_err(|error| refused(&error))
}
