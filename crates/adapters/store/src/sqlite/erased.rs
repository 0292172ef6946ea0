//! The list of destroyed data keys, outside all databases: a backup put back must not bring a destroyed
//! key with it. One line per key: tenant and key id. Must only grow.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use kernel::TenantId;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::files::io_error;
use crate::keys::Kid;
use crate::port::error::StoreError;

pub(super) struct ErasedList {
    path: PathBuf,
    known: Mutex<HashSet<(TenantId, Kid)>>,
}

impl ErasedList {
    pub(super) fn open(data: &Path) -> Result<Self, StoreError> {
        let path = data.join("erased.log");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io_error(&path, &error)),
        };
        // A line cut off by a crash is repeated by the erasure that wrote it.
        let known = text
            .lines()
            .filter_map(|line| {
                let (tenant, kid) = line.split_once(' ')?;
                Some((
                    tenant.parse().ok()?,
                    Uuid::try_parse(kid).ok()?.into_bytes(),
                ))
            })
            .collect();
        Ok(Self {
            path,
            known: Mutex::new(known),
        })
    }

    pub(super) fn of_tenant(&self, tenant: TenantId) -> HashSet<Kid> {
        self.known
            .lock()
            .iter()
            .filter(|(of, _)| *of == tenant)
            .map(|(_, kid)| *kid)
            .collect()
    }

    /// Adds keys, durably; those already listed are left.
    pub(super) fn add(&self, tenant: TenantId, kids: &[Kid]) -> Result<(), StoreError> {
        let mut known = self.known.lock();
        let fresh: Vec<&Kid> = kids
            .iter()
            .filter(|kid| !known.contains(&(tenant, **kid)))
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        // A line feed first ends whatever a crash may have left.
        let mut lines = String::from("\n");
        for kid in &fresh {
            let _ = writeln!(lines, "{tenant} {}", Uuid::from_bytes(**kid));
        }
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.path)?;
            file.write_all(lines.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| io_error(&self.path, &error))?;
        crate::files::sync_folder(&self.path);
        known.extend(fresh.into_iter().map(|kid| (tenant, *kid)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_survives_and_shrugs_off_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let tenant = TenantId::from_uuid(Uuid::from_u128(5));
        let list = ErasedList::open(folder.path()).unwrap();
        list.add(tenant, &[[1; 16]]).unwrap();
        let path = folder.path().join("erased.log");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("00000000-0000-0000-0000-0000000000");
        std::fs::write(&path, text).unwrap();
        let again = ErasedList::open(folder.path()).unwrap();
        again.add(tenant, &[[1; 16], [2; 16]]).unwrap();
        let last = ErasedList::open(folder.path()).unwrap().of_tenant(tenant);
        assert_eq!(last, HashSet::from([[1; 16], [2; 16]]));
        assert!(again.of_tenant(TenantId::INSTANCE).is_empty());
    }
}
