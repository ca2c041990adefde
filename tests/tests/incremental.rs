//! Files that haven't changed aren't read again.

use plakbox_tests::TestEnv;
use plakbox_tests::faulty_http_server::{Page, Web};

#[test]
fn a_second_backup_reads_only_what_changed() {
    let (place, web) = (TestEnv::new(), Web::new());
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

#[test]
fn few_changes_among_many_files_fetch_nothing_needlessly() {
    let (place, web) = (TestEnv::new(), Web::new());
    let put = |number: u64, date: &str| {
        let page = Page::new(format!("content {number} of {date}"));
        web.put(&format!("file{number:03}"), Page { modified: date.to_owned(), ..page });
    };
    (0..200).for_each(|number| put(number, "Mon, 02 Jan 2006 15:04:05 GMT"));
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.import("web");
    place.backup("@web").good();
    assert_eq!(web.reads().len(), 200);

    // One here and there, and ten in a row.
    let changed: Vec<u64> = (0..200).step_by(40).chain(100..110).collect();
    changed.iter().for_each(|number| put(*number, "Tue, 03 Jan 2006 15:04:05 GMT"));
    place.backup("@web").good();
    let reads = web.reads().len();
    let distinct = changed.iter().collect::<std::collections::BTreeSet<_>>().len();
    let in_vain = reads - distinct;
    // What is fetched needlessly is never more than what was wanted. Ten in a row is what it
    // comes to as a rule, and more when Plakar says late what it passed over.
    assert!(in_vain <= distinct, "{reads} reads for {distinct} changes");
}
