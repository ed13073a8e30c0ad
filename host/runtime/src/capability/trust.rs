//! Trust in a TLS peer: by the system's certificates, by a given authority, or without verification.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::plugin::wit::imports::tcp::Trust;

/// A client's configuration for a kind of trust; `authority` is PEM or DER.
pub(super) fn client(trust: Trust, authority: Option<&[u8]>) -> io::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let inner = match trust {
        Trust::EncryptOnly => None,
        Trust::VerifyChain | Trust::VerifyFull => {
            let verifier = WebPkiServerVerifier::builder_with_provider(
                Arc::new(roots(authority)?),
                Arc::clone(&provider),
            );
            Some(verifier.build().map_err(io::Error::other)?)
        }
    };
    if let (Trust::VerifyFull, Some(verifier)) = (trust, &inner) {
        return Ok(builder.with_webpki_verifier(Arc::clone(verifier)).with_no_client_auth());
    }
    let verifier = Arc::new(LesserTrust { chain: inner, provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn roots(authority: Option<&[u8]>) -> io::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let Some(bytes) = authority else {
        // Skip the certificates of the system's store that do not parse, and keep the others.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(store);
    };
    let pem: Vec<_> = CertificateDer::pem_slice_iter(bytes).filter_map(Result::ok).collect();
    let certificates =
        if pem.is_empty() { vec![CertificateDer::from(bytes.to_vec())] } else { pem };
    for certificate in certificates {
        store.add(certificate).map_err(io::Error::other)?;
    }
    Ok(store)
}

/// Encryption alone, or the chain without the host name; database clients call these modes `require` and
/// `verify-ca`. The handshake still proves that the peer has the key.
#[derive(Debug)]
struct LesserTrust {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for LesserTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
