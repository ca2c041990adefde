//! `plakbox`: runs a sandboxed connector for Plakar. Everything is in the library.

use std::process::ExitCode;

/// Allocates faster than the system's allocator: each file costs dozens of small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    plakbox::run()
}
