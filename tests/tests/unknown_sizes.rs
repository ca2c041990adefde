//! A file without a known size is read completely or fails, even if its transfer breaks.

use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::{TestEnv, tree};

/// Larger than what a batch or a reader would take.
const LARGE_BYTES: usize = 20 << 20;

#[test]
fn files_of_unknown_size_are_backed_up_whole() {
    let (place, web) = (TestEnv::new(), Web::new());
    let [small, large] = [30_000, LARGE_BYTES].map(|size| tree::seeded_bytes(size as u64, size));
    web.put("small", Page::new(small.clone()).chunked());
    web.put("large", Page::new(large.clone()).chunked());
    web.put("none", Page::new("").chunked());
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.import("web");
    place.backup("@web").good().says("without errors");
    assert!(place.content("/small") == small);
    assert!(place.content("/large") == large);
    assert_eq!(place.content("/none"), b"");
}

#[test]
fn a_transfer_that_breaks_is_an_error_of_its_path_and_never_a_short_file() {
    let (place, web) = (TestEnv::new(), Web::new());
    for (name, size) in [("small", 30_000), ("large", LARGE_BYTES)] {
        let page = Page::new(tree::seeded_bytes(size as u64, size)).breaking(size / 2);
        web.put(&format!("sized-{name}"), page.clone());
        web.put(&format!("chunked-{name}"), page.chunked());
    }
    web.put("whole", Page::new("all of it"));
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.import("web");
    let run = place.backup("@web").says("4 errors");
    for name in ["sized-small", "sized-large", "chunked-small", "chunked-large"] {
        assert!(
            run.text.lines().any(|line| line.contains("KO") && line.contains(name)),
            "no error of {name}:\n{}",
            run.text
        );
    }
    let listed = place.listed();
    assert!(
        listed.contains("whole") && !listed.contains("small") && !listed.contains("large"),
        "{listed}"
    );
    assert_eq!(place.content("/whole"), b"all of it");
}

#[test]
fn a_transfer_that_starts_over_half_way_is_never_taken_for_the_file() {
    let (place, web) = (TestEnv::new(), Web::new());
    let mut contents = Vec::new();
    for (size, times) in [(30_000, 1), (30_000, 2), (3 << 20, 1), (3 << 20, 2), (LARGE_BYTES, 1)] {
        let bytes = tree::seeded_bytes(size as u64, size);
        let page = Page::new(bytes.clone()).breaking_first(size / 2, times);
        for (kind, page) in [("sized", page.clone()), ("chunked", page.chunked())] {
            let name = format!("{kind}-{size}-{times}");
            web.put(&name, page);
            contents.push((name, bytes.clone()));
        }
    }
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.import("web");
    // This server knows no ranges, so rclone gets what it has already once more.
    let run = place.backup("@web");
    for (name, bytes) in contents {
        let failed = run.text.lines().any(|line| line.contains("KO") && line.contains(&name));
        assert!(failed || place.content(&format!("/{name}")) == bytes, "{name} has other bytes");
    }
}

#[test]
fn a_file_directly_in_a_data_directory_is_not_taken_for_one_below_it() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    for directory in ["data", "deep/data"] {
        tree::file(&source.join(directory).join("abcd"), b"directly", tree::time(1));
        tree::file(&source.join(directory).join("ab/abcd"), b"below", tree::time(1));
        tree::file(&source.join(directory).join("zz"), b"alone", tree::time(1));
    }
    place.import("source");
    place.backup("@source").good();
    for directory in ["/data", "/deep/data"] {
        assert_eq!(place.content(&format!("{directory}/abcd")), b"directly");
        assert_eq!(place.content(&format!("{directory}/ab/abcd")), b"below");
        assert_eq!(place.content(&format!("{directory}/zz")), b"alone");
    }
}
