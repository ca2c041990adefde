//! Google Photos on loopback, to try rclone on by hand. `photos items=300 latency=20` prints
//! the environment to use; Ctrl-C ends it and prints what was asked.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use plakbox_tests::photos::{Photos, Settings};

/// Settings, and their defaults. Lifetimes are in seconds, the latency in
/// milliseconds.
const ARGUMENTS: [(&str, u64); 8] = [
    ("items", 500),
    ("albums", 5),
    ("duplicates", 7),
    ("size", 20_000),
    ("latency", 0),
    ("quota", 10_000),
    ("token_life", 3599),
    ("url_life", 3600),
];

fn main() {
    let mut arguments = BTreeMap::from(ARGUMENTS);
    for argument in env::args().skip(1) {
        let told = argument
            .split_once('=')
            .and_then(|(name, number)| Some((arguments.get_mut(name)?, number.parse().ok()?)));
        let Some((argument, number)) = told else {
            eprintln!("`{argument}` is not one of");
            ARGUMENTS.iter().for_each(|(name, number)| eprintln!("  {name}={number}"));
            std::process::exit(2);
        };
        *argument = number;
    }
    let size = |name| usize::try_from(arguments[name]).unwrap();
    let photos = Photos::with(Settings {
        photo_size: size("size"),
        latency: Duration::from_millis(arguments["latency"]),
        quota: arguments["quota"],
        token_life: Duration::from_secs(arguments["token_life"]),
        url_life: Duration::from_secs(arguments["url_life"]),
        ..Settings::default()
    });
    photos.fill(size("items"), size("albums"), size("duplicates"), 1);

    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("rclone.conf");
    std::fs::write(&config, photos.config("photos")).unwrap();
    for (name, value) in photos.environment() {
        println!("export {name}={value}");
    }
    println!("export RCLONE_CONFIG={}", config.display());
    println!("# rclone lsf photos:album; Ctrl-C ends it");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tokio::signal::ctrl_c()).unwrap();
    print!("\n{}", photos.calls());
}
