//! The cost of Google Photos: calls, downloads and seconds of a backup, of another one
//! without changes, and of a restore to an empty account.
//!
//! `bench_photos [ITEMS ALBUMS]`: without arguments 500 photos in 5 albums, 1,000 in 10
//! and 20,000 in 200, each answer 20 ms late and the day's quota as Google's. A listing is
//! rclone's, or the one that its reader makes before the first download.

use plakbox_tests::Run;
use plakbox_tests::google_account::Account;
use plakbox_tests::photos::{Call, Settings};
use plakbox_tests::stats::Peaks;
use std::time::{Duration, Instant};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().expect("a number"));
    println!(
        "| library | work | API calls | downloads | uploads | seconds | photos/s | \
         first photo after | last listing after | memory |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    match (arguments.next(), arguments.next()) {
        (Some(items), Some(albums)) => library(items, albums, true),
        _ => {
            library(500, 5, true);
            library(1000, 10, true);
            library(20_000, 200, false);
        }
    }
}

fn library(items: usize, albums: usize, restores: bool) {
    let latency = Duration::from_millis(20);
    let account = Account::new(Settings { latency, ..Settings::default() });
    account.photos.fill(items, albums, 7, 1);
    let name = format!("{items} in {albums} albums");
    work(&account, &name, "backup", |account| account.backup(""));
    work(&account, &name, "backup without changes", |account| account.backup(""));
    if restores {
        let before = account.state();
        account.photos.empty_account();
        work(&account, &name, "restore to an empty account", |account| account.restore(""));
        assert_eq!(account.state(), before, "the account isn't as it was");
    }
}

fn work(account: &Account, library: &str, name: &str, run: impl FnOnce(&Account) -> Run) {
    account.photos.take_calls();
    let (memory, start) = (Peaks::of_memory(), Instant::now());
    let took = run(account).good().took.as_secs_f64();
    let [own, all] = memory.stop();
    let calls = account.photos.take_calls();
    let [downloads, uploads] =
        [&calls.downloads, &calls.uploads].map(|files| files.values().sum::<u64>());
    let after = |time: Option<Instant>| match time {
        Some(time) => format!("{:.1} s", (time - start).as_secs_f64()),
        None => "-".to_owned(),
    };
    println!(
        "| {library} | {name} | {} | {downloads} | {uploads} | {took:.1} | {:.0} | {} | \
         {} | {} MiB, with rclone {} MiB |",
        calls.api(),
        account.photos.items().len() as f64 / took,
        after(calls.times(Call::Download).map(|(first, _)| first)),
        after(calls.times(Call::Search).map(|(_, last)| last)),
        own >> 20,
        all >> 20
    );
}
