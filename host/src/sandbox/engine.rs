//! Loading a component: compiled ahead where that fits, else compiled now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_io::IoView;

use super::import_allowlist::Inspection;
use super::limits::{self, Limits};
use super::precompiled;
use crate::connector::bindings::ConnectorPre;
use crate::connector::{Failure, Reason};
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
            limits: Limits::of(&rclone.grant().limits, rclone.account().clone()),
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
fn engine(pool: Option<PoolingAllocationConfig>) -> Result<Engine, Failure> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.memory_init_cow(true);
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        // Stacks are used again, by whoever comes next.
        config.async_stack_zeroing(true);
    }
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
    let engine = engine(None)?;
    let component = load(&engine, path, Load::Compile)?;
    Ok(Inspection::of(&component, &engine))
}

/// Compiles a component ahead, for this version of this program.
pub fn compile(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let code = engine(None)?.precompile_component(&bytes);
    let code = code.map_err(|error| senseless(path, &error))?;
    Ok(precompiled::sealed(code, &bytes))
}

impl Connector {
    /// Loads the component at `path`, refusing what isn't granted.
    pub fn load(path: &Path, how: Load) -> Result<Self, Failure> {
        let engine = engine(None)?;
        limits::tick(&engine);
        Self::load_for(engine, path, how)
    }

    fn load_for(engine: Engine, path: &Path, how: Load) -> Result<Self, Failure> {
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
        Ok(Self { engine, pre })
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn pre(&self) -> &ConnectorPre<Cell> {
        &self.pre
    }
}

/// The connectors of a service: one engine, whose instances come from a pool, and each
/// connector loaded once.
pub struct Connectors {
    engine: Engine,
    /// Where `PROTOCOL.wasm` lies.
    directory: PathBuf,
    loaded: Mutex<BTreeMap<String, Arc<Connector>>>,
}

impl Connectors {
    /// Connectors in this directory, of which so many instances run at the same time, each
    /// with so many bytes of memory at most.
    pub fn new(directory: PathBuf, sessions: u32, memory: usize) -> Result<Self, Failure> {
        let mut pool = PoolingAllocationConfig::new();
        // A session's place is free a moment before its instance is gone.
        let sessions = sessions.saturating_mul(2);
        // A component has a core module of its own and a few that adapt it.
        let modules = sessions.saturating_mul(8);
        pool.total_component_instances(sessions)
            .total_core_instances(modules)
            .total_memories(sessions.saturating_mul(2))
            .total_tables(modules)
            .total_stacks(sessions.saturating_mul(16))
            .max_memories_per_component(2)
            .max_memory_size(memory)
            .table_elements(1 << 14)
            // What a session leaves behind is gone before the next one gets its place.
            .linear_memory_keep_resident(0)
            .table_keep_resident(0);
        let engine = engine(Some(pool))?;
        limits::tick(&engine);
        Ok(Self { engine, directory, loaded: Mutex::default() })
    }

    /// The connector of a protocol.
    pub fn get(&self, protocol: &str) -> Result<Arc<Connector>, Failure> {
        let path = file_of(&self.directory, protocol)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = loaded.get(protocol) {
            return Ok(connector.clone());
        }
        let connector = Arc::new(Connector::load_for(self.engine.clone(), &path, Load::Ready)?);
        loaded.insert(protocol.to_owned(), connector.clone());
        Ok(connector)
    }
}

/// Where the connector of a protocol lies in a directory of them.
pub fn file_of(directory: &Path, protocol: &str) -> Result<PathBuf, Failure> {
    // As Plakar has it (kloset's location.allowedInUri).
    let plain = |char: char| char.is_ascii_alphanumeric() || "+-.".contains(char);
    if protocol.chars().all(plain) {
        return Ok(directory.join(format!("{protocol}.wasm")));
    }
    Err(Failure::new(
        Reason::InvalidConfiguration,
        format!("`{}` is no protocol: set the location to rclone://", protocol.escape_debug()),
    ))
}

/// The directory of this program, where the connectors of its package lie.
pub fn beside() -> Result<PathBuf, Failure> {
    let executable = std::env::current_exe().map_err(|error| {
        Failure::internal(format!("this program doesn't know where it is: {error}"))
    })?;
    Ok(executable.parent().unwrap_or(Path::new("/")).to_owned())
}

fn load(engine: &Engine, path: &Path, how: Load) -> Result<Component, Failure> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let ahead = path.with_extension("cwasm");
    if how == Load::Ready && ahead.exists() {
        match precompiled::load(engine, &ahead, &bytes) {
            Ok(component) => return Ok(component),
            Err(unfit) => tracing::warn!(
                "`{}` isn't used, and the component is compiled now, which takes seconds: {unfit}",
                ahead.display()
            ),
        }
    }
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

/// Links what [`super::import_allowlist`] grants, interface by interface.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<Cell>> {
    use crate::connector::bindings::plakar::connector::{rclone, types};
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
