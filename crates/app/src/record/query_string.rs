//! Query strings as FHIR uses them: `application/x-www-form-urlencoded` pairs in order, repeats kept.
//! Must not know what a parameter means.

/// Splits and decodes a query string. `None` where an escape is broken or the text is not UTF-8.
#[must_use]
pub fn parse(query: &str) -> Option<Vec<(String, String)>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

/// Undoes percent escapes and `+`.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                (high * 16 + low) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Writes pairs as a query string.
#[must_use]
pub fn print<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        encode_into(&mut out, name);
        out.push('=');
        encode_into(&mut out, value);
    }
    out
}

fn encode_into(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:|,$".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(
                    HEX.get(usize::from(digit)).copied().unwrap_or(b'0'),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_refuses() {
        assert_eq!(
            parse("a=1&a=%C3%A4+b&c").unwrap(),
            [
                ("a".into(), "1".into()),
                ("a".into(), "ä b".into()),
                ("c".into(), String::new())
            ]
        );
        for bad in ["a=%", "a=%4", "a=%zz", "a=%FF"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_reads_back(pairs in proptest::collection::vec((".{1,12}", ".{0,12}"), 0..5)) {
            let printed = print(pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())));
            proptest::prop_assert!(printed.is_ascii());
            proptest::prop_assert_eq!(parse(&printed).unwrap(), pairs);
        }
    }
}
