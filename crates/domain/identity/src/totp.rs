//! The second step: time-based one-time codes (RFC 6238, SHA-1, 6 digits, 30 seconds, as authenticator
//! apps expect) with one step of skew and no code accepted twice, and recovery codes kept as hashes.
//! Must not make secrets: random bytes are parameters.

use data_encoding::{BASE32, BASE32_NOPAD};
use kernel::{Categorised, Category, Timestamp, UserId};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::sealed::{Digest32, SecretBytes};

/// Seconds of a step.
pub const STEP_SECONDS: i64 = 30;
/// How many recovery codes are made at enrolment.
pub const RECOVERY_CODES: usize = 10;

/// The secret that phone and server share.
pub type TotpSecret = SecretBytes<20>;

/// The second step of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Totp {
    /// Not set up.
    #[default]
    Off,
    /// Shown to the user, first code not yet seen; not asked for at sign-in.
    Enrolling {
        /// The secret.
        secret: TotpSecret,
    },
    /// Asked for at each sign-in.
    On {
        /// The secret.
        secret: TotpSecret,
        /// The step of the last accepted code: none up to it is accepted again.
        last_step: i64,
        /// Hashes of the recovery codes that were not used.
        recovery: Vec<Digest32>,
    },
}

/// Why a code was not accepted, or enrolment not possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    /// Wrong, expired, or used before; never says which.
    #[error("the code is wrong or was used already: wait for the next one")]
    Code,
    /// The step is not in the state for it.
    #[error("the second step is not being set up: begin again from your account page")]
    NotEnrolling,
    /// It is set up already.
    #[error("the second step is set up already: turn it off first")]
    AlreadyOn,
}

impl Categorised for TotpError {
    fn category(&self) -> Category {
        match self {
            Self::Code => Category::Unauthenticated,
            Self::NotEnrolling | Self::AlreadyOn => Category::Conflict,
        }
    }
}

impl Totp {
    /// Whether sign-in asks for a code.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        matches!(self, Self::On { .. })
    }

    /// Begins enrolment with 20 random bytes; a second call replaces a secret that was not confirmed.
    pub fn enrol(&self, random: [u8; 20]) -> Result<Self, TotpError> {
        if self.is_on() {
            return Err(TotpError::AlreadyOn);
        }
        Ok(Self::Enrolling {
            secret: TotpSecret::new(random),
        })
    }

    /// What an authenticator app scans: `otpauth://totp/...` (Key URI format). Show it once; it holds the
    /// secret.
    #[must_use]
    pub fn uri(&self, issuer: &str, account: &str) -> Option<String> {
        let (Self::Enrolling { secret } | Self::On { secret, .. }) = self else {
            return None;
        };
        let issuer = percent(issuer);
        Some(format!(
            "otpauth://totp/{issuer}:{}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
            percent(account),
            BASE32_NOPAD.encode(secret.expose())
        ))
    }

    /// The secret for typing in, in groups of four.
    #[must_use]
    pub fn typed_secret(&self) -> Option<String> {
        let (Self::Enrolling { secret } | Self::On { secret, .. }) = self else {
            return None;
        };
        Some(grouped(&BASE32_NOPAD.encode(secret.expose()), ' '))
    }

    /// Ends enrolment with the first code; answers the new state. `recovery` are the hashes of
    /// [`recovery_codes`], whose texts are shown once.
    pub fn confirm(
        &self,
        code: &str,
        recovery: Vec<Digest32>,
        now: Timestamp,
    ) -> Result<Self, TotpError> {
        let Self::Enrolling { secret } = self else {
            return Err(TotpError::NotEnrolling);
        };
        let step = matching_step(secret, code, i64::MIN, now).ok_or(TotpError::Code)?;
        Ok(Self::On {
            secret: secret.clone(),
            last_step: step,
            recovery,
        })
    }

    /// Checks a code at sign-in and answers the state to store, in which it is used up. The store must
    /// write it on the version it read, so that two sign-ins cannot use one code.
    pub fn verify(&self, code: &str, now: Timestamp) -> Result<Self, TotpError> {
        let Self::On {
            secret,
            last_step,
            recovery,
        } = self
        else {
            return Err(TotpError::Code);
        };
        let step = matching_step(secret, code, *last_step, now).ok_or(TotpError::Code)?;
        Ok(Self::On {
            secret: secret.clone(),
            last_step: step,
            recovery: recovery.clone(),
        })
    }

    /// Checks a recovery code and answers the state to store, without that code.
    pub fn recover(&self, user: UserId, code: &str) -> Result<Self, TotpError> {
        let Self::On {
            secret,
            last_step,
            recovery,
        } = self
        else {
            return Err(TotpError::Code);
        };
        let hash = recovery_hash(user, code);
        let left: Vec<Digest32> = recovery.iter().filter(|h| **h != hash).cloned().collect();
        if left.len() == recovery.len() {
            return Err(TotpError::Code);
        }
        Ok(Self::On {
            secret: secret.clone(),
            last_step: *last_step,
            recovery: left,
        })
    }

    /// How many recovery codes are left.
    #[must_use]
    pub fn recovery_left(&self) -> usize {
        match self {
            Self::On { recovery, .. } => recovery.len(),
            _ => 0,
        }
    }
}

/// The code of a secret at a time: for tests and for tools that act as the phone.
#[must_use]
pub fn code_at(secret: &TotpSecret, now: Timestamp) -> String {
    format!("{:06}", value(secret, step_of(now)))
}

/// Recovery codes from random bytes: texts to show once, such as `ab3d-9f2k-...`, and hashes to keep.
#[must_use]
pub fn recovery_codes(user: UserId, random: &[[u8; 10]]) -> (Vec<String>, Vec<Digest32>) {
    random
        .iter()
        .map(|bytes| {
            let text = grouped(&BASE32.encode(bytes).to_ascii_lowercase(), '-');
            let hash = recovery_hash(user, &text);
            (text, hash)
        })
        .unzip()
}

fn recovery_hash(user: UserId, code: &str) -> Digest32 {
    let mut hasher = Sha256::new();
    hasher.update(b"theriac recovery code v1\0");
    hasher.update(user.as_uuid().as_bytes());
    for byte in code.bytes().filter(u8::is_ascii_alphanumeric).take(64) {
        hasher.update([byte.to_ascii_lowercase()]);
    }
    Digest32::new(hasher.finalize().into())
}

fn step_of(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(1000 * STEP_SECONDS)
}

fn value(secret: &TotpSecret, step: i64) -> u32 {
    let seconds = u64::try_from(step.saturating_mul(STEP_SECONDS)).unwrap_or(0);
    let totp = totp_rs::Builder::new()
        .with_secret(totp_rs::Secret::new_stack(*secret.expose()))
        .with_skew(0)
        .build_noncompliant();
    // RFC 4226 section 5.3: dynamic truncation.
    let signed = totp.sign(seconds);
    let signature = signed.as_ref();
    let offset = usize::from(signature.last().copied().unwrap_or(0) & 0xf);
    let bytes = signature
        .get(offset..offset + 4)
        .and_then(|four| <[u8; 4]>::try_from(four).ok())
        .unwrap_or_default();
    (u32::from_be_bytes(bytes) & 0x7fff_ffff) % 1_000_000
}

/// The newest step around now, after `last`, whose code this is. Computes every candidate and compares
/// in constant time.
fn matching_step(secret: &TotpSecret, code: &str, last: i64, now: Timestamp) -> Option<i64> {
    let mut given = 0_u32;
    let mut digits = 0;
    for c in code.chars().filter(|c| !c.is_whitespace()) {
        given = given.checked_mul(10)?.checked_add(c.to_digit(10)?)?;
        digits += 1;
    }
    if digits != 6 {
        return None;
    }
    let current = step_of(now);
    let (mut found, mut step) = (Choice::from(0), i64::MIN);
    for candidate in [current - 1, current, current + 1] {
        let equal =
            value(secret, candidate).ct_eq(&given) & Choice::from(u8::from(candidate > last));
        step.conditional_assign(&candidate, equal);
        found |= equal;
    }
    bool::from(found).then_some(step)
}

fn grouped(text: &str, separator: char) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            out.push(separator);
        }
        out.push(c);
    }
    out
}

/// Percent-encodes everything but unreserved characters (RFC 3986 section 2.3).
fn percent(text: &str) -> String {
    use core::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::from_millis(1_772_698_150_000);

    fn user() -> UserId {
        UserId::from_uuid(Uuid::from_u128(7))
    }

    fn on(secret: [u8; 20]) -> Totp {
        let enrolling = Totp::Off.enrol(secret).unwrap();
        let code = code_at(&TotpSecret::new(secret), NOW);
        enrolling.confirm(&code, Vec::new(), NOW).unwrap()
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        let secret = TotpSecret::new(*b"12345678901234567890");
        // Appendix B, SHA-1, last six digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let at = Timestamp::from_millis(seconds * 1000);
            assert_eq!(code_at(&secret, at), code, "{seconds}");
        }
    }

    #[test]
    fn enrolment_shows_a_uri_and_needs_a_code() {
        let enrolling = Totp::Off.enrol(*b"12345678901234567890").unwrap();
        assert_eq!(
            enrolling.uri("Rosewood House", "ana.maria@x").unwrap(),
            "otpauth://totp/Rosewood%20House:ana.maria%40x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Rosewood%20House&algorithm=SHA1&digits=6&period=30"
        );
        assert!(enrolling.typed_secret().unwrap().starts_with("GEZD GNBV "));
        assert!(!enrolling.is_on());
        assert_eq!(
            enrolling.confirm("000000", Vec::new(), NOW),
            Err(TotpError::Code)
        );
        assert_eq!(
            Totp::Off.confirm("1", Vec::new(), NOW),
            Err(TotpError::NotEnrolling)
        );
        let set = on([3; 20]);
        assert_eq!(set.enrol([1; 20]), Err(TotpError::AlreadyOn));
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<Totp>(&json).unwrap(), set);
    }

    #[test]
    fn recovery_codes_work_once() {
        let (texts, hashes) = recovery_codes(user(), &[[1; 10], [2; 10]]);
        assert_eq!(texts[0], "aeaq-caib-aeaq-caib");
        let enrolling = Totp::Off.enrol([9; 20]).unwrap();
        let code = code_at(&TotpSecret::new([9; 20]), NOW);
        let set = enrolling.confirm(&code, hashes, NOW).unwrap();
        let typed = texts[1].to_uppercase().replace('-', " ");
        let after = set.recover(user(), &typed).unwrap();
        assert_eq!(after.recovery_left(), 1);
        assert_eq!(after.recover(user(), &typed), Err(TotpError::Code));
        let other = UserId::from_uuid(Uuid::from_u128(8));
        assert_eq!(set.recover(other, &texts[0]), Err(TotpError::Code));
        assert_eq!(set.recover(user(), ""), Err(TotpError::Code));
    }

    proptest! {
        #[test]
        fn a_code_holds_for_one_step_around_and_never_twice(secret in any::<[u8; 20]>(), drift in -300i64..300) {
            let set = on(secret);
            let phone = NOW.plus_seconds(3600);
            let code = code_at(&TotpSecret::new(secret), phone);
            let server = phone.plus_seconds(drift);
            let distance = (step_of(server) - step_of(phone)).abs();
            let near: Vec<String> = (-1..=1)
                .map(|d| code_at(&TotpSecret::new(secret), server.plus_seconds(d * STEP_SECONDS)))
                .collect();
            match set.verify(&code, server) {
                Ok(used) => {
                    prop_assert!(distance <= 1 || near.contains(&code));
                    // Not twice, at any time for which it could still count.
                    if near.iter().filter(|c| **c == code).count() == 1 {
                        prop_assert_eq!(used.verify(&code, server), Err(TotpError::Code));
                        prop_assert_eq!(used.verify(&code, phone), Err(TotpError::Code));
                    }
                }
                Err(_) => prop_assert!(distance > 1),
            }
        }

        #[test]
        fn nothing_but_six_digits_is_a_code(text in "\\PC{0,12}") {
            let set = on([5; 20]);
            let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                prop_assert_eq!(set.verify(&text, NOW.plus_seconds(600)), Err(TotpError::Code));
            }
        }

        #[test]
        fn an_older_code_is_not_accepted_after_a_newer_one(secret in any::<[u8; 20]>()) {
            let secret_value = TotpSecret::new(secret);
            let later = NOW.plus_seconds(3600);
            let newer = code_at(&secret_value, later);
            let older = code_at(&secret_value, later.plus_seconds(-STEP_SECONDS));
            let next = code_at(&secret_value, later.plus_seconds(STEP_SECONDS));
            prop_assume!(older != newer && older != next);
            let used = on(secret).verify(&newer, later).unwrap();
            prop_assert_eq!(used.verify(&older, later), Err(TotpError::Code));
        }
    }
}
