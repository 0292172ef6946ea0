//! Texts in the query of an address. Must not build addresses: their connectors do.

/// A value in a query, percent-encoded (RFC 3986, unreserved characters stay).
pub(crate) fn escape(text: &str, into: &mut String) {
    use core::fmt::Write as _;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing into a String does not fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}
