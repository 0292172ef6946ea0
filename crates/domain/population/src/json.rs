//! Writes compact JSON text straight into a byte buffer. Knows the few FHIR shapes that nearly every
//! resource has; must not know any resource.

use crate::calendar::{Day, Moment, write_time};
use crate::concepts::{Concept, Unit};

/// A decimal number as an integer and the digits after the point, so that no float is involved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) scaled: i64,
    pub(crate) places: u32,
}

/// A whole number.
pub(crate) const fn whole(value: i32) -> Decimal {
    Decimal {
        scaled: value as i64,
        places: 0,
    }
}

/// A growing JSON text. Commas are put by looking at the last byte, so no state is kept.
#[derive(Debug, Default)]
pub(crate) struct Json {
    pub(crate) out: Vec<u8>,
}

impl Json {
    fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }

    /// Writes bytes that are already JSON.
    pub(crate) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn key(&mut self, key: &str) {
        self.separate();
        self.out.push(b'"');
        self.raw(key);
        self.raw("\":");
    }

    /// An object as the next value.
    pub(crate) fn object(&mut self, body: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push(b'{');
        body(self);
        self.out.push(b'}');
    }

    /// An object under a key.
    pub(crate) fn obj(&mut self, key: &str, body: impl FnOnce(&mut Self)) {
        self.key(key);
        self.object(body);
    }

    /// An array under a key.
    pub(crate) fn list(&mut self, key: &str, body: impl FnOnce(&mut Self)) {
        self.key(key);
        self.out.push(b'[');
        body(self);
        self.out.push(b']');
    }

    /// An array of one object under a key.
    pub(crate) fn one(&mut self, key: &str, body: impl FnOnce(&mut Self)) {
        self.list(key, |j| j.object(body));
    }

    /// A string as the next value.
    pub(crate) fn item(&mut self, value: &str) {
        self.separate();
        self.out.push(b'"');
        self.escaped(value);
        self.out.push(b'"');
    }

    /// A string under a key.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.item(value);
    }

    /// A string of several parts under a key.
    pub(crate) fn joined(&mut self, key: &str, parts: &[&str]) {
        self.key(key);
        self.out.push(b'"');
        for part in parts {
            self.escaped(part);
        }
        self.out.push(b'"');
    }

    fn escaped(&mut self, value: &str) {
        for byte in value.bytes() {
            match byte {
                b'"' => self.raw("\\\""),
                b'\\' => self.raw("\\\\"),
                b'\n' => self.raw("\\n"),
                0..=0x1f => {
                    self.raw("\\u00");
                    for nibble in [byte >> 4, byte & 15] {
                        self.out.push(match nibble {
                            0..=9 => b'0' + nibble,
                            _ => b'a' + nibble - 10,
                        });
                    }
                }
                _ => self.out.push(byte),
            }
        }
    }

    /// A whole number under a key.
    pub(crate) fn int(&mut self, key: &str, value: i64) {
        self.key(key);
        self.raw(&value.to_string());
    }

    /// A decimal under a key, written with all its places.
    pub(crate) fn decimal(&mut self, key: &str, value: Decimal) {
        self.key(key);
        self.bare(value);
    }

    fn bare(&mut self, value: Decimal) {
        if value.scaled < 0 {
            self.out.push(b'-');
        }
        let power = 10_u64.pow(value.places);
        let size = value.scaled.unsigned_abs();
        self.raw(&(size / power).to_string());
        if value.places > 0 {
            self.out.push(b'.');
            let width = value.places as usize;
            self.raw(&format!("{:0width$}", size % power));
        }
    }

    /// A boolean under a key.
    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        self.raw(if value { "true" } else { "false" });
    }

    /// A FHIR date under a key.
    pub(crate) fn date(&mut self, key: &str, day: Day) {
        self.key(key);
        self.out.push(b'"');
        day.write(&mut self.out);
        self.out.push(b'"');
    }

    /// A FHIR dateTime or instant under a key.
    pub(crate) fn time(&mut self, key: &str, moment: Moment) {
        self.key(key);
        self.out.push(b'"');
        moment.write(&mut self.out);
        self.out.push(b'"');
    }

    /// A FHIR time of day as the next value.
    pub(crate) fn time_of_day(&mut self, minute: u16) {
        self.separate();
        self.out.push(b'"');
        write_time(minute, &mut self.out);
        self.out.push(b'"');
    }

    /// A Period under a key, open when there is no end.
    pub(crate) fn period(&mut self, key: &str, start: Day, end: Option<Day>) {
        self.obj(key, |j| {
            j.date("start", start);
            if let Some(end) = end {
                j.date("end", end);
            }
        });
    }

    /// The members of a Coding, into the object that is open.
    pub(crate) fn coding(&mut self, system: &str, code: &str, display: &str) {
        self.object(|j| {
            j.text("system", system);
            j.text("code", code);
            if !display.is_empty() {
                j.text("display", display);
            }
        });
    }

    /// A CodeableConcept as the next value: one coding where there is a code, and the text.
    pub(crate) fn concept_item(&mut self, concept: &Concept) {
        self.object(|j| {
            if !concept.code.is_empty() {
                j.list("coding", |j| {
                    j.coding(concept.system, concept.code, concept.text);
                });
            }
            j.text("text", concept.text);
        });
    }

    /// A CodeableConcept under a key.
    pub(crate) fn concept(&mut self, key: &str, concept: &Concept) {
        self.key(key);
        self.concept_item(concept);
    }

    /// An array of one CodeableConcept under a key.
    pub(crate) fn concepts(&mut self, key: &str, concept: &Concept) {
        self.list(key, |j| j.concept_item(concept));
    }

    /// A CodeableConcept of a status code system, without text.
    pub(crate) fn status(&mut self, key: &str, system: &str, code: &str) {
        self.obj(key, |j| j.list("coding", |j| j.coding(system, code, "")));
    }

    /// A Reference under a key.
    pub(crate) fn refer(&mut self, key: &str, resource: &str, id: &str) {
        self.obj(key, |j| j.joined("reference", &[resource, "/", id]));
    }

    /// An array of one Reference under a key.
    pub(crate) fn refers(&mut self, key: &str, resource: &str, id: &str) {
        self.one(key, |j| j.joined("reference", &[resource, "/", id]));
    }

    /// A Quantity under a key.
    pub(crate) fn quantity(&mut self, key: &str, value: Decimal, unit: &Unit) {
        self.obj(key, |j| {
            j.decimal("value", value);
            j.text("unit", unit.name);
            j.text("system", "http://unitsofmeasure.org");
            j.text("code", unit.ucum);
        });
    }

    /// An Identifier under the key `identifier`.
    pub(crate) fn identifier(&mut self, system: &str, value: &str) {
        self.one("identifier", |j| {
            j.text("system", system);
            j.text("value", value);
        });
    }
}

/// Base64 with padding, as FHIR base64Binary wants it.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, n| {
            (word << 8) | u32::from(chunk.get(n).copied().unwrap_or(0))
        });
        for n in 0..4 {
            let letter = LETTERS.get((word >> (18 - 6 * n)) as usize & 63);
            out.push(match letter {
                Some(letter) if n <= chunk.len() => char::from(*letter),
                _ => '=',
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_a_parser_reads_back() {
        let mut json = Json::default();
        json.object(|j| {
            j.text("a", "quote \" slash \\ line \n bell \u{7} ünï");
            j.decimal(
                "b",
                Decimal {
                    scaled: -5,
                    places: 1,
                },
            );
            j.decimal(
                "c",
                Decimal {
                    scaled: 1_005,
                    places: 2,
                },
            );
            j.list("d", |j| {
                j.item("x");
                j.item("y:");
                j.object(|j| j.flag("z", true));
            });
            j.int("e", -3);
        });
        let text = String::from_utf8(json.out).unwrap();
        assert!(text.contains("\"b\":-0.5,\"c\":10.05,"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["a"], "quote \" slash \\ line \n bell \u{7} ünï");
        assert_eq!(value["d"][1], "y:");
        assert_eq!(value["d"][2]["z"], true);
    }

    #[test]
    fn base64_is_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
