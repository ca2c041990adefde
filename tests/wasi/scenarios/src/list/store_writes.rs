//! Uploads to stores, and removals.

use crate::fault::Fault;
use crate::store::Step::{
    AtOnce, Calls, Delete, Finish, Has, InOrder, List, Put, PutBroken, Remove, Until, Write,
};
use crate::store::{Kind, Object, packfile, state, store_with};
use crate::tree::directory;
use crate::{Reason, Scenario, scenarios};

scenarios![
    store_object_is_put_under_its_name,
    store_new_object_is_flat_by_default,
    store_new_object_is_nested_if_the_user_says_so,
    store_new_object_follows_the_layout_of_the_store,
    store_new_object_follows_the_layout_of_empty_directories,
    store_layout_is_looked_for_once,
    store_layout_that_cannot_be_looked_up_is_not_guessed,
    store_put_that_fails_is_made_again,
    store_put_that_is_denied_fails_at_once,
    store_put_is_retried_for_fifteen_minutes,
    store_content_that_fails_leaves_nothing,
    store_large_object_is_put_whole,
    store_empty_object_is_put,
    store_state_is_put_after_a_look_at_all_packfiles,
    store_many_packfiles_are_looked_up_by_a_listing,
    store_state_is_not_put_if_a_packfile_is_missing,
    store_state_is_not_put_if_a_packfile_is_shorter,
    store_state_is_put_although_a_look_up_failed,
    store_state_is_not_put_if_packfiles_cannot_be_looked_up,
    store_states_put_at_once_share_a_look_up,
    store_removes_objects_in_both_layouts,
    store_removes_an_object_once_if_its_layout_is_known,
    store_packfile_that_was_removed_on_purpose_is_not_missed,
    store_end_waits_for_uploads,
];

/// Returns a number of packfiles.
fn packfiles(count: u64) -> Vec<Object> {
    (0..count).map(|number| packfile(number, 1000)).collect()
}

fn puts(objects: &[Object]) -> Vec<crate::store::Step> {
    objects.iter().map(|object| Put(*object, Ok(()))).collect()
}

fn store_object_is_put_under_its_name() -> Scenario {
    let (one, two) = (packfile(1, 3000), state(2, 500));
    let steps = vec![
        Put(one, Ok(())),
        Put(two, Ok(())),
        List(Kind::Packfile, vec![one]),
        List(Kind::State, vec![two]),
    ];
    Scenario::store(store_with([]), steps).calls("put", 2..=2).calls("wait", 0..=0)
}

fn store_new_object_is_flat_by_default() -> Scenario {
    let one = packfile(1, 3000);
    let steps = vec![Put(one, Ok(())), Has(one.flat(), Some(3000)), Has(one.nested(), None)];
    Scenario::store(store_with([]), steps)
}

fn store_new_object_is_nested_if_the_user_says_so() -> Scenario {
    let (one, two) = (packfile(1, 3000), state(1, 30));
    let steps = vec![
        Put(one, Ok(())),
        Put(two, Ok(())),
        Has(one.nested(), Some(3000)),
        Has(two.nested(), Some(30)),
    ];
    Scenario::store(store_with([]), steps).option("layout", "nested")
}

fn store_new_object_follows_the_layout_of_the_store() -> Scenario {
    let one = packfile(1, 3000);
    let steps = vec![Put(one, Ok(())), Has(one.nested(), Some(3000))];
    // The store decides, whatever the user says.
    Scenario::store(store_with([state(7, 10).as_nested()]), steps).option("layout", "flat")
}

fn store_new_object_follows_the_layout_of_empty_directories() -> Scenario {
    let one = packfile(1, 3000);
    let steps = vec![Put(one, Ok(())), Has(one.nested(), Some(3000))];
    Scenario::store(store_with([directory("packfiles/00"), directory("packfiles/ff")]), steps)
}

fn store_layout_is_looked_for_once() -> Scenario {
    let objects = packfiles(10);
    Scenario::store(store_with([]), vec![AtOnce(puts(&objects)), AtOnce(puts(&objects))])
        .calls("list", 2..=2)
}

fn store_layout_that_cannot_be_looked_up_is_not_guessed() -> Scenario {
    let one = packfile(1, 3000);
    let refused = Put(one, Err((Reason::Denied, "listing failed")));
    Scenario::store(store_with([]), vec![refused, Has(one.flat(), None)])
        .fault(Fault::ListingEnds(Some(Reason::Denied)))
}

fn store_put_that_fails_is_made_again() -> Scenario {
    let one = packfile(1, 3000);
    let steps = vec![Put(one, Ok(())), Has(one.flat(), Some(3000))];
    Scenario::store(store_with([]), steps)
        .fault(Fault::PutFails { below: "packfiles", reason: Reason::Corrupted, times: 3 })
        .calls("put", 4..=4)
        .calls("wait", 3..=3)
}

fn store_put_that_is_denied_fails_at_once() -> Scenario {
    let one = packfile(1, 3000);
    let steps = vec![Put(one, Err((Reason::Denied, "can't be uploaded"))), Has(one.flat(), None)];
    Scenario::store(store_with([]), steps)
        .fault(Fault::PutFails { below: "packfiles", reason: Reason::Denied, times: 1 })
        .calls("put", 1..=1)
}

fn store_put_is_retried_for_fifteen_minutes() -> Scenario {
    let refused = Put(packfile(1, 3000), Err((Reason::Unavailable, "can't be uploaded")));
    // 1, 2, 4, 8, 16 and 32 seconds, then minutes.
    let steps = vec![refused, Calls("wait 60000".to_owned(), 13..=14)];
    let fault =
        Fault::PutFails { below: "packfiles", reason: Reason::Unavailable, times: usize::MAX };
    Scenario::store(store_with([]), steps).fault(fault).calls("put", 20..=22)
}

fn store_content_that_fails_leaves_nothing() -> Scenario {
    let (one, two) = (packfile(1, 3 << 20), packfile(2, 3000));
    let steps = vec![PutBroken(one), Has(one.flat(), None), Put(two, Ok(()))];
    Scenario::store(store_with([]), steps).calls("put", 1..=1)
}

fn store_large_object_is_put_whole() -> Scenario {
    let one = packfile(1, 20 << 20);
    let got = crate::store::Step::Get(one, Ok(()));
    Scenario::store(store_with([]), vec![Put(one, Ok(())), got])
}

fn store_empty_object_is_put() -> Scenario {
    let one = state(1, 0);
    let steps = vec![
        Put(one, Ok(())),
        Has(one.flat(), Some(0)),
        List(Kind::State, vec![one]),
        crate::store::Step::Get(one, Ok(())),
    ];
    Scenario::store(store_with([]), steps)
}

fn store_state_is_put_after_a_look_at_all_packfiles() -> Scenario {
    let objects = packfiles(5);
    let look_ups = |count| Calls("stat packfiles/".to_owned(), count..=count);
    let mut steps = puts(&objects);
    steps.extend([
        Put(state(1, 10), Ok(())),
        look_ups(5),
        InOrder("stat packfiles/".to_owned(), "put states/".to_owned()),
        // The next one looks only at what came after it.
        Put(state(2, 10), Ok(())),
        look_ups(5),
        Put(packfile(9, 1000), Ok(())),
        Put(state(3, 10), Ok(())),
        look_ups(6),
    ]);
    Scenario::store(store_with([]), steps)
}

fn store_many_packfiles_are_looked_up_by_a_listing() -> Scenario {
    let objects = packfiles(70);
    let mut steps = puts(&objects);
    let hex = crate::store::leak(objects[69].hex());
    steps.extend([
        List(Kind::Packfile, objects.clone()),
        Remove(objects[69].flat()),
        refused_state(hex),
        Write(objects[69].as_flat()),
        Put(state(1, 10), Ok(())),
        Calls("stat packfiles/".to_owned(), 0..=0),
    ]);
    Scenario::store(store_with([]), steps)
}

fn refused_state(part: &'static str) -> crate::store::Step {
    Put(state(1, 10), Err((Reason::Corrupted, part)))
}

fn store_state_is_not_put_if_a_packfile_is_missing() -> Scenario {
    let objects = packfiles(5);
    let mut steps = puts(&objects);
    let hex = crate::store::leak(objects[3].hex());
    steps.extend([
        List(Kind::Packfile, objects.clone()),
        Remove(objects[3].flat()),
        refused_state(hex),
        Has(state(1, 10).flat(), None),
        // It stays so.
        refused_state(hex),
    ]);
    Scenario::store(store_with([]), steps)
}

fn store_state_is_not_put_if_a_packfile_is_shorter() -> Scenario {
    let mut steps = puts(&packfiles(2));
    let short = packfile(1, 990);
    steps.push(List(Kind::Packfile, packfiles(2)));
    steps.extend([Write(short.as_flat()), refused_state("990"), Has(state(1, 10).flat(), None)]);
    Scenario::store(store_with([]), steps)
}

fn store_state_is_put_although_a_look_up_failed() -> Scenario {
    let steps = [puts(&packfiles(2)), vec![Put(state(1, 10), Ok(()))]].concat();
    Scenario::store(store_with([]), steps)
        .fault(stat_fails(Reason::Unavailable, 4))
        .calls("wait", 4..=4)
}

fn store_state_is_not_put_if_packfiles_cannot_be_looked_up() -> Scenario {
    let refused = Put(state(1, 10), Err((Reason::Denied, "can't be looked up")));
    let steps = [puts(&packfiles(2)), vec![refused, Has(state(1, 10).flat(), None)]].concat();
    Scenario::store(store_with([]), steps).fault(stat_fails(Reason::Denied, usize::MAX))
}

fn stat_fails(reason: Reason, times: usize) -> Fault {
    Fault::StatFails { below: "packfiles", reason, times }
}

fn store_states_put_at_once_share_a_look_up() -> Scenario {
    let states = (0..8).map(|number| Put(state(number, 10), Ok(()))).collect();
    let look_ups = Calls("stat packfiles/".to_owned(), 3..=3);
    let steps = [puts(&packfiles(3)), vec![AtOnce(states), look_ups]].concat();
    Scenario::store(store_with([]), steps).fault(Fault::Slow(2))
}

fn store_removes_objects_in_both_layouts() -> Scenario {
    let (one, two) = (packfile(1, 10), packfile(2, 20));
    let steps = vec![
        Delete(one, Ok(())),
        Delete(two, Ok(())),
        Delete(packfile(3, 0), Ok(())),
        Has(one.flat(), None),
        Has(two.nested(), None),
    ];
    Scenario::store(store_with([one.as_flat(), two.as_nested()]), steps).fault(Fault::DeleteFails {
        below: "packfiles",
        reason: Reason::Unavailable,
        times: 2,
    })
}

fn store_removes_an_object_once_if_its_layout_is_known() -> Scenario {
    let objects = packfiles(3);
    let removals = objects.iter().map(|object| Delete(*object, Ok(())));
    let steps = std::iter::once(List(Kind::Packfile, objects.clone())).chain(removals).collect();
    let nodes = store_with(objects.iter().map(|object| object.as_nested()));
    Scenario::store(nodes, steps).calls("delete", 3..=3)
}

fn store_packfile_that_was_removed_on_purpose_is_not_missed() -> Scenario {
    let mut steps = puts(&packfiles(2));
    steps.extend([Delete(packfile(1, 1000), Ok(())), Put(state(1, 10), Ok(()))]);
    steps.push(Calls("stat packfiles/".to_owned(), 1..=1));
    Scenario::store(store_with([]), steps)
}

fn store_end_waits_for_uploads() -> Scenario {
    let one = packfile(1, 1000);
    let ended =
        vec![Until("put packfiles/".to_owned()), Finish(Ok(())), Has(one.flat(), Some(1000))];
    let ending = crate::store::Step::InTurn(ended);
    let steps =
        vec![AtOnce(vec![Put(one, Ok(())), ending]), Put(one, Err((Reason::Cancelled, "")))];
    Scenario::store(store_with([]), steps).fault(Fault::Slow(50))
}
