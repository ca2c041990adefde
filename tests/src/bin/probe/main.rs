//! Stands in rclone's place and tries what its remote's options say: `try_read = /path`
//! and so on. What `lsjson` would list are the attempts and how they went.
//!
//! - [`files`], [`sockets`], [`processes`], [`kernel`], [`resources`]: attempts
//! - [`invocation`]: the arguments, the environment and the end of this program
//! - [`replies`]: listings of many entries, and replies of nonsense

mod files;
mod invocation;
mod kernel;
mod processes;
mod replies;
mod resources;
mod sockets;

use std::fs;
use std::io;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|verb| verb == "version") {
        println!("{}", version());
        return;
    }
    let config = fs::read_to_string(configuration()).expect("the configuration");
    let told = |option: &str| config.lines().find_map(|line| line.strip_prefix(option));
    if let Some(seed) = told("try_replies = ") {
        return replies::replies(&args[1], seed.parse().expect("a seed"));
    }
    if let Some(count) = told("try_entries = ") {
        return replies::entries(count.parse().expect("a number")).expect("the listing");
    }
    println!("[");
    let mut lines = Vec::new();
    for (what, value) in
        config.lines().filter_map(|line| line.strip_prefix("try_")?.split_once(" = "))
    {
        let said = match attempt(what, value) {
            Ok(said) => format!("done {said}"),
            Err(error) => format!("refused {}", error.raw_os_error().unwrap_or_default()),
        };
        let path = format!("{what} {said}").replace('/', "!");
        lines.push(serde_json::json!({
            "Path": path, "Name": path, "Size": 0, "ModTime": "2001-09-09T01:46:40Z", "IsDir": false
        }).to_string());
    }
    println!("{}\n]", lines.join(",\n"));
}

/// The version that it prints: the name of its directory after `says `, if there is one.
fn version() -> String {
    let path = std::env::args().next().unwrap_or_default();
    let directory = std::path::Path::new(&path).parent().and_then(|path| path.file_name());
    let said = directory.and_then(|name| name.to_str()?.strip_prefix("says "));
    said.unwrap_or("rclone v1.75.1").to_owned()
}

/// The configuration that it was given.
fn configuration() -> std::path::PathBuf {
    let mut args = std::env::args().skip_while(|arg| arg != "--config");
    args.nth(1).expect("--config").into()
}

/// Tries something; says what came of it.
fn attempt(what: &str, value: &str) -> io::Result<String> {
    let kinds = [
        files::attempt,
        sockets::attempt,
        processes::attempt,
        kernel::attempt,
        resources::attempt,
        invocation::attempt,
    ];
    for attempt in kinds {
        if let Some(said) = attempt(what, value)? {
            return Ok(said);
        }
    }
    Err(io::Error::other("it is not known what to try"))
}

fn call(call: impl FnOnce() -> i32) -> io::Result<String> {
    match call() {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(String::new()),
    }
}

fn numbers<const N: usize>(text: &str) -> io::Result<[i32; N]> {
    let numbers: Result<Vec<i32>, _> = text.split(',').map(str::parse).collect();
    numbers.map_err(io::Error::other)?.try_into().map_err(|_| io::Error::other("how many?"))
}
