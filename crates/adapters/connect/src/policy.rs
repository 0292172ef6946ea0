//! The egress allow list: which schemes, hosts and ports may be called at all. Deny by default. Must not
//! resolve a name; [`crate::reach`] judges what names resolve to.

use std::net::IpAddr;

use http::Uri;

use crate::address::{Reach, reach};
use crate::error::ConnectError;

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// HTTP in the clear.
    Http,
    /// Mail submission, with STARTTLS.
    Smtp,
    /// Mail submission over TLS from the first byte.
    Smtps,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Https, Self::Http, Self::Smtp, Self::Smtps];

    /// The word before `://`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Smtp => "smtp",
            Self::Smtps => "smtps",
        }
    }

    /// The port where none is written.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
            Self::Smtp => 587,
            Self::Smtps => 465,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == word)
    }
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// What is spoken.
    pub scheme: Scheme,
    /// The host in lower case; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl core::fmt::Display for Target {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let scheme = self.scheme.as_str();
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl Target {
    /// Reads the target of an address.
    ///
    /// # Errors
    /// What cannot be called: no host, user information, an unknown scheme.
    pub fn of(url: &str) -> Result<(Self, Uri), ConnectError> {
        let uri: Uri = url
            .parse()
            .map_err(|_| ConnectError::Address("it is not a URL"))?;
        let scheme = uri
            .scheme_str()
            .and_then(Scheme::parse)
            .ok_or(ConnectError::Address(
                "it does not begin with https:// or http://",
            ))?;
        let authority = uri
            .authority()
            .ok_or(ConnectError::Address("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(ConnectError::Address(
                "it holds a user name: send credentials in a header",
            ));
        }
        let host = bare(authority.host());
        if host.is_empty() {
            return Err(ConnectError::Address("it names no host"));
        }
        let target = Self {
            scheme,
            host,
            port: uri.port_u16().unwrap_or_else(|| scheme.port()),
        };
        Ok((target, uri))
    }
}

fn bare(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.')
        .to_ascii_lowercase()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Exact(String),
    // `*.example.org`: any name below, not the name itself.
    Below(String),
}

/// One line of the allow list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    scheme: Scheme,
    host: Host,
    port: Option<u16>,
    private: bool,
    clear: bool,
    import: bool,
    pins: Vec<[u8; 32]>,
}

impl Entry {
    /// Reads `scheme://host[:port] [private] [clear] [import] [pin=sha256/BASE64 ...]`. The host may be
    /// `*.name`, the port `*`. `private` allows addresses that are not public; `clear` lets a mail server be
    /// used without TLS; `import` lets files be imported from there.
    ///
    /// # Errors
    /// [`ConnectError::Entry`], naming the entry.
    pub fn parse(text: &str) -> Result<Self, ConnectError> {
        let refuse = |detail| ConnectError::Entry {
            entry: text.to_owned(),
            detail,
        };
        let mut words = text.split_whitespace();
        let place = words.next().ok_or_else(|| refuse("it is empty"))?;
        let (scheme, rest) = place
            .split_once("://")
            .ok_or_else(|| refuse("it has no scheme"))?;
        let scheme = Scheme::parse(scheme).ok_or_else(|| refuse("the scheme is not known"))?;
        let (host, port) = split_port(rest.trim_end_matches('/'));
        let port = match port {
            None => Some(scheme.port()),
            Some("*") => None,
            Some(digits) => Some(
                digits
                    .parse()
                    .map_err(|_| refuse("the port is no number"))?,
            ),
        };
        let host = match host.strip_prefix("*.") {
            Some(below) if is_name(below) => Host::Below(below.to_ascii_lowercase()),
            None if is_name(host) || bare(host).parse::<IpAddr>().is_ok() => {
                Host::Exact(bare(host))
            }
            _ => return Err(refuse("the host is neither a name, *.name nor an address")),
        };
        let mut entry = Self {
            scheme,
            host,
            port,
            private: false,
            clear: false,
            import: false,
            pins: Vec::new(),
        };
        for word in words {
            match word {
                "private" => entry.private = true,
                "clear" if scheme == Scheme::Smtp => entry.clear = true,
                "import" if matches!(scheme, Scheme::Https | Scheme::Http) => entry.import = true,
                _ => match word.strip_prefix("pin=sha256/") {
                    Some(pin) if scheme == Scheme::Https => {
                        entry
                            .pins
                            .push(digest(pin).ok_or_else(|| refuse("the pin is no SHA-256"))?);
                    }
                    Some(_) => return Err(refuse("pins are for https")),
                    None => return Err(refuse("a word is not known")),
                },
            }
        }
        Ok(entry)
    }

    fn covers(&self, target: &Target) -> bool {
        let host = match &self.host {
            Host::Exact(host) => *host == target.host,
            Host::Below(below) => target
                .host
                .strip_suffix(below.as_str())
                .is_some_and(|head| head.len() > 1 && head.ends_with('.')),
        };
        host && self.scheme == target.scheme && self.port.is_none_or(|port| port == target.port)
    }

    /// Whether a mail server of this entry may be used without TLS.
    #[must_use]
    pub const fn allows_clear_mail(&self) -> bool {
        self.clear
    }

    /// SHA-256 of the public keys that are accepted; empty: whatever the roots accept.
    #[must_use]
    pub fn pins(&self) -> &[[u8; 32]] {
        &self.pins
    }

    /// Whether an address that the host resolved to may be called.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        match reach(address) {
            Reach::Public => true,
            Reach::Private => self.private,
            Reach::Never => {
                let named = match &self.host {
                    Host::Exact(host) => host.parse::<IpAddr>().is_ok_and(|own| own == address),
                    Host::Below(_) => false,
                };
                self.private && named
            }
        }
    }
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    let after = text.rfind(']').map_or(0, |place| place + 1);
    match text.get(after..).and_then(|tail| tail.rfind(':')) {
        Some(colon) => {
            let (host, port) = text.split_at(after + colon);
            (host, port.get(1..))
        }
        None => (text, None),
    }
}

fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.len() <= 253 && host.split('.').all(label)
}

fn digest(text: &str) -> Option<[u8; 32]> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    bytes.try_into().ok()
}

/// The allow list. Empty: nothing may be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    entries: Vec<Entry>,
}

impl EgressPolicy {
    /// Reads the entries.
    ///
    /// # Errors
    /// [`ConnectError::Entry`] for the first that cannot be read.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, ConnectError> {
        let entries: Result<Vec<_>, _> = entries.into_iter().map(Entry::parse).collect();
        Ok(Self { entries: entries? })
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry that allows a target.
    ///
    /// # Errors
    /// [`ConnectError::Off`] for an empty list, [`ConnectError::NotAllowed`] where no entry covers it.
    pub fn allow(&self, target: &Target) -> Result<&Entry, ConnectError> {
        if self.entries.is_empty() {
            return Err(ConnectError::Off);
        }
        let found = self.entries.iter().find(|entry| entry.covers(target));
        found.ok_or_else(|| ConnectError::NotAllowed {
            destination: target.to_string(),
        })
    }

    /// The entry that allows a target, where files may be imported from it, too.
    ///
    /// # Errors
    /// As [`EgressPolicy::allow`]; [`ConnectError::NotForImports`] where the entry lacks the word.
    pub fn allow_import(&self, target: &Target) -> Result<&Entry, ConnectError> {
        let entry = self.allow(target)?;
        if entry.import {
            Ok(entry)
        } else {
            Err(ConnectError::NotForImports {
                destination: target.to_string(),
            })
        }
    }

    /// The pins of the entries that could cover a host over TLS.
    pub(crate) fn pins_of(&self, host: &str) -> Vec<[u8; 32]> {
        let covers = |entry: &&Entry| match &entry.host {
            Host::Exact(own) => own == host,
            Host::Below(below) => host
                .strip_suffix(below.as_str())
                .is_some_and(|head| head.ends_with('.')),
        };
        let tls = |entry: &&Entry| entry.scheme == Scheme::Https;
        self.entries
            .iter()
            .filter(tls)
            .filter(covers)
            .flat_map(|entry| entry.pins.iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entries: &[&str], url: &str) -> bool {
        let policy = EgressPolicy::parse(entries.iter().copied()).unwrap();
        Target::of(url).is_ok_and(|(target, _)| policy.allow(&target).is_ok())
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let list = [
            "https://hooks.example.org",
            "https://*.partner.example:8443",
            "http://127.0.0.1:* private",
        ];
        for (url, expected) in [
            ("https://hooks.example.org/a?b", true),
            ("https://HOOKS.example.org./a", true),
            ("https://hooks.example.org:443/", true),
            ("https://hooks.example.org:444/", false),
            ("http://hooks.example.org/", false),
            ("https://evil.org/hooks.example.org", false),
            ("https://hooks.example.org.evil.org/", false),
            ("https://hooks.example.org@evil.org/", false),
            ("https://evil.org#hooks.example.org", false),
            ("https://a.partner.example:8443/", true),
            ("https://a.b.partner.example:8443/", true),
            ("https://partner.example:8443/", false),
            ("https://xpartner.example:8443/", false),
            ("http://127.0.0.1:9/", true),
            ("http://127.1:9/", false),
            ("http://2130706433:9/", false),
            ("http://[::1]:9/", false),
            ("file:///etc/passwd", false),
            ("gopher://127.0.0.1:9/", false),
            ("nonsense", false),
        ] {
            assert_eq!(allows(&list, url), expected, "{url}");
        }
        assert!(!allows(&[], "https://hooks.example.org/"));
    }

    #[test]
    fn imports_need_a_word() {
        let list = [
            "https://hooks.example.org",
            "https://files.example.org import",
        ];
        let policy = EgressPolicy::parse(list).unwrap();
        let imports = |url: &str| {
            let (target, _) = Target::of(url).unwrap();
            policy.allow_import(&target).map(|_| ())
        };
        assert_eq!(imports("https://files.example.org/a"), Ok(()));
        let refused = imports("https://hooks.example.org/a").unwrap_err();
        assert!(matches!(refused, ConnectError::NotForImports { .. }));
        let refused = imports("https://other.example.org/a").unwrap_err();
        assert!(matches!(refused, ConnectError::NotAllowed { .. }));
    }

    #[test]
    fn entries_say_what_is_wrong_with_them() {
        for bad in [
            "",
            "example.org",
            "ftp://example.org",
            "https://",
            "https://*",
            "https://a b",
            "https://example.org:x",
            "https://exa$mple.org",
            "https://example.org loud",
            "https://example.org pin=sha256/AAAA",
            "smtp://example.org pin=sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "https://example.org clear",
            "smtp://example.org import",
        ] {
            let error = Entry::parse(bad).unwrap_err();
            assert!(matches!(error, ConnectError::Entry { .. }), "{bad}");
        }
        let pinned = Entry::parse(
            "https://example.org pin=sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        );
        assert_eq!(pinned.unwrap().pins(), [[0; 32]]);
    }

    #[test]
    fn addresses_inside_need_a_word_and_metadata_its_own_name() {
        let entry = |text: &str| Entry::parse(text).unwrap();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(entry("https://a.example").admits(at("8.8.8.8")));
        assert!(!entry("https://a.example").admits(at("10.0.0.1")));
        assert!(entry("https://a.example private").admits(at("10.0.0.1")));
        assert!(!entry("https://a.example private").admits(at("169.254.169.254")));
        assert!(!entry("http://169.254.169.254").admits(at("169.254.169.254")));
        assert!(entry("http://169.254.169.254 private").admits(at("169.254.169.254")));
        assert!(entry("http://[::1]:80 private").admits(at("::1")));
    }
}
