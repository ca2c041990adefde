//! Detection of changed files: times and identities.

use super::{many, small_tree};
use crate::backup::{Outcome, Reading};
use crate::fault::Fault;
use crate::tree::{directory, file};
use crate::{Reason, Scenario, scenarios};

scenarios![
    files_have_their_own_times_where_these_cost_a_call,
    look_ups_are_made_a_thousand_at_a_time,
    a_file_removed_before_its_look_up_is_an_error_of_its_path,
    look_ups_that_fail_are_errors_of_their_paths,
    the_servers_times_cost_no_call,
    objects_with_ids_have_identities,
];

fn files_have_their_own_times_where_these_cost_a_call() -> Scenario {
    Scenario::backup(small_tree()).with_backend("s3").backing_up(|backup| backup.identities = true)
}

fn look_ups_are_made_a_thousand_at_a_time() -> Scenario {
    Scenario::backup(many(2500))
        .with_backend("s3")
        .backing_up(|backup| {
            backup.identities = true;
            backup.reading = Reading::Nothing;
        })
        .calls("look-ups", 3..=4)
        .calls("look-up", 2500..=2500)
}

fn a_file_removed_before_its_look_up_is_an_error_of_its_path() -> Scenario {
    Scenario::backup(small_tree()).with_backend("s3").fault(Fault::Removed("dir/one")).backing_up(
        |backup| {
            backup.identities = true;
            backup.except("dir/one", Outcome::Failed(Reason::NotFound));
        },
    )
}

fn look_ups_that_fail_are_errors_of_their_paths() -> Scenario {
    let files = (0..10).map(|number| file(&format!("d/{number}"), 9));
    let nodes = std::iter::once(directory("d")).chain(files).collect();
    let fault = Fault::NoLookUp("d/7", Reason::Denied);
    Scenario::backup(nodes).with_backend("s3").fault(fault).backing_up(|backup| {
        backup.identities = true;
        // The failure ends the run that looks up the other files.
        backup.except("d/7", Outcome::Failed(Reason::Denied));
    })
}

fn the_servers_times_cost_no_call() -> Scenario {
    Scenario::backup(small_tree())
        .with_backend("s3")
        .option("times", "server")
        .backing_up(|backup| {
            backup.identities = true;
            for file in backup.tree.iter_mut().filter(|node| node.bytes.is_some()) {
                file.modified = (1_800_000_000, 0);
            }
        })
        .calls("look-ups", 0..=0)
}

fn objects_with_ids_have_identities() -> Scenario {
    Scenario::backup(small_tree()).fault(Fault::Ids).backing_up(|backup| backup.identities = true)
}
