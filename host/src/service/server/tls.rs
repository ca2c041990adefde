//! TLS in which both sides show a certificate.

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

/// A service's side of TLS.
pub struct Server {
    pub acceptor: TlsAcceptor,
    /// Whom it trusts.
    clients: Arc<dyn ClientCertVerifier>,
}

/// What a client has presented.
#[derive(Debug)]
pub struct PresentedCertificate {
    /// Its certificate, and those that lead to its authority.
    chain: Vec<CertificateDer<'static>>,
    /// When it was believed.
    pub at: UnixTime,
}

/// What a service shows, and whom it trusts.
pub fn server(tls: &Tls) -> Result<Server, Failure> {
    let roots = Arc::new(roots(&tls.ca)?);
    let clients = WebPkiClientVerifier::builder(roots).build();
    let clients = clients.map_err(|error| unusable(&tls.ca, &error))?;
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(clients.clone())
        .with_single_cert(chain(&tls.certificate)?, key(&tls.key)?)
        .map_err(|error| unusable(&tls.certificate, &error))?;
    // A session that is taken up again is believed without a look at its certificate: there
    // is none, neither by what is kept here (TLS 1.2) nor by tickets (1.3).
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Server { acceptor: Arc::new(config).into(), clients })
}

impl Server {
    /// Whether what a client has presented is believed at this time.
    pub fn trusts(&self, presented: &PresentedCertificate, at: UnixTime) -> bool {
        let Some((own, others)) = presented.chain.split_first() else { return false };
        self.clients.verify_client_cert(own, others, at).is_ok()
    }
}

impl PresentedCertificate {
    /// What was presented and believed just now.
    pub fn now(chain: Option<&[CertificateDer<'static>]>) -> Self {
        Self { chain: chain.unwrap_or_default().to_vec(), at: UnixTime::now() }
    }

    /// Whom the certificate names.
    pub fn names(&self) -> Vec<String> {
        self.chain.first().map(names).unwrap_or_default()
    }
}

/// What a client shows, and whom it trusts.
pub fn client(tls: &Tls) -> Result<Arc<ClientConfig>, Failure> {
    let roots = Arc::new(roots(&tls.ca)?);
    let server = WebPkiServerVerifier::builder(roots).build();
    let server = server.map_err(|error| unusable(&tls.ca, &error))?;
    let config = ClientConfig::builder()
        .with_webpki_verifier(server)
        .with_client_auth_cert(chain(&tls.certificate)?, key(&tls.key)?)
        .map_err(|error| unusable(&tls.certificate, &error))?;
    Ok(Arc::new(config))
}

/// Whom a certificate names: its hosts and URIs.
fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names = alternatives.map(|extension| extension.value.general_names.iter());
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        _ => None,
    };
    names.into_iter().flatten().filter_map(name).collect()
}

fn roots(file: &Path) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(file)? {
        roots.add(certificate).map_err(|error| unusable(file, &error))?;
    }
    Ok(roots)
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.map_err(|error| unusable(file, &error))
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, Failure> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| unusable(file, &error))
}

fn unusable(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    wrong(format!("`{}` can't be used for TLS: {error}: correct it or its path", file.display()))
}
