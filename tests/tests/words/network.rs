//! The network's faults are named as such, with the proxy where there is one.

use plakbox_tests::env::run;
use plakbox_tests::google_account::Account;
use plakbox_tests::photos::Settings;
use plakbox_tests::{Run, TestEnv};

/// A backup by a proxy that isn't there.
fn by_dead_proxy(account: &Account, proxy: &str) -> Run {
    let mut command = account.place.backup_command("@photos");
    run(command.env("HTTPS_PROXY", proxy))
}

#[test]
fn an_expired_token_without_network_is_the_network_s_fault() {
    let account = Account::new(Settings::default());
    account.photos.fill(3, 1, 0, 1);
    // No emulator is named: no server can be asked for another token.
    let run = run(&mut account.place.backup_command("@photos"))
        .bad("check the network and the server, and run it again");
    assert!(!run.text.contains("reconnect"), "{}", run.text);
}

#[test]
fn a_dead_proxy_is_named_without_its_password() {
    let account = Account::new(Settings::default());
    let run = by_dead_proxy(&account, "http://me:MARKER-4711@127.0.0.1:9/")
        .bad("check HTTPS_PROXY, which names the proxy `127.0.0.1:9`");
    assert!(!run.text.contains("MARKER-4711") && !run.text.contains("reconnect"), "{}", run.text);
}

#[test]
fn the_proxy_of_plain_addresses_is_named_as_well() {
    let place = TestEnv::new();
    place.remote("web", &[("type", "http"), ("url", "http://example.com/")]);
    run(place.backup_command("rclone://web:").env("HTTP_PROXY", "http://127.0.0.1:9"))
        .bad("check HTTP_PROXY, which names the proxy `127.0.0.1:9`");
}
