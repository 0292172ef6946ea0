//! What the server's errors mean. Must not carry SQL, values or credentials into texts.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::port::change::CommitError;
use crate::port::error::StoreError;

/// Maps an error; `place` names the database.
pub(super) fn failed(place: &str, error: &Error) -> StoreError {
    let place = place.to_owned();
    let Some(said) = error.as_db_error() else {
        return if let Some(detail) = of_tls(error) {
            StoreError::Unreachable {
                detail: format!("database {place}: {detail}"),
            }
        } else if is_conversion(error) {
            StoreError::Damaged {
                place,
                detail: "a column has another type".to_owned(),
            }
        } else {
            // Everything else that is not the server's answer is the connection.
            StoreError::Unreachable {
                detail: format!("database {place}: the connection failed"),
            }
        };
    };
    let code = said.code();
    match code {
        &SqlState::DISK_FULL => StoreError::Full { place },
        &SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::ReadOnly { place },
        &SqlState::QUERY_CANCELED => StoreError::TooCostly,
        &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => StoreError::Damaged {
            place,
            detail: "the server reports it corrupt".to_owned(),
        },
        &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            StoreError::Unreachable {
                detail: format!("database {place}: the role was refused"),
            }
        }
        &SqlState::INVALID_CATALOG_NAME => StoreError::Unreachable {
            detail: format!("database {place}: there is none of this name"),
        },
        &SqlState::TOO_MANY_CONNECTIONS => StoreError::Unreachable {
            detail: format!("database {place}: it takes no more connections"),
        },
        // Classes 08 (connection) and 57P (shutdown, crash, start-up).
        code if code.code().starts_with("08") || code.code().starts_with("57P") => {
            StoreError::Unreachable {
                detail: format!("database {place}: it is stopping or starting"),
            }
        }
        code => {
            let object = said
                .constraint()
                .or_else(|| said.table())
                .unwrap_or("no table named");
            StoreError::Engine(format!(
                "database {place}: SQLSTATE {} ({object})",
                code.code()
            ))
        }
    }
}

/// A failure in a transaction: whether repeating it may help.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another replica was there first, or a deadlock was broken: repeat.
    Collision,
    /// The connection was lost while the commit was under way: it may have happened.
    Uncertain,
    /// It failed; nothing was stored.
    Store(StoreError),
}

impl Failure {
    /// Maps an error of a statement inside a transaction.
    pub(super) fn of(place: &str, error: &Error) -> Self {
        match error.code() {
            Some(code) if is_collision(code) => Self::Collision,
            _ => Self::Store(failed(place, error)),
        }
    }
    /// Maps an error of COMMIT itself.
    pub(super) fn of_commit(place: &str, error: &Error) -> Self {
        if error
            .as_db_error()
            .is_none_or(|said| said.code().code().starts_with("57P"))
        {
            Self::Uncertain
        } else {
            Self::of(place, error)
        }
    }
    /// The error told to a caller when repeating did not help.
    pub(super) fn into_store(self, place: &str) -> StoreError {
        match self {
            Self::Collision => StoreError::Busy,
            Self::Uncertain => StoreError::Unreachable {
                detail: format!(
                    "database {place}: the connection was lost while committing; the write may have happened"
                ),
            },
            Self::Store(error) => error,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn is_collision(code: &SqlState) -> bool {
    [
        SqlState::UNIQUE_VIOLATION,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
    ]
    .contains(code)
}

/// What went wrong with TLS, in the words of the library: names of hosts and certificates at most.
fn of_tls(error: &Error) -> Option<String> {
    use std::error::Error as _;
    // The kind of an error is not shown but in its text.
    let is_tls = error
        .to_string()
        .starts_with("error performing TLS handshake");
    let source = error.source().map(ToString::to_string);
    is_tls.then(|| format!("TLS failed, {}", source.unwrap_or_default()))
}

fn is_conversion(error: &Error) -> bool {
    use std::error::Error as _;
    error
        .source()
        .is_some_and(|source| !source.is::<std::io::Error>())
        && !error.is_closed()
}

/// A copy of an error for one more of the callers that share it.
pub(super) fn again(error: &StoreError) -> CommitError {
    CommitError::Store(match error {
        StoreError::Full { place } => StoreError::Full {
            place: place.clone(),
        },
        StoreError::ReadOnly { place } => StoreError::ReadOnly {
            place: place.clone(),
        },
        StoreError::Unreachable { detail } => StoreError::Unreachable {
            detail: detail.clone(),
        },
        StoreError::RolledBack {
            tenant,
            log,
            found,
            known,
        } => StoreError::RolledBack {
            tenant: *tenant,
            log,
            found: *found,
            known: *known,
        },
        StoreError::Damaged { place, detail } => StoreError::Damaged {
            place: place.clone(),
            detail: detail.clone(),
        },
        StoreError::Key { key } => StoreError::Key { key: key.clone() },
        StoreError::Closed => StoreError::Closed,
        StoreError::Busy => StoreError::Busy,
        StoreError::TooCostly => StoreError::TooCostly,
        other => StoreError::Engine(other.to_string()),
    })
}
