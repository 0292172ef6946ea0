//! Signed notes of C2SP signed-note with Ed25519 keys, and cosignature/v1 of C2SP tlog-cosignature. Must
//! not know what a note says, and must not make keys: seeds come from the id port.

use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer};
use kernel::{Categorised, Category};
use sha2::{Digest, Sha256};

use crate::error::FormatError;

/// The most signatures a note may carry; the specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 64;
const DASH: &str = "\u{2014} ";

/// Why a note was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note, or not a key.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// No signature by a trusted key.
    #[error(
        "note is signed by no trusted key: add the signer's verifier key to the policy if you trust it"
    )]
    Unknown,
    /// A trusted key's signature does not match the text.
    #[error("signature of {name} does not match the note: its text was changed after signing")]
    Mismatch {
        /// The key's name.
        name: String,
    },
}

impl Categorised for NoteError {
    fn category(&self) -> Category {
        match self {
            Self::Format(error) => error.category(),
            Self::Unknown | Self::Mismatch { .. } => Category::Altered,
        }
    }
}

/// What a key's signatures say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Type 0x01: plain Ed25519 over the text; logs sign so.
    Log,
    /// Type 0x04: cosignature/v1, with a time; witnesses sign so.
    Cosigner,
}

impl KeyKind {
    const fn number(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Cosigner => 4,
        }
    }
    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Log),
            4 => Some(Self::Cosigner),
            _ => None,
        }
    }
}

/// A key's short id; with the name it says which key signed.
fn key_id(name: &str, kind: KeyKind, public: &[u8; 32]) -> u32 {
    let mut hasher = Sha256::new();
    hasher.update(name);
    hasher.update([b'\n', kind.number()]);
    hasher.update(public);
    let digest: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, ..] = digest;
    u32::from_be_bytes([a, b, c, d])
}

/// Whether a text can name a key: not empty, no white space, no plus, no control character.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !name.is_empty() && name.len() <= 255 && name.chars().all(allowed)
}

/// A key that checks signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    id: u32,
    key: ed25519_dalek::VerifyingKey,
}

/// A key that signs. Its text form is secret; `Debug` shows the name only.
#[derive(Clone)]
pub struct SigningKey {
    name: String,
    kind: KeyKind,
    id: u32,
    key: ed25519_dalek::SigningKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, secret)", self.name)
    }
}

impl SigningKey {
    /// A key from 32 secret bytes; `name` as [`is_key_name`] says.
    pub fn from_seed(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, FormatError> {
        if !is_key_name(name) {
            return Err(FormatError::new(
                "key name",
                "write it without white space and plus",
            ));
        }
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let id = key_id(name, kind, key.verifying_key().as_bytes());
        Ok(Self {
            name: name.to_owned(),
            kind,
            id,
            key,
        })
    }
    /// The secret text form: `PRIVATE+KEY+<name>+<id>+<base64 of type and seed>`.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let mut material = vec![self.kind.number()];
        material.extend_from_slice(&self.key.to_bytes());
        format!(
            "PRIVATE+KEY+{}+{:08x}+{}",
            self.name,
            self.id,
            STANDARD.encode(material)
        )
    }
    /// Reads the form of [`Self::to_secret_text`].
    pub fn from_secret_text(text: &str) -> Result<Self, FormatError> {
        let refuse = FormatError::new("signing key", "write PRIVATE+KEY+<name>+<id>+<base64>");
        let rest = text.strip_prefix("PRIVATE+KEY+").ok_or(refuse)?;
        let (name, id, kind, seed) = key_parts(rest).ok_or(refuse)?;
        let key = Self::from_seed(name, kind, &seed)?;
        if key.id == id { Ok(key) } else { Err(refuse) }
    }
    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey {
            name: self.name.clone(),
            kind: self.kind,
            id: self.id,
            key: self.key.verifying_key(),
        }
    }
}

impl VerifierKey {
    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// What its signatures say.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }
    /// The key's short id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Checks one signature over a text: `None` if it is by another key, the time of a cosignature in
    /// seconds since the Unix epoch if it is good (0 for plain signatures).
    fn check(&self, text: &str, signature: &NoteSignature) -> Option<Result<u64, NoteError>> {
        if signature.name != self.name || signature.id != self.id {
            return None;
        }
        let mismatch = || NoteError::Mismatch {
            name: self.name.clone(),
        };
        let (time, blob) = match self.kind {
            KeyKind::Log => (0, signature.blob.as_slice()),
            KeyKind::Cosigner => match signature.blob.split_first_chunk::<8>() {
                Some((time, blob)) => (u64::from_be_bytes(*time), blob),
                None => return Some(Err(mismatch())),
            },
        };
        let good = Signature::from_slice(blob).is_ok_and(|blob| match self.kind {
            KeyKind::Log => self.key.verify_strict(text.as_bytes(), &blob).is_ok(),
            KeyKind::Cosigner => {
                let message = cosigned(text, time);
                i64::try_from(time).is_ok()
                    && self.key.verify_strict(message.as_bytes(), &blob).is_ok()
            }
        });
        Some(if good { Ok(time) } else { Err(mismatch()) })
    }
}

/// The public text form: `<name>+<id>+<base64 of type and key>`.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut material = vec![self.kind.number()];
        material.extend_from_slice(self.key.as_bytes());
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            self.id,
            STANDARD.encode(material)
        )
    }
}
impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for VerifierKey {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let refuse = FormatError::new(
            "verifier key",
            "write <name>+<id>+<base64> of an Ed25519 key",
        );
        let (name, id, kind, public) = key_parts(text).ok_or(refuse)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&public).map_err(|_| refuse)?;
        if !is_key_name(name) || key_id(name, kind, &public) != id {
            return Err(refuse);
        }
        Ok(Self {
            name: name.to_owned(),
            kind,
            id,
            key,
        })
    }
}

fn key_parts(text: &str) -> Option<(&str, u32, KeyKind, [u8; 32])> {
    let (name, rest) = text.split_once('+')?;
    let (id, material) = rest.split_once('+')?;
    let hex = id.len() == 8
        && id
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let id = u32::from_str_radix(id, 16).ok().filter(|_| hex)?;
    let material = STANDARD.decode(material).ok()?;
    let (kind, key) = material.split_first()?;
    Some((name, id, KeyKind::from_number(*kind)?, key.try_into().ok()?))
}

fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub id: u32,
    /// The signature, in the key's own form.
    pub blob: Vec<u8>,
}

/// A text with signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// A good signature by a known key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vouched {
    /// Position of the key in the list given.
    pub key: usize,
    /// Time of a cosignature, in seconds since the Unix epoch; 0 for plain signatures.
    pub time: u64,
}

impl Note {
    /// A note without signatures; the text ends with a newline and has no other control characters.
    pub fn new(text: String) -> Result<Self, FormatError> {
        let controls = text.chars().any(|c| c < ' ' && c != '\n');
        if !text.ends_with('\n') || controls {
            let demand = "end the text with a newline and use no other control characters";
            return Err(FormatError::new("note", demand));
        }
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }
    /// Reads a signed note with at least one signature line.
    pub fn parse(note: &str) -> Result<Self, FormatError> {
        let refuse = |demand| FormatError::new("note", demand);
        let layout = "write a text, an empty line and signature lines, each ended by a newline";
        let at = note.rfind("\n\n").ok_or(refuse(layout))?;
        let (text, rest) = note.split_at_checked(at + 1).ok_or(refuse(layout))?;
        let lines = rest
            .strip_prefix('\n')
            .and_then(|r| r.strip_suffix('\n'))
            .ok_or(refuse(layout))?;
        let mut read = Self::new(text.to_owned())?;
        for line in lines.split('\n') {
            if read.signatures.len() == MAX_SIGNATURES {
                return Err(refuse("write at most 64 signatures"));
            }
            let signature =
                parse_signature(line).ok_or(refuse("write signatures as '— <name> <base64>'"))?;
            read.signatures.push(signature);
        }
        Ok(read)
    }
    /// The text, with its final newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The signature lines.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a plain signature (with a cosigner's key: one at time 0; see [`Self::cosign`]).
    pub fn sign(&mut self, key: &SigningKey) {
        match key.kind {
            KeyKind::Log => {
                let blob = key.key.sign(self.text.as_bytes()).to_bytes().to_vec();
                self.signatures.push(NoteSignature {
                    name: key.name.clone(),
                    id: key.id,
                    blob,
                });
            }
            KeyKind::Cosigner => self.cosign(key, 0),
        }
    }
    /// Adds a cosignature/v1 at a time in seconds since the Unix epoch (below 2^63). With a log's key the
    /// time is not signed and a plain signature is added.
    pub fn cosign(&mut self, key: &SigningKey, time: u64) {
        if key.kind == KeyKind::Log {
            self.sign(key);
            return;
        }
        let mut blob = time.to_be_bytes().to_vec();
        blob.extend_from_slice(
            &key.key
                .sign(cosigned(&self.text, time).as_bytes())
                .to_bytes(),
        );
        self.signatures.push(NoteSignature {
            name: key.name.clone(),
            id: key.id,
            blob,
        });
    }

    /// Checks the signatures of known keys and ignores all others. One bad signature of a known key
    /// refuses the note; so does the absence of any known key.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Vec<Vouched>, NoteError> {
        let mut vouched: Vec<Vouched> = Vec::new();
        for signature in &self.signatures {
            for (position, key) in keys.iter().enumerate() {
                if let Some(time) = key.check(&self.text, signature).transpose()?
                    && !vouched.iter().any(|seen| seen.key == position)
                {
                    vouched.push(Vouched {
                        key: position,
                        time,
                    });
                }
            }
        }
        if vouched.is_empty() {
            Err(NoteError::Unknown)
        } else {
            Ok(vouched)
        }
    }
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, blob) = line.strip_prefix(DASH)?.split_once(' ')?;
    let bytes = STANDARD.decode(blob).ok()?;
    let (id, blob) = bytes.split_first_chunk::<4>()?;
    let known_form = is_key_name(name) && !blob.is_empty();
    known_form.then(|| NoteSignature {
        name: name.to_owned(),
        id: u32::from_be_bytes(*id),
        blob: blob.to_vec(),
    })
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            let mut blob = signature.id.to_be_bytes().to_vec();
            blob.extend_from_slice(&signature.blob);
            writeln!(f, "{DASH}{} {}", signature.name, STANDARD.encode(blob))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of golang.org/x/mod/sumdb/note, where the format comes from.
    const SIGNER: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn key(name: &str, kind: KeyKind, seed: u8) -> SigningKey {
        SigningKey::from_seed(name, kind, &[seed; 32]).unwrap()
    }

    #[test]
    fn the_reference_note() {
        let signer = SigningKey::from_secret_text(SIGNER).unwrap();
        let verifier: VerifierKey = VERIFIER.parse().unwrap();
        assert_eq!(signer.to_secret_text(), SIGNER);
        assert_eq!(
            (verifier.to_string().as_str(), &signer.verifier()),
            (VERIFIER, &verifier)
        );
        let note = Note::parse(NOTE).unwrap();
        assert_eq!(
            note.verify(&[verifier]),
            Ok(vec![Vouched { key: 0, time: 0 }])
        );
        let mut again = Note::new(note.text().to_owned()).unwrap();
        again.sign(&signer);
        assert_eq!(again.to_string(), NOTE);
        assert!(!format!("{signer:?}").contains("AYEKF"));
    }

    #[test]
    fn unknown_signatures_are_ignored_and_bad_ones_are_not() {
        let (ours, theirs) = (
            key("a.example", KeyKind::Log, 1),
            key("b.example", KeyKind::Log, 2),
        );
        let mut note = Note::new("hello\n".to_owned()).unwrap();
        note.sign(&theirs);
        assert_eq!(note.verify(&[ours.verifier()]), Err(NoteError::Unknown));
        note.sign(&ours);
        assert_eq!(
            note.verify(&[ours.verifier()]),
            Ok(vec![Vouched { key: 0, time: 0 }])
        );
        let changed = note.to_string().replace("hello", "hullo");
        let error = Note::parse(&changed).unwrap().verify(&[ours.verifier()]);
        assert_eq!(
            error,
            Err(NoteError::Mismatch {
                name: "a.example".to_owned()
            })
        );
        // The same name with another key is another key.
        let twin = key("a.example", KeyKind::Log, 3);
        assert_eq!(note.verify(&[twin.verifier()]), Err(NoteError::Unknown));
    }

    #[test]
    fn cosignatures_carry_their_time() {
        let (log, witness) = (
            key("log.example", KeyKind::Log, 1),
            key("w.example/1", KeyKind::Cosigner, 2),
        );
        let mut note = Note::new("log.example\n0\nx\n".to_owned()).unwrap();
        note.sign(&log);
        note.cosign(&witness, 1_679_315_147);
        let note = Note::parse(&note.to_string()).unwrap();
        let keys = [witness.verifier(), log.verifier()];
        let mut vouched = note.verify(&keys).unwrap();
        vouched.sort_by_key(|v| v.key);
        assert_eq!(
            vouched,
            [
                Vouched {
                    key: 0,
                    time: 1_679_315_147
                },
                Vouched { key: 1, time: 0 }
            ]
        );
        let mut moved = note.clone();
        moved.signatures[1].blob[7] ^= 1;
        assert!(
            matches!(moved.verify(&keys), Err(NoteError::Mismatch { .. })),
            "the time is signed"
        );
        moved.signatures[1].blob.truncate(4);
        assert!(matches!(
            moved.verify(&keys),
            Err(NoteError::Mismatch { .. })
        ));
        // A plain signature of the same key under the same name is not a cosignature.
        let plain = key("w.example/1", KeyKind::Log, 2);
        assert_ne!(plain.verifier().id(), witness.verifier().id());
    }

    #[test]
    fn other_forms_are_refused() {
        let line = NOTE.rsplit_once("\n\n").unwrap().1;
        let bad = [
            String::new(),
            "text\n".to_owned(),
            "text\n\n".to_owned(),
            format!("text\n{line}"),
            format!("text\n\n{}", line.trim_end()),
            format!("text\n\n{}", line.replace('\u{2014}', "-")),
            format!("text\n\n{}", line.replace("PeterNeumann", "Peter+Neumann")),
            format!("text\n\n{}", line.replace("PeterNeumann ", "")),
            format!("te\txt\n\n{line}"),
            format!("te\r\nxt\n\n{line}"),
            format!("text\n\n{line}x"),
            "text\n\n\u{2014} a AAAA\n".to_owned(),
            format!("text\n\n{}", line.repeat(MAX_SIGNATURES + 1)),
        ];
        for text in bad {
            assert!(Note::parse(&text).is_err(), "{text:?}");
        }
        assert!(Note::parse(&format!("text\n\n{}", line.repeat(MAX_SIGNATURES))).is_ok());
        assert_eq!(
            Note::parse(&format!("a\n\nb\n\n{line}")).unwrap().text(),
            "a\n\nb\n"
        );
        for bad in [
            "",
            "x",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc",
        ] {
            assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_flipped_bit_of_a_note_fails(at in 0_usize..200, bit in 0_u8..8) {
            let signer = key("a.example", KeyKind::Log, 9);
            let mut note = Note::new("log.example/x\n12\nAAAA\n".to_owned()).unwrap();
            note.sign(&signer);
            let mut bytes = note.to_string().into_bytes();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let verified = String::from_utf8(bytes).ok().and_then(|text| Note::parse(&text).ok()).is_some_and(|note| note.verify(&[signer.verifier()]).is_ok());
            assert!(!verified);
        }
    }
}
