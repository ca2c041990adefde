//! Mutual TLS: both sides present a certificate.

use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::connector::Failure;
use crate::service::config::{Tls, wrong};

/// The service's side of TLS.
pub struct Server {
    pub acceptor: TlsAcceptor,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// The certificate that a client presented.
#[derive(Debug)]
pub struct PresentedCertificate {
    /// Its certificate, followed by the intermediate ones.
    chain: Vec<CertificateDer<'static>>,
    /// Time at which the handshake verified it.
    pub verified_at: UnixTime,
}

/// Creates the service's side from its certificate, its key and its authorities.
///
/// # Errors
///
/// A file is missing or invalid.
pub fn server(tls: &Tls) -> Result<Server, Failure> {
    let roots = Arc::new(read_roots(&tls.ca)?);
    let verifier = WebPkiClientVerifier::builder(roots).build();
    let verifier = verifier.map_err(|error| unusable(&tls.ca, &error))?;
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(verifier.clone())
        .with_single_cert(read_chain(&tls.certificate)?, read_key(&tls.key)?)
        .map_err(|error| unusable(&tls.certificate, &error))?;
    // A resumed TLS session skips the verification of its certificate. So sessions are resumed
    // neither from storage (TLS 1.2) nor by tickets (1.3).
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Server { acceptor: Arc::new(config).into(), verifier })
}

impl Server {
    /// Whether a client's certificate is trusted at the time `at`.
    pub fn trusts(&self, presented: &PresentedCertificate, at: UnixTime) -> bool {
        let Some((own, others)) = presented.chain.split_first() else { return false };
        self.verifier.verify_client_cert(own, others, at).is_ok()
    }
}

impl PresentedCertificate {
    /// Records a certificate that the handshake has just verified.
    pub fn now(chain: Option<&[CertificateDer<'static>]>) -> Self {
        Self { chain: chain.unwrap_or_default().to_vec(), verified_at: UnixTime::now() }
    }

    /// Returns the hosts and URIs that the certificate names.
    pub fn names(&self) -> Vec<String> {
        self.chain.first().map(alternative_names).unwrap_or_default()
    }
}

/// Creates a client's configuration from its certificate, its key and its authorities.
///
/// # Errors
///
/// A file is missing or invalid.
pub fn client(tls: &Tls) -> Result<Arc<ClientConfig>, Failure> {
    let roots = Arc::new(read_roots(&tls.ca)?);
    let verifier = WebPkiServerVerifier::builder(roots).build();
    let verifier = verifier.map_err(|error| unusable(&tls.ca, &error))?;
    let config = ClientConfig::builder()
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(read_chain(&tls.certificate)?, read_key(&tls.key)?)
        .map_err(|error| unusable(&tls.certificate, &error))?;
    Ok(Arc::new(config))
}

/// Returns the hosts and URIs that a certificate names.
fn alternative_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names = alternatives.map(|extension| extension.value.general_names.iter());
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        _ => None,
    };
    names.into_iter().flatten().filter_map(name).collect()
}

fn read_roots(file: &Path) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(file)? {
        roots.add(certificate).map_err(|error| unusable(file, &error))?;
    }
    Ok(roots)
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.map_err(|error| unusable(file, &error))
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, Failure> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| unusable(file, &error))
}

fn unusable(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    wrong(format!("`{}` can't be used for TLS: {error}", file.display()))
        .with_help("correct it or its path")
}
