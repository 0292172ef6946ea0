//! Signatures of webhook calls: HMAC-SHA256 over id, time and body, in the form of the Standard Webhooks
//! specification (v1), so that receivers verify with libraries that exist.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The header with the message's id, the same in every attempt.
pub const ID: &str = "webhook-id";
/// The header with the time of the attempt, in Unix seconds.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures.
pub const SIGNATURE: &str = "webhook-signature";

/// A signing key.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<[u8; 32]>);

impl core::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// From 32 secret bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Derived from a secret for a purpose, so that nothing needs to be kept.
    #[must_use]
    pub fn derive(secret: &[u8; 32], purpose: &[&[u8]]) -> Self {
        let mut mac = keyed(secret);
        for part in purpose {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Self::new(mac.finalize().into_bytes().into())
    }

    /// As receivers are given it: `whsec_` and base64.
    #[must_use]
    pub fn shown(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("whsec_{}", STANDARD.encode(self.0.as_slice())))
    }

    /// The value of [`SIGNATURE`] for a message.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = keyed(&self.0);
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl SigningKey {
    /// Whether one of the signatures in a header's value is of a message; takes as long whatever differs.
    #[must_use]
    pub fn verifies(&self, id: &str, timestamp: i64, body: &[u8], header: &str) -> bool {
        // More than a few are nobody's.
        const MOST: usize = 8;
        let signatures = header.split_ascii_whitespace().take(MOST);
        signatures.fold(false, |found, one| {
            let mut mac = keyed(&self.0);
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            let sent = one
                .strip_prefix("v1,")
                .and_then(|own| STANDARD.decode(own).ok());
            sent.is_some_and(|own| mac.verify_slice(&own).is_ok()) | found
        })
    }
}

fn keyed(secret: &[u8; 32]) -> Hmac<Sha256> {
    // HMAC takes keys of any length; the construction cannot fail.
    match Hmac::<Sha256>::new_from_slice(secret) {
        Ok(mac) => mac,
        Err(_) => Hmac::<Sha256>::new(&Default::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // HMAC written out after RFC 2104, so that the test does not ask the same code twice.
    fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
        use sha2::Digest as _;
        let mut block = [0u8; 64];
        block[..key.len()].copy_from_slice(key);
        let pad = |byte: u8| block.map(|own| own ^ byte);
        let inner = Sha256::new()
            .chain_update(pad(0x36))
            .chain_update(text)
            .finalize();
        Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize()
            .to_vec()
    }

    #[test]
    fn a_signature_is_the_hmac_of_id_time_and_body() {
        let key = SigningKey::new([5; 32]);
        let text = b"msg_1.1700000000.{\"a\":1}";
        let expected = format!("v1,{}", STANDARD.encode(hmac(&[5; 32], text)));
        assert_eq!(key.sign("msg_1", 1_700_000_000, b"{\"a\":1}"), expected);
        assert_ne!(key.sign("msg_2", 1_700_000_000, b"{\"a\":1}"), expected);
        assert_ne!(key.sign("msg_1", 1_700_000_001, b"{\"a\":1}"), expected);
        assert_ne!(key.sign("msg_1", 1_700_000_000, b"{\"a\":2}"), expected);
        assert_eq!(format!("{key:?}"), "SigningKey");
        let signed = |header: &str| key.verifies("msg_1", 1_700_000_000, b"{\"a\":1}", header);
        assert!(signed(&expected) && signed(&format!("v1,AAAA {expected}")));
        assert!(!signed("") && !signed("v1,AAAA") && !signed(&expected.replace("v1,", "v1a,")));
        assert!(!key.verifies("msg_1", 1_700_000_000, b"{\"a\":2}", &expected));
        assert!(!key.verifies("msg_1", 1_700_000_001, b"{\"a\":1}", &expected));
    }

    #[test]
    fn derived_keys_differ_by_every_part() {
        let shown = |parts: &[&[u8]]| SigningKey::derive(&[1; 32], parts).shown().to_string();
        assert_eq!(shown(&[b"a", b"b"]), shown(&[b"a", b"b"]));
        assert_ne!(shown(&[b"a", b"b"]), shown(&[b"ab", b""]));
        assert_ne!(
            shown(&[b"a"]),
            SigningKey::derive(&[2; 32], &[b"a"]).shown().to_string()
        );
    }
}
