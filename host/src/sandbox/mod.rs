//! Where a connector runs: a WebAssembly component that can call what was linked
//! to it and nothing else. Only this module knows wasmtime.
//!
//! - [`component`]: loading a component, compiled ahead or now
//! - [`precompiled`]: whether code that was compiled ahead is taken
//! - [`imports`]: what a component may import, and what it must export
//! - [`limits`]: memory and time
//! - [`capability`]: the `rclone` interface, as the component sees it
//! - [`streams`]: bytes and items across the border
//! - [`session`]: one instance at work

mod capability;
mod component;
mod imports;
mod limits;
mod precompiled;
mod session;
mod streams;

pub use component::{Connector, Connectors, Load, beside, compile, file_of, inspect};

pub use session::{Begun, Scan, Session, stopped};
