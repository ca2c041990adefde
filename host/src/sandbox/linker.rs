//! Links what [`super::import_allowlist`] grants, interface by interface.

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::p2::bindings::{cli, random};
use wasmtime_wasi::random::WasiRandom;

use super::bindings::plakar::connector::{cache, rclone};
use super::bindings::storage::plakar::connector::objects;
use super::engine::HostState;
use crate::connector::types;

/// Makes the linker of all connectors.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    cli::environment::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    cli::exit::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    cli::stdin::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    cli::stdout::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    cli::stderr::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    cli::terminal_input::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    cli::terminal_output::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    cli::terminal_stdin::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    cli::terminal_stdout::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    cli::terminal_stderr::add_to_linker::<HostState, WasiCli>(l, HostState::cli)?;
    random::random::add_to_linker::<HostState, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<HostState, WasiRandom>(l, |state| {
        state.ctx().ctx.random()
    })?;
    wasmtime_wasi_io::add_to_linker_async(l)?;
    types::add_to_linker::<HostState, HasSelf<HostState>>(l, |state| state)?;
    rclone::add_to_linker::<HostState, HasSelf<HostState>>(l, |state| state)?;
    cache::add_to_linker::<HostState, HasSelf<HostState>>(l, |state| state)?;
    objects::add_to_linker::<HostState, HasSelf<HostState>>(l, |state| state)?;
    Ok(linker)
}
