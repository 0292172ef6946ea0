//! One AES-256-GCM key with its id, and the commitment key derived from it. Must not be printed.

use std::sync::atomic::{AtomicBool, Ordering};

use ::ledger::commit::CommitKey;
use aes_gcm::{AeadInOut as _, Aes256Gcm, KeyInit as _};

use super::mac;
use crate::port::error::StoreError;

/// A data key's id: 16 random bytes.
pub type Kid = [u8; 16];

/// A data key, ready for use.
pub struct Dek {
    kid: Kid,
    cipher: Aes256Gcm,
    commit: CommitKey,
    durable: AtomicBool,
}

impl core::fmt::Debug for Dek {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Dek(..)")
    }
}

impl Dek {
    /// From its secret.
    #[must_use]
    pub fn new(kid: Kid, secret: &[u8; 32]) -> Self {
        Self {
            kid,
            cipher: Aes256Gcm::new(secret.into()),
            commit: CommitKey::new(&mac(secret, &[b"theriac commitment"])),
            durable: AtomicBool::new(false),
        }
    }
    /// Its id.
    #[must_use]
    pub const fn kid(&self) -> Kid {
        self.kid
    }
    /// The key that commitments in leaves are made with; gone when the data key is.
    #[must_use]
    pub const fn commitment_key(&self) -> &CommitKey {
        &self.commit
    }
    /// Whether it is in storage, so that what it seals can be read after a crash.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.durable.load(Ordering::Acquire)
    }
    pub(super) fn set_durable(&self) {
        self.durable.store(true, Ordering::Release);
    }
    /// Encrypts in place; a nonce must not be used twice.
    pub fn encrypt(
        &self,
        nonce: &[u8; 12],
        binding: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; 16], StoreError> {
        self.cipher
            .encrypt_inout_detached(nonce.into(), binding, text.into())
            .map(Into::into)
            .map_err(|_| StoreError::Engine("sealing failed: the body is too long".to_owned()))
    }
    /// Decrypts in place.
    pub fn decrypt(
        &self,
        nonce: &[u8; 12],
        binding: &[u8],
        text: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), StoreError> {
        self.cipher
            .decrypt_inout_detached(nonce.into(), binding, text.into(), tag.into())
            .map_err(|_| StoreError::Key {
                key: uuid::Uuid::from_bytes(self.kid).to_string(),
            })
    }
}
