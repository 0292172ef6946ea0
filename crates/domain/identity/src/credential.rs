//! Credentials that are an id and a secret: long-lived tokens, short-lived access tokens and session
//! cookies. One text form, `<prefix>_<id>_<secret>`, one hash, one comparison. The store finds the
//! document by its id and never sees a secret; the document holds the hash only.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Categorised, Category};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::sealed::{Digest32, SecretBytes};

/// What kind of credential it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A token that lives for months.
    LongLived,
    /// A token that lives for minutes.
    Access,
    /// A browser session.
    Session,
}

impl CredentialKind {
    /// The prefix, with its underscore: secret scanners find leaked tokens by it.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::LongLived => "thr_",
            Self::Access => "tha_",
            Self::Session => "ths_",
        }
    }
}

/// A credential as its holder shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its kind.
    pub kind: CredentialKind,
    /// The id of its document.
    pub id: Uuid,
    secret: SecretBytes<32>,
}

/// Not a credential of ours. Says nothing of what was wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this token is not known here: sign in again, or ask for a new one")]
pub struct CredentialError;

impl Categorised for CredentialError {
    fn category(&self) -> Category {
        Category::Unauthenticated
    }
}

const ID_LENGTH: usize = 32;
const SECRET_LENGTH: usize = 43;

impl Credential {
    /// A new credential from an id and 32 random bytes.
    #[must_use]
    pub const fn new(kind: CredentialKind, id: Uuid, random: [u8; 32]) -> Self {
        Self {
            kind,
            id,
            secret: SecretBytes::new(random),
        }
    }

    /// Reads the text form: prefix, 32 hexadecimal digits, `_`, 43 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        let kinds = [
            CredentialKind::LongLived,
            CredentialKind::Access,
            CredentialKind::Session,
        ];
        let (kind, rest) = kinds
            .into_iter()
            .find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)))
            .ok_or(CredentialError)?;
        let (id, rest) = rest.split_at_checked(ID_LENGTH).ok_or(CredentialError)?;
        let secret = rest.strip_prefix('_').ok_or(CredentialError)?;
        let canonical = id
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !canonical || secret.len() != SECRET_LENGTH {
            return Err(CredentialError);
        }
        let id = Uuid::try_parse(id).map_err(|_| CredentialError)?;
        let mut bytes = Zeroizing::new([0_u8; 33]);
        let length = URL_SAFE_NO_PAD
            .decode_slice(secret, &mut *bytes)
            .map_err(|_| CredentialError)?;
        match bytes.get(..length).map(<[u8; 32]>::try_from) {
            Some(Ok(secret)) => Ok(Self::new(kind, id, secret)),
            _ => Err(CredentialError),
        }
    }

    /// The text form, shown once.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{}{}_{}",
            self.kind.prefix(),
            self.id.simple(),
            URL_SAFE_NO_PAD.encode(self.secret.expose())
        ))
    }

    /// The hash to keep. The secret has 256 bits, so that one pass of SHA-256 is enough; kind and id are
    /// in it, so that no hash stands for another document.
    #[must_use]
    pub fn hash(&self) -> Digest32 {
        let mut hasher = Sha256::new();
        hasher.update(b"theriac credential v1\0");
        hasher.update(self.kind.prefix().as_bytes());
        hasher.update(self.id.as_bytes());
        hasher.update(self.secret.expose());
        Digest32::new(hasher.finalize().into())
    }

    /// Whether it is the credential whose hash was kept; constant time. Without one (no such document)
    /// the same work is done and the answer is no.
    #[must_use]
    pub fn matches(&self, kept: Option<&Digest32>) -> bool {
        let hash = self.hash();
        let Some(kept) = kept else {
            core::hint::black_box(Digest32::new([0; 32]) == hash);
            return false;
        };
        *kept == hash
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}_<secret>", self.kind.prefix(), self.id.simple())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds() -> impl Strategy<Value = CredentialKind> {
        prop_oneof![
            Just(CredentialKind::LongLived),
            Just(CredentialKind::Access),
            Just(CredentialKind::Session)
        ]
    }

    #[test]
    fn the_text_form_is_fixed() {
        let token = Credential::new(
            CredentialKind::LongLived,
            Uuid::from_u128(0x018f_2c3e_7b1a_7c3d_9e4f_0123_4567_89ab),
            [0xfb; 32],
        );
        let text =
            "thr_018f2c3e7b1a7c3d9e4f0123456789ab_-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s";
        assert_eq!(*token.to_text(), text);
        assert_eq!(Credential::parse(text), Ok(token.clone()));
        assert_eq!(
            format!("{token:?}"),
            "thr_018f2c3e7b1a7c3d9e4f0123456789ab_<secret>"
        );
        for bad in [
            String::new(),
            "thr_".to_owned(),
            text.replace("thr_", "thx_"),
            text.replace("018f", "018F"),
            format!("{text}x"),
            format!("{text}="),
            text[..text.len() - 1].to_owned(),
            // Trailing bits that are not zero: a second text for the same bytes.
            text.replace("-_s", "-_t"),
            text.replace("ab_", "abä"),
            format!("thr_{}", "ä".repeat(60)),
        ] {
            assert_eq!(Credential::parse(&bad), Err(CredentialError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trips_and_only_the_same_matches(kind in kinds(), other in kinds(), id in any::<u128>(), secret in any::<[u8; 32]>(), flip in 0usize..256) {
            let token = Credential::new(kind, Uuid::from_u128(id), secret);
            let parsed = Credential::parse(&token.to_text()).unwrap();
            prop_assert_eq!(&parsed, &token);
            let kept = token.hash();
            prop_assert!(parsed.matches(Some(&kept)));
            prop_assert!(!parsed.matches(None));
            let mut wrong = secret;
            wrong[flip / 8] ^= 1 << (flip % 8);
            prop_assert!(!Credential::new(kind, Uuid::from_u128(id), wrong).matches(Some(&kept)));
            prop_assert!(!Credential::new(kind, Uuid::from_u128(id ^ 1), secret).matches(Some(&kept)));
            prop_assert_eq!(Credential::new(other, Uuid::from_u128(id), secret).matches(Some(&kept)), other == kind);
        }

        #[test]
        fn parsing_never_fails_otherwise(text in "\\PC{0,120}") {
            let _ = Credential::parse(&text);
        }
    }
}
