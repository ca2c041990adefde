//! The table of what rclone leaves out, kept beside the code that reads it, knows what the
//! pinned rclone can say of these kinds.

use plakbox_tests::tools;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The parts of rclone's source that list, read and copy.
const SCOPE: [&str; 8] = [
    "backend",
    "cmd/lsjson",
    "cmd/serve/restic",
    "fs/list",
    "fs/march",
    "fs/operations",
    "fs/sync",
    "fs/walk",
];

/// Words of a sentence that may tell of an omission, in lower case.
const KINDS: [&str; 18] = [
    "ignor",
    "skip",
    "bad",
    "belong",
    "ancestor",
    "duplicate",
    "invalid",
    "decrypt",
    "missing",
    "not found",
    "can't",
    "couldn't",
    "failed",
    "unexpected",
    "unknown",
    "dangling",
    "unsupported",
    "exclud",
];

/// Names of rclone's functions that log.
const LOGS: [&str; 5] = ["fs.Errorf(", "fs.Logf(", "fs.Infof(", "fs.Debugf(", "fs.Noticef("];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    rclone: String,
    file: Vec<File>,
    elsewhere: Vec<Elsewhere>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    path: String,
    places: Vec<TestEnv>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct TestEnv {
    line: usize,
    before: usize,
    when: String,
    does: String,
    level: String,
    says: Option<String>,
    object: Option<String>,
    decided: String,
    help: Option<String>,
    why: String,
}

/// Sentences of a file that can't come while a remote is listed, read or written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    path: String,
    says: Vec<String>,
}

fn table() -> Table {
    let path = tools::repository().join("host/src/rclone/process/omissions.toml");
    toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The source of the pinned rclone; `None`, with a line, where Go can't get it.
fn source() -> Option<PathBuf> {
    let go = |args: &[&str]| {
        let module = tools::repository().join("tests/tools/rclone");
        Command::new("go").args(args).current_dir(module).output().ok()
    };
    go(&["mod", "download", "github.com/rclone/rclone"]);
    let listed = go(&["list", "-m", "-f", "{{.Dir}}", "github.com/rclone/rclone"]);
    let directory = listed.map(|output| String::from_utf8(output.stdout).unwrap());
    let directory = directory.map(|text| PathBuf::from(text.trim())).filter(|path| path.is_dir());
    if directory.is_none() {
        println!("rclone's source was not looked at: Go is missing, or can't get it");
    }
    directory
}

/// Every file of Go's below a directory that isn't a test.
fn go_files(directory: &Path) -> Vec<PathBuf> {
    let files = plakbox_tests::env::files_below(directory).into_iter();
    let is_source = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".go") && !name.ends_with("_test.go")
    };
    files.filter(is_source).collect()
}

/// The messages about objects in a source file: line numbers and sentences.
fn sentences(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("//") {
            continue;
        }
        for log in LOGS {
            let Some((_, rest)) = line.split_once(log) else { continue };
            let Some((object, rest)) = rest.split_once(", ") else { continue };
            if object == "nil" {
                continue;
            }
            found.extend(literal(rest).map(|sentence| (at + 1, sentence)));
        }
    }
    found
}

/// The string that a text begins with, as Go writes it.
fn literal(text: &str) -> Option<String> {
    if let Some(raw) = text.strip_prefix('`') {
        return raw.split_once('`').map(|(raw, _)| raw.to_owned());
    }
    let mut chars = text.strip_prefix('"')?.chars();
    let mut sentence = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(sentence),
            '\\' => match chars.next()? {
                'n' => sentence.push('\n'),
                't' => sentence.push('\t'),
                char => sentence.push(char),
            },
            char => sentence.push(char),
        }
    }
}

fn is_of_a_kind(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    KINDS.iter().any(|word| lower.contains(word))
}

#[test]
fn every_sentence_of_the_pinned_rclone_that_may_tell_of_an_omission_is_decided() {
    let Some(source) = source() else { return };
    let table = table();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for File { path, places } in &table.file {
        let says = places.iter().filter_map(|place| place.says.clone());
        known.entry(path.clone()).or_default().extend(says);
    }
    for Elsewhere { path, says } in &table.elsewhere {
        known.entry(path.clone()).or_default().extend(says.iter().cloned());
    }
    let mut unknown = Vec::new();
    for directory in SCOPE {
        for path in go_files(&source.join(directory)) {
            let file = path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
            for (line, sentence) in sentences(&fs::read_to_string(&path).unwrap()) {
                let is_known = known.get(&file).is_some_and(|says| says.contains(&sentence));
                if is_of_a_kind(&sentence) && !is_known {
                    unknown.push(format!("{file}:{line}: {sentence}"));
                }
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "read in rclone's source what these tell, and add each to omissions.toml:\n{}",
        unknown.join("\n")
    );
}

#[test]
fn the_table_names_the_pinned_rclone_and_lines_that_are_there() {
    let table = table();
    let pinned = fs::read_to_string(tools::repository().join("tests/tools/rclone/go.mod")).unwrap();
    assert!(pinned.contains(&format!("github.com/rclone/rclone v{}", table.rclone)));
    let places = || table.file.iter().flat_map(|file| &file.places);
    assert!(places().count() > 900, "{}", places().count());
    for place in places() {
        let decided = ["path", "run", "right", "limit"].contains(&place.decided.as_str());
        assert!(decided && !place.why.is_empty(), "{}: {}", place.line, place.decided);
    }
    let Some(source) = source() else { return };
    for File { path, places } in &table.file {
        // What only the oldest supported rclone has is on no line of the pinned one.
        let places: Vec<_> = places.iter().filter(|place| place.line > 0).collect();
        if places.is_empty() {
            continue;
        }
        let text = fs::read_to_string(source.join(path)).unwrap();
        for TestEnv { line, says, .. } in places {
            assert!(text.lines().nth(line - 1).is_some(), "{path}:{line}");
            if let Some(says) = says {
                let heard = sentences(&text).into_iter().any(|(_, sentence)| sentence == *says);
                let literal = says.split('%').next().unwrap();
                assert!(heard || text.contains(literal), "{path}:{line} doesn't say `{says}`");
            }
        }
    }
}
