//! The imports that a component may have, and the exports that it must have. Every other import
//! is refused.

use std::fmt;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::connector::Failure;

/// The capability of a connector.
const CAPABILITY: &str = "plakar:connector/rclone@0.2.0";
/// The capability of a store, which every session but one of a store is refused.
const OBJECTS: &str = "plakar:connector/objects@0.2.0";
/// Bytes that are kept for later sessions of the same remote.
const CACHE: &str = "plakar:connector/cache@0.2.0";
/// The types of the capability, which can do nothing.
const TYPES: &str = "plakar:connector/types@0.2.0";

/// The interfaces of WASI 0.2 that Rust's standard library needs to start, to panic and to
/// seed its hash maps: an empty environment, silent standard streams, random bytes
/// and clocks. No files, no sockets, no arguments worth reading.
const WASI: [&str; 15] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// The exports that a component must have.
const EXPORTS: [&str; 2] = ["plakar:connector/importer@0.2.0", "plakar:connector/exporter@0.2.0"];

/// The names of a component's imports and exports.
#[derive(Debug)]
pub struct ComponentInterface {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// The reason why a component is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("it imports `{0}`, which no connector is granted")]
    NotGranted(String),
    #[error("it doesn't export `{0}`")]
    MissingExport(&'static str),
}

impl ImportError {
    /// Returns the failure, with what the component's author can do.
    pub fn into_failure(self) -> Failure {
        Failure::denied(self.to_string()).with_help(match self {
            Self::NotGranted(_) => "build it against wit/ alone",
            Self::MissingExport(_) => "build it for the world `plakar:connector/connector`",
        })
    }
}

impl ComponentInterface {
    /// Reads the names from a component.
    pub fn new(component: &Component, engine: &Engine) -> Self {
        let ty = component.component_type();
        Self {
            imports: ty.imports(engine).map(|(name, _)| name.to_owned()).collect(),
            exports: ty.exports(engine).map(|(name, _)| name.to_owned()).collect(),
        }
    }

    /// Checks whether the component would be run.
    ///
    /// # Errors
    ///
    /// Fails if it has an import that isn't granted, or lacks an export.
    pub fn check(&self) -> Result<(), ImportError> {
        if let Some(import) = self.imports.iter().find(|import| !is_granted(import)) {
            return Err(ImportError::NotGranted(import.clone()));
        }
        match EXPORTS.iter().find(|export| !self.exports.iter().any(|have| have == **export)) {
            Some(export) => Err(ImportError::MissingExport(export)),
            None => Ok(()),
        }
    }
}

/// Returns whether this import is granted.
fn is_granted(import: &str) -> bool {
    let is_wasi =
        |(name, version): (&str, &str)| version.starts_with("0.2.") && WASI.contains(&name);
    [CAPABILITY, OBJECTS, CACHE, TYPES].contains(&import)
        || import.split_once('@').is_some_and(is_wasi)
}

impl fmt::Display for ComponentInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for import in &self.imports {
            writeln!(f, "imports {import}{}", if is_granted(import) { "" } else { "  (refused)" })?;
        }
        for export in &self.exports {
            writeln!(f, "exports {export}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(imports: &[&str]) -> ComponentInterface {
        ComponentInterface {
            imports: imports.iter().map(|name| name.to_string()).collect(),
            exports: EXPORTS.iter().map(|name| name.to_string()).collect(),
        }
    }

    #[test]
    fn nothing_is_granted_beyond_the_capability_and_the_least_of_wasi() {
        assert_eq!(interface(&[CAPABILITY, TYPES, "wasi:cli/stderr@0.2.6"]).check(), Ok(()));
        for import in [
            "wasi:filesystem/types@0.2.6",
            "wasi:sockets/tcp@0.2.0",
            "wasi:cli/stderr@0.3.0",
            "plakar:connector/rclone@0.1.0",
            "wasi:cli/command",
            "run",
        ] {
            let checked = interface(&[CAPABILITY, import]).check();
            assert_eq!(checked, Err(ImportError::NotGranted(import.into())));
        }
    }
}
