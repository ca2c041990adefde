//! Loads components: precompiled where that is valid, or else compiled now.

use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::engine::engine;
use super::import_allowlist::ComponentInterface;
use super::precompiled;
use crate::connector::Failure;

/// The source of a component's machine code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CodeSource {
    /// The `.cwasm` file next to the component if it is valid, or else compilation.
    Precompiled,
    /// Compilation, even if there is precompiled code.
    Compile,
}

/// Reads a component, and returns what it imports and exports.
///
/// # Errors
///
/// Fails if the file isn't a component.
pub fn inspect(path: &Path) -> Result<ComponentInterface, Failure> {
    let engine = engine(None)?;
    let component = load(&engine, path, CodeSource::Compile)?;
    Ok(ComponentInterface::new(&component, &engine))
}

/// Compiles a component ahead, for this version of this program.
///
/// # Errors
///
/// Fails if the file isn't a component.
pub fn compile(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let code = engine(None)?.precompile_component(&bytes);
    let code = code.map_err(|error| not_a_component(path, &error))?;
    Ok(precompiled::append_digest(code, &bytes))
}

/// Returns the file of a protocol's connector in a directory of them.
///
/// # Errors
///
/// Fails if the protocol has characters that Plakar doesn't allow in one.
pub fn component_path(directory: &Path, protocol: &str) -> Result<PathBuf, Failure> {
    // Source: kloset's location.allowedInUri.
    let is_allowed = |char: char| char.is_ascii_alphanumeric() || "+-.".contains(char);
    if protocol.chars().all(is_allowed) {
        return Ok(directory.join(format!("{protocol}.wasm")));
    }
    let protocol = protocol.escape_debug();
    Err(Failure::invalid_config(format!("`{protocol}` is not a valid protocol"))
        .with_help("set the location to rclone://"))
}

/// Returns the directory of this program, which has the connectors of its package.
///
/// # Errors
///
/// Fails if the system doesn't say where this program is.
pub fn program_directory() -> Result<PathBuf, Failure> {
    let executable = std::env::current_exe().map_err(|error| {
        Failure::internal(format!("this program doesn't know where it is: {error}"))
    })?;
    Ok(executable.parent().unwrap_or(Path::new("/")).to_owned())
}

/// Loads the component at `path`.
pub(super) fn load(engine: &Engine, path: &Path, source: CodeSource) -> Result<Component, Failure> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let code = path.with_extension("cwasm");
    if source == CodeSource::Precompiled && code.exists() {
        match precompiled::load(engine, &code, &bytes) {
            Ok(component) => return Ok(component),
            Err(error) => tracing::warn!(
                "`{}` isn't used, and the component is compiled now, which takes seconds: {error}",
                code.display()
            ),
        }
    }
    Component::from_binary(engine, &bytes).map_err(|error| not_a_component(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let path = path.display();
    Failure::invalid_config(format!("the component `{path}` can't be read: {error}"))
}

fn not_a_component(path: &Path, error: &wasmtime::Error) -> Failure {
    let path = path.display();
    Failure::invalid_config(format!("`{path}` is not a component that can be run: {error:#}"))
}
