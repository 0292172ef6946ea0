//! `theriac restore`: puts a backup into a new folder, destroys again what was erased since, and
//! verifies the ledger. The folder gets its name only when all of it is there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use kernel::Category;
use serde_json::json;
use store::evidence::RecordSummary;
use zeroize::Zeroizing;

use crate::archive::{self, Opener};
use crate::cli::{Format, Restore, Verify};
use crate::commands::{secret_file, verify};
use crate::config::{Config, Origin};
use crate::data_folder::{self, Examined};
use crate::erasures::{self, Joined};
use crate::failure::Failure;
use crate::output::Printer;
use crate::wiring::{self, Opening};

/// What a backup says about itself.
pub const MANIFEST: &str = "backup.json";

/// Runs it.
pub async fn run(config: Config, arguments: Restore, printer: Printer) -> Result<u8, Failure> {
    let data = config.data_folder();
    may_take(&data)?;
    let (to, settings, asked) = (data.clone(), config.clone(), arguments);
    // Off the runtime's workers; what it has unpacked goes when this is dropped.
    let placing = move || place(&to, &asked, &settings, printer);
    let placed = tokio::task::spawn_blocking(placing).await;
    let placed = placed.unwrap_or_else(|error| {
        let text = format!("a worker ended early: {error}");
        Err(Failure::new(Category::Fault, text))
    })?;
    let (report, record) = &placed.examined;
    let code = report.verdict().exit_code();
    if code == 0 {
        apply(&config, &placed).await?;
    }
    print(&data, &placed, record, printer);
    Ok(code)
}

fn print(data: &Path, placed: &Placed, record: &BTreeMap<String, RecordSummary>, printer: Printer) {
    let Placed {
        manifest, joined, ..
    } = placed;
    let report = &placed.examined.0;
    let lists: Vec<String> = joined
        .lists
        .iter()
        .map(|list| list.display().to_string())
        .collect();
    let mut result = json!({
        "folder": data.display().to_string(),
        "instance": manifest.instance,
        "made": manifest.made,
        "tenants": manifest.tenants.len(),
        "erasure_lists": lists,
        "erasures_added": joined.added,
    });
    if printer.format() == Format::Json {
        if let Some(members) = result.as_object_mut() {
            members.insert("verification".to_owned(), verify::json(report, record));
        }
    } else {
        verify::print(report, record, false, Format::Table, printer);
        printer.text("");
    }
    printer.object(&result);
    if lists.is_empty() {
        printer.note("\nhint: no erased.log was found but the backup's own: if patients were erased after the backup was made, remove the folder and restore again with --erased FILE");
    }
}

/// What lies in the folder now.
struct Placed {
    manifest: Manifest,
    joined: Joined,
    examined: Examined,
}

// Nothing is restored over data; a list of erasures alone is none.
fn may_take(data: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(data, &error);
    let items = match std::fs::read_dir(data) {
        Ok(items) => items,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for item in items {
        if item.map_err(failed)?.file_name() != erasures::LIST {
            let text = format!(
                "{} is not empty: name a new folder with --data, nothing is ever restored over data",
                data.display()
            );
            return Err(Failure::new(Category::Conflict, text));
        }
    }
    Ok(())
}

// Unpacks beside the folder, verifies what the backup held, joins the lists of erasures, and renames into
// place.
fn place(
    data: &Path,
    arguments: &Restore,
    config: &Config,
    printer: Printer,
) -> Result<Placed, Failure> {
    let failed = |error: std::io::Error| Failure::file(data, &error);
    let passphrase = secret_file(&arguments.passphrase_file)?;
    let beside = data
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let found = erasures::around(data);
    std::fs::create_dir_all(beside).map_err(failed)?;
    let work = tempfile::Builder::new()
        .prefix(".theriac-restore-")
        .tempdir_in(beside)
        .map_err(failed)?;
    let unpacked = work.path().join("data");
    unpack(&arguments.from, &unpacked, &passphrase)?;
    let manifest = manifest(&unpacked)?;
    printer.note("verifying what the backup holds");
    let whole = Verify {
        source: Some(unpacked.clone()),
        policy: None,
        from: Vec::new(),
        partial: false,
    };
    // Before erasures are repeated: their entries are of after the backup.
    let examined = data_folder::report(&whole, Some(&unpacked), &[], config, printer)?;
    let joined = erasures::join(&unpacked, &arguments.erased, found)?;
    let before = work.path().join("before");
    let was_there = data.exists();
    if was_there {
        std::fs::rename(data, &before).map_err(failed)?;
    }
    std::fs::rename(&unpacked, data).map_err(|error| {
        if was_there {
            let _ = std::fs::rename(&before, data);
        }
        failed(error)
    })?;
    Ok(Placed {
        manifest,
        joined,
        examined,
    })
}

// Opening a tenant destroys the keys that are listed: they must not lie in the folder until it is served.
async fn apply(config: &Config, placed: &Placed) -> Result<(), Failure> {
    let Placed {
        manifest, joined, ..
    } = placed;
    let mut config = config.clone();
    let flag = Origin::Flag("restore");
    config.set("store.kind", "sqlite".to_owned(), flag.clone())?;
    config.set("instance.name", manifest.instance.clone(), flag)?;
    let instance = wiring::open(&config, Opening::Existing).await?;
    let detail = format!(
        "restored the backup of {}; {} erasures since were repeated",
        manifest.made, joined.added
    );
    let caller = crate::console::task(
        &instance.app,
        kernel::TenantId::INSTANCE,
        identity::SystemTask::Backup,
    );
    let recorded = match &caller {
        Ok(caller) => app::backup::record(&instance.app, caller, detail).await,
        Err(_) => Ok(()),
    };
    wiring::close(&instance).await;
    caller?;
    Ok(recorded?)
}

#[derive(serde::Deserialize)]
struct Manifest {
    instance: String,
    made: String,
    tenants: Vec<String>,
}

fn manifest(folder: &Path) -> Result<Manifest, Failure> {
    let path = folder.join(MANIFEST);
    let text = std::fs::read(&path).map_err(|error| Failure::file(&path, &error))?;
    serde_json::from_slice(&text).map_err(|error| {
        Failure::new(
            Category::Altered,
            format!("the backup's {MANIFEST} cannot be read: {error}"),
        )
    })
}

/// Opens a backup and writes its files into a new folder.
pub fn unpack(from: &Path, into: &Path, passphrase: &Zeroizing<String>) -> Result<(), Failure> {
    let file = File::open(from).map_err(|error| Failure::file(from, &error))?;
    let opener = Opener::new(BufReader::with_capacity(1 << 20, file), passphrase)?;
    let failed = |error: std::io::Error| match archive::inside(&error) {
        Some(archive::ArchiveError::Sealed) => archive::ArchiveError::Sealed.into(),
        _ => Failure::file(into, &error),
    };
    std::fs::create_dir_all(into).map_err(failed)?;
    private(into).map_err(failed)?;
    let mut tar = tar::Archive::new(opener);
    tar.set_preserve_permissions(true);
    // `unpack` itself refuses paths that lead out of the folder.
    tar.unpack(into).map_err(failed)?;
    // The end of the tar is not the end of the file: what follows must be whole too.
    let mut rest = tar.into_inner();
    let mut buffer = [0u8; 8192];
    while rest.read(&mut buffer).map_err(failed)? > 0 {}
    let key: PathBuf = into.join(crate::wiring::ROOT_KEY);
    if key.exists() {
        owner_only(&key).map_err(failed)?;
    }
    Ok(())
}

#[cfg(unix)]
fn private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

#[cfg(unix)]
fn owner_only(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn private(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn owner_only(_: &Path) -> std::io::Result<()> {
    Ok(())
}
