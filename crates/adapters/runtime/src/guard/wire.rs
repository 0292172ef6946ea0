//! The protobuf wire format, read without copying and without trust: every length is checked against what
//! is left, groups and reserved wire types are refused. Must not know what the fields mean.

use crate::error::RuntimeError;

/// One field's content.
#[derive(Debug, Clone, Copy)]
pub enum Field<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64([u8; 8]),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32([u8; 4]),
}

fn corrupt<T>(what: &str) -> Result<T, RuntimeError> {
    Err(RuntimeError::Corrupt(what.to_owned()))
}

/// Reads fields one after another.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over the bytes of one message.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], RuntimeError> {
        let Some((head, tail)) = self.rest.split_at_checked(length) else {
            return corrupt("a field is longer than its message");
        };
        self.rest = tail;
        Ok(head)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], RuntimeError> {
        let Some((head, tail)) = self.rest.split_first_chunk::<N>() else {
            return corrupt("a field is longer than its message");
        };
        self.rest = tail;
        Ok(*head)
    }

    /// A base-128 number of at most ten bytes.
    pub fn varint(&mut self) -> Result<u64, RuntimeError> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let Some((&byte, tail)) = self.rest.split_first() else {
                return corrupt("a number ends in the middle");
            };
            self.rest = tail;
            if shift == 63 && byte > 1 {
                return corrupt("a number is longer than 64 bits");
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        corrupt("a number is longer than ten bytes")
    }

    /// The next field with its number, `None` at the end.
    pub fn field(&mut self) -> Result<Option<(u32, Field<'a>)>, RuntimeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let Ok(number) = u32::try_from(key >> 3) else {
            return corrupt("a field number is too large");
        };
        if number == 0 || number > 0x1fff_ffff {
            return corrupt("a field number is out of range");
        }
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(self.fixed()?),
            2 => {
                let length = self.varint()?;
                let Ok(length) = usize::try_from(length) else {
                    return corrupt("a length is too large");
                };
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(self.fixed()?),
            _ => return corrupt("a group or an unknown wire type"),
        };
        Ok(Some((number, field)))
    }

    /// What is not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Field<'a> {
    /// As bytes.
    pub fn bytes(self) -> Result<&'a [u8], RuntimeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => corrupt("a message or string has the wrong wire type"),
        }
    }

    /// As text.
    pub fn text(self) -> Result<&'a str, RuntimeError> {
        std::str::from_utf8(self.bytes()?)
            .map_err(|_| RuntimeError::Corrupt("a name is not UTF-8".to_owned()))
    }

    /// As a signed number.
    pub fn int(self) -> Result<i64, RuntimeError> {
        match self {
            Self::Varint(value) => Ok(value as i64),
            _ => corrupt("a number has the wrong wire type"),
        }
    }

    /// As a float.
    pub fn float(self) -> Result<f32, RuntimeError> {
        match self {
            Self::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => corrupt("a float has the wrong wire type"),
        }
    }

    /// Appends repeated numbers, packed or not.
    pub fn ints(self, into: &mut Vec<i64>) -> Result<(), RuntimeError> {
        match self {
            Self::Varint(value) => into.push(value as i64),
            Self::Bytes(bytes) => {
                let mut reader = Reader::new(bytes);
                while !reader.rest().is_empty() {
                    into.push(reader.varint()? as i64);
                }
            }
            _ => return corrupt("numbers have the wrong wire type"),
        }
        Ok(())
    }

    /// Appends repeated floats, packed or not.
    pub fn floats(self, into: &mut Vec<f32>) -> Result<(), RuntimeError> {
        match self {
            Self::Fixed32(bytes) => into.push(f32::from_le_bytes(bytes)),
            Self::Bytes(bytes) => {
                let (chunks, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return corrupt("packed floats are cut");
                }
                into.extend(chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)));
            }
            _ => return corrupt("floats have the wrong wire type"),
        }
        Ok(())
    }

    /// Appends repeated doubles, packed or not.
    pub fn doubles(self, into: &mut Vec<f64>) -> Result<(), RuntimeError> {
        match self {
            Self::Fixed64(bytes) => into.push(f64::from_le_bytes(bytes)),
            Self::Bytes(bytes) => {
                let (chunks, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return corrupt("packed doubles are cut");
                }
                into.extend(chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)));
            }
            _ => return corrupt("doubles have the wrong wire type"),
        }
        Ok(())
    }
}

/// Appends a number.
pub fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Appends a field of bytes.
pub fn put_bytes(into: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(into, u64::from(number) << 3 | 2);
    put_varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// Appends a field as it was read.
pub fn put_field(into: &mut Vec<u8>, number: u32, field: Field<'_>) {
    match field {
        Field::Varint(value) => {
            put_varint(into, u64::from(number) << 3);
            put_varint(into, value);
        }
        Field::Fixed64(bytes) => {
            put_varint(into, u64::from(number) << 3 | 1);
            into.extend_from_slice(&bytes);
        }
        Field::Bytes(bytes) => put_bytes(into, number, bytes),
        Field::Fixed32(bytes) => {
            put_varint(into, u64::from(number) << 3 | 5);
            into.extend_from_slice(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_long_ones_are_refused() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(Reader::new(&bytes).varint(), Ok(value));
            bytes.pop();
            assert!(Reader::new(&bytes).varint().is_err());
        }
        assert!(Reader::new(&[0xff; 11]).varint().is_err());
        assert!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02])
                .varint()
                .is_err()
        );
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        assert!(Reader::new(&[0x0a, 0x05, 1, 2]).field().is_err());
        assert!(Reader::new(&[0x0b]).field().is_err(), "groups");
        assert!(Reader::new(&[0x00, 0x00]).field().is_err(), "field 0");
    }
}
