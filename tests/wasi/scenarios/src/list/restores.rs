//! Restores of files.

use super::{many, named, small_tree};
use crate::fault::Fault;
use crate::restore::{Entry, Keeps, Kind};
use crate::tree::{CONTROL_NAMES, DIFFICULT_NAMES, Node, directory, file};
use crate::{Reason, Scenario, scenarios};

scenarios![
    a_tree_is_restored_whole,
    difficult_names_are_restored_as_they_are,
    names_with_control_characters_are_restored_as_they_are,
    more_files_than_a_batch_takes_are_restored,
    more_bytes_than_a_batch_takes_are_restored,
    a_large_file_is_restored_whole,
    a_tree_is_restored_below_a_path,
    a_remote_that_keeps_no_times_is_restored_to,
    a_read_only_remote_refuses_each_file,
    names_that_the_backend_refuses_fail_alone,
    a_file_that_cannot_be_uploaded_fails_alone,
    each_reason_of_a_failed_upload_is_passed_on,
    a_file_without_an_outcome_fails,
    an_outcome_reported_twice_counts_once,
    outcomes_of_unknown_files_are_ignored,
    a_batch_that_dies_fails_what_has_no_outcome,
    a_batch_that_cannot_be_made_fails_its_entries,
    a_file_that_cannot_be_collected_fails_alone,
    a_content_that_breaks_leaves_nothing,
    a_large_content_that_breaks_leaves_nothing,
    a_content_of_another_size_leaves_nothing,
    links_and_devices_are_refused,
    a_path_restored_twice_is_what_came_last,
    a_name_too_long_for_a_disk_is_uploaded_alone,
];

fn a_tree_is_restored_whole() -> Scenario {
    Scenario::restore(walk_order(small_tree())).and_real()
}

/// Sorts nodes in the order of Plakar's walk: depth first, names in order.
fn walk_order(mut nodes: Vec<Node>) -> Vec<Node> {
    nodes.sort_by(|one, other| one.path.split('/').cmp(other.path.split('/')));
    nodes
}

fn difficult_names_are_restored_as_they_are() -> Scenario {
    Scenario::restore(walk_order(named(&DIFFICULT_NAMES))).and_real()
}

fn names_with_control_characters_are_restored_as_they_are() -> Scenario {
    Scenario::restore(walk_order(named(&CONTROL_NAMES)))
}

fn more_files_than_a_batch_takes_are_restored() -> Scenario {
    Scenario::restore(many(2500)).calls("send", 3..=3).and_real()
}

fn more_bytes_than_a_batch_takes_are_restored() -> Scenario {
    let nodes = (0..6).map(|number| file(&format!("{number}"), 30 << 20)).collect();
    Scenario::restore(nodes).calls("send", 2..=2).calls("receive", 0..=0)
}

fn a_large_file_is_restored_whole() -> Scenario {
    let large = file("dir/large", (32 << 20) + 1);
    Scenario::restore(walk_order([small_tree(), vec![large]].concat()))
        .calls("receive", 1..=1)
        .and_real()
}

fn a_tree_is_restored_below_a_path() -> Scenario {
    Scenario::restore(walk_order(small_tree())).with_root("some/where").and_real()
}

fn a_remote_that_keeps_no_times_is_restored_to() -> Scenario {
    let scenario = Scenario::restore(walk_order(small_tree())).fault(Fault::NoTimes);
    scenario.restoring(|restore| restore.keeps = Keeps::Bytes)
}

fn a_read_only_remote_refuses_each_file() -> Scenario {
    Scenario::restore(walk_order(small_tree())).fault(Fault::ReadOnly).restoring(|restore| {
        for node in small_tree() {
            restore.fails(&node.path, Reason::Denied);
        }
    })
}

fn names_that_the_backend_refuses_fail_alone() -> Scenario {
    let nodes = [small_tree(), vec![file("dir/a?b", 5), file("x?", (32 << 20) + 1)]].concat();
    Scenario::restore(walk_order(nodes)).fault(Fault::Refuses("?")).restoring(|restore| {
        restore.fails("dir/a?b", Reason::Denied);
        restore.fails("x?", Reason::Denied);
    })
}

fn a_file_that_cannot_be_uploaded_fails_alone() -> Scenario {
    let fault = Fault::NotSent("dir/one", Reason::Unavailable);
    Scenario::restore(walk_order(small_tree())).fault(fault).restoring(|restore| {
        restore.fails("dir/one", Reason::Unavailable);
    })
}

fn each_reason_of_a_failed_upload_is_passed_on() -> Scenario {
    const PATHS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let nodes = [PATHS.map(|path| file(path, 5)).to_vec(), vec![file("b", 9)]].concat();
    PATHS.into_iter().zip(Reason::ALL).fold(Scenario::restore(nodes), |scenario, (path, reason)| {
        let scenario = scenario.fault(Fault::NotSent(path, reason));
        scenario.restoring(|restore| restore.fails(path, reason))
    })
}

fn a_file_without_an_outcome_fails() -> Scenario {
    Scenario::restore(walk_order(small_tree())).fault(Fault::NoOutcome("dir/one")).restoring(
        |restore| {
            restore.fails("dir/one", Reason::Internal);
            // The fake has written the file, which the connector cannot know.
            restore.leaves = Some(small_tree());
        },
    )
}

fn an_outcome_reported_twice_counts_once() -> Scenario {
    Scenario::restore(walk_order(small_tree())).fault(Fault::TwoOutcomes("dir/one"))
}

fn outcomes_of_unknown_files_are_ignored() -> Scenario {
    Scenario::restore(walk_order(small_tree())).fault(Fault::UnknownOutcomes)
}

fn a_batch_that_dies_fails_what_has_no_outcome() -> Scenario {
    let nodes: Vec<_> = (0..9).map(|number| file(&format!("{number}"), 9)).collect();
    let fault = Fault::BatchEnds { after: 4, reason: Reason::RateLimited };
    Scenario::restore(nodes).fault(fault).restoring(|restore| {
        (4..9).for_each(|number| restore.fails(&number.to_string(), Reason::RateLimited));
    })
}

fn a_batch_that_cannot_be_made_fails_its_entries() -> Scenario {
    let fault = Fault::NoBatch(Reason::Unavailable);
    Scenario::restore(walk_order(small_tree())).fault(fault).restoring(|restore| {
        for node in small_tree() {
            restore.fails(&node.path, Reason::Unavailable);
        }
    })
}

fn a_file_that_cannot_be_collected_fails_alone() -> Scenario {
    let fault = Fault::NotAdded("dir/one", Reason::RateLimited);
    Scenario::restore(walk_order(small_tree())).fault(fault).restoring(|restore| {
        restore.fails("dir/one", Reason::RateLimited);
    })
}

fn a_content_that_breaks_leaves_nothing() -> Scenario {
    Scenario::restore(walk_order(small_tree())).restoring(|restore| {
        restore.entry("dir/two", |entry| entry.breaks = Some(20_000));
        restore.fails("dir/two", Reason::Unavailable);
    })
}

fn a_large_content_that_breaks_leaves_nothing() -> Scenario {
    let nodes = [small_tree(), vec![file("large", (32 << 20) + 1)]].concat();
    Scenario::restore(walk_order(nodes)).restoring(|restore| {
        restore.entry("large", |entry| entry.breaks = Some(20 << 20));
        restore.fails("large", Reason::Unavailable);
    })
}

fn a_content_of_another_size_leaves_nothing() -> Scenario {
    let nodes = [small_tree(), vec![file("large", (32 << 20) + 1)]].concat();
    Scenario::restore(walk_order(nodes)).restoring(|restore| {
        for (path, announced) in [("dir/one", 2999), ("dir/two", 60_001), ("large", 33 << 20)] {
            restore.entry(path, |entry| entry.announced = Some(announced));
            restore.fails(path, Reason::Corrupted);
        }
    })
}

fn links_and_devices_are_refused() -> Scenario {
    let scenario = Scenario::restore(walk_order(small_tree())).restoring(|restore| {
        for (path, kind) in [("link", Kind::Symlink), ("pipe", Kind::Other)] {
            restore.entries.push(Entry { kind, ..Entry::new(directory(path)) });
            restore.fails(path, Reason::Unsupported);
        }
    });
    scenario.and_real()
}

fn a_path_restored_twice_is_what_came_last() -> Scenario {
    let again = Node { bytes: Some(vec![7; 70]), ..file("a.txt", 10) };
    let nodes = [walk_order(small_tree()), vec![again.clone()]].concat();
    let left =
        small_tree().into_iter().filter(|node| node.path != "a.txt").chain([again]).collect();
    Scenario::restore(nodes).restoring(|restore| restore.leaves = Some(left)).and_real()
}

fn a_name_too_long_for_a_disk_is_uploaded_alone() -> Scenario {
    // The fake's disk rejects the name, too: only the way of the upload is tested.
    let long: &'static str = Box::leak("\u{e9}".repeat(128).into_boxed_str());
    let nodes = [small_tree(), vec![file(long, 9)]].concat();
    let scenario = Scenario::restore(nodes).fault(Fault::NotSent(long, Reason::Denied));
    scenario.calls("receive", 1..=1).restoring(|restore| restore.fails(long, Reason::Denied))
}
