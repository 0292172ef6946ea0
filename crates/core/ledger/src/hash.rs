//! SHA-256 tree hashing of RFC 6962 section 2.1. Must not know what an entry is.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::error::FormatError;

/// A SHA-256 hash: of a leaf, a node, a payload, or a commitment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Bytes in a hash.
    pub const LEN: usize = 32;

    /// SHA-256 of plain bytes, without the prefixes of the tree.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
    /// From exactly 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
    /// Standard base64 with padding, as checkpoints and proofs write it: 44 characters.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }
    /// Reads the form of [`Self::to_base64`], and no other.
    pub fn from_base64(text: &str) -> Result<Self, FormatError> {
        let bytes = STANDARD.decode(text).ok();
        bytes
            .as_deref()
            .and_then(Self::from_slice)
            .ok_or(FormatError::new(
                "hash",
                "write 32 bytes as 44 characters of standard base64",
            ))
    }
    /// Reads 64 lowercase hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, FormatError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        bytes
            .as_deref()
            .and_then(Self::from_slice)
            .ok_or(FormatError::new(
                "hash",
                "write 32 bytes as 64 lowercase hexadecimal digits",
            ))
    }
}

/// 64 lowercase hexadecimal digits.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash of a log entry: SHA-256(0x00 || entry).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(entry);
    Hash(hasher.finalize().into())
}

/// The hash of two subtrees: SHA-256(0x01 || left || right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left.0);
    hasher.update(right.0);
    Hash(hasher.finalize().into())
}

/// The root of the empty tree: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash::of(&[])
}

/// The root of a perfect subtree over concatenated hashes. `hashes` holds a power of two of them, at
/// least one; anything else gives the hash of what whole pairs there are.
pub(crate) fn perfect_root(hashes: &[u8]) -> Hash {
    let read = |chunk: &[u8]| Hash::from_slice(chunk).unwrap_or(Hash([0; 32]));
    let mut row: Vec<Hash> = hashes.chunks_exact(Hash::LEN).map(read).collect();
    while row.len() > 1 {
        let pair = |pair: &[Hash]| match pair {
            [left, right, ..] => node_hash(left, right),
            _ => Hash([0; 32]),
        };
        row = row.chunks_exact(2).map(pair).collect();
    }
    row.first().copied().unwrap_or_else(empty_root)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// RFC 6962 section 2.1 word for word, as the oracle of the tests.
    pub(crate) fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => empty_root(),
            1 => leaves[0],
            n => {
                let split = n.next_power_of_two() / 2;
                node_hash(&naive_root(&leaves[..split]), &naive_root(&leaves[split..]))
            }
        }
    }

    /// The eight entries of the certificate-transparency reference tests.
    pub(crate) fn reference_entries() -> Vec<Vec<u8>> {
        [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ]
        .iter()
        .map(|hex| HEXLOWER.decode(hex.as_bytes()).unwrap())
        .collect()
    }

    #[test]
    fn reference_roots() {
        let leaves: Vec<Hash> = reference_entries().iter().map(|e| leaf_hash(e)).collect();
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        for (size, root) in roots.iter().enumerate() {
            assert_eq!(
                naive_root(&leaves[..size]).to_string(),
                *root,
                "size {size}"
            );
        }
        let all: Vec<u8> = leaves.iter().flat_map(|l| l.0).collect();
        assert_eq!(perfect_root(&all).to_string(), roots[8]);
    }

    #[test]
    fn texts_have_one_form() {
        let hash = leaf_hash(b"x");
        assert_eq!(Hash::from_base64(&hash.to_base64()), Ok(hash));
        assert_eq!(Hash::from_hex(&hash.to_string()), Ok(hash));
        let hex = hash.to_string();
        for bad in [&hex[1..], &hex.to_uppercase(), "", &format!("{hex}0")] {
            assert!(Hash::from_hex(bad).is_err(), "{bad}");
        }
        let base64 = hash.to_base64();
        for bad in [
            base64.trim_end_matches('='),
            "",
            &format!(" {base64}"),
            &format!("{base64}\n"),
        ] {
            assert!(Hash::from_base64(bad).is_err(), "{bad}");
        }
    }
}
