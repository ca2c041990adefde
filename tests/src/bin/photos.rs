//! Google Photos on loopback, to try rclone on by hand: `photos [ITEMS [ALBUMS [DUPLICATES]]]`
//! prints the environment to use; Ctrl-C ends it and prints what was asked.

use std::env;

use plakbox_tests::photos::Photos;

fn main() {
    let numbers: Vec<usize> = env::args()
        .skip(1)
        .map(|text| text.parse().unwrap_or_else(|_| panic!("`{text}` is not a number")))
        .collect();
    let number = |at: usize, default| numbers.get(at).copied().unwrap_or(default);
    let photos = Photos::start();
    photos.fill(number(0, 500), number(1, 5), number(2, 7), 1);

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
