//! TLS to the database, as the connection string asks for it with libpq's `sslmode` and `sslrootcert`.
//! Whoever asks for TLS gets it or an error, never plain text. Must not read the environment.
//!
//! | `sslmode` | encrypted | certificate checked |
//! |---|---|---|
//! | `disable` | never | |
//! | `prefer` (nothing said) | where the server offers it | no |
//! | `require` | always | against `sslrootcert` where it is given |
//! | `verify-ca` | always | against `sslrootcert` |
//! | `verify-full` | always | against `sslrootcert`, and for the host's name |
//!
//! A Unix socket stays on the machine and is never encrypted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::port::error::StoreError;

fn unusable(detail: impl Into<String>) -> StoreError {
    StoreError::Connection {
        detail: detail.into(),
    }
}

/// Names a root certificate in a connection string that names none itself.
#[must_use]
pub fn with_root_certificate(connection: &str, file: &Path) -> String {
    let connection = connection.trim();
    if Asked::read(connection).is_ok_and(|asked| asked.root.is_some()) {
        return connection.to_owned();
    }
    let file = file.display().to_string();
    if is_url(connection) {
        let escaped: String = file.bytes().map(escaped).collect();
        let sign = if connection.contains('?') { '&' } else { '?' };
        format!("{connection}{sign}sslrootcert={escaped}")
    } else {
        let quoted = file.replace('\\', "\\\\").replace('\'', "\\'");
        format!("{connection} sslrootcert='{quoted}'")
    }
}

fn escaped(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    }
}

fn is_url(connection: &str) -> bool {
    connection.starts_with("postgres://") || connection.starts_with("postgresql://")
}

/// Whether whoever listens on the network cannot read along or answer instead: the server's name is verified,
/// or every host is a Unix socket.
pub fn is_verified(connection: &str) -> Result<bool, StoreError> {
    let (config, _) = read(connection)?;
    let asked = Asked::read(connection.trim())?;
    Ok((asked.mode() == "verify-full" && asked.root.is_some()) || is_local(&config))
}

fn is_local(config: &Config) -> bool {
    let hosts = config.get_hosts();
    !hosts.is_empty() && hosts.iter().all(|host| !matches!(host, Host::Tcp(_)))
}

/// Reads a connection string: how to connect, and what makes it TLS. Errors do not repeat it.
pub(super) fn read(connection: &str) -> Result<(Config, MakeRustlsConnect), StoreError> {
    let asked = Asked::read(connection.trim())?;
    let mut config: Config = asked
        .rest
        .parse()
        .map_err(|_| unusable("it is not in libpq's form"))?;
    let mode = asked.mode();
    let roots = asked.root.as_deref().map(roots).transpose()?;
    config.ssl_mode(match mode {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" | "verify-ca" | "verify-full" => SslMode::Require,
        _ => {
            return Err(unusable(
                "its sslmode is none of disable, prefer, require, verify-ca and verify-full",
            ));
        }
    });
    if roots.is_none() && matches!(mode, "verify-ca" | "verify-full") {
        return Err(unusable(format!(
            "sslmode={mode} needs the certificate to check against: name its file in store.postgres_root_certificate, or with sslrootcert=FILE"
        )));
    }
    if is_local(&config) {
        config.ssl_mode(SslMode::Disable);
    }
    let checks = match (mode, roots) {
        (_, None) | ("prefer" | "disable", _) => Checks::Nothing,
        ("verify-full", Some(roots)) => Checks::Name(roots),
        (_, Some(roots)) => Checks::Chain(roots),
    };
    Ok((config, MakeRustlsConnect::new(client(checks)?)))
}

/// What of a server's certificate is checked.
enum Checks {
    Nothing,
    Chain(RootCertStore),
    Name(RootCertStore),
}

fn client(checks: Checks) -> Result<ClientConfig, StoreError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Engine(format!("TLS could not be prepared: {error}")))?;
    let chain = match checks {
        Checks::Name(roots) => {
            return Ok(builder.with_root_certificates(roots).with_no_client_auth());
        }
        Checks::Nothing => None,
        Checks::Chain(roots) => {
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .map_err(|error| {
                        unusable(format!("its root certificate cannot be used ({error})"))
                    })?;
            Some(verifier)
        }
    };
    let verifier = Arc::new(Lenient { provider, chain });
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Checks less than everything, because the connection string says so: the chain without the name, or only
/// that the server has the key of the certificate it shows.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at after the chain was found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn roots(file: &str) -> Result<RootCertStore, StoreError> {
    let unreadable = |detail: String| {
        unusable(format!(
            "root certificate {file} cannot be read ({detail}): give a PEM file"
        ))
    };
    let mut store = RootCertStore::empty();
    let found =
        CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        store
            .add(certificate)
            .map_err(|error| unreadable(error.to_string()))?;
    }
    if store.is_empty() {
        return Err(unreadable("it holds no certificate".to_owned()));
    }
    Ok(store)
}

/// What a connection string says about TLS, and the string without it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    rest: String,
    mode: Option<String>,
    root: Option<String>,
}

impl Asked {
    /// The mode that counts. Who names a certificate to check against wants it checked.
    fn mode(&self) -> &str {
        let unsaid = if self.root.is_some() {
            "verify-full"
        } else {
            "prefer"
        };
        self.mode.as_deref().unwrap_or(unsaid)
    }
    fn read(connection: &str) -> Result<Self, StoreError> {
        if is_url(connection) {
            Self::of_url(connection)
        } else {
            Self::of_pairs(connection)
        }
    }

    /// Keeps what is about TLS; false for anything else.
    fn keep(&mut self, key: &str, value: String) -> bool {
        match key {
            "sslmode" => self.mode = Some(value),
            "sslrootcert" => self.root = Some(value),
            _ => return false,
        }
        true
    }

    fn of_url(connection: &str) -> Result<Self, StoreError> {
        let mut asked = Self::default();
        let Some((base, query)) = connection.split_once('?') else {
            connection.clone_into(&mut asked.rest);
            return Ok(asked);
        };
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = unescaped(value).ok_or_else(|| unusable("it is not a URL"))?;
            if !asked.keep(key, value) {
                others.push(pair);
            }
        }
        let sign = if others.is_empty() { "" } else { "?" };
        asked.rest = format!("{base}{sign}{}", others.join("&"));
        Ok(asked)
    }

    fn of_pairs(connection: &str) -> Result<Self, StoreError> {
        let mut asked = Self::default();
        let mut left = connection.trim_start();
        while !left.is_empty() {
            let broken = || unusable("it is not in libpq's form");
            let (key, after) = left.split_once('=').ok_or_else(broken)?;
            let (value, length) = value(after.trim_start()).ok_or_else(broken)?;
            let end = left.len() - after.trim_start().len() + length;
            let (pair, rest) = left.split_at_checked(end).ok_or_else(broken)?;
            if !asked.keep(key.trim(), value) {
                asked.rest.push_str(pair);
                asked.rest.push(' ');
            }
            left = rest.trim_start();
        }
        Ok(asked)
    }
}

/// A value at the beginning of a text, unquoted, and how many bytes it takes there.
fn value(text: &str) -> Option<(String, usize)> {
    let is_quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '\'' if is_quoted => return Some((value, at + 1)),
            c if c.is_whitespace() && !is_quoted => return Some((value, at)),
            c => value.push(c),
        }
    }
    (!is_quoted).then_some((value, text.len()))
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.bytes();
    while let Some(byte) = left.next() {
        if byte == b'%' {
            let digits = [left.next()?, left.next()?];
            let digits = core::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(connection: &str) -> (String, Option<String>, Option<String>) {
        let Asked { rest, mode, root } = Asked::read(connection).unwrap();
        (rest.trim_end().to_owned(), mode, root)
    }

    #[test]
    fn what_is_about_tls_is_taken_out_of_every_form() {
        let some = |text: &str| Some(text.to_owned());
        for (connection, rest, mode, root) in [
            ("host=h user=u", "host=h user=u", None, None),
            (
                "host=h sslmode=verify-full password='it''s'",
                "",
                None,
                None,
            ),
            (
                r"host=h sslmode = 'require' password='a \' sslmode=disable' sslrootcert='/c d/r.pem'",
                r"host=h password='a \' sslmode=disable'",
                some("require"),
                some("/c d/r.pem"),
            ),
            ("postgres://u@h/d", "postgres://u@h/d", None, None),
            (
                "postgresql://u@h/d?sslmode=require&connect_timeout=3&sslrootcert=%2Fc%20d",
                "postgresql://u@h/d?connect_timeout=3",
                some("require"),
                some("/c d"),
            ),
            (
                "postgres://u@h/d?sslmode=disable",
                "postgres://u@h/d",
                some("disable"),
                None,
            ),
        ] {
            if rest.is_empty() {
                // A quote within a quoted value is written \', and what follows it must be a pair.
                assert!(Asked::read(connection).is_err(), "{connection}");
            } else {
                assert_eq!(asked(connection), (rest.to_owned(), mode, root));
            }
        }
    }

    #[test]
    fn a_root_certificate_is_added_once_and_comes_back_as_it_was() {
        let file = Path::new("/etc/it's here/ä.pem");
        for connection in ["host=h user=u", "postgres://u@h/d", "postgres://u@h/d?a=b"] {
            let once = with_root_certificate(connection, file);
            assert_eq!(asked(&once).2.as_deref(), file.to_str(), "{once}");
            assert_eq!(with_root_certificate(&once, Path::new("/other")), once);
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_before_anything_is_sent() {
        for (connection, says) in [
            ("host=h sslmode=allow", "sslmode"),
            ("host=h sslmode=REQUIRE", "sslmode"),
            ("host=h sslmode=", "sslmode"),
            (
                "host=h sslmode=verify-full",
                "store.postgres_root_certificate",
            ),
            ("postgres://h/d?sslmode=verify-ca", "sslrootcert"),
            (
                "host=h sslmode=require sslrootcert=/nowhere.pem",
                "/nowhere.pem",
            ),
            ("host=h sslmode=require password='open", "libpq"),
            ("host=h nonsense", "libpq"),
        ] {
            let Err(error) = read(connection) else {
                panic!("{connection}");
            };
            assert!(error.to_string().contains(says), "{connection}: {error}");
            assert!(!error.to_string().contains("password"), "{error}");
        }
    }

    #[test]
    fn only_a_verified_name_or_the_machine_itself_counts_as_verified() {
        for (connection, verified) in [
            ("host=/run/pg", true),
            ("host=h", false),
            ("host=h sslmode=require", false),
            ("host=h,/run/pg sslmode=prefer", false),
        ] {
            assert_eq!(is_verified(connection).unwrap(), verified, "{connection}");
        }
    }

    #[test]
    fn a_socket_of_the_machine_is_not_encrypted_and_a_host_is_where_that_is_asked() {
        let mode = |connection: &str| read(connection).unwrap().0.get_ssl_mode();
        assert_eq!(mode("host=/run/pg sslmode=require"), SslMode::Disable);
        assert_eq!(mode("host=h sslmode=require"), SslMode::Require);
        assert_eq!(mode("host=h"), SslMode::Prefer);
        let asked = |connection: &str| Asked::read(connection).unwrap().mode().to_owned();
        assert_eq!(asked("host=h sslrootcert=/c.pem"), "verify-full");
        assert_eq!(asked("host=h sslmode=prefer sslrootcert=/c.pem"), "prefer");
        assert_eq!(mode("host=h,/run/pg sslmode=require"), SslMode::Require);
    }
}
