//! Lists of destroyed keys (`erased.log`) around a restore: what was erased after a backup was written must
//! not come back with it. A listed key is destroyed for ever, whichever folder lists it, so that lists are
//! joined and never weighed against each other.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use kernel::{Category, TenantId};
use uuid::Uuid;

use crate::failure::Failure;

/// The file's name in a data folder.
pub const LIST: &str = "erased.log";

/// Tenant and key.
type Line = (TenantId, Uuid);

/// What was joined.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Keys that the backup did not know to be destroyed.
    pub added: u64,
    /// The lists that were read.
    pub lists: Vec<PathBuf>,
}

/// The lists in a folder about to be restored into, and in the folders beside it.
pub fn around(data: &Path) -> Vec<PathBuf> {
    let mut found = vec![data.join(LIST)];
    let beside = data
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut folders: Vec<PathBuf> = std::fs::read_dir(beside)
        .into_iter()
        .flatten()
        .flatten()
        .map(|item| item.path().join(LIST))
        .collect();
    folders.sort();
    found.extend(folders);
    found.retain(|list| list.is_file());
    found.dedup();
    found
}

/// Joins lists into the one of a restored folder. `named` ones must be lists; `found` ones are read as far
/// as they go.
pub fn join(folder: &Path, named: &[PathBuf], found: Vec<PathBuf>) -> Result<Joined, Failure> {
    let target = folder.join(LIST);
    let mut known = if target.exists() {
        read(&target)?
    } else {
        BTreeSet::new()
    };
    let before = known.len();
    let mut joined = Joined::default();
    for list in named {
        let lines = read(list)?;
        let is_empty = std::fs::metadata(list).map_or(0, |about| about.len()) == 0;
        if lines.is_empty() && !is_empty {
            return Err(Failure::new(
                Category::Invalid,
                format!(
                    "{} is no list of erasures: name an {LIST} of a data folder",
                    list.display()
                ),
            ));
        }
        known.extend(lines);
        joined.lists.push(list.clone());
    }
    for list in found {
        known.extend(read(&list)?);
        joined.lists.push(list);
    }
    joined.added = (known.len() - before) as u64;
    if joined.added > 0 {
        let mut text = String::new();
        for (tenant, key) in &known {
            let _ = writeln!(text, "{tenant} {key}");
        }
        std::fs::write(&target, text)
            .and_then(|()| std::fs::File::open(&target)?.sync_all())
            .map_err(|error| Failure::file(&target, &error))?;
    }
    Ok(joined)
}

/// The lines that are whole: one cut off by a crash is of an erasure that had not been answered.
fn read(list: &Path) -> Result<BTreeSet<Line>, Failure> {
    let text = std::fs::read_to_string(list).map_err(|error| Failure::file(list, &error))?;
    let line = |line: &str| -> Option<Line> {
        let (tenant, key) = line.split_once(' ')?;
        Some((tenant.parse().ok()?, Uuid::try_parse(key).ok()?))
    };
    Ok(text.lines().filter_map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "01a20685-e0a4-7596-b804-0b13a7a3baaa";

    fn line(key: u128) -> String {
        format!("\n{TENANT} {}\n", Uuid::from_u128(key))
    }

    #[test]
    fn lists_are_joined_and_torn_lines_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["new", "old", "other"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("new/erased.log"), line(1)).unwrap();
        std::fs::write(at("old/erased.log"), line(1) + &line(2) + TENANT).unwrap();
        std::fs::write(at("named"), line(3)).unwrap();
        let found = around(&at("restored"));
        assert_eq!(found, [at("new/erased.log"), at("old/erased.log")]);
        std::fs::create_dir(at("restored")).unwrap();
        std::fs::write(at("restored/erased.log"), line(1)).unwrap();
        let joined = join(&at("restored"), &[at("named")], found).unwrap();
        assert_eq!((joined.added, joined.lists.len()), (2, 3));
        let kept = read(&at("restored/erased.log")).unwrap();
        let keys: Vec<u128> = kept.iter().map(|(_, key)| key.as_u128()).collect();
        assert_eq!(keys, [1, 2, 3]);
        std::fs::write(at("no-list"), "something else").unwrap();
        assert!(join(&at("other"), &[at("no-list")], Vec::new()).is_err());
        assert!(join(&at("other"), &[at("nowhere")], Vec::new()).is_err());
    }
}
