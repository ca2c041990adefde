//! Connections of clients.
//!
//! - [`listener`]: the sockets
//! - [`accept`]: from a connection to a session
//! - [`tls`], [`handshake`], [`connection`]: what is said before Plakar's bytes
//! - [`pending`]: connections that are not identified yet
//! - [`authorization`]: whether a client may still be here
//! - [`rejections`]: refused connections, counted and logged
pub mod accept;
pub mod authorization;
pub mod connection;
pub mod handshake;
pub mod listener;
pub mod pending;
pub mod rejections;
pub mod tls;
