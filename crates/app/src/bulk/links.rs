//! Signed links: whoever has one may fetch one file of one job until it expires. Compared in constant time.

use hmac::{Hmac, KeyInit as _, Mac as _};
use kernel::{TenantId, Timestamp};
use sha2::Sha256;
use uuid::Uuid;

use crate::settings::Settings;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub tenant: TenantId,
    pub job: Uuid,
    pub file: u32,
    /// Seconds since the Unix epoch.
    pub expires: i64,
}

fn mac(settings: &Settings, target: &Target) -> Hmac<Sha256> {
    // HMAC takes keys of any length; the construction cannot fail.
    let mut mac = match Hmac::<Sha256>::new_from_slice(settings.secret.as_slice()) {
        Ok(mac) => mac,
        Err(_) => Hmac::<Sha256>::new(&Default::default()),
    };
    mac.update(b"theriac bulk link v1\0");
    mac.update(target.tenant.as_uuid().as_bytes());
    mac.update(target.job.as_bytes());
    mac.update(&target.file.to_be_bytes());
    mac.update(&target.expires.to_be_bytes());
    mac
}

/// The signature.
pub(super) fn sign(settings: &Settings, target: &Target) -> String {
    let tag = mac(settings, target).finalize().into_bytes();
    data_encoding::BASE64URL_NOPAD.encode(&tag)
}

/// Whether a signature is right and has not expired.
pub(super) fn holds(settings: &Settings, target: &Target, signature: &str, now: Timestamp) -> bool {
    let Ok(tag) = data_encoding::BASE64URL_NOPAD.decode(signature.as_bytes()) else {
        return false;
    };
    let right = mac(settings, target).verify_slice(&tag).is_ok();
    right && now.as_millis() < target.expires.saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_for_one_file_of_one_job_until_it_expires() {
        let settings = Settings::with_secret([7; 32]);
        let target = Target {
            tenant: TenantId::from_uuid(Uuid::from_u128(1)),
            job: Uuid::from_u128(2),
            file: 3,
            expires: 1_000,
        };
        let signature = sign(&settings, &target);
        let now = Timestamp::from_millis(999_999);
        assert!(holds(&settings, &target, &signature, now));
        let late = Timestamp::from_millis(1_000_000);
        assert!(!holds(&settings, &target, &signature, late));
        let others = [
            Target {
                tenant: TenantId::from_uuid(Uuid::from_u128(9)),
                ..target
            },
            Target {
                job: Uuid::from_u128(9),
                ..target
            },
            Target { file: 4, ..target },
            Target {
                expires: 1_001,
                ..target
            },
        ];
        for other in others {
            assert!(!holds(&settings, &other, &signature, now));
        }
        assert!(!holds(
            &Settings::with_secret([8; 32]),
            &target,
            &signature,
            now
        ));
        for place in 0..signature.len() {
            let mut edited = signature.clone().into_bytes();
            edited[place] = if edited[place] == b'A' { b'B' } else { b'A' };
            let edited = String::from_utf8(edited).unwrap();
            assert!(!holds(&settings, &target, &edited, now));
        }
        assert!(!holds(&settings, &target, "", now));
    }
}
