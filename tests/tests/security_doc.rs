//! The table of attacks in docs/security.md names tests that are there.

use plakbox_tests::tools;
use std::fs;

#[test]
fn each_attack_in_the_documentation_is_tried_by_a_test() {
    let text = fs::read_to_string(tools::repository().join("docs/security.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_suffix("` |")?.rsplit_once("| `"));
    let mut count = 0;
    for (row, test) in rows {
        let (file, name) = test.split_once("::").unwrap();
        let source = tools::repository().join(format!("tests/tests/{file}.rs"));
        let source = fs::read_to_string(&source).unwrap_or_else(|error| panic!("{test}: {error}"));
        assert!(source.contains(&format!("fn {name}()")), "{test} isn't there, for {row}");
        count += 1;
    }
    assert!(count >= 40, "{count}");
}
