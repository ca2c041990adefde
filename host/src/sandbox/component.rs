//! Loading a component: compiled ahead where that fits, else compiled now.

use std::path::Path;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_io::IoView;

use super::imports::Inspection;
use super::limits::{self, Limits};
use crate::contract::bindings::ConnectorPre;
use crate::contract::{Failure, Reason};
use crate::rclone::Rclone;

/// What one instance has: its limits, its handles, an empty WASI and the capability.
pub struct Cell {
    pub limits: Limits,
    pub table: ResourceTable,
    wasi: WasiCtx,
    pub rclone: Rclone,
}

impl Cell {
    pub fn new(rclone: Rclone) -> Self {
        Self {
            limits: Limits::of(&rclone.grant().limits),
            table: ResourceTable::new(),
            wasi: WasiCtx::builder().build(),
            rclone,
        }
    }
}

impl WasiView for Cell {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl IoView for Cell {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

/// How a component's code gets ready to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Compiled ahead if it was, else now.
    Ready,
    /// Compiled now, whatever lies beside it.
    Compile,
}

/// A component that was found fit to run.
pub struct Connector {
    engine: Engine,
    pre: ConnectorPre<Cell>,
}

/// The engine that components are compiled for and run by.
fn engine() -> Result<Engine, Failure> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.memory_init_cow(true);
    // Code for any machine of this architecture, so that it can be compiled ahead.
    config
        .target(TARGET)
        .and_then(|config| Engine::new(config))
        .map_err(|error| Failure::internal(format!("wasmtime doesn't start: {error:#}")))
}

/// The architecture's baseline.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
const TARGET: &str = "x86_64-unknown-linux-gnu";
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
const TARGET: &str = "aarch64-unknown-linux-gnu";
#[cfg(all(target_arch = "x86_64", target_os = "macos"))]
const TARGET: &str = "x86_64-apple-darwin";
#[cfg(all(target_arch = "aarch64", target_os = "macos"))]
const TARGET: &str = "aarch64-apple-darwin";

/// Reads a component and says what it imports and exports.
pub fn inspect(path: &Path) -> Result<Inspection, Failure> {
    let engine = engine()?;
    let component = load(&engine, path, Load::Compile)?;
    Ok(Inspection::of(&component, &engine))
}

/// Compiles a component ahead, for this version of this program.
pub fn compile(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    engine()?.precompile_component(&bytes).map_err(|error| senseless(path, &error))
}

impl Connector {
    /// Loads the component at `path`, refusing what isn't granted.
    pub fn load(path: &Path, how: Load) -> Result<Self, Failure> {
        let engine = engine()?;
        let component = load(&engine, path, how)?;
        let refused = |why: String| {
            let message = format!("the component `{}` is refused: {why}", path.display());
            Failure::new(Reason::Denied, message)
        };
        Inspection::of(&component, &engine).verdict().map_err(|why| refused(why.to_string()))?;
        let linker = linker(&engine).map_err(|error| Failure::internal(format!("{error:#}")))?;
        let pre = linker
            .instantiate_pre(&component)
            .and_then(ConnectorPre::new)
            .map_err(|error| refused(format!("{error:#}")))?;
        limits::tick(&engine);
        Ok(Self { engine, pre })
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn pre(&self) -> &ConnectorPre<Cell> {
        &self.pre
    }
}

fn load(engine: &Engine, path: &Path, how: Load) -> Result<Component, Failure> {
    let ahead = path.with_extension("cwasm");
    if how == Load::Ready && ahead.is_file() {
        // SAFETY: the file lies beside this executable, in the same package: whoever
        // could put other code there could change the executable itself.
        match unsafe { Component::deserialize_file(engine, &ahead) } {
            Ok(component) => return Ok(component),
            Err(error) => {
                tracing::info!("`{}` doesn't fit, compiling anew: {error:#}", ahead.display());
            }
        }
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    Component::from_binary(engine, &bytes).map_err(|error| senseless(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("the component `{}` can't be read: {error}", path.display());
    Failure::new(Reason::InvalidConfiguration, message)
}

fn senseless(path: &Path, error: &wasmtime::Error) -> Failure {
    let message = format!("`{}` is no component that can be run: {error:#}", path.display());
    Failure::new(Reason::InvalidConfiguration, message)
}

/// Links what [`super::imports`] grants, interface by interface.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<Cell>> {
    use crate::contract::bindings::plakar::connector::{rclone, types};
    use wasmtime_wasi::cli::{WasiCli, WasiCliView};
    use wasmtime_wasi::p2::bindings::cli;
    use wasmtime_wasi::p2::bindings::random;
    use wasmtime_wasi::random::WasiRandom;

    let mut linker = Linker::new(engine);
    let l = &mut linker;
    cli::environment::add_to_linker::<Cell, WasiCli>(l, Cell::cli)?;
    cli::exit::add_to_linker::<Cell, WasiCli>(l, Cell::cli)?;
    cli::stdin::add_to_linker::<Cell, WasiCli>(l, Cell::cli)?;
    cli::stdout::add_to_linker::<Cell, WasiCli>(l, Cell::cli)?;
    cli::stderr::add_to_linker::<Cell, WasiCli>(l, Cell::cli)?;
    cli::terminal_input::add_to_linker::<Cell, WasiCli>(l, Cell::cli)?;
    cli::terminal_output::add_to_linker::<Cell, WasiCli>(l, Cell::cli)?;
    cli::terminal_stdin::add_to_linker::<Cell, WasiCli>(l, Cell::cli)?;
    cli::terminal_stdout::add_to_linker::<Cell, WasiCli>(l, Cell::cli)?;
    cli::terminal_stderr::add_to_linker::<Cell, WasiCli>(l, Cell::cli)?;
    random::random::add_to_linker::<Cell, WasiRandom>(l, |cell| cell.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<Cell, WasiRandom>(l, |cell| cell.ctx().ctx.random())?;
    wasmtime_wasi_io::add_to_linker_async(l)?;
    types::add_to_linker::<Cell, HasSelf<Cell>>(l, |cell| cell)?;
    rclone::add_to_linker::<Cell, HasSelf<Cell>>(l, |cell| cell)?;
    Ok(linker)
}
