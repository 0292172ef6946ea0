//! Small secret values inside documents: fixed-size digests and secrets that compare in constant time,
//! print as nothing and wipe themselves. Must not make them: bytes come in from the id port.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// `N` secret or secret-derived bytes, written in JSON as base64url without padding.
#[derive(Clone, Zeroize)]
#[zeroize(drop)]
pub struct SecretBytes<const N: usize>([u8; N]);

/// A SHA-256 or HMAC-SHA-256 value.
pub type Digest32 = SecretBytes<32>;

impl<const N: usize> SecretBytes<N> {
    /// Wraps bytes.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }
    /// The bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
    /// Compares in time that does not depend on the values.
    #[must_use]
    pub fn matches(&self, other: &[u8; N]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl<const N: usize> PartialEq for SecretBytes<N> {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}
impl<const N: usize> Eq for SecretBytes<N> {}

impl<const N: usize> fmt::Debug for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{N} secret bytes>")
    }
}

impl<const N: usize> serde::Serialize for SecretBytes<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de, const N: usize> serde::Deserialize<'de> for SecretBytes<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        URL_SAFE_NO_PAD
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; N]>::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(|| D::Error::custom("secret value has the wrong length or alphabet"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_prints_nothing() {
        let secret = SecretBytes::<4>::new([1, 2, 250, 255]);
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(json, "\"AQL6_w\"");
        assert_eq!(
            serde_json::from_str::<SecretBytes<4>>(&json).unwrap(),
            secret
        );
        assert!(serde_json::from_str::<SecretBytes<5>>(&json).is_err());
        assert_eq!(format!("{secret:?}"), "<4 secret bytes>");
        assert!(secret.matches(&[1, 2, 250, 255]));
        assert!(!secret.matches(&[1, 2, 250, 254]));
    }
}
