//! The operators' HTTP interface: metrics, health and control of sessions on a Unix socket, and
//! metrics and health on a public address. Unknown clients may reach that address, so connections
//! are few, short, and limited to one request each.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, get};
use axum::serve::Listener;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;

use super::sessions::{SessionInfo, cancelled};
use crate::service::Service;
use crate::service::server::pending::{PendingConnections, PendingLimits, PendingPermit, Source};
use crate::service::server::rejections::{Cause, Rejection};

/// Media type of the OpenMetrics text format.
const METRICS_MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Maximum numbers of connections in all, and from one address.
const CONNECTION_LIMITS: PendingLimits = PendingLimits { total: 32, per_source: 8 };
/// Time limit for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit for a request and its response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of the head of a request.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Returns the routes of the public address: metrics and health.
pub fn public_router() -> Router<Arc<Service>> {
    health().route("/metrics", get(recent_metrics))
}

fn health() -> Router<Arc<Service>> {
    Router::new().route("/health", get(|| async { "ok\n" })).route("/ready", get(ready))
}

/// Returns the routes of the operators' socket: metrics, health and sessions.
pub fn router() -> Router<Arc<Service>> {
    health()
        .route("/metrics", get(metrics))
        .route("/sessions", get(sessions))
        .route("/sessions/{id}", delete(cancel))
}

/// Serves a listener. `source` derives the source of a connection from its address.
pub async fn serve<L: Listener>(
    service: Arc<Service>,
    mut listener: L,
    router: Router,
    source: impl Fn(&L::Addr) -> Source,
) {
    let connections = PendingConnections::default();
    loop {
        let (socket, address) = listener.accept().await;
        let limits = service.pending_limits(CONNECTION_LIMITS);
        let permit = connections.enter(source(&address), limits);
        tokio::spawn(serve_request(service.clone(), socket, router.clone(), permit));
    }
}

/// Serves one request within the time limits.
async fn serve_request<S>(service: Arc<Service>, socket: S, router: Router, permit: PendingPermit)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let exchange = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    let why = tokio::select! {
        result = tokio::time::timeout(REQUEST_TIMEOUT, exchange) => match result {
            Ok(Ok(())) => return,
            Ok(Err(error)) if error.is_timeout() => "its request took too long",
            // The client disconnected, or doesn't use HTTP.
            Ok(Err(_)) => return,
            Err(_) => "it didn't take its response in time",
        },
        () = permit.evicted() => "there were newer ones, and its source had the most",
    };
    let message = format!("operators' connections are limited in number and time: {why}");
    let source = permit.source().to_string();
    service.reject(&source, &Rejection::new(Cause::Admin, message));
}

async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    metrics_response(service.metrics())
}

async fn recent_metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    metrics_response(service.recent_metrics().map(|text| text.to_string()))
}

fn metrics_response(text: Result<String, std::fmt::Error>) -> impl IntoResponse {
    match text {
        Ok(text) => Ok(([("content-type", METRICS_MEDIA_TYPE)], text)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

async fn ready(State(service): State<Arc<Service>>) -> impl IntoResponse {
    if service.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "the service takes no more sessions\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn sessions(State(service): State<Arc<Service>>) -> Json<Vec<SessionInfo>> {
    Json(service.sessions.list())
}

async fn cancel(State(service): State<Arc<Service>>, Path(id): Path<String>) -> impl IntoResponse {
    if service.sessions.cancel(&id, &cancelled()) {
        (StatusCode::ACCEPTED, format!("the session `{id}` is ending\n"))
    } else {
        (
            StatusCode::NOT_FOUND,
            format!("the session `{id}` does not exist; help: see `plakbox sessions`\n"),
        )
    }
}
