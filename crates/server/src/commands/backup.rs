//! `theriac backup`: a consistent copy of every tenant with its keys and head files, encrypted, renamed
//! into place only after it was read back and its ledger verified. While another process serves the
//! folder, that process is asked to write it.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use app::files::Content;
use identity::{SystemTask, system_scope};
use kernel::{Category, Clock as _};
use serde_json::json;
use store::StoreError;
use store::blob::Blobs;
use store::evidence::StoreLogs;
use tokio::runtime::Handle;

use crate::archive::{Sealer, Summary};
use crate::backups::{Answer, REQUESTS, Request};
use crate::cli::Backup;
use crate::commands::restore;
use crate::commands::secret_file;
use crate::config::Config;
use crate::data_folder;
use crate::failure::Failure;
use crate::output::Printer;
use crate::ports::SystemClock;
use crate::wiring::{self, Instance, Opening, ROOT_KEY};

/// When the last backup was written, below the data folder.
pub const LAST: &str = "last-backup.json";

/// Runs it.
pub async fn run(config: &Config, arguments: &Backup, printer: Printer) -> Result<u8, Failure> {
    if wiring::is_postgres(config)? {
        return Err(Failure::new(Category::Unsupported, with_postgres(config)));
    }
    let into = absolute(&arguments.into)?;
    let passphrase_file = absolute(&arguments.passphrase_file)?;
    if into.exists() {
        return Err(Failure::new(
            Category::Conflict,
            format!("{} exists: name a new file", into.display()),
        ));
    }
    secret_file(&passphrase_file)?;
    if let Some(folder) = into.parent().filter(|folder| !folder.is_dir()) {
        let text = format!("{} is no folder: make it first", folder.display());
        return Err(Failure::missing(text));
    }
    let summary = if wiring::is_held(&config.data_folder()) {
        printer.note("the folder is served by another process, which is asked to write the backup");
        ask(
            config,
            Request {
                into,
                passphrase_file,
            },
        )
        .await?
    } else {
        let instance = wiring::open(config, Opening::Existing).await?;
        let outcome = write_backup(&instance, &into, &passphrase_file).await;
        wiring::close(&instance).await;
        outcome?
    };
    printer.object(&json!(summary));
    Ok(0)
}

// What to run instead. Heads before the dump: a copy may be ahead of its heads, never behind them.
fn with_postgres(config: &Config) -> String {
    let owner = match config.text("store.postgres_owner_file") {
        "" => config.text("store.postgres_file"),
        file => file,
    };
    let data = config.data_folder();
    let data = data.display();
    format!(
        "a PostgreSQL store is backed up with PostgreSQL's own tools: run, in this order,\n  \
         tar -C {data} -cf theriac-folder.tar --exclude='blobs/*/files/bulk' keys heads journals journal.id instance-name blobs\n  \
         pg_dump -Fc --exclude-schema=theriac_keys -f theriac-record.dump -d \"$(head -n 1 {owner})\"\n  \
         pg_dump -Fc --schema=theriac_keys -f theriac-keys.dump -d \"$(head -n 1 {owner})\"\n\
         for a dedicated database the two dumps again with its name; keep the first file, which holds the root key, apart, and of the third the newest only; docs/guides/backup.md has the way back"
    )
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file(path, &error))
}

async fn ask(config: &Config, request: Request) -> Result<Summary, Failure> {
    let data = config.data_folder();
    let folder = data.join(REQUESTS);
    std::fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
    let clock = SystemClock::new();
    let name = format!("{}-{}", std::process::id(), clock.now().as_micros());
    let text = serde_json::to_vec(&request)
        .map_err(|error| Failure::new(Category::Fault, error.to_string()))?;
    let writing = folder.join(format!("{name}.writing"));
    let asked = folder.join(format!("{name}.request"));
    std::fs::write(&writing, text)
        .and_then(|()| std::fs::rename(&writing, &asked))
        .map_err(|error| Failure::file(&asked, &error))?;
    let answered = asked.with_extension("answer");
    // As long as it lives it will answer: how long depends on how much there is.
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        // Asked before looking for the answer: one that ends after answering is no failure.
        let lives = wiring::is_held(&data);
        if let Ok(text) = std::fs::read(&answered) {
            let _ = std::fs::remove_file(&answered);
            return answer(&text);
        }
        if !lives {
            let _ = std::fs::remove_file(&asked);
            return Err(Failure::new(
                Category::Unavailable,
                "the serving process ended before it wrote the backup: repeat",
            ));
        }
    }
}

fn answer(text: &[u8]) -> Result<Summary, Failure> {
    let answer: Answer = serde_json::from_slice(text).map_err(|error| {
        let text = format!("the server's answer cannot be read: {error}");
        Failure::new(Category::Fault, text)
    })?;
    answer.summary.ok_or_else(|| {
        let of_exit = |category: &Category| category.mapping().exit_code == answer.exit;
        let category = Category::ALL.into_iter().find(of_exit);
        Failure::new(
            category.unwrap_or(Category::Fault),
            answer.error.unwrap_or_default(),
        )
    })
}

/// Writes, reads back, verifies, and renames into place.
pub async fn write_backup(
    instance: &Instance,
    into: &Path,
    passphrase_file: &Path,
) -> Result<Summary, Failure> {
    let passphrase = secret_file(passphrase_file)?;
    let failed = |error: std::io::Error| Failure::file(into, &error);
    let beside = into
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let work = tempfile::Builder::new()
        .prefix(".theriac-backup-")
        .tempdir_in(beside)
        .map_err(failed)?;
    let copy = work.path().join("copy");
    let tenants = copy_all(instance, &copy).await?;
    // After the databases: what they name when they were copied is still there, or was replaced since.
    let content = copy_files(instance, &copy).await?;
    let sealed = work.path().join("sealed");
    let (from, to, ids) = (copy.clone(), sealed.clone(), Arc::clone(&instance.ids));
    let secret = passphrase.clone();
    worker(move || {
        seal(&from, &to, &secret, &*ids)?;
        std::fs::remove_dir_all(&from).map_err(|error| Failure::file(&from, &error))
    })
    .await?;
    let read_back = work.path().join("read-back");
    let (from, to) = (sealed.clone(), read_back.clone());
    worker(move || restore::unpack(&from, &to, &passphrase)).await?;
    let entries = verify_copy(instance, &read_back).await?;
    verify_files(instance, &read_back, &content).await?;
    let bytes = std::fs::metadata(&sealed).map_err(failed)?.len();
    // Made durable before it gets its name; never over a file that came meanwhile.
    std::fs::hard_link(&sealed, into).map_err(failed)?;
    store::files::sync_folder(into);
    let note = json!({ "file": into.display().to_string(), "time_ms": instance.clock.now().as_millis(), "bytes": bytes });
    let _ = std::fs::write(instance.config.data_folder().join(LAST), note.to_string());
    record(instance, bytes).await?;
    Ok(Summary {
        file: into.display().to_string(),
        bytes,
        tenants,
        entries,
        installed: content.whole,
        installed_lost: content.lost.into_iter().map(|(url, _)| url).collect(),
    })
}

async fn worker<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(Failure::new(
                Category::Fault,
                format!("a worker ended early: {error}"),
            ))
        })
}

fn own_caller(instance: &Instance) -> Result<app::Caller, Failure> {
    crate::console::task(
        &instance.app,
        kernel::TenantId::INSTANCE,
        SystemTask::Backup,
    )
}

// The content of installed code systems and lists of products; files of jobs are made again.
async fn copy_files(instance: &Instance, copy: &Path) -> Result<Content, Failure> {
    let into = Blobs::in_folder(&copy.join(wiring::BLOBS))?;
    let caller = own_caller(instance)?;
    let content = app::files::copy(&instance.app, &caller, &into).await?;
    for (url, why) in &content.lost {
        tracing::error!(
            url,
            why,
            "the content of something installed is not in the backup"
        );
    }
    Ok(content)
}

async fn verify_files(instance: &Instance, folder: &Path, copied: &Content) -> Result<(), Failure> {
    let place = Blobs::in_folder(&folder.join(wiring::BLOBS))?;
    let caller = own_caller(instance)?;
    let read = app::files::check(&instance.app, &caller, Some(&place)).await?;
    let lost = read
        .lost
        .iter()
        .find(|(url, _)| copied.lost.iter().all(|(known, _)| known != url));
    match lost {
        None => Ok(()),
        Some((url, why)) => Err(Failure::new(
            Category::Conflict,
            format!(
                "the backup was not kept, because the content of {url} was changed while it was written ({why}): repeat"
            ),
        )),
    }
}

async fn record(instance: &Instance, bytes: u64) -> Result<(), Failure> {
    let caller = own_caller(instance)?;
    Ok(app::backup::record(&instance.app, &caller, format!("{bytes} bytes")).await?)
}

// Heads before databases: a copy may be ahead of its heads, never behind them.
async fn copy_all(instance: &Instance, copy: &Path) -> Result<u64, Failure> {
    let data = instance.config.data_folder();
    let failed = |path: &Path, error: &std::io::Error| Failure::file(path, error);
    for folder in ["keys", "heads", "tenants"] {
        let path = copy.join(folder);
        std::fs::create_dir_all(&path).map_err(|error| failed(&path, &error))?;
    }
    let tenants = instance.store.tenants().await?;
    for tenant in &tenants {
        let scope = system_scope(*tenant, SystemTask::Backup);
        match instance.store.settle(&scope).await {
            Ok(()) | Err(StoreError::RolledBack { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for item in std::fs::read_dir(data.join("heads"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let to = copy.join("heads").join(item.file_name());
        std::fs::copy(item.path(), &to).map_err(|error| failed(&to, &error))?;
    }
    for tenant in &tenants {
        let scope = system_scope(*tenant, SystemTask::Backup);
        instance
            .store
            .copy_tenant(&scope, &copy.join("tenants").join(tenant.to_string()))
            .await?;
    }
    for file in [ROOT_KEY, wiring::NAME, "erased.log"] {
        let (from, to) = (data.join(file), copy.join(file));
        if from.exists() {
            std::fs::copy(&from, &to).map_err(|error| failed(&from, &error))?;
        }
    }
    let manifest = json!({
        "format": 1,
        "instance": instance.name,
        "made": instance.clock.now().to_fhir_instant(),
        "program": env!("CARGO_PKG_VERSION"),
        "verifier": instance.store.log_verifier(),
        "tenants": tenants.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    let path = copy.join(restore::MANIFEST);
    std::fs::write(&path, manifest.to_string()).map_err(|error| failed(&path, &error))?;
    Ok(tenants.len() as u64)
}

fn seal(from: &Path, to: &Path, passphrase: &str, ids: &dyn kernel::Ids) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let file = File::options().write(true).create_new(true).open(to)?;
        let sealer = Sealer::new(BufWriter::with_capacity(1 << 20, file), passphrase, ids)?;
        let mut tar = tar::Builder::new(sealer);
        tar.mode(tar::HeaderMode::Deterministic);
        tar.append_dir_all(".", from)?;
        let mut writer = tar.into_inner()?.finish()?;
        writer.flush()?;
        writer.get_ref().sync_all()
    };
    write().map_err(|error| Failure::file(to, &error))
}

// The copy is opened as a data folder of its own and its ledger walked from end to end.
async fn verify_copy(instance: &Instance, folder: &Path) -> Result<u64, Failure> {
    let (handle, name) = (Handle::current(), instance.name.clone());
    let (clock, ids, folder) = (
        Arc::clone(&instance.clock),
        Arc::clone(&instance.ids),
        folder.to_owned(),
    );
    worker(move || {
        let store: Arc<dyn store::Store> = Arc::new(store::sqlite::SqliteStore::examine(
            store::sqlite::SqliteSettings::new(folder.clone(), name),
            clock,
            ids,
        )?);
        let policy = data_folder::own_policy(&*store)?;
        let mut logs = StoreLogs::new(
            Arc::clone(&store),
            handle.clone(),
            Some(&folder),
            |_, _, _| {},
        );
        let examined = data_folder::examine(&mut logs, &policy, &[]);
        handle.block_on(store.close());
        let (report, _) = examined?;
        match report.findings.first() {
            None => Ok(report.logs.iter().map(|log| log.entries).sum()),
            Some(finding) => Err(Failure::new(
                Category::Altered,
                format!("the backup was not kept, because its ledger does not verify: {finding}"),
            )),
        }
    })
    .await
}
