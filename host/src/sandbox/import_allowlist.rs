//! What a component may import, and what it must export. Everything that isn't
//! named here is refused.

use std::fmt;
use wasmtime::Engine;
use wasmtime::component::Component;

/// The capability.
const CAPABILITY: &str = "plakar:connector/rclone@0.1.0";
/// Its types, which can do nothing.
const TYPES: &str = "plakar:connector/types@0.1.0";

/// What Rust's standard library wants of WASI 0.2 to start, to panic and to seed
/// its hash maps: an empty environment, silent standard streams, random bytes
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

const EXPORTS: [&str; 2] = ["plakar:connector/importer@0.1.0", "plakar:connector/exporter@0.1.0"];

/// What a component imports and exports.
#[derive(Debug)]
pub struct Inspection {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// Whether a component would be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Verdict {
    #[error("it imports `{0}`, which no connector is granted: build it against wit/ alone")]
    Import(String),
    #[error("it doesn't export `{0}`: build it for the world `plakar:connector/connector`")]
    Export(&'static str),
}

impl Inspection {
    pub fn of(component: &Component, engine: &Engine) -> Self {
        let ty = component.component_type();
        Self {
            imports: ty.imports(engine).map(|(name, _)| name.to_owned()).collect(),
            exports: ty.exports(engine).map(|(name, _)| name.to_owned()).collect(),
        }
    }

    /// Whether the component would be run, and if not, why.
    pub fn verdict(&self) -> Result<(), Verdict> {
        if let Some(import) = self.imports.iter().find(|import| !granted(import)) {
            return Err(Verdict::Import(import.clone()));
        }
        match EXPORTS.iter().find(|export| !self.exports.iter().any(|have| have == **export)) {
            Some(export) => Err(Verdict::Export(export)),
            None => Ok(()),
        }
    }
}

/// Whether this import is granted.
pub fn granted(import: &str) -> bool {
    let wasi = |(name, version): (&str, &str)| version.starts_with("0.2.") && WASI.contains(&name);
    import == CAPABILITY || import == TYPES || import.split_once('@').is_some_and(wasi)
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for import in &self.imports {
            writeln!(f, "imports {import}{}", if granted(import) { "" } else { "  (refused)" })?;
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

    fn inspection(imports: &[&str]) -> Inspection {
        Inspection {
            imports: imports.iter().map(|name| name.to_string()).collect(),
            exports: EXPORTS.iter().map(|name| name.to_string()).collect(),
        }
    }

    #[test]
    fn nothing_is_granted_beyond_the_capability_and_the_least_of_wasi() {
        assert_eq!(inspection(&[CAPABILITY, TYPES, "wasi:cli/stderr@0.2.6"]).verdict(), Ok(()));
        for import in [
            "wasi:filesystem/types@0.2.6",
            "wasi:sockets/tcp@0.2.0",
            "wasi:cli/stderr@0.3.0",
            "plakar:connector/rclone@0.2.0",
            "wasi:cli/command",
            "run",
        ] {
            let verdict = inspection(&[CAPABILITY, import]).verdict();
            assert_eq!(verdict, Err(Verdict::Import(import.into())));
        }
    }
}
