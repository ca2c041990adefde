//! Where the programs under test are: `just tools package` puts them there.

use std::env;
use std::path::{Path, PathBuf};

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The package as `plakar pkg create` made it.
pub fn package() -> PathBuf {
    existing(repository().join("bin").join(package_of("rclone")))
}

/// The package of the example connector.
pub fn example() -> PathBuf {
    existing(repository().join("examples/documents/bin").join(package_of("documents")))
}

/// Name that `plakar pkg create` gives a package on this machine.
pub fn package_of(name: &str) -> String {
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    format!("{name}_v0.1.0_linux_{arch}.ptar")
}

/// The program of the package.
pub fn plakbox() -> PathBuf {
    existing(repository().join("bin/plakbox"))
}

/// The component of the package.
pub fn component() -> PathBuf {
    existing(repository().join("bin/rclone.wasm"))
}

/// The component that does what no connector should.
pub fn rogue() -> PathBuf {
    existing(repository().join("bin/rogue.wasm"))
}

/// The program that stands in rclone's place and tries what it shouldn't.
pub fn probe() -> PathBuf {
    existing(repository().join("bin/probe"))
}

/// Plakar's executable.
pub fn plakar() -> PathBuf {
    in_path("plakar")
}

/// rclone's executable.
pub fn rclone() -> PathBuf {
    in_path("rclone")
}

fn in_path(name: &str) -> PathBuf {
    env::split_paths(&env::var_os("PATH").unwrap())
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not in PATH: run the tests by `make test`"))
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} is missing: run the tests by `make test`", path.display());
    path
}
