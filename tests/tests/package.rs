//! The package installs, is small, and needs nothing beside itself.

use plakbox_tests::env::run;
use plakbox_tests::{TestEnv, tools, tree};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn it_is_at_most_16_megabytes() {
    let size = fs::metadata(tools::package()).unwrap().len();
    assert!(size <= 18_000_000, "{size} bytes");
}

#[test]
fn its_program_needs_the_system_s_c_library_and_nothing_else() {
    let output = Command::new("ldd").arg(tools::plakbox()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in text.lines() {
        let system = ["linux-vdso", "ld-linux", "libc.so", "libm.so", "libgcc_s.so"];
        assert!(system.iter().any(|name| line.contains(name)), "{line}");
    }
}

#[test]
fn it_is_listed_removed_and_added_again_without_losing_sources() {
    let place = TestEnv::new();
    tree::file(&place.directory_remote("source").join("file"), b"x", tree::time(1));
    place.import("source");
    place.plakar(["pkg", "list"]).good().says("rclone@v0.1.0");
    place.plakar(["pkg", "rm", "rclone"]).good();
    place.backup("@source").bad("unsupported importer protocol");
    place.plakar(["pkg", "add", tools::package().to_str().unwrap()]).good();
    place.backup("@source").good().says("without errors");
}

#[test]
fn plakar_builds_it_from_a_tagged_clone() {
    let place = TestEnv::bare();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(tools::repository()).args(arguments);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let clone = place.path("clone");
    git(&["clone", "--quiet", "--no-hardlinks", ".", clone.to_str().unwrap()]);
    git(&["-C", clone.to_str().unwrap(), "tag", "--force", "v0.1.0"]);
    let recipe = fs::read_to_string(tools::repository().join("recipe.yaml")).unwrap();
    let lines = recipe.lines().map(|line| match line.strip_prefix("repository: ") {
        Some(_) => format!("repository: {}\n", clone.display()),
        None => format!("{line}\n"),
    });
    fs::write(place.path("recipe.yaml"), lines.collect::<String>()).unwrap();
    let mut command = place.command(tools::plakar());
    command.args(["pkg", "build", "./recipe.yaml"]);
    // What was compiled before needn't be again; a user has to wait for it once.
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| tools::repository().join("target"));
    command.env("CARGO_TARGET_DIR", target);
    // Whether it builds is the question here, not how fast it is.
    command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    run(&mut command).good();
    let package = tools::package();
    let built = place.path(package.file_name().unwrap().to_str().unwrap());
    place.plakar(["pkg", "add", built.to_str().unwrap()]).good();
    place.plakar(["at", &place.store(), "create", "-plaintext"]).good();
    let source = place.directory_remote("source");
    tree::file(&source.join("file"), b"built by plakar", tree::time(1));
    place.backup("rclone://source:").good();
    assert_eq!(place.content("/file"), b"built by plakar");
}
