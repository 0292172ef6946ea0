//! Envelope encryption: a key ring wraps a tenant's own secrets, the tenant's key wraps data keys, one per
//! patient and one for everything else. Destroying a patient's data key makes every copy of that patient's
//! bodies and payloads unreadable. Must not do I/O but through the ring: adapters keep the wrapped keys.

mod dek;
mod file;
mod held;

use std::collections::HashMap;
use std::sync::Arc;

use ::ledger::commit::CommitKey;
use ::ledger::leaf::Pseudonym;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kernel::{ActorId, Ids, LogicalId, TenantId};
use parking_lot::Mutex;
use sha2::Sha256;
use zeroize::Zeroizing;

pub use dek::{Dek, Kid};
pub use file::FileKeyRing;
use held::Held;

use crate::index::KeyHasher;
use crate::index::hash::SECRET_BYTES;
use crate::port::error::StoreError;

/// Whoever keeps the root key: a file here; later the environment, PKCS#11, Vault or a cloud's service.
pub trait KeyRing: Send + Sync {
    /// Wraps a secret for a context; it opens in no other.
    fn wrap(&self, context: &[u8], secret: &[u8]) -> Result<Vec<u8>, StoreError>;
    /// Opens what [`KeyRing::wrap`] made.
    fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError>;
    /// The seed of the Ed25519 key that the instance's logs are signed with.
    fn signing_seed(&self) -> Result<Zeroizing<[u8; 32]>, StoreError>;
}

/// A secret of a tenant as its adapter stores it: name and wrapped bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedSecret {
    /// `kek` or `derive`.
    pub name: String,
    /// Wrapped by the ring.
    pub wrapped: Vec<u8>,
}

/// A data key as its adapter stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedDek {
    /// Its id, random.
    pub kid: Kid,
    /// Whose it is, as a keyed hash; zeros for the tenant's own.
    pub subject: SubjectTag,
    /// Wrapped by the tenant's key.
    pub wrapped: Vec<u8>,
}

/// Keyed hash of a patient's id.
pub type SubjectTag = [u8; 16];

/// The subject tag of the tenant's own data key.
pub const TENANT_SUBJECT: SubjectTag = [0; 16];

const SECRET_NAMES: [&str; 2] = ["kek", "derive"];
const CACHED_KEYS: usize = 100_000;

/// A tenant's keys, open, with a cache of data keys. Adapters look a missing data key up in their own
/// storage (blocking or not) and hand it in with [`TenantKeys::admit`].
pub struct TenantKeys {
    tenant: TenantId,
    kek: Dek,
    hasher: KeyHasher,
    /// Keyed once: a look takes two of these.
    lookup: Hmac<Sha256>,
    actors: CommitKey,
    tenant_dek: Arc<Dek>,
    by_kid: Held,
    by_subject: Held,
    // New data keys that are in use but not yet on disk: adapters store them before the rows sealed with them.
    pending: Mutex<HashMap<SubjectTag, (Arc<Dek>, WrappedDek)>>,
}

impl core::fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TenantKeys")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl TenantKeys {
    /// Makes the secrets and the data key of a new tenant, wrapped, ready to be stored.
    pub fn generate(
        tenant: TenantId,
        ring: &dyn KeyRing,
        ids: &dyn Ids,
    ) -> Result<(Vec<WrappedSecret>, WrappedDek), StoreError> {
        let mut kek = Zeroizing::new([0u8; 32]);
        let mut secrets = Vec::with_capacity(SECRET_NAMES.len());
        for name in SECRET_NAMES {
            let mut secret = Zeroizing::new([0u8; 32]);
            ids.fill(secret.as_mut_slice());
            secrets.push(WrappedSecret {
                name: name.to_owned(),
                wrapped: ring.wrap(&secret_context(tenant, name), secret.as_slice())?,
            });
            if name == "kek" {
                kek = secret;
            }
        }
        let kek = Dek::new([0; 16], &kek);
        let (_, wrapped) = new_dek(tenant, &kek, TENANT_SUBJECT, ids)?;
        Ok((secrets, wrapped))
    }

    /// Opens a tenant's keys.
    pub fn open(
        tenant: TenantId,
        ring: &dyn KeyRing,
        secrets: &[WrappedSecret],
        tenant_dek: &WrappedDek,
    ) -> Result<Self, StoreError> {
        let find = |name: &str| -> Result<Zeroizing<[u8; 32]>, StoreError> {
            let missing = || StoreError::Key {
                key: format!("{name} of tenant {tenant}"),
            };
            let row = secrets
                .iter()
                .find(|secret| secret.name == name)
                .ok_or_else(missing)?;
            let plain = ring.unwrap(&secret_context(tenant, name), &row.wrapped)?;
            plain
                .as_slice()
                .try_into()
                .map(Zeroizing::new)
                .map_err(|_| missing())
        };
        let kek = find("kek")?;
        let kek = Dek::new([0; 16], &kek);
        let derive = find("derive")?;
        let tenant_dek = Arc::new(unwrap_dek(tenant, &kek, tenant_dek)?);
        Ok(Self {
            tenant,
            hasher: KeyHasher::new(index_secret(&derive)),
            lookup: keyed(&Zeroizing::new(mac(derive.as_slice(), &[b"lookup"]))),
            actors: CommitKey::new(&mac(derive.as_slice(), &[b"pseudonym"])),
            kek,
            tenant_dek,
            by_kid: Held::new(CACHED_KEYS),
            by_subject: Held::new(CACHED_KEYS),
            pending: Mutex::new(HashMap::new()),
        })
    }

    /// The tenant.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }
    /// Hashes search values.
    #[must_use]
    pub const fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }
    /// The data key of everything that belongs to no single patient.
    #[must_use]
    pub const fn tenant_dek(&self) -> &Arc<Dek> {
        &self.tenant_dek
    }
    /// A keyed hash of a document's look-up.
    #[must_use]
    pub fn lookup(&self, kind: u8, name: &str, value: &str) -> [u8; 16] {
        truncate(over(
            self.lookup.clone(),
            &[
                b"doc",
                &[kind],
                &(name.len() as u32).to_le_bytes(),
                name.as_bytes(),
                value.as_bytes(),
            ],
        ))
    }
    /// An actor's pseudonym in leaves.
    #[must_use]
    pub fn pseudonym(&self, actor: ActorId) -> Pseudonym {
        self.actors.actor(actor)
    }
    /// The tag a patient's data keys are stored under.
    #[must_use]
    pub fn subject_tag(&self, patient: &LogicalId) -> SubjectTag {
        truncate(over(
            self.lookup.clone(),
            &[b"subject", patient.as_str().as_bytes()],
        ))
    }

    /// A data key by id, if it is open already.
    #[must_use]
    pub fn by_kid(&self, kid: &Kid) -> Option<Arc<Dek>> {
        if *kid == self.tenant_dek.kid() {
            return Some(Arc::clone(&self.tenant_dek));
        }
        self.by_kid.get(kid)
    }
    /// A patient's data key, if it is open already.
    #[must_use]
    pub fn by_subject(&self, tag: &SubjectTag) -> Option<Arc<Dek>> {
        self.by_subject
            .get(tag)
            .or_else(|| self.pending.lock().get(tag).map(|(dek, _)| Arc::clone(dek)))
    }
    /// Opens a stored data key and keeps it at hand.
    pub fn admit(&self, stored: &WrappedDek) -> Result<Arc<Dek>, StoreError> {
        let dek = Arc::new(unwrap_dek(self.tenant, &self.kek, stored)?);
        dek.set_durable();
        self.keep(stored.subject, &dek);
        Ok(dek)
    }
    /// A data key for a patient who has none in storage. Its rows must be stored (see
    /// [`TenantKeys::pending`]) before anything sealed with it.
    pub fn create(&self, tag: SubjectTag, ids: &dyn Ids) -> Result<Arc<Dek>, StoreError> {
        let mut pending = self.pending.lock();
        if let Some((dek, _)) = pending.get(&tag) {
            return Ok(Arc::clone(dek));
        }
        if let Some(dek) = self.by_subject.get(&tag) {
            return Ok(dek);
        }
        let (dek, wrapped) = new_dek(self.tenant, &self.kek, tag, ids)?;
        let dek = Arc::new(dek);
        pending.insert(tag, (Arc::clone(&dek), wrapped));
        self.by_kid.insert(dek.kid(), Arc::clone(&dek));
        Ok(dek)
    }
    /// New data keys that are not in storage yet.
    #[must_use]
    pub fn pending(&self) -> Vec<WrappedDek> {
        self.pending
            .lock()
            .values()
            .map(|(_, wrapped)| wrapped.clone())
            .collect()
    }
    /// Says that pending keys are in storage.
    pub fn stored(&self, keys: &[WrappedDek]) {
        let mut pending = self.pending.lock();
        for key in keys {
            if let Some((dek, _)) = pending.get(&key.subject) {
                dek.set_durable();
                self.keep(key.subject, dek);
            }
            pending.remove(&key.subject);
        }
    }
    /// Drops data keys that were destroyed from memory.
    pub fn forget(&self, tag: &SubjectTag, kids: &[Kid]) {
        // A key made for the patient since then stays: rows may be on their way that are sealed with it.
        let mut pending = self.pending.lock();
        if pending
            .get(tag)
            .is_some_and(|(dek, _)| kids.contains(&dek.kid()))
        {
            pending.remove(tag);
        }
        drop(pending);
        if self
            .by_subject
            .get(tag)
            .is_some_and(|dek| kids.contains(&dek.kid()))
        {
            self.by_subject.remove(tag);
        }
        for kid in kids {
            self.by_kid.remove(kid);
        }
    }

    fn keep(&self, subject: SubjectTag, dek: &Arc<Dek>) {
        self.by_kid.insert(dek.kid(), Arc::clone(dek));
        if subject != TENANT_SUBJECT {
            self.by_subject.insert(subject, Arc::clone(dek));
        }
    }
}

fn secret_context(tenant: TenantId, name: &str) -> Vec<u8> {
    [
        b"theriac tenant secret ",
        tenant.as_uuid().as_bytes().as_slice(),
        name.as_bytes(),
    ]
    .concat()
}

fn dek_context(tenant: TenantId, kid: &Kid, subject: &SubjectTag) -> Vec<u8> {
    [
        b"theriac data key ",
        tenant.as_uuid().as_bytes().as_slice(),
        kid,
        subject,
    ]
    .concat()
}

fn new_dek(
    tenant: TenantId,
    kek: &Dek,
    subject: SubjectTag,
    ids: &dyn Ids,
) -> Result<(Dek, WrappedDek), StoreError> {
    let mut kid: Kid = [0; 16];
    let mut nonce = [0u8; 12];
    let mut secret = Zeroizing::new([0u8; 32]);
    ids.fill(&mut kid);
    ids.fill(&mut nonce);
    ids.fill(secret.as_mut_slice());
    let mut sealed = secret.to_vec();
    let tag = kek.encrypt(&nonce, &dek_context(tenant, &kid, &subject), &mut sealed)?;
    let wrapped = [nonce.as_slice(), &sealed, &tag].concat();
    Ok((
        Dek::new(kid, &secret),
        WrappedDek {
            kid,
            subject,
            wrapped,
        },
    ))
}

fn unwrap_dek(tenant: TenantId, kek: &Dek, stored: &WrappedDek) -> Result<Dek, StoreError> {
    let wrong = || StoreError::Key {
        key: format!("data key of tenant {tenant}"),
    };
    let (nonce, rest) = stored.wrapped.split_first_chunk::<12>().ok_or_else(wrong)?;
    let (sealed, tag) = rest.split_last_chunk::<16>().ok_or_else(wrong)?;
    let mut secret: Zeroizing<[u8; 32]> = Zeroizing::new(sealed.try_into().map_err(|_| wrong())?);
    kek.decrypt(
        nonce,
        &dek_context(tenant, &stored.kid, &stored.subject),
        secret.as_mut_slice(),
        tag,
    )
    .map_err(|_| wrong())?;
    Ok(Dek::new(stored.kid, &secret))
}

fn index_secret(derive: &[u8; 32]) -> [u8; SECRET_BYTES] {
    let mut secret = [0u8; SECRET_BYTES];
    for (block, chunk) in secret.chunks_mut(32).enumerate() {
        for (target, byte) in chunk
            .iter_mut()
            .zip(mac(derive, &[b"index", &[block as u8]]))
        {
            *target = byte;
        }
    }
    secret
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of every length: the error cannot occur, and an all-zero answer would only make
    // look-ups miss.
    Hmac::<Sha256>::new_from_slice(key).map_or([0; 32], |mac| over(mac, parts))
}

/// The state of an HMAC under a key of less than a block.
fn keyed(secret: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    for (to, from) in block.iter_mut().zip(secret) {
        *to = *from;
    }
    Hmac::new(&block)
}

fn over(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn truncate(full: [u8; 32]) -> [u8; 16] {
    core::array::from_fn(|at| full.get(at).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use testkit::ids::SeededIds;

    use super::*;

    struct Plain;
    impl KeyRing for Plain {
        fn wrap(&self, context: &[u8], secret: &[u8]) -> Result<Vec<u8>, StoreError> {
            Ok([secret, context].concat())
        }
        fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
            wrapped
                .strip_suffix(context)
                .map(|secret| Zeroizing::new(secret.to_vec()))
                .ok_or(StoreError::Key {
                    key: "test".to_owned(),
                })
        }
        fn signing_seed(&self) -> Result<Zeroizing<[u8; 32]>, StoreError> {
            Ok(Zeroizing::new([7; 32]))
        }
    }

    fn tenant(number: u128) -> TenantId {
        TenantId::from_uuid(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn a_tenants_keys_open_again_and_in_no_other_tenant() {
        let ids = SeededIds::default();
        let (secrets, dek) = TenantKeys::generate(tenant(1), &Plain, &ids).unwrap();
        let first = TenantKeys::open(tenant(1), &Plain, &secrets, &dek).unwrap();
        let again = TenantKeys::open(tenant(1), &Plain, &secrets, &dek).unwrap();
        assert_eq!(first.hasher().code("a"), again.hasher().code("a"));
        assert_eq!(first.lookup(1, "n", "v"), again.lookup(1, "n", "v"));
        assert_ne!(first.lookup(1, "n", "v"), first.lookup(2, "n", "v"));
        assert!(TenantKeys::open(tenant(2), &Plain, &secrets, &dek).is_err());
    }

    #[test]
    fn a_new_patients_key_is_pending_until_stored_and_forgotten_when_destroyed() {
        let ids = SeededIds::default();
        let (secrets, dek) = TenantKeys::generate(tenant(1), &Plain, &ids).unwrap();
        let keys = TenantKeys::open(tenant(1), &Plain, &secrets, &dek).unwrap();
        let tag = keys.subject_tag(&"p1".parse().unwrap());
        assert!(keys.by_subject(&tag).is_none());
        let made = keys.create(tag, &ids).unwrap();
        assert!(!made.is_durable());
        assert_eq!(keys.create(tag, &ids).unwrap().kid(), made.kid());
        let pending = keys.pending();
        assert_eq!(pending.len(), 1);
        keys.stored(&pending);
        assert!(made.is_durable() && keys.pending().is_empty());
        assert_eq!(keys.by_subject(&tag).unwrap().kid(), made.kid());
        keys.forget(&tag, &[made.kid()]);
        assert!(keys.by_subject(&tag).is_none() && keys.by_kid(&made.kid()).is_none());
        let next = keys.create(tag, &ids).unwrap();
        keys.forget(&tag, &[made.kid()]);
        assert_eq!(keys.pending().len(), 1, "a key made since then stays");
        keys.forget(&tag, &[next.kid()]);
        assert!(keys.pending().is_empty());
        let opened = keys.admit(&pending[0]).unwrap();
        let mut text = b"secret".to_vec();
        let mac = made.encrypt(&[0; 12], b"x", &mut text).unwrap();
        opened.decrypt(&[0; 12], b"x", &mut text, &mac).unwrap();
        assert_eq!(text, b"secret");
    }
}
