//! Checkpoints of C2SP tlog-checkpoint: origin, size and root as the text of a signed note. Must not
//! judge signatures: see [`crate::note`] and [`crate::policy`].

use core::fmt;
use core::str::FromStr;

use crate::error::{FormatError, decimal};
use crate::hash::Hash;
use crate::note::{Note, NoteError, SigningKey};
use crate::origin::is_origin;

/// The state of a log that its signer vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's origin line.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The signed note over this checkpoint: what is stored and served.
    pub fn sign(&self, keys: &[&SigningKey]) -> Result<String, NoteError> {
        let mut note = Note::new(self.to_string())?;
        for key in keys {
            note.sign(key);
        }
        Ok(note.to_string())
    }
    /// The checkpoint of a signed note, with no look at the signatures.
    pub fn of_note(note: &Note) -> Result<Self, FormatError> {
        note.text().parse()
    }
}

/// The note's text: three lines, each ended by a newline.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}\n{}\n{}",
            self.origin,
            self.size,
            self.root.to_base64()
        )
    }
}

/// Reads exactly three lines. Extension lines are refused: no log of ours writes them, and what no monitor
/// can check shall not hide there.
impl FromStr for Checkpoint {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let refuse = |demand| FormatError::new("checkpoint", demand);
        let lines = "write origin, size and root as three lines, each ended by a newline";
        let body = text.strip_suffix('\n').ok_or(refuse(lines))?;
        let mut parts = body.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refuse(lines));
        };
        if !is_origin(origin) {
            return Err(refuse(
                "write the origin as printable ASCII without space and plus",
            ));
        }
        let size =
            decimal(size).ok_or(refuse("write the size as a decimal without leading zeroes"))?;
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root: Hash::from_base64(root)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;

    #[test]
    fn the_example_of_the_specification() {
        let text =
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint: Checkpoint = text.parse().unwrap();
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.to_string(), text);
    }

    #[test]
    fn other_forms_are_refused() {
        let good = Checkpoint {
            origin: "a.example/x".to_owned(),
            size: 5,
            root: leaf_hash(b""),
        }
        .to_string();
        let root = leaf_hash(b"").to_base64();
        let bad = [
            good.trim_end().to_owned(),
            format!("{good}\n"),
            format!("{good}extension\n"),
            format!("\n5\n{root}\n"),
            format!("a\n05\n{root}\n"),
            format!("a\n-5\n{root}\n"),
            format!("a\n18446744073709551616\n{root}\n"),
            format!("a\r\n5\n{root}\n"),
            format!("a b\n5\n{root}\n"),
            format!("a\n5\n{}\n", root.trim_end_matches('=')),
            "a\n5\nAAAA\n".to_owned(),
            String::new(),
        ];
        for text in bad {
            assert!(text.parse::<Checkpoint>().is_err(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_checkpoint_reads_back(origin in "[!-*,-\\[\\]-~]{1,40}", size: u64, root: [u8; 32]) {
            let origin = origin.replace('"', "'");
            let checkpoint = Checkpoint { origin, size, root: Hash(root) };
            assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
        }
    }
}
