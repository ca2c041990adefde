//! Locks of stores.

use crate::fault::Fault;
use crate::store::Step::{
    AtOnce, Calls, Delete, Finish, Get, Has, InTurn, List, Put, Remove, Until,
};
use crate::store::{Kind, leak, lock, packfile, store_with};
use crate::{Reason, Scenario, scenarios};

scenarios![
    store_lock_of_the_session_is_read_without_a_call,
    store_lock_that_is_refreshed_has_its_last_content,
    store_locks_of_others_are_fetched_with_their_listing,
    store_lock_that_vanishes_is_not_listed,
    store_lock_that_cannot_be_read_fails_the_listing,
    store_lock_that_was_not_listed_is_read,
    store_locks_are_removed_at_the_end,
    store_lock_that_was_removed_stays_so,
    store_lock_that_cannot_be_removed_at_once_is_removed_later,
    store_lock_that_stays_is_an_error,
    store_locks_of_others_stay_at_the_end,
    store_lock_does_not_wait_for_uploads,
    store_lock_is_not_put_again_after_its_removal,
    store_locks_are_flat_in_a_nested_store,
];

fn store_lock_of_the_session_is_read_without_a_call() -> Scenario {
    let steps = vec![
        Put(lock(1), Ok(())),
        List(Kind::Lock, vec![lock(1)]),
        Get(lock(1), Ok(())),
        Get(lock(1), Ok(())),
    ];
    Scenario::store(store_with([]), steps)
        .calls("cat", 0..=0)
        .calls("fetch", 0..=0)
        .calls("read-parcel", 2..=2)
}

fn store_lock_that_is_refreshed_has_its_last_content() -> Scenario {
    let longer = crate::store::Object { size: 300, ..lock(1) };
    let steps = vec![
        Put(lock(1), Ok(())),
        Put(longer, Ok(())),
        Has(lock(1).flat(), Some(300)),
        Get(longer, Ok(())),
        Finish(Ok(())),
        Has(lock(1).flat(), None),
    ];
    Scenario::store(store_with([]), steps).calls("delete", 1..=1)
}

fn store_locks_of_others_are_fetched_with_their_listing() -> Scenario {
    let locks: Vec<_> = (0..50).map(lock).collect();
    let mut steps = vec![List(Kind::Lock, locks.clone()), Calls("cat ".to_owned(), 50..=50)];
    // They go before they are read.
    steps.extend(locks.iter().map(|lock| Remove(lock.flat())));
    steps.extend(locks.iter().map(|lock| Get(*lock, Ok(()))));
    steps.push(Calls("cat ".to_owned(), 50..=50));
    Scenario::store(store_with(locks.iter().map(|lock| lock.as_flat())), steps)
        .fault(Fault::Slow(2))
        .calls("at-once", 32..=32)
}

fn store_lock_that_vanishes_is_not_listed() -> Scenario {
    let vanished = Fault::Refused(leak(lock(2).flat()), Reason::NotFound);
    let steps = vec![List(Kind::Lock, vec![lock(1), lock(3)])];
    Scenario::store(store_with([1, 2, 3].map(|number| lock(number).as_flat())), steps)
        .fault(vanished)
}

fn store_lock_that_cannot_be_read_fails_the_listing() -> Scenario {
    let refused = Fault::Refused(leak(lock(2).flat()), Reason::Denied);
    let failed = crate::store::Step::ListFails(Kind::Lock, Reason::Denied, "can't be read");
    let nodes = store_with([1, 2, 3].map(|number| lock(number).as_flat()));
    Scenario::store(nodes, vec![failed]).fault(refused)
}

fn store_lock_that_was_not_listed_is_read() -> Scenario {
    let missing = Get(lock(2), Err((Reason::NotFound, "")));
    Scenario::store(store_with([lock(1).as_flat()]), vec![Get(lock(1), Ok(())), missing])
        .calls("cat", 2..=2)
}

fn store_locks_are_removed_at_the_end() -> Scenario {
    let steps = vec![
        Put(lock(1), Ok(())),
        Put(lock(2), Ok(())),
        Finish(Ok(())),
        Has(lock(1).flat(), None),
        Has(lock(2).flat(), None),
    ];
    Scenario::store(store_with([]), steps)
}

fn store_lock_that_was_removed_stays_so() -> Scenario {
    let steps = vec![
        Put(lock(1), Ok(())),
        Delete(lock(1), Ok(())),
        Has(lock(1).flat(), None),
        Get(lock(1), Err((Reason::NotFound, ""))),
        Finish(Ok(())),
    ];
    Scenario::store(store_with([]), steps).calls("delete", 1..=1)
}

fn store_lock_that_cannot_be_removed_at_once_is_removed_later() -> Scenario {
    let steps = vec![Put(lock(1), Ok(())), Finish(Ok(())), Has(lock(1).flat(), None)];
    Scenario::store(store_with([]), steps)
        .fault(Fault::DeleteFails { below: "locks", reason: Reason::Unavailable, times: 3 })
        .calls("delete", 4..=4)
}

fn store_lock_that_stays_is_an_error() -> Scenario {
    let stays = Finish(Err((Reason::Unavailable, leak(lock(1).hex()))));
    let fault =
        Fault::DeleteFails { below: "locks", reason: Reason::Unavailable, times: usize::MAX };
    Scenario::store(store_with([]), vec![Put(lock(1), Ok(())), stays])
        .fault(fault)
        .calls("wait", 3..=6)
}

fn store_locks_of_others_stay_at_the_end() -> Scenario {
    let steps = vec![
        Put(lock(1), Ok(())),
        List(Kind::Lock, vec![lock(1), lock(2)]),
        Finish(Ok(())),
        Has(lock(2).flat(), Some(200)),
    ];
    Scenario::store(store_with([lock(2).as_flat()]), steps).calls("delete", 1..=1)
}

fn store_lock_does_not_wait_for_uploads() -> Scenario {
    let puts = (0..4).map(|number| Put(packfile(number, 1000), Ok(())));
    let refreshed = vec![
        Until("put packfiles/".to_owned()),
        Put(lock(1), Ok(())),
        // All packfiles but the first wait for their turn.
        Calls("put packfiles/".to_owned(), 1..=2),
    ];
    let steps = vec![AtOnce(puts.chain([InTurn(refreshed)]).collect())];
    Scenario::store(store_with([]), steps).option("uploads", "1").fault(Fault::Slow(100))
}

fn store_lock_is_not_put_again_after_its_removal() -> Scenario {
    let refreshed = Put(lock(1), Err((Reason::Unavailable, "")));
    let removed = InTurn(vec![Until("put locks/".to_owned()), Delete(lock(1), Ok(()))]);
    let fault = Fault::PutFails { below: "locks", reason: Reason::Unavailable, times: usize::MAX };
    let steps = vec![AtOnce(vec![refreshed, removed]), Has(lock(1).flat(), None)];
    Scenario::store(store_with([]), steps).fault(fault).fault(Fault::Slow(20)).calls("put", 1..=2)
}

fn store_locks_are_flat_in_a_nested_store() -> Scenario {
    let steps = vec![Put(lock(1), Ok(())), Has(lock(1).flat(), Some(200))];
    Scenario::store(store_with([packfile(1, 10).as_nested()]), steps).option("layout", "nested")
}
