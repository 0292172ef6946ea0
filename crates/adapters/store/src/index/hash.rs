//! Keyed 64-bit hashes of search values: the index holds no readable code, and two tenants hash the
//! same code differently. Must stay stable for ever: stored rows depend on every byte hashed here.

use fhir::TypeId;
use kernel::LogicalId;
use xxhash_rust::xxh3::xxh3_64_with_secret;

use crate::port::search::KeyForm;

/// Bytes of secret material a hasher needs.
pub const SECRET_BYTES: usize = 192;

// Tags keep the forms apart; the numbers are storage.
const CODE: u8 = 1;
const SYSTEM_CODE: u8 = 2;
const SYSTEM: u8 = 3;
const NO_SYSTEM: u8 = 4;
const EXACT: u8 = 5;
const LOCAL: u8 = 6;
const URL: u8 = 7;
const IDENTIFIER: u8 = 8;
const PAIR: u8 = 9;
const SUBJECT: u8 = 10;
const WORD: u8 = 11;

/// Words keep 47 bits: the engines store smaller numbers in fewer bytes, and there are many words.
const WORD_BITS: i64 = (1 << 47) - 1;

/// Hashes search values under one tenant's secret.
#[derive(Clone)]
pub struct KeyHasher {
    secret: Box<[u8; SECRET_BYTES]>,
}

impl core::fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("KeyHasher(..)")
    }
}

impl KeyHasher {
    /// From secret material (see `keys::TenantKeys`).
    #[must_use]
    pub fn new(secret: [u8; SECRET_BYTES]) -> Self {
        Self {
            secret: Box::new(secret),
        }
    }

    fn finish(&self, buffer: &[u8]) -> i64 {
        xxh3_64_with_secret(buffer, self.secret.as_slice()) as i64
    }

    fn one(&self, tag: u8, text: &str) -> i64 {
        // Codes, URLs and ids are short: a stack buffer serves nearly all of them.
        let bytes = text.as_bytes();
        let mut stack = [0u8; 128];
        if let Some(([first], rest)) = stack
            .get_mut(..=bytes.len())
            .map(|part| part.split_at_mut(1))
            .and_then(|(head, rest)| <&mut [u8; 1]>::try_from(head).ok().map(|head| (head, rest)))
        {
            *first = tag;
            rest.copy_from_slice(bytes);
            return self.finish(stack.get(..=bytes.len()).unwrap_or_default());
        }
        let mut long = Vec::with_capacity(bytes.len() + 1);
        long.push(tag);
        long.extend_from_slice(bytes);
        self.finish(&long)
    }

    fn two(&self, tag: u8, first: &str, second: &str) -> i64 {
        let mut buffer = Vec::with_capacity(first.len() + second.len() + 5);
        buffer.push(tag);
        buffer.extend_from_slice(&(first.len() as u32).to_le_bytes());
        buffer.extend_from_slice(first.as_bytes());
        buffer.extend_from_slice(second.as_bytes());
        self.finish(&buffer)
    }

    /// A code whatever its system.
    #[must_use]
    pub fn code(&self, code: &str) -> i64 {
        self.one(CODE, code)
    }
    /// A code in a system.
    #[must_use]
    pub fn system_code(&self, system: &str, code: &str) -> i64 {
        self.two(SYSTEM_CODE, system, code)
    }
    /// Any code of a system.
    #[must_use]
    pub fn system(&self, system: &str) -> i64 {
        self.one(SYSTEM, system)
    }
    /// A code without a system.
    #[must_use]
    pub fn no_system(&self, code: &str) -> i64 {
        self.one(NO_SYSTEM, code)
    }
    /// A string exactly as written.
    #[must_use]
    pub fn exact(&self, text: &str) -> i64 {
        self.one(EXACT, text)
    }
    /// A URL or canonical.
    #[must_use]
    pub fn url(&self, url: &str) -> i64 {
        self.one(URL, url)
    }
    /// A resource of this tenant: the head's hash (`rh`) and what a reference to it is stored as.
    #[must_use]
    pub fn local(&self, ty: TypeId, id: &str) -> i64 {
        let mut stack = [0u8; 67];
        let [low, high] = ty.0.to_le_bytes();
        let len = id.len().min(64) + 3;
        stack[0] = LOCAL;
        stack[1] = low;
        stack[2] = high;
        for (target, byte) in stack.iter_mut().skip(3).zip(id.bytes()) {
            *target = byte;
        }
        self.finish(stack.get(..len).unwrap_or_default())
    }
    /// A logical reference's identifier: `system` `None` for whatever system, empty for none; an empty
    /// `value` for any value of the system.
    #[must_use]
    pub fn identifier(&self, system: Option<&str>, value: &str) -> i64 {
        match system {
            None => self.two(IDENTIFIER, "*", value),
            Some(system) => self.two(IDENTIFIER, &format!("={system}"), value),
        }
    }
    /// A composite of two hashed components.
    #[must_use]
    pub fn pair(&self, first: i64, second: i64) -> i64 {
        let mut buffer = [0u8; 17];
        buffer[0] = PAIR;
        for (target, byte) in buffer
            .iter_mut()
            .skip(1)
            .zip(first.to_le_bytes().into_iter().chain(second.to_le_bytes()))
        {
            *target = byte;
        }
        self.finish(&buffer)
    }
    /// A word of a text, folded.
    #[must_use]
    pub fn word(&self, word: &str) -> i64 {
        self.one(WORD, word) & WORD_BITS
    }
    /// The patient an entry is about, as `log_subject` keys it.
    #[must_use]
    pub fn subject(&self, patient: &LogicalId) -> i64 {
        self.one(SUBJECT, patient.as_str())
    }

    /// Of a form as the query side builds it.
    #[must_use]
    pub fn form(&self, form: &KeyForm) -> i64 {
        match form {
            KeyForm::Code(code) => self.code(code),
            KeyForm::SystemCode(system, code) => self.system_code(system, code),
            KeyForm::System(system) => self.system(system),
            KeyForm::NoSystem(code) => self.no_system(code),
            KeyForm::Exact(text) => self.exact(text),
            KeyForm::Local(ty, id) => self.local(*ty, id.as_str()),
            KeyForm::Url(url) => self.url(url),
            KeyForm::Identifier(system, value) => self.identifier(system.as_deref(), value),
            KeyForm::Pair(first, second) => self.pair(self.form(first), self.form(second)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(fill: u8) -> KeyHasher {
        KeyHasher::new(core::array::from_fn(|at| {
            fill.wrapping_mul(31).wrapping_add(at as u8)
        }))
    }

    #[test]
    fn forms_do_not_run_into_each_other_and_secrets_matter() {
        let h = hasher(1);
        let all = [
            h.code("ab"),
            h.no_system("ab"),
            h.system("ab"),
            h.exact("ab"),
            h.url("ab"),
            h.system_code("a", "b"),
            h.system_code("", "ab"),
            h.system_code("ab", ""),
            h.identifier(None, "ab"),
            h.identifier(Some(""), "ab"),
            h.identifier(Some("*"), "ab"),
            h.local(TypeId(1), "ab"),
            h.local(TypeId(2), "ab"),
            h.pair(h.code("a"), h.code("b")),
            h.pair(h.code("b"), h.code("a")),
        ];
        for (at, hash) in all.iter().enumerate() {
            assert!(
                all.iter().skip(at + 1).all(|other| other != hash),
                "form {at} collides"
            );
        }
        assert_ne!(h.code("ab"), hasher(2).code("ab"));
    }

    #[test]
    fn long_texts_hash_as_short_ones_do() {
        let h = hasher(1);
        for len in [0usize, 1, 126, 127, 128, 5000] {
            let text = "x".repeat(len);
            let mut buffer = vec![CODE];
            buffer.extend_from_slice(text.as_bytes());
            assert_eq!(h.code(&text), h.finish(&buffer), "{len}");
        }
    }
}
