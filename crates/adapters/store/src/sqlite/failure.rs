//! What the engine's errors mean. Must not carry SQL or values into texts.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::port::error::StoreError;

/// Maps an engine error; `path` names the database.
pub(super) fn failed(path: &Path, error: rusqlite::Error) -> StoreError {
    let place = path.display().to_string();
    let rusqlite::Error::SqliteFailure(code, detail) = error else {
        return match error {
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..) => StoreError::Damaged {
                place,
                detail: "a column has another type".to_owned(),
            },
            other => StoreError::Engine(other.to_string()),
        };
    };
    match code.code {
        ErrorCode::DiskFull => StoreError::Full { place },
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::ReadOnly { place },
        ErrorCode::CannotOpen if path.exists() => StoreError::ReadOnly { place },
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Damaged {
            place,
            detail: "the engine reports it corrupt".to_owned(),
        },
        ErrorCode::OperationInterrupted => StoreError::TooCostly,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy,
        _ => StoreError::Engine(detail.unwrap_or_else(|| code.to_string())),
    }
}
