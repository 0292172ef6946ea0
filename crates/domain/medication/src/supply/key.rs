//! The key by which the other side knows a request again: the same content gives the same key. Must not
//! hold anything that can be read back.

use core::fmt;

use kernel::TenantId;
use sha2::{Digest as _, Sha256};

use super::order::Verb;

/// 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of what is asked for. `cycle` tells this month's request from next month's, `attempt` one
    /// that is made again on purpose after the first was rejected. The order of lines does not count.
    #[must_use]
    pub fn derive(tenant: TenantId, verb: &Verb, cycle: &str, attempt: u32) -> Self {
        let mut hash = Sha256::new();
        // Every text with its length, so that no two lists of texts look alike.
        let mut put = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        put("theriac supply 1");
        put(&tenant.to_string());
        put(verb.kind().code());
        put(verb.of_whom().as_str());
        put(verb.resident().map_or("", |own| own.as_str()));
        put(verb.location().as_str());
        put(cycle);
        put(&attempt.to_string());
        let mut lines: Vec<[String; 3]> = verb
            .lines()
            .iter()
            .map(|line| {
                [
                    line.item.to_string(),
                    line.quantity.to_string(),
                    line.unit
                        .code
                        .clone()
                        .unwrap_or_else(|| line.unit.name().to_owned()),
                ]
            })
            .collect();
        lines.sort_unstable();
        put(&lines.len().to_string());
        for text in lines.iter().flatten() {
            put(text);
        }
        Self(
            hash.finalize()
                .iter()
                .fold(String::new(), |mut text, byte| {
                    use fmt::Write as _;
                    // Writing into a String does not fail.
                    let _ = write!(text, "{byte:02x}");
                    text
                }),
        )
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
