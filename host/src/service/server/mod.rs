//! Connections of clients.
//!
//! - [`listener`]: listening sockets
//! - [`accept`]: the way from a connection to a session
//! - [`tls`], [`handshake`], [`connection`]: the exchange before Plakar's bytes
//! - [`pending`]: connections that are not identified yet
//! - [`authorization`]: checks that a client still has its rights
//! - [`rejections`]: counts and logs of refused connections

pub mod accept;
pub mod authorization;
pub mod connection;
pub mod handshake;
pub mod listener;
pub mod pending;
pub mod rejections;
pub mod tls;
