//! What operators see and do: metrics, health, the sessions and their end, by HTTP on a
//! Unix socket, and the first two on an address of their own.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, get};
use axum::{Json, Router};
use std::sync::Arc;

use super::Service;
use super::sessions::{Shown, cancelled};

/// The media type of what Prometheus reads.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics and health, for whoever may look.
pub fn looking() -> Router<Arc<Service>> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
}

/// The same, and the sessions, for whoever may end them.
pub fn all() -> Router<Arc<Service>> {
    looking().route("/sessions", get(sessions)).route("/sessions/{id}", delete(cancel))
}

async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    match service.metrics() {
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

async fn sessions(State(service): State<Arc<Service>>) -> Json<Vec<Shown>> {
    Json(service.sessions.shown())
}

async fn cancel(State(service): State<Arc<Service>>, Path(id): Path<String>) -> impl IntoResponse {
    match service.sessions.cancel(&id, &cancelled()) {
        true => (StatusCode::ACCEPTED, format!("the session `{id}` is told to end\n")),
        false => {
            (StatusCode::NOT_FOUND, format!("there is no session `{id}`: see `plakbox sessions`\n"))
        }
    }
}
