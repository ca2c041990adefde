//! What hasn't changed isn't read again.

use plakbox_tests::Place;
use plakbox_tests::web::{Page, Web};

#[test]
fn a_second_backup_reads_only_what_changed() {
    let (place, web) = (Place::new(), Web::new());
    for number in 0..50 {
        web.put(&format!("dir{}/file{number}", number % 3), Page::new(format!("content {number}")));
    }
    web.put("unsized", Page::new("content").chunked());
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.import("web");
    place.backup("@web").good();
    assert_eq!(web.reads().len(), 51, "the first backup reads everything once");

    place.backup("@web").good();
    assert_eq!(web.reads(), Vec::<String>::new(), "nothing has changed");

    web.put(
        "dir1/file1",
        Page { modified: "Tue, 03 Jan 2006 15:04:05 GMT".into(), ..Page::new("changed 1") },
    );
    place.backup("@web").good();
    assert_eq!(web.reads(), ["dir1/file1"]);
    assert_eq!(place.content("/dir1/file1"), b"changed 1");
}
