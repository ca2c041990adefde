//! Stores of Plakar's own connectors and of its official rclone package are opened, read and
//! written, and can be opened by these again.

use plakbox_tests::env::files_below;
use plakbox_tests::{TestEnv, tools, tree};
use std::fs;
use std::path::{Path, PathBuf};

/// A user with some files, and a directory that is `kept:` in rclone.conf.
fn user(package: &Path, directory: &Path) -> TestEnv {
    let place = TestEnv::with_package(package);
    place.remote("kept", &[("type", "alias"), ("remote", directory.to_str().unwrap())]);
    place
}

/// Backs up a file of this name, and returns the names that the store's snapshots have then.
fn back_up(place: &TestEnv, store: &str, name: &str) {
    let directory = place.path(name);
    tree::file(&directory.join(name), name.as_bytes(), tree::time(1));
    place.plakar(["at", store, "backup", directory.to_str().unwrap()]).good();
}

/// Checks the whole store, and that these files are in its snapshots.
#[track_caller]
fn has(place: &TestEnv, store: &str, names: &[&str]) {
    place.plakar(["at", store, "check"]).good();
    let listed = place.plakar(["at", store, "ls"]).good().text;
    let ids: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(ids.len(), names.len(), "{listed}");
    for name in names {
        let found = ids.iter().any(|id| {
            let target = place.path(&format!("restored-{id}"));
            let _ = fs::remove_dir_all(&target);
            place.plakar(["at", store, "restore", "-to", target.to_str().unwrap(), id]).good();
            files_below(&target).iter().any(|file| fs::read(file).unwrap() == name.as_bytes())
        });
        assert!(found, "no snapshot has `{name}`");
    }
}

/// The packfiles and states of a store, relative to it.
fn objects(store: &Path) -> Vec<PathBuf> {
    ["packfiles", "states"]
        .into_iter()
        .flat_map(|kind| files_below(&store.join(kind)))
        .map(|path| path.strip_prefix(store).unwrap().to_owned())
        .collect()
}

#[test]
fn a_store_of_plakar_in_a_directory_is_read_and_written_as_it_is() {
    let shelf = tempfile::tempdir().unwrap();
    let store = shelf.path().join("store");
    let place = user(&tools::package(), &store);
    let direct = store.to_str().unwrap();
    place.plakar(["at", direct, "create", "-plaintext"]).good();
    back_up(&place, direct, "first");
    back_up(&place, "rclone://kept:", "second");
    has(&place, "rclone://kept:", &["first", "second"]);
    has(&place, direct, &["first", "second"]);
    let depth = |path: &PathBuf| path.components().count();
    assert!(objects(&store).iter().all(|path| depth(path) == 3), "{:?}", objects(&store));
}

#[test]
fn a_new_store_is_flat_unless_the_option_says_nested() {
    let shelf = tempfile::tempdir().unwrap();
    for (layout, depth) in [("flat", 2), ("nested", 3)] {
        let store = shelf.path().join(layout);
        fs::create_dir(&store).unwrap();
        let place = user(&tools::package(), &store);
        let layout = format!("layout={layout}");
        place.plakar(["store", "add", "kept", "rclone://kept:", &layout]).good();
        place.plakar(["at", "@kept", "create", "-plaintext"]).good();
        back_up(&place, "@kept", "first");
        back_up(&place, "@kept", "second");
        has(&place, "@kept", &["first", "second"]);
        let objects = objects(&store);
        assert!(!objects.is_empty());
        assert!(objects.iter().all(|path| path.components().count() == depth), "{objects:?}");
        if depth == 3 {
            has(&place, store.to_str().unwrap(), &["first", "second"]);
        }
    }
}

/// Needs the official package: `PEER_PTAR=PACKAGE just test-official`.
#[test]
#[ignore = "the official package isn't in the registries: just test-official"]
fn a_store_of_the_official_package_is_read_and_written_and_opens_there_again() {
    let package = std::env::var_os("PEER_PTAR").expect("PEER_PTAR names the official package");
    let shelf = tempfile::tempdir().unwrap();
    let store = shelf.path().join("store");
    fs::create_dir(&store).unwrap();
    let ours = user(&tools::package(), &store);
    let theirs = TestEnv::with_package(Path::new(&package));
    let directory = format!("rclone_remote={}", store.to_str().unwrap());
    theirs.plakar(["store", "add", "kept", "rclone://", "rclone_type=alias", &directory]).good();
    theirs.plakar(["at", "@kept", "create", "-plaintext"]).good();
    back_up(&theirs, "@kept", "first");
    // The official package leaves its locks behind.
    fs::remove_dir_all(store.join("locks")).unwrap();
    fs::create_dir(store.join("locks")).unwrap();
    back_up(&ours, "rclone://kept:", "second");
    has(&ours, "rclone://kept:", &["first", "second"]);
    has(&theirs, "@kept", &["first", "second"]);
}
