//! docs/write-a-connector.md does what it says: a reader who follows it from an empty
//! directory has the example, and a backup.

use plakbox_tests::env::run;
use plakbox_tests::{TestEnv, doc_snippets, tools, tree};
use std::fs;
use std::path::Path;

/// The page's blocks in this language, one after the other.
fn blocks(language: &str) -> String {
    doc_snippets::blocks("write-a-connector.md", language).join("\n")
}

fn of_example(name: &str) -> String {
    fs::read_to_string(tools::repository().join("examples/documents").join(name)).unwrap()
}

#[test]
fn it_shows_the_whole_example_which_is_short() {
    let code = of_example("src/lib.rs");
    assert!(code.lines().count() < 200, "the example has {} lines", code.lines().count());
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    assert_eq!(lines(&blocks("rust")), lines(&code.replace("../../wit", "wit")));
    assert_eq!(blocks("yaml"), of_example("manifest.yaml"));
}

#[test]
fn its_steps_lead_from_an_empty_directory_to_a_backup() {
    let place = TestEnv::bare();
    let (repository, here) = (tools::repository(), place.path("documents"));
    fs::create_dir_all(here.join("src")).unwrap();
    fs::create_dir_all(here.join("wit")).unwrap();
    for file in fs::read_dir(repository.join("wit")).unwrap().flatten() {
        fs::copy(file.path(), here.join("wit").join(file.file_name())).unwrap();
    }
    fs::write(here.join("Cargo.toml"), blocks("toml")).unwrap();
    fs::write(here.join("src/lib.rs"), blocks("rust")).unwrap();
    fs::write(here.join("manifest.yaml"), blocks("yaml")).unwrap();
    // The crates that are here already; a newcomer gets the newest.
    fs::copy(repository.join("Cargo.lock"), here.join("Cargo.lock")).unwrap();
    let bin = here.join("bin");
    fs::create_dir(&bin).unwrap();
    fs::copy(build(&place, &here), bin.join("documents.wasm")).unwrap();
    fs::copy(tools::plakbox(), bin.join("plakbox")).unwrap();
    let step = |program: &Path, arguments: &[&str]| {
        run(place.command(program).current_dir(&here).args(arguments)).good()
    };
    step(&bin.join("plakbox"), &["inspect", "bin/documents.wasm"]).says("it would be run");
    step(&bin.join("plakbox"), &["compile", "bin/documents.wasm", "bin/documents.cwasm"]);
    step(&tools::plakar(), &["-disable-security-check"]);
    step(&tools::plakar(), &["pkg", "create", "./manifest.yaml", "v0.1.0"]);
    let package = here.join(tools::package_of("documents"));
    step(&tools::plakar(), &["pkg", "add", package.to_str().unwrap()]);
    step(&tools::plakar(), &["at", &place.store(), "create", "-plaintext"]);
    let source = place.directory_remote("source");
    tree::file(&source.join("letter.txt"), b"dear reader", tree::time(1));
    place.backup("documents://source:").good();
    assert_eq!(place.content("/letter.txt"), b"dear reader");
}

/// Builds the component; gives where it is.
fn build(place: &TestEnv, here: &Path) -> std::path::PathBuf {
    let target = place.path("target");
    let mut command = place.command("cargo");
    command.current_dir(here).env("CARGO_TARGET_DIR", &target);
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let profile = ["build", "--release", "--offline", "--target", "wasm32-wasip2"];
    run(command.args(profile)).good();
    target.join("wasm32-wasip2/release/documents.wasm")
}
