//! The way in: an HTTP proxy on loopback that is Google behind each CONNECT, with
//! certificates of its own.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::answers::{Answer, Refusal};
use super::calls::Call;
use super::{Shared, api, downloads, oauth};

const HOSTS: [&str; 3] = [api::HOST, oauth::HOST, downloads::HOST];

/// Certificates of the hosts.
type Certificates = HashMap<&'static str, Arc<ServerConfig>>;

/// Makes the hosts' certificates; gives them and the authority's, in PEM.
pub fn certificates(http2: bool) -> (Certificates, String) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let of_host = |host: &'static str| {
        let key = KeyPair::generate().unwrap();
        let names = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = names.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        if http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        (host, Arc::new(config))
    };
    (HOSTS.into_iter().map(of_host).collect(), pem)
}

/// Serves all connections, for ever.
pub async fn serve(listener: TcpListener, shared: Shared, certificates: Certificates) {
    let certificates = Arc::new(certificates);
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(enter(stream, shared.clone(), certificates.clone()));
    }
}

/// Serves one connection to the proxy.
async fn enter(stream: TcpStream, shared: Shared, certificates: Arc<Certificates>) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let config = certificates.get_key_value(host.as_str());
        let answer = match config {
            Some((host, config)) if request.method() == Method::CONNECT => {
                let (host, config, shared) = (*host, config.clone(), shared.clone());
                tokio::spawn(async move {
                    if let Ok(upgraded) = hyper::upgrade::on(&mut request).await {
                        // A client that goes away ends its connection.
                        let _ = talk(TokioIo::new(upgraded), host, config, shared).await;
                    }
                });
                let nothing = Empty::<Bytes>::new().map_err(|never| match never {});
                Response::new(nothing.boxed())
            }
            _ => {
                let calls = &mut shared.lock().unwrap().calls;
                calls.note(Call::Foreign);
                calls.foreign.push(host);
                Refusal::new(403, "This isn't Google.").page()
            }
        };
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let _ = connection.await;
}

/// Is one of Google's hosts.
async fn talk(
    stream: TokioIo<hyper::upgrade::Upgraded>,
    host: &'static str,
    config: Arc<ServerConfig>,
    shared: Shared,
) -> io::Result<()> {
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { answer(host, request, &shared).await }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    // Uploads aren't to wait for windows.
    server.http2().initial_stream_window_size(1 << 20).initial_connection_window_size(16 << 20);
    server.serve_connection(TokioIo::new(stream), service).await.map_err(io::Error::other)
}

/// Counts a call, waits, goes wrong where that is ordered, or answers.
async fn answer(
    host: &str,
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<Answer, hyper::Error> {
    let (request, body) = request.into_parts();
    let path = request.uri.path();
    let call = match host {
        oauth::HOST => Call::Refresh,
        downloads::HOST => Call::Download,
        _ => api::kind(&request.method, path).0,
    };
    let body = body.collect().await?.to_bytes();
    let latency = {
        let google = &mut *shared.lock().unwrap();
        google.calls.note(call);
        google.settings.latency
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let fault = shared.lock().unwrap().faults.of_call(call);
    Ok(match (call, fault) {
        (Call::Download, Err(refusal)) => refusal.page(),
        (_, Err(refusal)) => refusal.json(),
        (Call::Refresh, Ok(())) => {
            let google = &mut *shared.lock().unwrap();
            let client = request.headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
            google.grants.token(&body, client, &google.settings)
        }
        (Call::Download, Ok(())) => {
            downloads::answer(&mut shared.lock().unwrap(), &request.method, path, &request.headers)
        }
        (_, Ok(())) => api::answer(shared, call, &request, body).await,
    })
}
