//! Passwords: policy, argon2id hashing and checking. Must not make salts or keep passwords: the salt is a
//! parameter, and buffers of ours are wiped.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use kernel::{Categorised, Category};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::documents::SignInName;

/// Cost of a hash. The default is OWASP's for argon2id: 19 MiB, two passes, one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB, at least 8.
    pub memory_kib: u32,
    /// Passes, at least 1.
    pub passes: u32,
    /// Lanes, at least 1.
    pub lanes: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
        }
    }
}

/// What a password must be. Length counts more than kinds of characters (NIST SP 800-63B section 5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// Characters at least.
    pub shortest: usize,
    /// Characters at most.
    pub longest: usize,
    /// Days after which it must be changed; `None` for never, which is advised.
    pub expires_days: Option<u32>,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            shortest: 12,
            longest: 256,
            expires_days: None,
        }
    }
}

/// Why a password is not accepted, or cannot be hashed or checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error(
        "the password is too short: use at least {0} characters, for example four unrelated words"
    )]
    TooShort(usize),
    /// Too long.
    #[error("the password is too long: use at most {0} characters")]
    TooLong(usize),
    /// Contains the sign-in name.
    #[error("the password contains the sign-in name: choose one that does not")]
    ContainsName,
    /// Among the first ones that attackers try.
    #[error(
        "the password is among the first that attackers try: choose one that is harder to guess"
    )]
    Common,
    /// One or two characters, or a short piece, over and over.
    #[error("the password repeats itself: choose one with more variety")]
    Repetitive,
    /// The cost or the stored hash cannot be used.
    #[error("password hashing failed: check the configured cost")]
    Hash,
}

impl Categorised for PasswordError {
    fn category(&self) -> Category {
        match self {
            Self::Hash => Category::Fault,
            _ => Category::Unprocessable,
        }
    }
}

impl PasswordPolicy {
    /// Checks a new password.
    pub fn check(&self, password: &str, name: &SignInName) -> Result<(), PasswordError> {
        // Four bytes a character: keeps normalising a huge text out.
        if password.len() > self.longest.saturating_mul(4) {
            return Err(PasswordError::TooLong(self.longest));
        }
        let length = password.chars().count();
        if length < self.shortest {
            return Err(PasswordError::TooShort(self.shortest));
        }
        if length > self.longest {
            return Err(PasswordError::TooLong(self.longest));
        }
        let folded: Zeroizing<String> =
            Zeroizing::new(password.nfkc().flat_map(char::to_lowercase).collect());
        // A name of two or three letters is part of many words.
        if name.as_str().chars().count() >= 4 && folded.contains(name.as_str()) {
            return Err(PasswordError::ContainsName);
        }
        if is_repetitive(&folded) {
            return Err(PasswordError::Repetitive);
        }
        if is_common(&folded) {
            return Err(PasswordError::Common);
        }
        Ok(())
    }

    /// Whether a password set at a time must be changed by now.
    #[must_use]
    pub fn is_expired(&self, changed: kernel::Timestamp, now: kernel::Timestamp) -> bool {
        self.expires_days
            .is_some_and(|days| now.seconds_since(changed) >= i64::from(days) * 86_400)
    }
}

impl PasswordCost {
    fn hasher(&self) -> Result<Argon2<'static>, PasswordError> {
        Params::new(self.memory_kib, self.passes, self.lanes, None)
            .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
            .map_err(|_| PasswordError::Hash)
    }

    /// Hashes a password with 16 random bytes of salt; answers the PHC text. Takes tens of milliseconds
    /// and the configured memory: run it where it may block.
    pub fn hash(&self, password: &str, salt: &[u8; 16]) -> Result<String, PasswordError> {
        let text = normalised(password);
        self.hasher()?
            .hash_password_with_salt(text.as_bytes(), salt)
            .map(|hash: PasswordHash| hash.to_string())
            .map_err(|_| PasswordError::Hash)
    }

    /// Whether a stored hash was made at another cost, so that the password should be hashed again now
    /// that it is known.
    #[must_use]
    pub fn needs_rehash(&self, stored: &str) -> bool {
        let Ok(hash) = PasswordHash::new(stored) else {
            return true;
        };
        let wanted = [
            ("m", self.memory_kib),
            ("t", self.passes),
            ("p", self.lanes),
        ];
        hash.algorithm.as_str() != "argon2id"
            || hash.version != Some(19)
            || wanted
                .iter()
                .any(|(name, value)| hash.params.get_decimal(*name) != Some(*value))
    }

    /// Checks a password. Without a stored hash (unknown user, user without a password) the same work
    /// is done and the answer is no, so that time does not tell which names exist.
    #[must_use]
    pub fn verify(&self, password: &str, stored: Option<&str>) -> bool {
        let Ok(hasher) = self.hasher() else {
            return false;
        };
        let text = normalised(password);
        // argon2 takes the cost from the hash itself and compares in constant time.
        if let Some(hash) = stored.and_then(|stored| PasswordHash::new(stored).ok())
            && hash.algorithm.as_str() == "argon2id"
        {
            return hasher.verify_password(text.as_bytes(), &hash).is_ok();
        }
        let mut unused = Zeroizing::new([0_u8; 32]);
        let done = hasher.hash_password_into(text.as_bytes(), b"no such account ", &mut *unused);
        core::hint::black_box((done.is_ok(), &unused));
        false
    }
}

/// NFKC, so that one password typed on two keyboards is one; cut far above any policy's longest.
fn normalised(password: &str) -> Zeroizing<String> {
    Zeroizing::new(password.chars().take(1024).nfkc().collect())
}

/// Whether the text is a piece of up to four characters over and over.
fn is_repetitive(folded: &str) -> bool {
    let chars: Zeroizing<Vec<char>> = Zeroizing::new(folded.chars().collect());
    (1..=4).any(|period| {
        chars
            .iter()
            .zip(chars.iter().skip(period))
            .all(|(a, b)| a == b)
    })
}

/// Whether nothing is left of the text once the words and runs that attackers begin with are taken out.
fn is_common(folded: &str) -> bool {
    let mut rest: Zeroizing<String> = Zeroizing::new(
        folded
            .chars()
            .map(|c| match c {
                '0' => 'o',
                '@' | '4' => 'a',
                '$' | '5' => 's',
                '3' => 'e',
                '1' | '!' => 'i',
                '7' => 't',
                other => other,
            })
            .collect(),
    );
    for run in RUNS {
        if folded == *run {
            return true;
        }
    }
    for word in WORDS {
        rest = Zeroizing::new(rest.replace(word, ""));
    }
    // What is left of `password2026!` or `welcome-theriac1`: a number, an ending.
    rest.chars().filter(|c| c.is_alphabetic()).count() < 4
        && folded.chars().any(char::is_alphabetic)
        && rest.chars().count() < 6
}

/// Words that common passwords are made of, after digits that stand for letters are read as those.
const WORDS: &[&str] = &[
    "administrator",
    "passwords",
    "password",
    "passwort",
    "contrasena",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertz",
    "qwerty",
    "azerty",
    "letmein",
    "welcome",
    "iloveyou",
    "superman",
    "batman",
    "princess",
    "sunshine",
    "football",
    "baseball",
    "liverpool",
    "chelsea",
    "arsenal",
    "monkey",
    "dragon",
    "master",
    "shadow",
    "michael",
    "jennifer",
    "charlie",
    "trustno",
    "changeme",
    "default",
    "secret",
    "system",
    "server",
    "hospital",
    "clinic",
    "doctor",
    "nurse",
    "carer",
    "patient",
    "pharmacy",
    "theriac",
    "medical",
    "health",
    "login",
    "admin",
    "guest",
    "access",
    "summer",
    "winter",
    "spring",
    "autumn",
    "january",
    "february",
    "monday",
    "friday",
    "abcdef",
    "demo",
    "test",
    "user",
    "pass",
    "root",
    "hello",
    "love",
    "the",
    "my",
];

/// Runs of digits and keys, at or above the shortest length.
const RUNS: &[&str] = &[
    "123456789012",
    "1234567890123",
    "12345678901234",
    "123456789012345",
    "1234567890123456",
    "012345678901",
    "0123456789012",
    "098765432109",
    "987654321098",
    "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u8i",
    "1qaz2wsx3edc",
    "1qaz2wsx3edc4rfv",
    "q1w2e3r4t5y6",
    "zaq12wsxcde3",
    "qazwsxedcrfv",
    "abcdefghijkl",
    "abcdefghijklm",
    "abcdefghijklmnop",
    "abcdefghijklmnopqrstuvwxyz",
    "147258369147",
    "112233445566",
    "111222333444",
    "123123123123",
    "123321123321",
    "qweasdzxc123",
    "asdfqwer1234",
    "a1b2c3d4e5f6",
    "abc123abc123",
    "correcthorsebatterystaple",
    "correct horse battery staple",
];

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Timestamp;

    /// Cheap, so that tests are quick.
    const CHEAP: PasswordCost = PasswordCost {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
    };

    fn check(password: &str) -> Result<(), PasswordError> {
        PasswordPolicy::default().check(password, &"ana.maria".parse().unwrap())
    }

    #[test]
    fn the_policy_accepts_long_and_refuses_guessable() {
        for good in [
            "otter lamp seven gravel",
            "Tr0ubadour&Kestrel",
            "пять зелёных лодок",
            &"xyzzy plugh frobozz ".repeat(12),
            "my hovercraft is full of eels",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("short", PasswordError::TooShort(12)),
            ("elevenchars", PasswordError::TooShort(12)),
            ("xANA.MARIAx123", PasswordError::ContainsName),
            ("aaaaaaaaaaaaaaa", PasswordError::Repetitive),
            ("abababababababab", PasswordError::Repetitive),
            ("12341234123412", PasswordError::Repetitive),
            ("123456789012", PasswordError::Common),
            ("password1234", PasswordError::Common),
            ("P@ssw0rd2026!", PasswordError::Common),
            ("Welcome-Theriac1", PasswordError::Common),
            ("qwertyuiop123", PasswordError::Common),
            ("AdminAdmin2026", PasswordError::Common),
            ("Summer2026Hospital", PasswordError::Common),
        ] {
            assert_eq!(check(bad), Err(why), "{bad}");
        }
        assert_eq!(check(&"ab c".repeat(100)), Err(PasswordError::TooLong(256)));
        assert_eq!(check(&"x".repeat(5000)), Err(PasswordError::TooLong(256)));
    }

    #[test]
    fn hashes_verify_and_are_phc() {
        let hash = CHEAP.hash("otter lamp seven gravel", &[7; 16]).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert!(CHEAP.verify("otter lamp seven gravel", Some(&hash)));
        assert!(!CHEAP.verify("otter lamp seven gravel ", Some(&hash)));
        assert!(!CHEAP.verify("otter lamp seven gravel", None));
        assert!(!CHEAP.verify("otter lamp seven gravel", Some("not a hash")));
        assert!(!CHEAP.verify("no such account ", Some("$argon2id$v=19$m=64,t=1,p=1$AAAA")));
        // One password in composed and decomposed form.
        let accented = CHEAP.hash("caf\u{e9} au lait noir", &[1; 16]).unwrap();
        assert!(CHEAP.verify("cafe\u{301} au lait noir", Some(&accented)));
    }

    #[test]
    fn a_changed_cost_asks_for_a_new_hash() {
        let hash = CHEAP.hash("otter lamp seven gravel", &[7; 16]).unwrap();
        assert!(!CHEAP.needs_rehash(&hash));
        let dearer = PasswordCost {
            memory_kib: 128,
            ..CHEAP
        };
        assert!(dearer.needs_rehash(&hash));
        assert!(dearer.verify("otter lamp seven gravel", Some(&hash)));
        assert!(CHEAP.needs_rehash("not a hash"));
        assert!(CHEAP.needs_rehash(&hash.replace("argon2id", "argon2i")));
        let broken = PasswordCost {
            memory_kib: 0,
            ..CHEAP
        };
        assert_eq!(broken.hash("x", &[0; 16]), Err(PasswordError::Hash));
    }

    #[test]
    fn the_default_cost_is_the_advised_one() {
        let cost = PasswordCost::default();
        let hash = cost.hash("otter lamp seven gravel", &[7; 16]).unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(cost.verify("otter lamp seven gravel", Some(&hash)));
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "compares the work, not the clock"
    )]
    fn an_unknown_name_costs_what_a_wrong_password_costs() {
        let cost = PasswordCost {
            memory_kib: 4096,
            passes: 2,
            lanes: 1,
        };
        let hash = cost.hash("otter lamp seven gravel", &[7; 16]).unwrap();
        let timed = |stored: Option<&str>| {
            let start = std::time::Instant::now();
            assert!(!cost.verify("some wrong password", stored));
            start.elapsed().as_secs_f64()
        };
        let (mut unknown, mut wrong) = (f64::MAX, f64::MAX);
        for _ in 0..9 {
            unknown = unknown.min(timed(None));
            wrong = wrong.min(timed(Some(&hash)));
        }
        // Without the work the ratio is a thousandth; the bounds leave room for a busy machine.
        let ratio = unknown / wrong;
        assert!((0.2..5.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn expiry_is_off_unless_configured() {
        let then = Timestamp::from_millis(0);
        let policy = PasswordPolicy::default();
        assert!(!policy.is_expired(then, then.plus_seconds(10 * 365 * 86_400)));
        let yearly = PasswordPolicy {
            expires_days: Some(365),
            ..policy
        };
        assert!(!yearly.is_expired(then, then.plus_seconds(364 * 86_400)));
        assert!(yearly.is_expired(then, then.plus_seconds(365 * 86_400)));
    }
}
