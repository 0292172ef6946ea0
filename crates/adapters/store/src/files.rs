//! Errors of files as storage errors. Must name the place and never the content.

use std::io::{Error, ErrorKind};
use std::path::Path;

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
