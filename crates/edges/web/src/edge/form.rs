//! Submitted fields and query parameters. Must not trust them: they are texts until a use-case has read
//! them.

use app::record::query_string;

/// Decoded pairs in order.
#[derive(Debug, Clone, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// From a body or query; a broken one is empty.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(query_string::parse(text).unwrap_or_default())
    }
    /// The first value of a name, trimmed; empty where absent.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.exact(name).trim()
    }
    /// The first value of a name as it was sent, for passwords.
    #[must_use]
    pub fn exact(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }
    /// Every value of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
    /// Whether a value of a name was sent.
    #[must_use]
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|known| known == value)
    }
    /// The same pairs as a query string, with one of them replaced.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> String {
        let kept = self
            .0
            .iter()
            .filter(|(known, _)| known != name)
            .map(|(n, v)| (n.as_str(), v.as_str()));
        format!("?{}", query_string::print(kept.chain([(name, value)])))
    }
    /// The same pairs as a query string, without one of them.
    #[must_use]
    pub fn without(&self, name: &str) -> String {
        let kept = self
            .0
            .iter()
            .filter(|(known, _)| known != name)
            .map(|(n, v)| (n.as_str(), v.as_str()));
        format!("?{}", query_string::print(kept))
    }
}

/// An address of ours to go back to: a path, never another host.
#[must_use]
pub fn own_path(text: &str) -> Option<&str> {
    let plain = text
        .bytes()
        .all(|b| (0x21..0x7f).contains(&b) && b != b'\\');
    (plain && text.starts_with('/') && !text.starts_with("//")).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_paths_are_gone_back_to() {
        for good in ["/", "/t/a/patients?x=1"] {
            assert_eq!(own_path(good), Some(good));
        }
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "x",
            "/a\r\nb",
            "/a b",
        ] {
            assert_eq!(own_path(bad), None, "{bad}");
        }
    }

    #[test]
    fn repeated_fields_are_kept() {
        let form = Form::parse("roles=nurse&roles=doctor&name=+Ana+");
        assert_eq!(form.all("roles").collect::<Vec<_>>(), ["nurse", "doctor"]);
        assert_eq!(
            (form.text("name"), form.exact("name"), form.text("none")),
            ("Ana", " Ana ", "")
        );
        assert_eq!(form.with("roles", "x"), "?name=%20Ana%20&roles=x");
    }
}
