//! Scenarios that a tree and its faults can't express: the driver has code for them.

use super::{many, small_tree};
use crate::fault::Fault;
use crate::photos::BACKEND;
use crate::tree::file;
use crate::{Reason, Scenario, scenarios};

scenarios![
    a_ping_reaches_the_remote_once,
    a_ping_says_why_the_remote_cannot_be_reached,
    a_ping_says_that_albums_cannot_be_listed,
    invalid_options_are_refused,
    a_session_is_opened_once,
    nothing_is_done_before_a_session_is_opened,
    a_million_entries_pass,
    a_scan_whose_reader_stops_ends,
    a_read_that_is_dropped_is_cancelled,
    a_stalled_read_blocks_no_other,
    a_large_file_that_stalls_is_cancelled,
    a_path_that_was_not_found_is_not_read,
];

fn a_ping_reaches_the_remote_once() -> Scenario {
    Scenario::custom(small_tree()).calls("list", 1..=1).calls("directory", 1..=1)
}

fn a_ping_says_why_the_remote_cannot_be_reached() -> Scenario {
    Scenario::custom(small_tree()).fault(Fault::NoListing)
}

fn a_ping_says_that_albums_cannot_be_listed() -> Scenario {
    let fault = Fault::ListError("album", Reason::Unauthenticated);
    Scenario::custom(Vec::new()).with_backend(BACKEND).fault(fault)
}

fn invalid_options_are_refused() -> Scenario {
    Scenario::custom(Vec::new()).option("streams", "many").calls("list", 0..=0)
}

fn a_session_is_opened_once() -> Scenario {
    Scenario::custom(Vec::new())
}

fn nothing_is_done_before_a_session_is_opened() -> Scenario {
    Scenario::custom(small_tree()).calls("list", 0..=0).calls("batch", 0..=0)
}

fn a_million_entries_pass() -> Scenario {
    Scenario::custom(Vec::new()).fault(Fault::SyntheticFiles(1_000_000))
}

fn a_scan_whose_reader_stops_ends() -> Scenario {
    Scenario::custom(Vec::new()).fault(Fault::EndlessListing).calls("listing-dropped", 1..=1)
}

fn a_read_that_is_dropped_is_cancelled() -> Scenario {
    Scenario::custom(vec![file("large", 20 << 20), file("small", 9)]).calls("dropped", 1..=1)
}

fn a_stalled_read_blocks_no_other() -> Scenario {
    Scenario::custom(many(100)).fault(Fault::Stalls { path: "many/0050", at: 5 })
}

fn a_large_file_that_stalls_is_cancelled() -> Scenario {
    let nodes = vec![file("large", 20 << 20), file("small", 9)];
    Scenario::custom(nodes).fault(Fault::Stalls { path: "large", at: 2 << 20 })
}

fn a_path_that_was_not_found_is_not_read() -> Scenario {
    Scenario::custom(small_tree())
}
