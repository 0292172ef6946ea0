//! The conformance suite on SQLite.

mod folder;
#[expect(dead_code, reason = "the suite is shared; not every case is used here")]
mod suite;

use folder::Folder;

conformance!(Folder::new());
