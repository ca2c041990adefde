//! Generates the types of Plakar's plugin protocol from `proto/`, and the table of rclone's
//! log messages about omitted files from `omissions.toml`.

use serde::Deserialize;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

const OMISSIONS: &str = "src/rclone/process/omissions.toml";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=../wit");
    println!("cargo::rerun-if-changed={OMISSIONS}");
    let files = protox::compile(["importer.proto", "exporter.proto", "store.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".").build_client(false).compile_fds(files)?;
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("omissions.rs"), omissions()?)?;
    Ok(())
}

#[derive(Deserialize)]
struct Table {
    file: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    places: Vec<Place>,
}

/// The part of a row of `omissions.toml` that the host needs: a log call in rclone's source.
#[derive(Deserialize)]
struct Place {
    level: String,
    says: Option<String>,
    #[serde(default)]
    object: String,
    decided: String,
    help: Option<String>,
}

/// Generates the table of sentences as Rust code.
fn omissions() -> Result<String, Box<dyn Error>> {
    let Table { file } = toml::from_str(&fs::read_to_string(OMISSIONS)?)?;
    let mut code = "static SENTENCES: &[Sentence] = &[\n".to_owned();
    for File { path, places } in file {
        for place in places {
            code.push_str(&sentence(&path, place)?);
        }
    }
    code.push_str("];\n");
    Ok(code)
}

/// Generates one sentence, if the place has one.
fn sentence(path: &str, place: Place) -> Result<String, Box<dyn Error>> {
    let Place { level, says, object, decided, help } = place;
    let Some(says) = says else { return Ok(String::new()) };
    let backend = path.strip_prefix("backend/").and_then(|rest| rest.split('/').next());
    let quiet = backend.filter(|_| level == "debug");
    let object = match object.as_str() {
        "path" => "Path",
        "upstream-path" => "UpstreamPath",
        "quoted" => "Quoted",
        "remote" | "none" => "Remote",
        other => return Err(format!("{path}: `{other}` is not an object").into()),
    };
    let decided = match decided.as_str() {
        "path" => "Path",
        "run" => "Run",
        "right" | "limit" => "Nothing",
        other => return Err(format!("{path}: `{other}` is not a decision").into()),
    };
    let mut code = String::new();
    writeln!(
        code,
        "Sentence {{ file: {:?}, parts: &{:?}, quiet: {quiet:?}, object: Object::{object}, \
         decision: Decision::{decided}, help: {help:?} }},",
        logged(path),
        parts(&says)
    )?;
    Ok(code)
}

/// Returns the part of a source file's path that rclone logs: its directory and its name.
fn logged(path: &str) -> &str {
    let cut = path.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    &path[cut..]
}

/// Returns the texts between the verbs of a Go format string.
fn parts(format: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut chars = format.chars().peekable();
    while let Some(char) = chars.next() {
        if char != '%' || chars.next_if_eq(&'%').is_some() {
            part.push(char);
            continue;
        }
        while chars.next().is_some_and(|char| !char.is_ascii_alphabetic()) {}
        parts.push(std::mem::take(&mut part));
    }
    parts.push(part);
    parts
}
