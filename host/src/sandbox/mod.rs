//! Where a connector runs: a WebAssembly component that can call what was linked
//! to it and nothing else. Only this module knows wasmtime.
//!
//! - [`engine`]: loading a component, compiled ahead or now
//! - [`precompiled`]: whether code that was compiled ahead is taken
//! - [`import_allowlist`]: what a component may import, and what it must export
//! - [`limits`]: memory and time
//! - [`host`]: the `rclone` interface, as the component sees it
//! - [`streams`]: bytes and items across the border
//! - [`instance`]: one instance at work

mod engine;
mod host;
mod import_allowlist;
mod instance;
mod limits;
mod precompiled;
mod streams;

pub use engine::{Connector, Connectors, Load, beside, compile, file_of, inspect};

pub use instance::{Begun, Scan, Session, stopped};
