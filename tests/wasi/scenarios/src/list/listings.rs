//! Listings.

use super::small_tree;
use crate::backup::Outcome;
use crate::fault::Fault;
use crate::tree::{Node, directory, file};
use crate::{Reason, Scenario, scenarios};

scenarios![
    an_empty_remote_is_an_empty_snapshot,
    a_path_inside_the_remote_is_backed_up_alone,
    a_missing_root_fails_the_scan,
    a_listing_reads_the_same_wherever_it_is_cut,
    a_listing_reads_the_same_byte_by_byte,
    a_malformed_line_fails_the_scan,
    a_line_that_is_not_utf8_fails_the_scan,
    a_line_without_end_fails_the_scan,
    a_listing_that_breaks_off_in_a_line_fails_the_scan,
    a_listing_that_breaks_off_between_lines_fails_the_scan,
    a_listing_without_its_bracket_fails_the_scan,
    a_listing_that_continues_after_its_end_fails_the_scan,
    a_listing_that_fails_at_its_end_fails_the_scan,
    each_reason_of_a_failed_listing_is_passed_on,
    each_reason_of_a_listing_that_cannot_begin_is_passed_on,
    a_directory_that_cannot_be_listed_is_an_error_of_its_path,
    names_that_no_snapshot_can_hold_are_errors_of_their_paths,
    a_name_that_was_not_utf8_fails_alone,
    two_objects_of_one_name_are_never_one_silently,
];

fn an_empty_remote_is_an_empty_snapshot() -> Scenario {
    Scenario::backup(Vec::new()).and_real()
}

fn a_path_inside_the_remote_is_backed_up_alone() -> Scenario {
    let nodes = ["other", "some", "some/where", "some/where/else"].map(directory);
    let files = ["other/a", "some/b", "some/where/c", "some/where/else/d"];
    let files = files.map(|path| file(path, 50));
    Scenario::backup([&nodes[..], &files].concat()).with_root("some/where").and_real()
}

fn a_missing_root_fails_the_scan() -> Scenario {
    failing(Reason::NotFound).with_root("nowhere").and_real()
}

fn a_listing_reads_the_same_wherever_it_is_cut() -> Scenario {
    let nodes = vec![directory("d"), file("d/\u{fc}\n", 3), file("e", 0)];
    let cut = Scenario::backup(nodes).fault(Fault::CutFurtherEachTime);
    // More than the listing has bytes.
    cut.backing_up(|backup| backup.scans = 400)
}

fn a_listing_reads_the_same_byte_by_byte() -> Scenario {
    Scenario::backup(small_tree()).fault(Fault::Pieces(1))
}

/// Creates a scenario whose scan fails.
fn failing(reason: Reason) -> Scenario {
    Scenario::backup(small_tree()).backing_up(|backup| backup.ends = vec![Err(reason)])
}

fn a_malformed_line_fails_the_scan() -> Scenario {
    failing(Reason::Corrupted).fault(Fault::Lines(vec![b"2026/01/01 NOTICE: hello"]))
}

fn a_line_that_is_not_utf8_fails_the_scan() -> Scenario {
    let line = b"{\"Path\":\"a\xff\",\"Name\":\"a\xff\",\"Size\":1,\"IsDir\":false}";
    failing(Reason::Corrupted).fault(Fault::Lines(vec![line]))
}

fn a_line_without_end_fails_the_scan() -> Scenario {
    failing(Reason::Corrupted).fault(Fault::EndlessLine).calls("listing-dropped", 1..=1)
}

fn a_listing_that_breaks_off_in_a_line_fails_the_scan() -> Scenario {
    failing(Reason::Corrupted).fault(Fault::ListingBreaks(100))
}

fn a_listing_that_breaks_off_between_lines_fails_the_scan() -> Scenario {
    failing(Reason::Corrupted).fault(Fault::ListingBreaks(2))
}

fn a_listing_without_its_bracket_fails_the_scan() -> Scenario {
    failing(Reason::Corrupted).fault(Fault::NoBracket)
}

fn a_listing_that_continues_after_its_end_fails_the_scan() -> Scenario {
    failing(Reason::Corrupted).fault(Fault::After("{\"Path\":\"b\"}\n"))
}

fn a_listing_that_fails_at_its_end_fails_the_scan() -> Scenario {
    failing(Reason::Unavailable).fault(Fault::ListingEnds(Some(Reason::Unavailable)))
}

/// Creates a scenario with one scan for each reason.
fn each_reason() -> Scenario {
    Scenario::backup(small_tree()).backing_up(|backup| {
        backup.scans = Reason::ALL.len();
        backup.ends = Reason::ALL.map(Err).into();
    })
}

fn each_reason_of_a_failed_listing_is_passed_on() -> Scenario {
    each_reason().fault(Fault::ListingEnds(None))
}

fn each_reason_of_a_listing_that_cannot_begin_is_passed_on() -> Scenario {
    each_reason().fault(Fault::NoListing)
}

fn a_directory_that_cannot_be_listed_is_an_error_of_its_path() -> Scenario {
    Scenario::backup(small_tree()).fault(Fault::ListError("dir/deep", Reason::Denied)).backing_up(
        |backup| {
            backup.except("dir/deep", Outcome::FoundAndFailed(Reason::Denied));
            backup.except("dir/deep/er", Outcome::Absent);
            backup.except("dir/deep/er/three", Outcome::Absent);
        },
    )
}

fn names_that_no_snapshot_can_hold_are_errors_of_their_paths() -> Scenario {
    let lines: [&[u8]; 6] = [
        br#"{"Path":"../up","Name":"up","Size":1,"IsDir":false}"#,
        br#"{"Path":"a//b","Name":"b","Size":1,"IsDir":false}"#,
        br#"{"Path":"/lead","Name":"lead","Size":1,"IsDir":false}"#,
        br#"{"Path":"x/./y","Name":"y","Size":1,"IsDir":false}"#,
        br#"{"Path":"trail/","Name":"","Size":-1,"IsDir":true}"#,
        br#"{"Path":"nul\u0000","Name":"nul\u0000","Size":1,"IsDir":false}"#,
    ];
    Scenario::backup(small_tree()).fault(Fault::Lines(lines.into())).backing_up(|backup| {
        for path in ["../up", "a//b", "/lead", "x/./y", "trail/", "nul\0"] {
            backup.except(path, Outcome::Failed(Reason::Unsupported));
        }
    })
}

fn a_name_that_was_not_utf8_fails_alone() -> Scenario {
    // Go replaces bytes that aren't UTF-8 by this character, and finds no file by that name.
    let line = br#"{"Path":"a\ufffd","Name":"a\ufffd","Size":3,"ModTime":"2001-09-09T01:46:40.000000001Z","IsDir":false}"#;
    Scenario::backup(small_tree()).fault(Fault::Lines(vec![line])).backing_up(|backup| {
        let bytes = Some(vec![0; 3]);
        let path = "a\u{fffd}".to_owned();
        backup.tree.push(Node { path, bytes, modified: (1_000_000_000, 1) });
        backup.except("a\u{fffd}", Outcome::Unread(Reason::NotFound));
    })
}

fn two_objects_of_one_name_are_never_one_silently() -> Scenario {
    let line = br#"{"Path":"dir/one","Name":"one","Size":7,"ModTime":"2001-09-09T01:46:40Z","IsDir":false,"ID":"another"}"#;
    Scenario::backup(small_tree())
        .with_backend("drive")
        .fault(Fault::Ids)
        .fault(Fault::Lines(vec![line]))
        .backing_up(|backup| {
            backup.identities = true;
            backup.except("dir/one", Outcome::FoundAndFailed(Reason::Unsupported));
        })
}
