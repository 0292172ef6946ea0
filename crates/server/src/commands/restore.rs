//! `theriac restore`: puts a backup into an empty folder, destroys again what was erased since, and
//! verifies the ledger. The folder gets its name only when all of it is there.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use identity::{SystemTask, system_scope};
use kernel::Category;
use serde_json::json;
use zeroize::Zeroizing;

use crate::archive::{self, Opener};
use crate::cli::{Format, Restore, Verify};
use crate::commands::secret_file;
use crate::config::Config;
use crate::data_folder;
use crate::failure::Failure;
use crate::output::Printer;
use crate::wiring::{self, Opening};

/// What a backup says about itself.
pub const MANIFEST: &str = "backup.json";

/// Runs it.
pub fn run(config: &Config, arguments: &Restore, printer: Printer) -> Result<u8, Failure> {
    let data = config.data_folder();
    let failed = |error: std::io::Error| Failure::file(&data, &error);
    let is_empty = match std::fs::read_dir(&data) {
        Ok(mut items) => items.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(failed(error)),
    };
    if !is_empty {
        let text = format!(
            "{} is not empty: name a new folder with --data, nothing is ever restored over data",
            data.display()
        );
        return Err(Failure::new(Category::Conflict, text));
    }
    let passphrase = secret_file(&arguments.passphrase_file)?;
    let beside = data
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(beside).map_err(failed)?;
    let work = tempfile::Builder::new()
        .prefix(".theriac-restore-")
        .tempdir_in(beside)
        .map_err(failed)?;
    let unpacked = work.path().join("data");
    unpack(&arguments.from, &unpacked, &passphrase)?;
    let manifest = manifest(&unpacked)?;
    let _ = std::fs::remove_dir(&data);
    std::fs::rename(&unpacked, &data).map_err(failed)?;
    let verify = Verify {
        source: Some(data.clone()),
        policy: None,
        from: Vec::new(),
    };
    let quiet = Printer::new(Format::Json, true);
    printer.note("verifying what was restored");
    let code = data_folder::verify(
        &verify,
        Some(&data),
        &[],
        config,
        printer.format(),
        if printer.format() == Format::Json {
            quiet
        } else {
            printer
        },
    )?;
    if code == 0 {
        replay_erasures(config)?;
    }
    printer.object(&json!({
        "folder": data.display().to_string(),
        "instance": manifest.instance,
        "made": manifest.made,
        "tenants": manifest.tenants.len(),
    }));
    printer.note("\nhint: add the lines of a newer erased.log to the one in the folder before serving, so that what was erased since stays erased");
    Ok(code)
}

/// Opens every tenant once: what was erased before the backup stays erased, whatever keys came back with it.
fn replay_erasures(config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        Failure::new(
            Category::Fault,
            format!("the runtime did not start: {error}"),
        )
    })?;
    runtime.block_on(async {
        let instance = wiring::open(config, Opening::Existing).await?;
        for tenant in instance.store.tenants().await? {
            let scope = system_scope(tenant, SystemTask::Ledger);
            instance.store.health(&scope).await?;
        }
        instance.app.close().await;
        Ok(())
    })
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
