//! Reads of files.

use super::{many, named, small_tree};
use crate::backup::{Outcome, Reading};
use crate::fault::Fault;
use crate::tree::{CONTROL_NAMES, DIFFICULT_NAMES, directory, file};
use crate::{Reason, Scenario, scenarios};

scenarios![
    a_tree_is_read_completely,
    files_read_at_once_keep_their_own_bytes,
    files_read_backwards_keep_their_own_bytes,
    difficult_names_come_as_they_are,
    names_with_control_characters_come_as_they_are,
    directories_called_data_are_not_confused,
    a_large_file_is_read_completely,
    files_of_unknown_size_come_whole,
    a_read_that_breaks_once_is_made_again,
    a_read_that_breaks_fails_its_file_alone,
    a_read_that_ends_early_fails_its_file_alone,
    a_broken_read_of_unknown_size_fails_its_file_alone,
    a_large_file_that_breaks_half_way_fails,
    a_large_file_that_ends_half_way_fails,
    a_file_that_breaks_half_way_through_the_reader_fails,
    a_file_that_has_grown_fails,
    each_reason_of_a_failed_read_is_passed_on,
    a_reader_that_dies_is_replaced,
    a_reader_that_dies_under_many_reads_is_replaced_once,
    a_reader_of_a_directory_called_data_that_dies_is_replaced,
    a_reader_that_dies_repeatedly_is_not_replaced,
    files_are_read_without_any_reader,
    many_reads_need_few_look_ups,
    a_reader_that_cannot_list_still_reads,
    files_are_fetched_before_they_are_requested,
    a_fetch_that_failed_is_repeated_when_the_file_is_requested,
    no_more_streams_than_allowed_are_open,
    nothing_is_fetched_ahead_where_nothing_may_be_held,
    unchanged_files_are_not_read,
    several_processes_share_the_reads,
];

fn a_tree_is_read_completely() -> Scenario {
    let large = [file("dir/mib", 1 << 20), file("dir/mib and one", (1 << 20) + 1)];
    Scenario::backup([small_tree(), large.into()].concat()).and_real()
}

fn files_read_at_once_keep_their_own_bytes() -> Scenario {
    Scenario::backup(many(300)).backing_up(|backup| backup.reading = Reading::AtOnce).and_real()
}

fn files_read_backwards_keep_their_own_bytes() -> Scenario {
    Scenario::backup(many(50)).backing_up(|backup| backup.reading = Reading::Backwards).and_real()
}

fn difficult_names_come_as_they_are() -> Scenario {
    Scenario::backup(named(&DIFFICULT_NAMES)).and_real()
}

fn names_with_control_characters_come_as_they_are() -> Scenario {
    Scenario::backup(named(&CONTROL_NAMES))
}

fn directories_called_data_are_not_confused() -> Scenario {
    let nodes = ["data", "data/ab", "x", "x/data"].map(directory);
    let files = ["data/abcd", "data/ab/abcd", "data/a", "x/data/abcd", "x/data/abce"];
    let files = files.map(|path| file(path, 20));
    Scenario::backup([&nodes[..], &files].concat()).and_real()
}

fn a_large_file_is_read_completely() -> Scenario {
    let nodes = vec![file("large", 20 << 20), file("medium", 6 << 20), file("small", 10)];
    Scenario::backup(nodes).calls("cat", 1..=1).and_real()
}

fn files_of_unknown_size_come_whole() -> Scenario {
    let nodes = [small_tree(), vec![file("larger", 3 << 20)]].concat();
    Scenario::backup(nodes)
        .fault(Fault::NoSizes)
        .backing_up(|backup| backup.sizes = false)
        .and_real()
}

/// Creates a fault of `dir/two`.
fn breaks(at: usize, reported: bool, times: usize) -> Fault {
    Fault::Breaks { path: "dir/two", at, reported, times }
}

fn a_read_that_breaks_once_is_made_again() -> Scenario {
    Scenario::backup(small_tree()).fault(breaks(1000, true, 1)).calls("cat", 1..=1).and_real()
}

fn a_read_that_breaks_fails_its_file_alone() -> Scenario {
    Scenario::backup(small_tree())
        .fault(breaks(1000, true, usize::MAX))
        .backing_up(|backup| backup.except("dir/two", Outcome::Unread(Reason::Unavailable)))
        .and_real()
}

fn a_read_that_ends_early_fails_its_file_alone() -> Scenario {
    Scenario::backup(small_tree())
        .fault(breaks(1000, false, usize::MAX))
        .backing_up(|backup| backup.except("dir/two", Outcome::Unread(Reason::Corrupted)))
}

fn a_broken_read_of_unknown_size_fails_its_file_alone() -> Scenario {
    let broken = a_read_that_breaks_fails_its_file_alone();
    broken.fault(Fault::NoSizes).backing_up(|backup| backup.sizes = false)
}

/// Creates a file whose read breaks in its middle.
fn midway(mebibytes: usize, reported: bool, reason: Reason) -> Scenario {
    let size = mebibytes << 20;
    let fault = Fault::Breaks { path: "large", at: size / 2, reported, times: usize::MAX };
    Scenario::backup(vec![file("large", size), file("small", 10)])
        .fault(fault)
        .backing_up(|backup| backup.except("large", Outcome::Unread(reason)))
}

fn a_large_file_that_breaks_half_way_fails() -> Scenario {
    midway(20, true, Reason::Unavailable).and_real()
}

fn a_file_that_breaks_half_way_through_the_reader_fails() -> Scenario {
    midway(6, true, Reason::Unavailable).calls("cat", 0..=0).and_real()
}

fn a_large_file_that_ends_half_way_fails() -> Scenario {
    midway(20, false, Reason::Corrupted)
}

fn a_file_that_has_grown_fails() -> Scenario {
    Scenario::backup(small_tree())
        .fault(Fault::Grows { path: "a.txt", by: 1 })
        .backing_up(|backup| backup.except("a.txt", Outcome::Unread(Reason::Corrupted)))
}

fn each_reason_of_a_failed_read_is_passed_on() -> Scenario {
    const PATHS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let faults = PATHS.into_iter().zip(Reason::ALL);
    let nodes = [small_tree(), PATHS.map(|path| file(path, 5)).to_vec()].concat();
    let scenario = Scenario::backup(nodes);
    faults.fold(scenario, |scenario, (path, reason)| {
        let scenario = scenario.fault(Fault::Refused(path, reason));
        scenario.backing_up(|backup| backup.except(path, Outcome::Unread(reason)))
    })
}

fn a_reader_that_dies_is_replaced() -> Scenario {
    Scenario::backup(many(100))
        .option("read_ahead", "0")
        .fault(Fault::ReaderDies { after: 20, times: 3 })
        .calls("reader", 4..=4)
        .calls("cat", 3..=3)
}

fn a_reader_that_dies_under_many_reads_is_replaced_once() -> Scenario {
    Scenario::backup(many(300))
        .fault(Fault::Slow(20))
        .fault(Fault::ReaderDies { after: 100, times: 1 })
        .calls("reader", 2..=2)
}

fn a_reader_of_a_directory_called_data_that_dies_is_replaced() -> Scenario {
    let files = (10..30).map(|number| file(&format!("data/{number}"), 100));
    Scenario::backup(std::iter::once(directory("data")).chain(files).collect())
        .option("read_ahead", "0")
        .fault(Fault::ReaderDies { after: 5, times: 1 })
        .calls("reader", 2..=2)
        .calls("cat", 1..=1)
}

fn a_reader_that_dies_repeatedly_is_not_replaced() -> Scenario {
    Scenario::backup(many(100))
        .fault(Fault::ReaderDies { after: 2, times: usize::MAX })
        .calls("reader", 5..=5)
}

fn files_are_read_without_any_reader() -> Scenario {
    Scenario::backup(many(40)).fault(Fault::NoReader).calls("cat", 40..=40)
}

fn many_reads_need_few_look_ups() -> Scenario {
    Scenario::backup(many(400)).calls("warm", 1..=1).calls("look-up", 1..=100)
}

fn a_reader_that_cannot_list_still_reads() -> Scenario {
    Scenario::backup(many(200)).fault(Fault::NoWarmUp).calls("warm", 1..=1)
}

fn files_are_fetched_before_they_are_requested() -> Scenario {
    Scenario::backup(many(400)).fault(Fault::Slow(50)).calls("at-once", 32..=65)
}

fn a_fetch_that_failed_is_repeated_when_the_file_is_requested() -> Scenario {
    // By the reader, then by a process of its own.
    let fault = Fault::Breaks { path: "many/0050", at: 5, reported: true, times: 2 };
    Scenario::backup(many(100)).fault(fault).calls("cat", 1..=1)
}

fn no_more_streams_than_allowed_are_open() -> Scenario {
    let scenario = Scenario::backup(many(200)).option("streams", "4").fault(Fault::Slow(1));
    scenario.calls("at-once", 3..=5)
}

fn nothing_is_fetched_ahead_where_nothing_may_be_held() -> Scenario {
    let scenario = Scenario::backup(many(50)).option("read_ahead", "0").fault(Fault::Slow(1));
    scenario.calls("at-once", 1..=1)
}

fn unchanged_files_are_not_read() -> Scenario {
    Scenario::backup(many(300))
        .backing_up(|backup| backup.reading = Reading::Nothing)
        .calls("read", 0..=0)
        .calls("cat", 0..=0)
        .and_real()
}

fn several_processes_share_the_reads() -> Scenario {
    Scenario::backup(many(200)).option("processes", "3").calls("reader", 3..=3)
}
