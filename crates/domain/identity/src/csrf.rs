//! Anti-forgery tokens for forms: an HMAC bound to the session, masked anew in each page so that a
//! compressed page gives nothing away (BREACH). Compared in constant time.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::documents::Session;

fn tag(session: &Session) -> [u8; 32] {
    // HMAC takes keys of any length: the error cannot happen, and a zero tag matches nothing below.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(session.csrf_seed.expose()) else {
        return [0; 32];
    };
    mac.update(b"theriac csrf v1\0");
    mac.update(session.tenant.as_uuid().as_bytes());
    mac.update(session.id.as_uuid().as_bytes());
    mac.update(session.hash.expose());
    mac.finalize().into_bytes().into()
}

/// The token for a page, from 32 random bytes.
#[must_use]
pub fn token(session: &Session, mask: [u8; 32]) -> String {
    let mut bytes = [0_u8; 64];
    let tag = tag(session);
    for (out, (m, t)) in bytes.iter_mut().zip(
        mask.iter()
            .copied()
            .map(|m| (m, 0))
            .chain(mask.iter().copied().zip(tag)),
    ) {
        *out = m ^ t;
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether a token was made for this session.
#[must_use]
pub fn verify(session: &Session, token: &str) -> bool {
    let mut bytes = [0_u8; 66];
    let decoded = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes);
    let (Ok(64), Some((mask, masked))) = (decoded, bytes.split_first_chunk::<32>()) else {
        return false;
    };
    let mut given = [0_u8; 32];
    for ((out, m), t) in given.iter_mut().zip(mask).zip(masked) {
        *out = m ^ t;
    }
    let expected = tag(session);
    (expected.ct_eq(&given) & !expected.ct_eq(&[0; 32])).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{AuthenticationLevel, SessionPolicy};
    use crate::sealed::{Digest32, SecretBytes};
    use kernel::{SessionId, TenantId, Timestamp, UserId};
    use uuid::Uuid;

    fn session(tenant: u128, id: u128, seed: u8) -> Session {
        Session::begin(
            TenantId::from_uuid(Uuid::from_u128(tenant)),
            SessionId::from_uuid(Uuid::from_u128(id)),
            UserId::from_uuid(Uuid::from_u128(3)),
            Digest32::new([4; 32]),
            SecretBytes::new([seed; 32]),
            AuthenticationLevel::Password,
            &SessionPolicy::default(),
            Timestamp::from_millis(0),
        )
    }

    #[test]
    fn a_token_is_good_for_its_session_only() {
        let here = session(1, 2, 3);
        let one = token(&here, [9; 32]);
        let two = token(&here, [200; 32]);
        assert_ne!(one, two);
        assert_eq!(one.len(), 86);
        assert!(verify(&here, &one) && verify(&here, &two));
        for other in [session(2, 2, 3), session(1, 3, 3), session(1, 2, 4)] {
            assert!(!verify(&other, &one));
        }
        let mut changed = one.clone().into_bytes();
        changed[50] ^= 1;
        for bad in ["", "AAAA", &one[..85], &format!("{one}A"), &"A".repeat(86)] {
            assert!(!verify(&here, bad), "{bad}");
        }
        assert!(!verify(&here, &String::from_utf8(changed).unwrap()));
    }
}
