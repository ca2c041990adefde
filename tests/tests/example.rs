//! The example connector, in Plakar as a package of its own: another guest under the
//! same host, which keeps what the contract promises.

use fastrand::Rng;
use plakbox_tests::env::{files_below, run};
use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::tree::{self, Keep};
use plakbox_tests::{Run, TestEnv, tools};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

fn with_example() -> TestEnv {
    TestEnv::with_package(&tools::example())
}

/// Fills a directory with documents alone.
fn write(root: &Path) {
    let mut random = Rng::with_seed(5);
    for (number, ending) in (0..150).zip(["odt", "PDF", "txt", "Xlsx"].into_iter().cycle()) {
        let size = random.usize(..50_000);
        let path =
            root.join(format!("dir {}/sub{}/letter {number}.{ending}", number % 5, number % 3));
        tree::file(&path, &tree::random_bytes(&mut random, size), tree::time(number));
    }
    for (number, name) in tree::difficult_names().into_iter().enumerate() {
        if name.len() < 200 {
            let path = root.join("names").join(name + ".md");
            tree::file(
                &path,
                &tree::random_bytes(&mut random, number * 10),
                tree::time(number as u64),
            );
        }
    }
    tree::file(&root.join("empty.txt"), b"", tree::time(1));
    tree::file(
        &root.join("old.txt"),
        b"old",
        std::time::UNIX_EPOCH - std::time::Duration::from_millis(1500),
    );
    tree::file(&root.join("data/abcd.txt"), b"direct", tree::time(2));
    tree::file(&root.join("data/ab/abcd.txt"), b"below", tree::time(3));
    tree::file(&root.join("a.pdf/inside.csv"), b"1,2", tree::time(4));
    tree::file(&root.join("thesis.pdf"), &tree::random_bytes(&mut random, 40 << 20), tree::time(5));
}

/// Adds what is none.
fn add_others(root: &Path) {
    for name in ["photo.jpg", "dir 1/film.mp4", "txt", "dir 2/letter.txt.gz", ".hidden", "odt/x"] {
        tree::file(&root.join(name), b"no document", tree::time(9));
    }
}

#[track_caller]
fn says_of(run: &Run, path: &str, why: &str) {
    let line = run.text.lines().find(|line| line.contains("KO") && line.contains(path));
    assert!(line.is_some_and(|line| line.contains(why)), "{path}: {why}\n{}", run.text);
}

#[test]
fn every_document_is_restored_and_nothing_else() {
    let place = with_example();
    let written = place.path("written");
    write(&written);
    let (source, target) = (place.directory_remote("source"), place.directory_remote("target"));
    write(&source);
    add_others(&source);
    place.backup("documents://source:").good().says("without errors");
    place.restore("documents://target:").good();
    tree::assert_same(&written, &target, Keep::FileTimes);
}

#[test]
fn an_imported_remote_is_backed_up_by_whichever_connector_its_location_names() {
    let place = with_example();
    place.plakar(["pkg", "add", tools::package().to_str().unwrap()]).good();
    let source = place.directory_remote("source");
    tree::file(&source.join("in/side/letter.txt"), b"dear reader", tree::time(1));
    tree::file(&source.join("in/side/photo.jpg"), b"no document", tree::time(1));
    tree::file(&source.join("letter.txt"), b"outside", tree::time(1));
    place.import("source");
    place.backup("@source").good();
    assert!(place.listed().contains("photo.jpg"));
    place.plakar(["source", "set", "source", "location=documents://in/side"]).good();
    place.backup("@source").good();
    assert_eq!(place.content("/in/side/letter.txt"), b"dear reader");
    let listed = place.listed();
    assert!(!listed.contains("photo") && listed.matches("letter.txt").count() == 1, "{listed}");
    let target = place.directory_remote("target");
    place.import("target");
    place.plakar(["destination", "set", "target", "location=documents://deep/er"]).good();
    place.restore("@target").good();
    assert_eq!(fs::read(target.join("deep/er/letter.txt")).unwrap(), b"dear reader");
    assert_eq!(files_below(&target).len(), 1);
}

#[test]
fn only_documents_are_read_and_only_when_they_changed() {
    let (place, web) = (with_example(), Web::new());
    for number in 0..20 {
        web.put(&format!("dir/letter{number}.txt"), Page::new(format!("letter {number}")));
        web.put(&format!("dir/photo{number}.jpg"), Page::new("no document"));
    }
    let unsized_bytes = tree::seeded_bytes(8, 3 << 20);
    web.put("unsized.pdf", Page::new(unsized_bytes.clone()).chunked());
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.backup("documents://web:").good();
    let reads = web.reads();
    assert_eq!((reads.len(), reads.iter().any(|path| path.contains("photo"))), (21, false));
    assert!(place.content("/unsized.pdf") == unsized_bytes);
    let changed =
        Page { modified: "Tue, 03 Jan 2006 15:04:05 GMT".into(), ..Page::new("letter x") };
    web.put("dir/letter7.txt", changed);
    place.backup("documents://web:").good();
    assert_eq!(web.reads(), ["dir/letter7.txt"]);
    assert_eq!(place.content("/dir/letter7.txt"), b"letter x");
    // What had no known size when it was backed up has one when it is restored.
    let target = place.directory_remote("target");
    place.restore("documents://target:").good();
    assert!(fs::read(target.join("unsized.pdf")).unwrap() == unsized_bytes);
}

#[test]
fn what_can_t_be_listed_or_read_is_an_error_of_its_path_and_the_rest_is_kept() {
    let (place, web) = (with_example(), Web::new());
    web.put("good/letter.txt", Page::new("good"));
    web.put("index/inside/", Page::new("<a href=\"gone/\">gone/</a>").breaking(5));
    let page = Page::new(tree::seeded_bytes(1, 2 << 20)).breaking(1 << 19);
    web.put("sized.pdf", page.clone());
    web.put("unsized.pdf", page.chunked());
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    let run = place.backup("documents://web:").says("3 errors");
    for path in ["/index/inside", "/sized.pdf", "/unsized.pdf"] {
        says_of(&run, path, "");
    }
    assert_eq!(place.content("/good/letter.txt"), b"good");
    assert!(!place.listed().contains("sized.pdf"), "{}", place.listed());
}

#[test]
fn an_error_counts_where_there_is_nothing_else() {
    let (place, web) = (with_example(), Web::new());
    web.put("in/side/letter.txt", Page::new("dear reader").breaking(4));
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    let run = place.backup("documents://web:in/side").says("completed with 1 error");
    says_of(&run, "/in/side/letter.txt", "");
}

#[test]
fn what_can_t_be_restored_is_an_error_of_its_path_and_the_rest_is_there() {
    let place = with_example();
    let tree = place.path("tree");
    for number in 0..20 {
        tree::file(&tree.join(format!("letter{number}.txt")), b"good", tree::time(number));
    }
    symlink("letter1.txt", tree.join("link")).unwrap();
    // From Plakar's own importer: a restore takes what any snapshot holds.
    place.backup(tree.to_str().unwrap()).good();
    let target = place.directory_remote("target");
    fs::create_dir_all(target.join("letter7.txt/full")).unwrap();
    let run = place.restore("documents://target:").soon().bad("entries were not restored");
    says_of(&run, "/letter7.txt", "");
    says_of(&run, "/link", "only files can be restored to a remote");
    assert_eq!(fs::read(target.join("letter8.txt")).unwrap(), b"good");
}

#[test]
fn what_it_doesn_t_know_is_refused_with_the_remedy() {
    let place = with_example();
    place.directory_remote("source");
    place.import("source");
    place.plakar(["source", "set", "source", "location=documents://", "read_ahead=0"]).good();
    place
        .backup("@source")
        .soon()
        .bad("the documents connector has no option `read_ahead`; help: remove it");
    place
        .backup("documents://nothing")
        .soon()
        .bad("`documents://nothing` has neither `rclone_type` nor the name of a remote");
    place
        .backup("documents://source:not/there")
        .soon()
        .bad("directory not found; help: check the path");
    place.plakar(["source", "ping", "source"]).soon().bad("no option `read_ahead`");
}

#[test]
fn it_runs_by_hand_too() {
    let place = TestEnv::bare();
    write(&place.directory_remote("source"));
    add_others(&place.path("source"));
    let by_hand = |arguments: &[&str]| {
        let mut command = place.command(tools::plakbox());
        command.arg("--component").arg(tools::example().with_file_name("documents.wasm"));
        run(command.args(arguments)).good()
    };
    let listed = by_hand(&["ls", "source:data"]).says("/data/abcd.txt").says("/data/ab/abcd.txt");
    assert_eq!(listed.text.lines().filter(|line| line.contains(".txt")).count(), 2);
    assert_eq!(by_hand(&["cat", "source:data/ab/abcd.txt"]).text, "below");
}
