//! The source keeps to the house rules: layers, sizes, words, docs and messages.

mod docs;
mod imports;
mod messages;

use plakbox_tests::tools;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Words of a dialect, for which plain technical English has others.
const BANNED: [&str; 7] =
    ["whoever", "nobody", "somebody", "anew", "in vain", "is no", "makes no sense"];

const MAX_LINES: usize = 400;
const MAX_COLUMNS: usize = 120;
const MAX_FILES: usize = 12;

/// All files below a directory with one of these endings.
fn files(directory: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned());
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if ending.is_some_and(|ending| endings.contains(&&*ending)) {
            found.push(path);
        }
    }
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(tools::repository()).unwrap().display().to_string()
}

/// A module's path within its crate, as its segments.
type Module = Vec<String>;

/// Whether a module in a file is for tests alone.
fn has_cfg_test(item: &syn::ItemMod) -> bool {
    item.attrs.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|ident| ident == "test")
    })
}

/// The files of a crate by their modules.
fn modules(source: &Path) -> BTreeMap<Module, PathBuf> {
    let module = |path: &Path| {
        let name = path.strip_prefix(source).unwrap().with_extension("");
        let mut module: Module =
            name.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let root = module.len() == 1 && ["lib", "main"].contains(&&*module[0]);
        if root || module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        module
    };
    files(source, &["rs"]).into_iter().map(|path| (module(&path), path)).collect()
}

/// Whether a module is for tests alone.
fn is_test(module: &Module) -> bool {
    module.iter().any(|name| name == "tests" || name == "random_inputs")
}

#[test]
fn lines_are_short_enough_to_be_formatted() {
    for source in ["host/src", "guest/src", "tests/src", "tests/tests", "tests/rogue", "examples"] {
        for path in files(&tools::repository().join(source), &["rs"]) {
            let text = fs::read_to_string(&path).unwrap();
            let columns = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
            assert!(columns <= MAX_COLUMNS, "{} has a line of {columns} columns", shown(&path));
        }
    }
}

#[test]
fn files_and_folders_are_small() {
    for source in ["host/src", "guest/src"] {
        let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for path in files(&tools::repository().join(source), &["rs"]) {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{} has {lines} lines", shown(&path));
            *folders.entry(path.parent().unwrap().to_owned()).or_default() += 1;
        }
        for (folder, count) in folders {
            assert!(count <= MAX_FILES, "{} has {count} files", shown(&folder));
        }
    }
}

#[test]
fn no_words_of_a_dialect_are_used() {
    let repository = tools::repository();
    let mut all = vec![repository.join("README.md"), repository.join("CONTRIBUTING.md")];
    for directory in ["host/src", "guest/src", "wit", "docs", "tests", "examples"] {
        all.extend(files(&repository.join(directory), &["rs", "md", "sh", "wit"]));
    }
    all.retain(|path| !path.ends_with("tests/source/mod.rs"));
    let mut found = Vec::new();
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase().replace("is no longer", "").replace("there is no", "");
            let words =
                format!(" {line} ").replace(|it: char| !it.is_alphanumeric() && it != '_', " ");
            let banned = BANNED.iter().filter(|word| words.contains(&format!(" {word} ")));
            found.extend(banned.map(|word| format!("{}:{}: {word}", shown(&path), number + 1)));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
