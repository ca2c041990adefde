//! What tells a changed file from an unchanged one: times and identities.

use super::{many, some};
use crate::backup::{Fate, Reading};
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
    Scenario::backup(some()).on("s3").backing_up(|backup| backup.identities = true)
}

fn look_ups_are_made_a_thousand_at_a_time() -> Scenario {
    Scenario::backup(many(2500))
        .on("s3")
        .backing_up(|backup| {
            backup.identities = true;
            backup.reading = Reading::Nothing;
        })
        .calls("look-ups", 3..=4)
        .calls("look-up", 2500..=2500)
}

fn a_file_removed_before_its_look_up_is_an_error_of_its_path() -> Scenario {
    Scenario::backup(some()).on("s3").fault(Fault::Removed("dir/one")).backing_up(|backup| {
        backup.identities = true;
        backup.but("dir/one", Fate::Failed(Reason::NotFound));
    })
}

fn look_ups_that_fail_are_errors_of_their_paths() -> Scenario {
    let files = (0..10).map(|number| file(&format!("d/{number}"), 9));
    let nodes = std::iter::once(directory("d")).chain(files).collect();
    let fault = Fault::NoLookUp("d/7", Reason::Denied);
    Scenario::backup(nodes).on("s3").fault(fault).backing_up(|backup| {
        backup.identities = true;
        // It ends the run in which the others are looked up.
        backup.but("d/7", Fate::Failed(Reason::Denied));
    })
}

fn the_servers_times_cost_no_call() -> Scenario {
    Scenario::backup(some())
        .on("s3")
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
    Scenario::backup(some()).fault(Fault::Ids).backing_up(|backup| backup.identities = true)
}
