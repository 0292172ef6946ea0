//! Certificates: the roots that are trusted, and pins of public keys beside them where an entry of the
//! allow list names some. A pinned host must satisfy both.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};

use crate::error::ConnectError;
use crate::policy::EgressPolicy;

#[derive(Debug)]
struct Pinned {
    roots: Arc<WebPkiServerVerifier>,
    policy: Arc<EgressPolicy>,
}

fn key_digest(certificate: &CertificateDer<'_>) -> Result<[u8; 32], rustls::Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    Ok(Sha256::digest(parsed.subject_public_key_info().as_ref()).into())
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.roots
                .verify_server_cert(end_entity, intermediates, server_name, ocsp, now)?;
        let pins = self.policy.pins_of(&server_name.to_str());
        if pins.is_empty() || pins.contains(&key_digest(end_entity)?) {
            return Ok(verified);
        }
        Err(rustls::Error::General(
            "its public key is not one of the pins in egress.allow".to_owned(),
        ))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.supported_verify_schemes()
    }
}

/// The certificates of a PEM file.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let unreadable = || {
        ConnectError::Mail("the file of egress.root_certificates cannot be read: give a PEM file")
    };
    let found = CertificateDer::pem_file_iter(file).map_err(|_| unreadable())?;
    let found: Result<Vec<_>, _> = found.collect();
    found.map_err(|_| unreadable())
}

/// A client configuration that trusts the system's roots, or those of a file instead.
pub(crate) fn config(
    roots: Option<&Path>,
    policy: &Arc<EgressPolicy>,
) -> Result<ClientConfig, ConnectError> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(file) => {
            store.add_parsable_certificates(certificates(file)?);
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let untrusted = |detail: String| ConnectError::Untrusted {
        host: "this machine".to_owned(),
        detail,
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| untrusted(error.to_string()))?;
    if store.is_empty() {
        // No roots: nothing over TLS is trusted, and calls say so.
        return Ok(builder.with_root_certificates(store).with_no_client_auth());
    }
    let roots = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .map_err(|error| untrusted(error.to_string()))?;
    let verifier = Pinned {
        roots,
        policy: policy.clone(),
    };
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}
