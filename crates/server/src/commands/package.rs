//! `theriac package`: installs, lists and removes packages of profiles. The archive is read here, within
//! the limits of `profiles::package`; nothing is downloaded.

use std::io::Read as _;
use std::path::Path;

use app::profiles::packages::{self, Added};
use flate2::read::GzDecoder;
use kernel::Category;
use profiles::package::{Package, PackageLimits, PackageReader};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::cli::Package as What;
use crate::config::Config;
use crate::console;
use crate::failure::Failure;
use crate::output::Printer;

/// Runs it.
pub async fn run(config: &Config, what: &What, printer: Printer) -> Result<u8, Failure> {
    super::with_instance(config, async |instance| {
        let caller = console::operator(&instance.app)?;
        match what {
            What::Add { archive } => {
                let (package, digest) = read(archive)?;
                let added = packages::add(&instance.app, &caller, package, digest).await?;
                told(&added, printer);
            }
            What::List => {
                let found = packages::list(&instance.app, &caller).await?;
                let rows: Vec<Vec<String>> = found
                    .into_iter()
                    .map(|one| {
                        vec![
                            one.manifest.name,
                            one.manifest.version,
                            one.definitions.to_string(),
                            one.terms.to_string(),
                            one.added.to_fhir_instant(),
                            one.sha256,
                        ]
                    })
                    .collect();
                let columns = [
                    "package",
                    "version",
                    "definitions",
                    "terms",
                    "added",
                    "sha256",
                ];
                printer.rows(&columns, &rows);
            }
            What::Remove { name } => {
                let removed = packages::remove(&instance.app, &caller, name).await?;
                printer.object(&json!({ "removed": removed }));
            }
        }
        Ok(())
    })
    .await
}

fn told(added: &Added, printer: Printer) {
    let pairs = |list: &[(String, String)]| -> Vec<String> {
        list.iter()
            .map(|(what, why)| format!("{what}: {why}"))
            .collect()
    };
    printer.object(&json!({
        "package": added.installed.manifest.name,
        "version": added.installed.manifest.version,
        "definitions": added.installed.definitions,
        "terms": added.installed.terms,
        "sha256": added.installed.sha256,
        "missing": added.missing,
        "unusable": pairs(&added.unusable),
        "left_out": pairs(&added.left_out),
    }));
    if !added.missing.is_empty() {
        printer.note(&format!(
            "\nhint: it needs {}: install them too, or what rests on them is not checked",
            added.missing.join(", ")
        ));
    }
}

/// Reads an archive: gzip around tar. Sizes are those of the headers, and reading stops there.
fn read(path: &Path) -> Result<(Package, [u8; 32]), Failure> {
    let unreadable = |error: &std::io::Error| Failure::file(path, error);
    let limits = PackageLimits::default();
    let size = std::fs::metadata(path)
        .map_err(|error| unreadable(&error))?
        .len();
    if size > limits.bytes as u64 {
        return Err(Failure::new(
            Category::TooLarge,
            format!(
                "{} has {size} bytes, at most {} are read",
                path.display(),
                limits.bytes
            ),
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    // One header and one padding block for each entry, beside its content.
    let most = limits.bytes as u64 + 2048 * limits.entries as u64;
    let mut archive = tar::Archive::new(GzDecoder::new(bytes.as_slice()).take(most));
    let mut reader = PackageReader::new(limits);
    let broken = |error: std::io::Error| {
        Failure::new(
            Category::Unprocessable,
            format!("{} is no .tgz archive: {error}", path.display()),
        )
    };
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_wanted = reader
            .wants(&name, entry.size())
            .map_err(|error| Failure::from_error(&error))?;
        if !is_wanted || !entry.header().entry_type().is_file() {
            continue;
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(broken)?;
        reader
            .add(&name, content)
            .map_err(|error| Failure::from_error(&error))?;
    }
    let package = reader
        .finish()
        .map_err(|error| Failure::from_error(&error))?;
    Ok((package, digest))
}
