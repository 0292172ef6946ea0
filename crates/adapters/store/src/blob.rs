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
    /// Writes a file of the tenant under a path of ours, such as `bulk/<job>/00001/00002`; one that is there
    /// already is replaced, whole or not at all.
    pub async fn put_file(
        &self,
        scope: &TenantScope,
        path: &str,
        bytes: Bytes,
    ) -> Result<(), StoreError> {
        let place = file_place(scope, path);
        let put = self.store.put(&place, bytes.into()).await;
        put.map(|_| ()).map_err(|error| failed(&error))
    }
    /// Reads a file that [`Blobs::put_file`] wrote; `None` where there is none.
    pub async fn file(&self, scope: &TenantScope, path: &str) -> Result<Option<Bytes>, StoreError> {
        match self.store.get(&file_place(scope, path)).await {
            Ok(answer) => answer
                .bytes()
                .await
                .map(Some)
                .map_err(|error| failed(&error)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }
    /// The paths of the tenant's files below a path.
    pub async fn files(&self, scope: &TenantScope, below: &str) -> Result<Vec<String>, StoreError> {
        let place = file_place(scope, below);
        let found: Vec<object_store::ObjectMeta> = self
            .store
            .list(Some(&place))
            .try_collect()
            .await
            .map_err(|error| failed(&error))?;
        let root = file_place(scope, "");
        Ok(found
            .into_iter()
            .filter_map(|meta| {
                let rest = meta.location.as_ref().strip_prefix(root.as_ref())?;
                Some(rest.trim_start_matches('/').to_owned())
            })
            .collect())
    }
    /// Removes the tenant's files below a path; returns how many there were.
    pub async fn remove_files(&self, scope: &TenantScope, below: &str) -> Result<u64, StoreError> {
        let mut removed = 0;
        for path in self.files(scope, below).await? {
            match self.store.delete(&file_place(scope, &path)).await {
                Ok(()) => removed += 1,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Ok(removed)
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

// Apart from the blobs by content, which have two letters there.
fn file_place(scope: &TenantScope, path: &str) -> ObjectPath {
    ObjectPath::from(format!("{}/files/{path}", scope.tenant()))
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

    #[tokio::test]
    async fn files_are_replaced_listed_and_removed_by_folder() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let put = |number: u128, path: &'static str, text: &'static str| {
            let blobs = blobs.clone();
            async move {
                let bytes = Bytes::from_static(text.as_bytes());
                blobs.put_file(&scope(number), path, bytes).await.unwrap();
            }
        };
        for (path, text) in [("bulk/j1/1", "a"), ("bulk/j1/2", "b"), ("bulk/j2/1", "c")] {
            put(1, path, text).await;
        }
        put(2, "bulk/j1/1", "foreign").await;
        put(1, "bulk/j1/1", "again").await;
        let read = blobs.file(&scope(1), "bulk/j1/1").await.unwrap();
        assert_eq!(read.as_deref(), Some(&b"again"[..]));
        assert_eq!(blobs.file(&scope(1), "bulk/j1/9").await.unwrap(), None);
        let mut listed = blobs.files(&scope(1), "bulk").await.unwrap();
        listed.sort();
        assert_eq!(listed, ["bulk/j1/1", "bulk/j1/2", "bulk/j2/1"]);
        assert_eq!(blobs.remove_files(&scope(1), "bulk/j1").await.unwrap(), 2);
        assert_eq!(blobs.files(&scope(1), "bulk").await.unwrap(), ["bulk/j2/1"]);
        let kept = blobs.file(&scope(2), "bulk/j1/1").await.unwrap();
        assert_eq!(kept.as_deref(), Some(&b"foreign"[..]));
        assert!(blobs.list(&scope(1)).await.unwrap().is_empty());
    }

    fn blobs_path(folder: &Path, scope: &TenantScope, name: BlobName) -> std::path::PathBuf {
        folder.join(place(scope, name).as_ref())
    }
}
