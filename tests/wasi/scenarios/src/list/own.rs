//! What can't be said by a tree and its faults alone: the driver has code for these.

use super::{many, some};
use crate::fault::Fault;
use crate::photos::BACKEND;
use crate::tree::file;
use crate::{Reason, Scenario, scenarios};

scenarios![
    a_ping_reaches_the_remote_once,
    a_ping_says_why_the_remote_cannot_be_reached,
    a_ping_says_that_albums_cannot_be_listed,
    options_that_make_no_sense_are_refused,
    a_session_is_opened_once,
    nothing_is_done_before_a_session_is_opened,
    a_million_entries_pass,
    a_scan_that_nobody_reads_on_ends,
    a_read_that_nobody_wants_is_given_up,
    a_stalled_read_holds_nothing_else_up,
    a_large_file_that_stalls_is_given_up,
    a_path_that_was_not_found_is_not_read,
];

fn a_ping_reaches_the_remote_once() -> Scenario {
    Scenario::own(some()).calls("list", 1..=1).calls("directory", 1..=1)
}

fn a_ping_says_why_the_remote_cannot_be_reached() -> Scenario {
    Scenario::own(some()).fault(Fault::NoListing)
}

fn a_ping_says_that_albums_cannot_be_listed() -> Scenario {
    let trouble = Fault::Trouble("album", Reason::Unauthenticated);
    Scenario::own(Vec::new()).on(BACKEND).fault(trouble)
}

fn options_that_make_no_sense_are_refused() -> Scenario {
    Scenario::own(Vec::new()).option("streams", "many").calls("list", 0..=0)
}

fn a_session_is_opened_once() -> Scenario {
    Scenario::own(Vec::new())
}

fn nothing_is_done_before_a_session_is_opened() -> Scenario {
    Scenario::own(some()).calls("list", 0..=0).calls("batch", 0..=0)
}

fn a_million_entries_pass() -> Scenario {
    Scenario::own(Vec::new()).fault(Fault::MadeUp(1_000_000))
}

fn a_scan_that_nobody_reads_on_ends() -> Scenario {
    Scenario::own(Vec::new()).fault(Fault::EndlessListing).calls("listing-dropped", 1..=1)
}

fn a_read_that_nobody_wants_is_given_up() -> Scenario {
    Scenario::own(vec![file("large", 20 << 20), file("small", 9)]).calls("dropped", 1..=1)
}

fn a_stalled_read_holds_nothing_else_up() -> Scenario {
    Scenario::own(many(100)).fault(Fault::Stalls { path: "many/0050", at: 5 })
}

fn a_large_file_that_stalls_is_given_up() -> Scenario {
    let nodes = vec![file("large", 20 << 20), file("small", 9)];
    Scenario::own(nodes).fault(Fault::Stalls { path: "large", at: 2 << 20 })
}

fn a_path_that_was_not_found_is_not_read() -> Scenario {
    Scenario::own(some())
}
