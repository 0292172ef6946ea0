//! Blobs by content: documents, frames and exports in a folder or an object store, named by the SHA-256
//! of what is stored. Write the blob first and the row that names it second; a sweeper removes what no
//! row names. Must not seal: callers hand in sealed bytes.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use kernel::TenantScope;
use object_store::{
    ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, path::Path as ObjectPath,
};
use sha2::{Digest as _, Sha256};

use crate::port::error::StoreError;

/// The name of a blob: SHA-256 of its stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName(pub [u8; 32]);

impl core::fmt::Display for BlobName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where blobs are kept.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
}

impl Blobs {
    /// Over any object store.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }
    /// In a folder; a blob is durable when [`Blobs::put`] returns.
    pub fn in_folder(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(|error| crate::files::io_error(folder, &error))?;
        let store = object_store::local::LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| failed(&error))?;
        Ok(Self::new(Arc::new(store.with_fsync(true))))
    }

    /// Stores a blob; one that is there already is left as it is.
    pub async fn put(&self, scope: &TenantScope, bytes: Bytes) -> Result<BlobName, StoreError> {
        let name = BlobName(Sha256::digest(&bytes).into());
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        match self
            .store
            .put_opts(&place(scope, name), bytes.into(), options)
            .await
        {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(name),
            Err(error) => Err(failed(&error)),
        }
    }
    /// Reads a blob and checks it against its name; `None` where there is none.
    pub async fn get(
        &self,
        scope: &TenantScope,
        name: BlobName,
    ) -> Result<Option<Bytes>, StoreError> {
        let answer = match self.store.get(&place(scope, name)).await {
            Ok(answer) => answer,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        let bytes = answer.bytes().await.map_err(|error| failed(&error))?;
        if <[u8; 32]>::from(Sha256::digest(&bytes)) == name.0 {
            Ok(Some(bytes))
        } else {
            Err(StoreError::Damaged {
                place: format!("blob {name}"),
                detail: "its content has another hash".to_owned(),
            })
        }
    }
    /// Removes a blob; does nothing where there is none.
    pub async fn remove(&self, scope: &TenantScope, name: BlobName) -> Result<(), StoreError> {
        match self.store.delete(&place(scope, name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
    /// The names of all blobs of the tenant with the time each was written, for the sweeper.
    pub async fn list(
        &self,
        scope: &TenantScope,
    ) -> Result<Vec<(BlobName, kernel::Timestamp)>, StoreError> {
        let prefix = ObjectPath::from(scope.tenant().to_string());
        let found: Vec<object_store::ObjectMeta> = self
            .store
            .list(Some(&prefix))
            .try_collect()
            .await
            .map_err(|error| failed(&error))?;
        Ok(found
            .into_iter()
            .filter_map(|meta| {
                let time = kernel::Timestamp::from_millis(meta.last_modified.timestamp_millis());
                meta.location
                    .filename()
                    .and_then(parse_name)
                    .map(|name| (name, time))
            })
            .collect())
    }
}

fn place(scope: &TenantScope, name: BlobName) -> ObjectPath {
    let name = name.to_string();
    let shelf: String = name.chars().take(2).collect();
    ObjectPath::from(format!("{}/{shelf}/{name}", scope.tenant()))
}

fn parse_name(text: &str) -> Option<BlobName> {
    if text.len() != 64 {
        return None;
    }
    let mut name = [0u8; 32];
    for (target, pair) in name.iter_mut().zip(text.as_bytes().chunks(2)) {
        *target = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(BlobName(name))
}

fn failed(error: &object_store::Error) -> StoreError {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return crate::files::io_error(Path::new("blobs"), io);
        }
        source = inner.source();
    }
    StoreError::Engine(format!("blobs: {error}"))
}

#[cfg(test)]
mod tests {
    use kernel::TenantId;
    use uuid::Uuid;

    use super::*;

    fn scope(number: u128) -> TenantScope {
        let tenant = TenantId::from_uuid(Uuid::from_u128(number));
        identity::system_scope(tenant, identity::SystemTask::Setup)
    }

    #[tokio::test]
    async fn blobs_come_back_by_their_content_and_only_to_their_tenant() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let content = Bytes::from_static(b"frame");
        let name = blobs.put(&scope(1), content.clone()).await.unwrap();
        let again = blobs.put(&scope(1), content.clone()).await.unwrap();
        assert_eq!(name, again);
        assert_eq!(blobs.get(&scope(1), name).await.unwrap(), Some(content));
        assert_eq!(blobs.get(&scope(2), name).await.unwrap(), None);
        let listed = blobs.list(&scope(1)).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].0, name);
        assert!(blobs.list(&scope(2)).await.unwrap().is_empty());

        let path = blobs_path(folder.path(), &scope(1), name);
        std::fs::write(&path, b"other").unwrap();
        let damaged = blobs.get(&scope(1), name).await;
        assert!(matches!(damaged, Err(StoreError::Damaged { .. })));
        blobs.remove(&scope(1), name).await.unwrap();
        blobs.remove(&scope(1), name).await.unwrap();
        assert_eq!(blobs.get(&scope(1), name).await.unwrap(), None);
    }

    fn blobs_path(folder: &Path, scope: &TenantScope, name: BlobName) -> std::path::PathBuf {
        folder.join(place(scope, name).as_ref())
    }
}
