//! Backups of a folder that a running process holds: `theriac backup` leaves a request in the folder
//! `backup-requests`, the process that serves takes it, writes the backup and answers beside it. Whoever
//! may write into the data folder may ask.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;

use crate::archive;
use crate::commands::backup::write_backup;
use crate::failure::Failure;
use crate::wiring::Instance;

/// The folder of requests below the data folder.
pub const REQUESTS: &str = "backup-requests";

/// A request, as a file.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Request {
    /// The file to write; absolute.
    pub into: PathBuf,
    /// The file holding the pass phrase; absolute.
    pub passphrase_file: PathBuf,
}

/// An answer, as a file.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    /// What was written.
    pub summary: Option<archive::Summary>,
    /// Why nothing was written.
    pub error: Option<String>,
    /// The exit code.
    pub exit: u8,
}

/// Takes requests until `stopped`.
pub async fn watch(instance: Instance, mut stopped: watch::Receiver<bool>) {
    let folder = instance.config.data_folder().join(REQUESTS);
    if !matches!(crate::wiring::is_postgres(&instance.config), Ok(false)) {
        return;
    }
    // Requests of a process that is gone must not write files now.
    for item in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let _ = std::fs::remove_file(item.path());
    }
    loop {
        tokio::select! {
            () = async { let _ = stopped.wait_for(|stopped| *stopped).await; } => return,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        for path in requests(&folder) {
            answer(&instance, &path).await;
        }
    }
}

fn requests(folder: &Path) -> Vec<PathBuf> {
    let Ok(items) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    items
        .flatten()
        .map(|item| item.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "request"))
        .collect()
}

async fn answer(instance: &Instance, path: &Path) {
    let outcome = async {
        let text = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
        let request: Request = serde_json::from_slice(&text).map_err(|error| {
            Failure::new(
                kernel::Category::Invalid,
                format!("the backup request cannot be read: {error}"),
            )
        })?;
        write_backup(instance, &request.into, &request.passphrase_file).await
    };
    let answer = match outcome.await {
        Ok(summary) => Answer {
            summary: Some(summary),
            error: None,
            exit: 0,
        },
        Err(failure) => {
            tracing::error!(error = %failure.text, "a backup failed");
            Answer {
                exit: failure.exit_code(),
                error: Some(failure.text),
                summary: None,
            }
        }
    };
    let _ = std::fs::remove_file(path);
    let temporary = path.with_extension("writing");
    let written = serde_json::to_vec(&answer)
        .map_err(std::io::Error::other)
        .and_then(|text| std::fs::write(&temporary, text))
        .and_then(|()| std::fs::rename(&temporary, path.with_extension("answer")));
    if let Err(error) = written {
        tracing::error!(%error, "the answer to a backup request could not be written");
    }
}
