//! Runs connectors: WebAssembly components that have rclone's verbs as their only capability.
//! Only this module knows wasmtime.
//!
//! - [`bindings`]: the bindings of the WIT world
//! - [`engine`]: the engine, and the state of each instance
//! - [`connectors`]: components that may run
//! - [`loader`]: loads components, precompiled or compiled now
//! - [`precompiled`]: checks code that was compiled ahead
//! - [`import_allowlist`]: what a component may import, and what it must export
//! - [`linker`]: links these imports
//! - [`limits`]: memory and time
//! - [`host`]: the interfaces that a component imports
//! - [`streams`]: bytes and items between host and component
//! - [`instance`]: one instance at work

mod bindings;
mod connectors;
mod engine;
mod host;
mod import_allowlist;
mod instance;
mod limits;
mod linker;
mod loader;
mod precompiled;
mod streams;

pub use bindings::exports::plakar::connector::importer::ScanEvent;
pub use bindings::storage::exports::plakar::connector::store::{Mac, ObjectKind, Range};
pub use connectors::{Connector, Connectors};
pub use instance::{PendingCall, Scan, Session, StopSignal, wait_for_stop};
pub use loader::{CodeSource, compile, component_path, inspect, program_directory};
