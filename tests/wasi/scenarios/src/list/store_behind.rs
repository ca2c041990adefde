//! Packfiles that are uploaded while Plakar goes on.

use crate::fault::Fault;
use crate::store::Step::{Calls, Delete, Finish, Get, Has, List, Put};
use crate::store::{Kind, Object, leak, packfile, state, store_with};
use crate::{Reason, Scenario, scenarios};

scenarios![
    store_first_packfile_is_sent_before_plakar_goes_on,
    store_next_packfiles_are_sent_while_plakar_goes_on,
    store_packfiles_that_plakar_does_not_wait_for_are_few,
    store_state_waits_for_all_packfiles,
    store_state_is_refused_after_a_packfile_that_failed,
    store_packfile_that_failed_is_reported_at_the_end,
    store_read_waits_for_an_upload,
    store_list_waits_for_uploads,
    store_removal_waits_for_an_upload,
    store_packfile_that_is_put_again_is_waited_for,
];

/// Time that an upload takes, in milliseconds.
const SLOW: Fault = Fault::Slow(40);

fn three() -> [Object; 3] {
    [packfile(1, 1000), packfile(2, 2000), packfile(3, 3000)]
}

fn store_first_packfile_is_sent_before_plakar_goes_on() -> Scenario {
    let [one, ..] = three();
    Scenario::store(store_with([]), vec![Put(one, Ok(())), Has(one.flat(), Some(1000))]).fault(SLOW)
}

fn store_next_packfiles_are_sent_while_plakar_goes_on() -> Scenario {
    let [one, two, three] = three();
    let steps = vec![
        Put(one, Ok(())),
        Put(two, Ok(())),
        Put(three, Ok(())),
        Has(two.flat(), None),
        Has(three.flat(), None),
        Finish(Ok(())),
        Has(two.flat(), Some(2000)),
        Has(three.flat(), Some(3000)),
    ];
    Scenario::store(store_with([]), steps).fault(SLOW)
}

fn store_packfiles_that_plakar_does_not_wait_for_are_few() -> Scenario {
    let [one, two, three] = three();
    let steps = vec![
        Put(one, Ok(())),
        Put(two, Ok(())),
        Has(two.flat(), None),
        Put(three, Ok(())),
        Has(two.flat(), Some(2000)),
    ];
    Scenario::store(store_with([]), steps).option("uploads", "1").fault(SLOW)
}

fn store_state_waits_for_all_packfiles() -> Scenario {
    let [one, two, three] = three();
    let steps = vec![
        Put(one, Ok(())),
        Put(two, Ok(())),
        Put(three, Ok(())),
        Put(state(1, 10), Ok(())),
        Has(two.flat(), Some(2000)),
        Has(three.flat(), Some(3000)),
        Calls("stat packfiles/".to_owned(), 3..=3),
    ];
    Scenario::store(store_with([]), steps).fault(SLOW)
}

fn failing(object: Object, reason: Reason) -> Fault {
    Fault::PutFails { below: leak(object.flat()), reason, times: usize::MAX }
}

fn store_state_is_refused_after_a_packfile_that_failed() -> Scenario {
    let [one, two, three] = three();
    let denied = Err((Reason::Denied, "can't be uploaded"));
    let steps = vec![
        Put(one, Ok(())),
        Put(two, Ok(())),
        Put(state(1, 10), denied),
        Has(state(1, 10).flat(), None),
        Put(three, denied),
        Put(state(2, 10), denied),
        Has(state(2, 10).flat(), None),
    ];
    Scenario::store(store_with([]), steps).fault(failing(two, Reason::Denied))
}

fn store_packfile_that_failed_is_reported_at_the_end() -> Scenario {
    let [one, two, _] = three();
    let failed = Err((Reason::Unavailable, "can't be uploaded"));
    // Without a state that names it, it isn't sent for fifteen minutes.
    let steps = vec![Put(one, Ok(())), Put(two, Ok(())), Finish(failed)];
    Scenario::store(store_with([]), steps)
        .fault(failing(two, Reason::Unavailable))
        .calls("put", 2..=4)
}

fn store_read_waits_for_an_upload() -> Scenario {
    let [one, two, _] = three();
    let steps = vec![Put(one, Ok(())), Put(two, Ok(())), Get(two, Ok(()))];
    Scenario::store(store_with([]), steps).fault(SLOW)
}

fn store_list_waits_for_uploads() -> Scenario {
    let [one, two, _] = three();
    let steps = vec![Put(one, Ok(())), Put(two, Ok(())), List(Kind::Packfile, vec![one, two])];
    Scenario::store(store_with([]), steps).fault(SLOW)
}

fn store_removal_waits_for_an_upload() -> Scenario {
    let [one, two, _] = three();
    let steps = vec![
        Put(one, Ok(())),
        Put(two, Ok(())),
        Delete(two, Ok(())),
        Finish(Ok(())),
        Has(two.flat(), None),
    ];
    Scenario::store(store_with([]), steps).fault(SLOW)
}

fn store_packfile_that_is_put_again_is_waited_for() -> Scenario {
    let [one, two, _] = three();
    let steps =
        vec![Put(one, Ok(())), Put(two, Ok(())), Put(two, Ok(())), Has(two.flat(), Some(2000))];
    Scenario::store(store_with([]), steps).fault(SLOW)
}
