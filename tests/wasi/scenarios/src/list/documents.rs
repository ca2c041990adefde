//! The example connector, which backs up documents only. The names of its scenarios begin with
//! `documents`.

use crate::backup::Outcome;
use crate::fault::Fault;
use crate::restore::Keeps;
use crate::tree::{Node, directory, file};
use crate::{Reason, Scenario, scenarios};

scenarios![
    documents_come_whole_and_nothing_else_does,
    documents_that_break_fail_alone,
    documents_that_end_early_fail_alone,
    documents_of_a_directory_that_cannot_be_listed_are_an_error,
    documents_of_half_a_listing_fail_the_backup,
    documents_of_a_failed_listing_fail_the_backup,
    documents_are_restored,
    documents_that_cannot_be_sent_fail_alone,
];

fn documents() -> Vec<Node> {
    let files = [("a.txt", 20), ("dir/b.PDF", 3 << 20), ("dir/c.md", 0)];
    let files = files.map(|(path, size)| file(path, size));
    std::iter::once(directory("dir")).chain(files).collect()
}

fn backup() -> Scenario {
    let nodes = [documents(), vec![file("dir/photo.jpg", 30)]].concat();
    Scenario::backup(nodes).backing_up(|backup| backup.except("dir/photo.jpg", Outcome::Absent))
}

fn documents_come_whole_and_nothing_else_does() -> Scenario {
    backup().calls("cat", 3..=3)
}

fn broken(reported: bool, reason: Reason) -> Scenario {
    let fault = Fault::Breaks { path: "dir/b.PDF", at: 2 << 20, reported, times: usize::MAX };
    backup().fault(fault).backing_up(|backup| backup.except("dir/b.PDF", Outcome::Unread(reason)))
}

fn documents_that_break_fail_alone() -> Scenario {
    broken(true, Reason::Unavailable)
}

fn documents_that_end_early_fail_alone() -> Scenario {
    broken(false, Reason::Corrupted)
}

fn documents_of_a_directory_that_cannot_be_listed_are_an_error() -> Scenario {
    Scenario::backup(vec![directory("dir"), directory("shut"), file("dir/a.txt", 20)])
        .fault(Fault::ListError("shut", Reason::Denied))
        .backing_up(|backup| backup.except("shut", Outcome::FoundAndFailed(Reason::Denied)))
}

fn documents_of_half_a_listing_fail_the_backup() -> Scenario {
    let half = backup().fault(Fault::ListingBreaks(100));
    half.backing_up(|backup| backup.ends = vec![Err(Reason::Corrupted)])
}

fn documents_of_a_failed_listing_fail_the_backup() -> Scenario {
    let failed = backup().fault(Fault::ListingEnds(Some(Reason::Denied)));
    failed.backing_up(|backup| backup.ends = vec![Err(Reason::Denied)])
}

fn restore() -> Scenario {
    Scenario::restore(documents()).restoring(|restore| restore.keeps = Keeps::Bytes)
}

fn documents_are_restored() -> Scenario {
    restore().calls("receive", 3..=3)
}

fn documents_that_cannot_be_sent_fail_alone() -> Scenario {
    let fault = Fault::NotSent("a.txt", Reason::Denied);
    restore().fault(fault).restoring(|restore| restore.fails("a.txt", Reason::Denied))
}
