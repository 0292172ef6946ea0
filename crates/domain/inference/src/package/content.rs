//! A package's members, the hash it is called by, and its signature. The hash is over a canonical list of
//! the members' own hashes, so that it does not depend on how the archive was packed.

use core::fmt;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::archive::{self, Limits, Member};
use super::error::PackageError;
use super::manifest::Manifest;
use super::read::manifest;

const MANIFEST: &str = "manifest.toml";
const MODEL: &str = "model.onnx";
const SIGNATURE: &str = "signature";
/// First line of what is hashed; a later form will have another.
const FORM: &str = "theriac model package 1\n";
/// First line of what is signed.
const SIGNED: &str = "theriac model package 1 signature\n";

/// What a package is called by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// From its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// SHA-256 over the form's name and a line "hash, two spaces, name" for each member, by name (the order
    /// and look of `sha256sum *`).
    fn of(members: &[(&str, &[u8])]) -> Self {
        let mut lines: Vec<(&str, String)> = members
            .iter()
            .map(|(name, bytes)| (*name, HEXLOWER.encode(&Sha256::digest(bytes))))
            .collect();
        lines.sort_unstable();
        let mut hasher = Sha256::new();
        hasher.update(FORM);
        for (name, hash) in lines {
            hasher.update(format!("{hash}  {name}\n"));
        }
        Self(hasher.finalize().into())
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for ContentHash {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("no content hash: give 64 small hexadecimal digits")
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// An Ed25519 public key, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads 64 hexadecimal digits of a key that is a point of the curve.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()?;
        VerifyingKey::from_bytes(&bytes).ok()?;
        Some(Self(bytes))
    }

    /// The public key of a secret seed.
    #[must_use]
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed).verifying_key().to_bytes())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A package that was read whole. Whether to trust it is asked with [`Package::verify`].
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    manifest: Manifest,
    manifest_text: String,
    model: Vec<u8>,
    hash: ContentHash,
    signature: Option<(PublicKey, [u8; 64])>,
}

impl Package {
    /// Its declarations.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its declarations as written.
    #[must_use]
    pub fn manifest_text(&self) -> &str {
        &self.manifest_text
    }

    /// The model's bytes.
    #[must_use]
    pub fn model(&self) -> &[u8] {
        &self.model
    }

    /// What it is called by.
    #[must_use]
    pub const fn hash(&self) -> ContentHash {
        self.hash
    }

    /// Who signed it: one of the trusted keys, and the one its manifest names.
    ///
    /// # Errors
    /// [`PackageError::Unsigned`], [`PackageError::OtherSigner`], [`PackageError::Untrusted`] or
    /// [`PackageError::Mismatch`].
    pub fn verify(&self, trusted: &[PublicKey]) -> Result<PublicKey, PackageError> {
        let (key, signature) = self.signature.ok_or(PackageError::Unsigned)?;
        if key != self.manifest.signer {
            return Err(PackageError::OtherSigner {
                signed: key.to_string(),
                named: self.manifest.signer.to_string(),
            });
        }
        if !trusted.contains(&key) {
            return Err(PackageError::Untrusted(key.to_string()));
        }
        let verifier = VerifyingKey::from_bytes(&key.0).map_err(|_| PackageError::Mismatch)?;
        verifier
            .verify_strict(&signed_text(self.hash), &Signature::from_bytes(&signature))
            .map_err(|_| PackageError::Mismatch)?;
        Ok(key)
    }
}

fn signed_text(hash: ContentHash) -> Vec<u8> {
    format!("{SIGNED}{hash}\n").into_bytes()
}

/// Reads a package: the archive, the manifest and the signature's form.
///
/// # Errors
/// [`PackageError`].
pub fn open(bytes: &[u8], limits: &Limits) -> Result<Package, PackageError> {
    let mut manifest_bytes = None;
    let mut model = None;
    let mut signature = None;
    for member in archive::read(bytes, limits)? {
        match member.name.as_str() {
            MANIFEST => manifest_bytes = Some(member.bytes),
            MODEL => model = Some(member.bytes),
            SIGNATURE => signature = Some(member.bytes),
            _ => return Err(PackageError::Unknown(member.name)),
        }
    }
    let manifest_bytes = manifest_bytes.ok_or(PackageError::Lacks(MANIFEST))?;
    let model = model.ok_or(PackageError::Lacks(MODEL))?;
    let hash = ContentHash::of(&[(MANIFEST, &manifest_bytes), (MODEL, &model)]);
    let manifest_text = String::from_utf8(manifest_bytes)
        .map_err(|_| PackageError::Syntax("it is not UTF-8".to_owned()))?;
    let signature = signature.map(|bytes| read_signature(&bytes)).transpose()?;
    Ok(Package {
        manifest: manifest(&manifest_text)?,
        manifest_text,
        model,
        hash,
        signature,
    })
}

/// 64 hexadecimal digits of the key, a space, 128 of the signature, a line feed.
fn read_signature(bytes: &[u8]) -> Result<(PublicKey, [u8; 64]), PackageError> {
    let read = || {
        let text = str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let (key, signature) = text.split_once(' ')?;
        let signature = HEXLOWER.decode(signature.as_bytes()).ok()?;
        Some((PublicKey::parse(key)?, signature.try_into().ok()?))
    };
    read().ok_or(PackageError::Mismatch)
}

/// Packs a manifest and a model, signed with the seed's key where one is given. What comes out was read
/// again, so that nothing is packed which would be refused.
///
/// # Errors
/// [`PackageError`].
pub fn seal(
    manifest_text: &str,
    model: &[u8],
    seed: Option<&[u8; 32]>,
    limits: &Limits,
) -> Result<Vec<u8>, PackageError> {
    let hash = ContentHash::of(&[(MANIFEST, manifest_text.as_bytes()), (MODEL, model)]);
    let member = |name: &str, bytes: Vec<u8>| Member {
        name: name.to_owned(),
        bytes,
    };
    let mut members = vec![
        member(MANIFEST, manifest_text.as_bytes().to_vec()),
        member(MODEL, model.to_vec()),
    ];
    if let Some(seed) = seed {
        let signature = SigningKey::from_bytes(seed).sign(&signed_text(hash));
        let (key, signature) = (PublicKey::of_seed(seed), signature.to_bytes());
        let line = format!("{key} {}\n", HEXLOWER.encode(&signature));
        members.push(member(SIGNATURE, line.into_bytes()));
    }
    let bytes = archive::write(&members, limits)?;
    let package = open(&bytes, limits)?;
    if seed.is_some() {
        package.verify(&[package.manifest.signer])?;
    }
    Ok(bytes)
}
