//! TLS in which both sides show a certificate.

use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::settings::{Tls, wrong};
use crate::contract::Failure;

/// What a service shows, and whom it believes.
pub fn server(tls: &Tls) -> Result<Arc<ServerConfig>, Failure> {
    let roots = Arc::new(roots(&tls.authority)?);
    let clients = WebPkiClientVerifier::builder(roots).build();
    let clients = clients.map_err(|error| unusable(&tls.authority, &error))?;
    let config = ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain(&tls.certificate)?, key(&tls.key)?)
        .map_err(|error| unusable(&tls.certificate, &error))?;
    Ok(Arc::new(config))
}

/// What a client shows, and whom it believes.
pub fn client(tls: &Tls) -> Result<Arc<ClientConfig>, Failure> {
    let roots = Arc::new(roots(&tls.authority)?);
    let server = WebPkiServerVerifier::builder(roots).build();
    let server = server.map_err(|error| unusable(&tls.authority, &error))?;
    let config = ClientConfig::builder()
        .with_webpki_verifier(server)
        .with_client_auth_cert(chain(&tls.certificate)?, key(&tls.key)?)
        .map_err(|error| unusable(&tls.certificate, &error))?;
    Ok(Arc::new(config))
}

/// Whom a certificate names: its hosts and URIs.
pub fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
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
