//! Errors of files as storage errors. Must name the place and never the content.

use std::fs::{File, TryLockError};
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;

use crate::port::error::StoreError;

/// What a failed file operation means.
#[must_use]
pub fn io_error(path: &Path, error: &Error) -> StoreError {
    let place = path.display().to_string();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StoreError::Full { place }
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly { place }
        }
        _ => StoreError::Engine(format!("{place}: {error}")),
    }
}

/// Makes the entry of a new file in its folder durable; a file system that refuses to sync folders
/// keeps its own order.
pub fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent()
        && let Ok(folder) = std::fs::File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

/// Takes a data folder for this process, making it where it is missing, until the file is closed.
pub fn lock_folder(data: &Path) -> Result<File, StoreError> {
    let failed = |error: std::io::Error| io_error(data, &error);
    std::fs::create_dir_all(data).map_err(failed)?;
    let path = data.join("lock");
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    locked(file, data)
}

/// Takes a data folder that is there, to look at it: works on a read-only medium too.
pub fn hold_folder(data: &Path) -> Result<File, StoreError> {
    match File::open(data.join("lock")) {
        Ok(file) => locked(file, data),
        Err(error) if error.kind() == ErrorKind::NotFound => lock_folder(data),
        Err(error) => Err(io_error(data, &error)),
    }
}

/// Looks at a lock that is held, and the pause between two, before it counts as in use.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// A lock outlives its process for a moment: a child that is just being started holds the file until it
/// runs its own program, and one that ends lets go a little after its last word.
fn locked(file: File, data: &Path) -> Result<File, StoreError> {
    let mut looks = 1;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if looks < LOOKS => {
                looks += 1;
                std::thread::sleep(PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    place: data.display().to_string(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io_error(data, &error)),
        }
    }
}
