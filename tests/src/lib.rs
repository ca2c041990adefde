//! Support code of the tests: real programs in a directory of their own.
//!
//! - [`store_client`]: the store, driven without Plakar
//! - [`tools`]: paths of plakar, rclone and the package
//! - [`mod@env`]: a home, a store and remotes that are removed with the test
//! - [`tree`]: directories of files, created and compared
//! - [`latency_proxy`]: a proxy that adds latency
//! - [`servers`]: WebDAV and S3 by `rclone serve`
//! - [`daemons`]: sshd, vsftpd, proftpd, Samba, Apache, nginx and lighttpd
//! - [`google_account`]: a test environment whose Plakar backs up Google Photos
//! - [`certificates`]: TLS certificates of both sides
//! - [`doc_snippets`]: code blocks of the documentation
//! - [`contract`]: docs/contract.md, as generated from `wit/`
//! - [`comparison`]: several ways to do the same work, and their medians
//! - [`stats`]: peak memory and medians of times
//! - [`photos`]: an emulator of Google Photos that counts calls and injects faults
//! - [`faulty_http_server`]: a plain web server that counts requests and breaks on demand
//! - [`range_server`]: a WebDAV server that honours ranges and counts what is fetched
//! - [`takeout`]: a maker of Google Takeout exports
//! - [`scripted`]: a web server with the answers of a test
//! - [`plugin`]: the importer, driven without Plakar
//! - [`raw_grpc_client`]: the same by a hostile client
//! - [`repository`]: a Kloset store on a remote, by plakar's commands
//! - [`secret_scan`]: secrets that programs left in memory and in files
//! - [`service`]: the multi-tenant service, and clients of it
//! - [`seeded`]: tests that are generated from a number
//! - [`processes`]: running processes, by /proc

pub mod certificates;
pub mod comparison;
pub mod contract;
pub mod daemons;
pub mod doc_snippets;
pub mod env;
pub mod faulty_http_server;
pub mod google_account;
pub mod latency_proxy;
pub mod photos;
pub mod plugin;
pub mod processes;
pub mod range_server;
pub mod raw_grpc_client;
pub mod repository;
pub mod scripted;
pub mod secret_scan;
pub mod seeded;
pub mod servers;
pub mod service;
pub mod stats;
pub mod store_client;
pub mod takeout;
pub mod tools;
pub mod tree;
pub mod upload_faults;

pub use env::{Run, TestEnv};
