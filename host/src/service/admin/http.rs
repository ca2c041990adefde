//! What operators see and do: metrics, health, the sessions and their end, by HTTP on a
//! Unix socket, and the first two on an address of their own. Anybody may reach that one, so
//! connections to it are few, short, and of one request each.

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

/// The media type of what Prometheus reads.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How many connections there may be, and how many from one address.
const CONNECTION_LIMITS: PendingLimits = PendingLimits { total: 32, per_source: 8 };
/// How long the head of a request may take, and all of it with its answer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How many bytes of a request's head are taken.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Metrics and health, for whoever may look.
pub fn public_router() -> Router<Arc<Service>> {
    health().route("/metrics", get(recent_metrics))
}

fn health() -> Router<Arc<Service>> {
    Router::new().route("/health", get(|| async { "ok\n" })).route("/ready", get(ready))
}

/// The same, and the sessions, for whoever may end them.
pub fn router() -> Router<Arc<Service>> {
    health()
        .route("/metrics", get(metrics))
        .route("/sessions", get(sessions))
        .route("/sessions/{id}", delete(cancel))
}

/// Answers those who come in here, from wherever `source` says.
pub async fn serve<L: Listener>(
    service: Arc<Service>,
    mut listener: L,
    router: Router,
    source: impl Fn(&L::Addr) -> Source,
) {
    let connections = PendingConnections::default();
    loop {
        let (socket, address) = listener.accept().await;
        let most = service.pending_limits(CONNECTION_LIMITS);
        let place = connections.enter(source(&address), most);
        tokio::spawn(answer(service.clone(), socket, router.clone(), place));
    }
}

/// Answers one request, if it comes soon.
async fn answer<S>(service: Arc<Service>, socket: S, router: Router, place: PendingPermit)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let answered = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    let why = tokio::select! {
        answered = tokio::time::timeout(REQUEST_TIMEOUT, answered) => match answered {
            Ok(Ok(())) => return,
            Ok(Err(error)) if error.is_timeout() => "its request didn't come in time",
            // It went away, or speaks something else.
            Ok(Err(_)) => return,
            Err(_) => "its answer wasn't taken in time",
        },
        () = place.evicted() => "others came, and it had the most connections",
    };
    let message = format!("operators' connections are few and short: {why}");
    let source = place.source().to_string();
    service.reject(&source, &Rejection { cause: Cause::Admin, message });
}

async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    shown(service.metrics())
}

async fn recent_metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    shown(service.recent_metrics().map(|text| text.to_string()))
}

fn shown(text: Result<String, std::fmt::Error>) -> impl IntoResponse {
    match text {
        Ok(text) => Ok(([("content-type", METRICS)], text)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

async fn ready(State(service): State<Arc<Service>>) -> impl IntoResponse {
    match service.is_draining() {
        false => (StatusCode::OK, "ready\n"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "it takes no more sessions\n"),
    }
}

async fn sessions(State(service): State<Arc<Service>>) -> Json<Vec<SessionInfo>> {
    Json(service.sessions.list())
}

async fn cancel(State(service): State<Arc<Service>>, Path(id): Path<String>) -> impl IntoResponse {
    match service.sessions.cancel(&id, &cancelled()) {
        true => (StatusCode::ACCEPTED, format!("the session `{id}` is told to end\n")),
        false => {
            (StatusCode::NOT_FOUND, format!("there is no session `{id}`: see `plakbox sessions`\n"))
        }
    }
}
