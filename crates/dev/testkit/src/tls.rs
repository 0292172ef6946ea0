//! A certificate of a test's own, and streams that speak TLS with it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A self-signed certificate for some names.
pub struct TestCertificate {
    certificate: CertificateDer<'static>,
    pem: String,
    public_key: Vec<u8>,
    config: Arc<ServerConfig>,
}

impl TestCertificate {
    /// Makes one.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    #[expect(clippy::expect_used, reason = "only tests make certificates")]
    pub fn for_names(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("names of hosts");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let certificate = made.cert.der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a certificate with its key");
        Self {
            certificate,
            pem: made.cert.pem(),
            public_key: rcgen::PublicKeyData::subject_public_key_info(&made.signing_key),
            config: Arc::new(config),
        }
    }

    /// As PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// As DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.certificate.as_ref()
    }

    /// The public key's `SubjectPublicKeyInfo`, which pins are digests of.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Writes it as a PEM file into a folder.
    ///
    /// # Panics
    /// When the folder cannot be written.
    #[expect(clippy::expect_used, reason = "only tests make certificates")]
    pub fn write_into(&self, folder: &std::path::Path) -> PathBuf {
        let file = folder.join("root.pem");
        std::fs::write(&file, &self.pem).expect("a folder to write to");
        file
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

/// A connection of a test server, in the clear or over TLS.
pub(crate) enum Wire {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    /// Speaks TLS from here on.
    pub(crate) fn secured(self, config: Arc<ServerConfig>) -> Option<Self> {
        match self {
            Self::Clear(stream) => {
                let connection = ServerConnection::new(config).ok()?;
                Some(Self::Tls(Box::new(StreamOwned::new(connection, stream))))
            }
            tls @ Self::Tls(_) => Some(tls),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Clear(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
