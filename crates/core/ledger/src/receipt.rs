//! The receipt of a write, as a header value: `<origin> <leaf hash> [<index>]`. Must not prove anything:
//! it is what a proof is asked for with.

use core::fmt;
use core::str::FromStr;

use crate::error::{FormatError, decimal};
use crate::hash::Hash;
use crate::origin::is_origin;

/// Where an entry landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The log's origin line.
    pub origin: String,
    /// The entry's leaf hash.
    pub leaf: Hash,
    /// Its index, once it has one.
    pub index: Option<u64>,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.origin, self.leaf)?;
        self.index.map_or(Ok(()), |index| write!(f, " {index}"))
    }
}

impl FromStr for Receipt {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let refuse = FormatError::new(
            "receipt",
            "write <origin> <leaf hash as 64 hexadecimal digits> [<index>]",
        );
        let mut parts = text.split(' ');
        let origin = parts
            .next()
            .filter(|origin| is_origin(origin))
            .ok_or(refuse)?
            .to_owned();
        let leaf = Hash::from_hex(parts.next().ok_or(refuse)?)?;
        let index = parts
            .next()
            .map(|index| decimal(index).ok_or(refuse))
            .transpose()?;
        if parts.next().is_some() {
            Err(refuse)
        } else {
            Ok(Self {
                origin,
                leaf,
                index,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;

    #[test]
    fn receipts_read_back_and_have_one_form() {
        let leaf = leaf_hash(b"x");
        for index in [None, Some(0), Some(u64::MAX)] {
            let receipt = Receipt {
                origin: "a/b".to_owned(),
                leaf,
                index,
            };
            assert_eq!(receipt.to_string().parse(), Ok(receipt));
        }
        for bad in [
            format!("a/b {leaf} 1 2"),
            format!("a/b {leaf} "),
            format!("{leaf}"),
            format!("a/b {leaf} 01"),
        ] {
            assert!(bad.parse::<Receipt>().is_err(), "{bad}");
        }
    }
}
