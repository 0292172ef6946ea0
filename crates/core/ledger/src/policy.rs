//! Whom a verifier trusts: C2SP tlog-policy text, kept in `keys.txt` or given by hand. Must not be taken
//! from the log under test when more than its inner soundness is asked for.

use core::fmt;
use core::str::FromStr;

use crate::checkpoint::Checkpoint;
use crate::error::{FormatError, decimal};
use crate::note::{KeyKind, Note, NoteError, VerifierKey};

/// Trusted keys, and how many witnesses must have seen a log's newest checkpoint.
///
/// A log's key vouches for the log whose origin is its name, and for every log below it: the key
/// `records.example.org` vouches for `records.example.org/<tenant>/changes/e1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<(String, VerifierKey)>,
    groups: Vec<Group>,
    quorum: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    threshold: usize,
    members: Vec<String>,
}

/// Why a checkpoint is not accepted under a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// Not a signed checkpoint at all.
    Malformed(FormatError),
    /// No trusted log key signed it, or one that may not speak for this log.
    Unknown,
    /// A trusted key's signature does not match: the text was changed after signing.
    Mismatch(String),
    /// Too few witnesses cosigned it.
    Quorum,
}

impl Policy {
    /// Trusts these log keys and asks for no witness.
    #[must_use]
    pub fn of_logs(logs: Vec<VerifierKey>) -> Self {
        Self {
            logs,
            ..Self::default()
        }
    }
    /// Asks for `threshold` of these witnesses on the newest checkpoint of every log.
    pub fn with_witnesses(
        mut self,
        witnesses: Vec<VerifierKey>,
        threshold: usize,
    ) -> Result<Self, FormatError> {
        if threshold == 0
            || threshold > witnesses.len()
            || witnesses.iter().any(|k| k.kind() != KeyKind::Cosigner)
        {
            return Err(refuse(
                "ask for at least one and at most all of the witnesses",
            ));
        }
        let names: Vec<String> = (0..witnesses.len()).map(|n| format!("w{n}")).collect();
        self.witnesses = names.iter().cloned().zip(witnesses).collect();
        self.groups = vec![Group {
            name: "quorum".to_owned(),
            threshold,
            members: names,
        }];
        self.quorum = Some("quorum".to_owned());
        Ok(self)
    }
    /// The log keys.
    #[must_use]
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Checks a signed checkpoint: a log key that may speak for its origin, no bad signature of a known
    /// key, and, if `newest`, the quorum of witnesses.
    pub fn check(&self, note: &Note, newest: bool) -> Result<Checkpoint, Distrust> {
        let checkpoint = Checkpoint::of_note(note).map_err(Distrust::Malformed)?;
        let mut keys: Vec<VerifierKey> = self
            .logs
            .iter()
            .filter(|key| speaks_for(key.name(), &checkpoint.origin))
            .cloned()
            .collect();
        let logs = keys.len();
        if newest {
            keys.extend(self.witnesses.iter().map(|(_, key)| key.clone()));
        }
        let vouched = note.verify(&keys).map_err(|error| match error {
            NoteError::Format(error) => Distrust::Malformed(error),
            NoteError::Unknown => Distrust::Unknown,
            NoteError::Mismatch { name } => Distrust::Mismatch(name),
        })?;
        if !vouched.iter().any(|v| v.key < logs) {
            return Err(Distrust::Unknown);
        }
        let seen = |name: &str| {
            let at = self.witnesses.iter().position(|(known, _)| known == name);
            at.is_some_and(|at| vouched.iter().any(|v| v.key == logs + at))
        };
        let missing = newest
            && self
                .quorum
                .as_ref()
                .is_some_and(|name| !self.met(name, &seen));
        if missing {
            Err(Distrust::Quorum)
        } else {
            Ok(checkpoint)
        }
    }

    /// Whether a witness or a group is satisfied. Groups name only what stands above them, so that this
    /// ends.
    fn met(&self, name: &str, seen: &dyn Fn(&str) -> bool) -> bool {
        match self.groups.iter().find(|group| group.name == name) {
            Some(group) => {
                group
                    .members
                    .iter()
                    .filter(|member| self.met(member, seen))
                    .count()
                    >= group.threshold
            }
            None => seen(name),
        }
    }
}

fn speaks_for(key: &str, origin: &str) -> bool {
    origin
        .strip_prefix(key)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

const fn refuse(demand: &'static str) -> FormatError {
    FormatError::new("policy", demand)
}

impl FromStr for Policy {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let mut policy = Self::default();
        let mut quorum = None;
        for line in text.lines() {
            let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
            let Some(keyword) = words.next().filter(|word| !word.starts_with('#')) else {
                continue;
            };
            let words: Vec<&str> = words.collect();
            match (keyword, words.as_slice()) {
                ("log", [key] | [key, _]) => policy.logs.push(key.parse()?),
                ("witness", [name, key] | [name, key, _]) => {
                    policy.unused(name)?;
                    policy.witnesses.push(((*name).to_owned(), key.parse()?));
                }
                ("group", [name, threshold, members @ ..]) => {
                    policy.add_group(name, threshold, members)?;
                }
                ("quorum", [name]) if quorum.is_none() => quorum = Some((*name).to_owned()),
                _ => return Err(refuse("write lines of log, witness, group and one quorum")),
            }
        }
        policy.quorum = match quorum {
            None if policy.witnesses.is_empty() => None,
            None => return Err(refuse("end it with a quorum line when it names witnesses")),
            Some(name) if name == "none" => None,
            Some(name) if policy.knows(&name) => Some(name),
            Some(_) => return Err(refuse("name a witness or a group, or none, as the quorum")),
        };
        let cosigners = policy
            .witnesses
            .iter()
            .all(|(_, key)| key.kind() == KeyKind::Cosigner);
        let signers = policy.logs.iter().all(|key| key.kind() == KeyKind::Log);
        if cosigners && signers {
            Ok(policy)
        } else {
            Err(refuse("give logs keys of type 1 and witnesses of type 4"))
        }
    }
}

impl Policy {
    fn knows(&self, name: &str) -> bool {
        self.groups.iter().any(|group| group.name == name)
            || self.witnesses.iter().any(|(known, _)| known == name)
    }
    fn unused(&self, name: &str) -> Result<(), FormatError> {
        if self.knows(name) || name == "none" {
            Err(refuse("give every witness and group a name of its own"))
        } else {
            Ok(())
        }
    }
    fn add_group(
        &mut self,
        name: &str,
        threshold: &str,
        members: &[&str],
    ) -> Result<(), FormatError> {
        self.unused(name)?;
        let threshold = match threshold {
            "any" => 1,
            "all" => members.len(),
            number => decimal(number).map_or(0, |number| number as usize),
        };
        let distinct = members
            .iter()
            .enumerate()
            .all(|(at, name)| !members.iter().take(at).any(|m| m == name));
        if !distinct
            || threshold == 0
            || threshold > members.len()
            || !members.iter().all(|name| self.knows(name))
        {
            return Err(refuse(
                "form groups of names above, with a threshold of any, all or a number among them",
            ));
        }
        let members = members.iter().map(|name| (*name).to_owned()).collect();
        self.groups.push(Group {
            name: name.to_owned(),
            threshold,
            members,
        });
        Ok(())
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for key in &self.logs {
            writeln!(f, "log {key}")?;
        }
        for (name, key) in &self.witnesses {
            writeln!(f, "witness {name} {key}")?;
        }
        for group in &self.groups {
            writeln!(
                f,
                "group {} {} {}",
                group.name,
                group.threshold,
                group.members.join(" ")
            )?;
        }
        match &self.quorum {
            Some(name) => writeln!(f, "quorum {name}"),
            None => writeln!(f, "quorum none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::hash::leaf_hash;
    use crate::note::SigningKey;

    fn key(name: &str, kind: KeyKind, seed: u8) -> SigningKey {
        SigningKey::from_seed(name, kind, &[seed; 32]).unwrap()
    }

    fn note(keys: &[&SigningKey]) -> Note {
        let checkpoint = Checkpoint {
            origin: "a.example/t/x".to_owned(),
            size: 1,
            root: leaf_hash(b""),
        };
        Note::parse(&checkpoint.sign(keys).unwrap()).unwrap()
    }

    #[test]
    fn keys_speak_for_their_logs_only() {
        let cases = [
            ("a.example", true),
            ("a.example/t/x", true),
            ("a.examp", false),
            ("a.example/t/x/y", false),
            ("b", false),
        ];
        for (name, trusted) in cases {
            let signer = key(name, KeyKind::Log, 1);
            let policy = Policy::of_logs(vec![signer.verifier()]);
            assert_eq!(
                policy.check(&note(&[&signer]), true).is_ok(),
                trusted,
                "{name}"
            );
        }
    }

    #[test]
    fn nested_groups_count_their_members() {
        let log = key("a.example", KeyKind::Log, 1);
        let witnesses: Vec<SigningKey> = (2..6)
            .map(|n| key(&format!("w{n}"), KeyKind::Cosigner, n))
            .collect();
        let mut text = format!("# whom we trust\nlog {}\n\n", log.verifier());
        for witness in &witnesses {
            writeln!(
                text,
                "witness {} {} https://w.example",
                witness.name(),
                witness.verifier()
            )
            .unwrap();
        }
        text.push_str("group x any w2 w3\ngroup y all w4 w5\ngroup z 2 x y\nquorum z\n");
        let policy: Policy = text.parse().unwrap();
        assert_eq!(policy.to_string().parse::<Policy>(), Ok(policy.clone()));
        let cases: [(&[usize], bool); 5] = [
            (&[0, 2, 3], true),
            (&[1, 2, 3], true),
            (&[0, 1, 2], false),
            (&[2, 3], false),
            (&[], false),
        ];
        for (signed, good) in cases {
            let keys: Vec<&SigningKey> = core::iter::once(&log)
                .chain(signed.iter().map(|n| &witnesses[*n]))
                .collect();
            let checked = policy.check(&note(&keys), true);
            assert_eq!(checked.is_ok(), good, "{signed:?}");
            assert_eq!(good, checked != Err(Distrust::Quorum));
            assert!(
                policy.check(&note(&keys), false).is_ok(),
                "older checkpoints need no witness"
            );
        }
        let without_log: Vec<&SigningKey> = witnesses.iter().collect();
        assert_eq!(
            policy.check(&note(&without_log), true),
            Err(Distrust::Unknown)
        );
    }

    #[test]
    fn other_forms_are_refused() {
        let (log, witness) = (
            key("l", KeyKind::Log, 1).verifier(),
            key("w", KeyKind::Cosigner, 2).verifier(),
        );
        let bad = [
            format!("log {witness}"),
            format!("witness w {log}\nquorum w"),
            format!("witness w {witness}"),
            format!("witness w {witness}\nwitness w {witness}\nquorum w"),
            format!("witness w {witness}\ngroup g 2 w\nquorum g"),
            format!("witness w {witness}\ngroup g 0 w\nquorum g"),
            format!("witness w {witness}\ngroup g 2 w w\nquorum g"),
            format!("witness w {witness}\ngroup g any g\nquorum g"),
            format!("witness w {witness}\nquorum v"),
            "quorum none\nquorum none".to_owned(),
            "trust everybody".to_owned(),
        ];
        for text in bad {
            assert!(text.parse::<Policy>().is_err(), "{text}");
        }
    }
}
