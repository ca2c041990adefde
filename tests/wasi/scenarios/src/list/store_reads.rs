//! Reads from stores.

use crate::fault::Fault;
use crate::store::Step::{AtOnce, Calls, Get, GetRange, List, Put, Remove, Until, Write};
use crate::store::{Kind, Object, Step, leak, lock, packfile, state, store_with};
use crate::{Reason, Scenario, scenarios};

scenarios![
    store_object_is_read_in_both_layouts,
    store_object_that_is_in_neither_layout_is_not_found,
    store_large_state_is_read_whole,
    store_sequential_reads_cost_few_fetches,
    store_random_reads_fetch_little,
    store_reads_with_gaps_cost_few_fetches,
    store_reads_backwards_have_their_bytes,
    store_reads_at_once_share_a_fetch,
    store_files_read_at_once_from_several_packfiles_have_their_bytes,
    store_range_behind_the_end_is_named,
    store_range_that_overflows_is_refused,
    store_range_at_the_end_is_read,
    store_empty_range_is_empty,
    store_large_range_is_read,
    store_fetch_that_fails_is_made_again,
    store_fetch_that_is_denied_fails_at_once,
    store_fetch_that_is_short_once_is_made_again,
    store_fetch_without_room_gives_up_what_is_held,
    store_reads_hold_no_more_than_allowed,
    store_reads_hold_nothing_if_the_user_says_so,
    store_no_more_streams_than_allowed_are_open,
    store_states_are_fetched_ahead_and_once,
    store_states_read_in_another_order_are_not_fetched_ahead,
    store_state_that_was_not_listed_is_read,
    store_removed_packfile_is_not_read,
    store_newest_packfiles_are_looked_up_ahead_where_each_lookup_is_a_call,
    store_all_packfiles_are_looked_up_ahead_once_one_after_the_other_is_read,
    store_packfiles_are_not_looked_up_ahead_elsewhere,
];

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Returns the reads of a part of an object, in pieces.
fn pieces(object: Object, from: u64, to: u64, size: u64) -> Vec<Step> {
    let begins = (from..to).step_by(usize::try_from(size).unwrap());
    begins.map(|begin| GetRange(object, begin, size.min(to - begin), Ok(()))).collect()
}

/// Returns a session of a flat store with one packfile.
fn one_packfile(size: usize, steps: Vec<Step>) -> Scenario {
    Scenario::store(store_with([packfile(1, size).as_flat()]), steps)
}

fn store_object_is_read_in_both_layouts() -> Scenario {
    let objects = [packfile(1, 100), packfile(2, 200), state(1, 50), state(2, 60)];
    let [one, two, three, four] = objects;
    let nodes = [one.as_flat(), two.as_nested(), three.as_flat(), four.as_nested()];
    let whole = objects.map(|object| Get(object, Ok(())));
    let parts = objects.map(|object| GetRange(object, 10, 30, Ok(())));
    Scenario::store(store_with(nodes), [whole, parts].concat())
}

fn store_object_that_is_in_neither_layout_is_not_found() -> Scenario {
    let missing = Err((Reason::NotFound, ""));
    let steps = vec![Get(packfile(1, 10), missing), GetRange(packfile(1, 10), 0, 5, missing)];
    Scenario::store(store_with([packfile(2, 10).as_flat()]), steps)
        .calls("read", 2..=2)
        .calls("fetch", 2..=2)
        .calls("wait", 0..=0)
}

fn store_large_state_is_read_whole() -> Scenario {
    let large = state(1, 9 << 20);
    let steps = vec![List(Kind::State, vec![large]), Get(large, Ok(()))];
    Scenario::store(store_with([large.as_flat()]), steps).calls("read", 1..=1).calls("fetch", 0..=0)
}

fn store_sequential_reads_cost_few_fetches() -> Scenario {
    let one = packfile(1, 12 << 20);
    one_packfile(12 << 20, pieces(one, 0, 12 * MIB, 48 * KIB)).calls("fetch", 5..=12)
}

fn store_random_reads_fetch_little() -> Scenario {
    let one = packfile(1, 12 << 20);
    let begins = [9, 2, 5, 11, 7, 0, 3, 6].map(|at| at * MIB + 100 * KIB);
    let steps = begins.map(|begin| GetRange(one, begin, 300, Ok(())));
    let small = Calls(format!("fetch {} ", one.flat()), 8..=8);
    let sized = begins.map(|begin| {
        let rounded = begin / (64 * KIB) * (64 * KIB);
        Calls(format!("fetch {} {rounded} 65536", one.flat()), 1..=1)
    });
    one_packfile(12 << 20, [steps.to_vec(), vec![small], sized.to_vec()].concat())
}

fn store_reads_with_gaps_cost_few_fetches() -> Scenario {
    let one = packfile(1, 12 << 20);
    let reads = (0..60).map(|number| GetRange(one, number * 200 * KIB, 10 * KIB, Ok(())));
    one_packfile(12 << 20, reads.collect()).calls("fetch", 5..=12)
}

fn store_reads_backwards_have_their_bytes() -> Scenario {
    let one = packfile(1, 3 << 20);
    let reads = pieces(one, 0, 3 * MIB, 70 * KIB).into_iter().rev();
    one_packfile(3 << 20, reads.collect())
}

fn store_reads_at_once_share_a_fetch() -> Scenario {
    let one = packfile(1, 1 << 20);
    let reads = (0..20).map(|number| GetRange(one, number * 100, 5000, Ok(())));
    one_packfile(1 << 20, vec![AtOnce(reads.collect())])
        .fault(Fault::Slow(20))
        .calls("fetch", 1..=2)
}

fn store_files_read_at_once_from_several_packfiles_have_their_bytes() -> Scenario {
    let objects = [1, 2, 3, 4].map(|number| packfile(number, 3 << 20));
    let runs = objects.map(|object| Step::InTurn(pieces(object, 0, 3 * MIB, 40_000)));
    let nodes = store_with(objects.map(Object::as_nested));
    Scenario::store(nodes, vec![AtOnce(runs.to_vec())])
        .fault(Fault::Slow(1))
        .fault(Fault::FetchFails { below: "packfiles", reason: Reason::Unavailable, times: 7 })
        .calls("fetch", 24..=60)
}

fn store_range_behind_the_end_is_named() -> Scenario {
    let one = packfile(1, 100_000);
    let short = |part| Err((Reason::Corrupted, part));
    let steps = vec![
        GetRange(one, 90_000, 20_000, short("has only 100000 bytes")),
        GetRange(one, 90_000, 20_000, short("20000 bytes from 90000 on")),
        GetRange(one, 200_000, 10, short(leak(one.hex()))),
        GetRange(one, 0, 100_000, Ok(())),
    ];
    one_packfile(100_000, steps).calls("wait", 0..=0)
}

fn store_range_that_overflows_is_refused() -> Scenario {
    let refused =
        GetRange(packfile(1, 100), u64::MAX - 5, 10, Err((Reason::Corrupted, "10 bytes")));
    one_packfile(100, vec![refused]).calls("fetch", 0..=0)
}

fn store_range_at_the_end_is_read() -> Scenario {
    let one = packfile(1, 100_000);
    let steps = vec![
        GetRange(one, 99_000, 1000, Ok(())),
        GetRange(one, 65_000, 35_000, Ok(())),
        GetRange(one, 65_000, 35_000, Ok(())),
    ];
    one_packfile(100_000, steps).calls("fetch", 2..=2).calls("stat", 0..=0)
}

fn store_empty_range_is_empty() -> Scenario {
    one_packfile(100, vec![GetRange(packfile(1, 100), 50, 0, Ok(()))]).calls("fetch", 0..=0)
}

fn store_large_range_is_read() -> Scenario {
    let one = packfile(1, 40 << 20);
    let steps = vec![GetRange(one, 10, 39 * MIB, Ok(()))];
    one_packfile(40 << 20, steps).option("read_ahead", "32MiB").calls("held", 0..=33)
}

fn store_fetch_that_fails_is_made_again() -> Scenario {
    one_packfile(100_000, vec![GetRange(packfile(1, 0), 5, 1000, Ok(()))])
        .fault(Fault::FetchFails { below: "packfiles", reason: Reason::Unavailable, times: 3 })
        .calls("fetch", 4..=4)
        .calls("wait", 3..=3)
}

fn store_fetch_that_is_denied_fails_at_once() -> Scenario {
    let refused = GetRange(packfile(1, 0), 5, 1000, Err((Reason::Denied, "can't be read")));
    one_packfile(100_000, vec![refused])
        .fault(Fault::FetchFails { below: "packfiles", reason: Reason::Denied, times: 1 })
        .calls("fetch", 1..=1)
}

fn store_fetch_that_is_short_once_is_made_again() -> Scenario {
    let one = packfile(1, 100_000);
    let steps = vec![GetRange(one, 5, 50_000, Ok(())), GetRange(one, 60_000, 40_000, Ok(()))];
    one_packfile(100_000, steps)
        .fault(Fault::FetchShort { below: "packfiles", to: 1000, times: 1 })
        .calls("stat", 1..=1)
}

fn store_fetch_without_room_gives_up_what_is_held() -> Scenario {
    let objects = [1, 2, 3].map(|number| packfile(number, 2 << 20));
    let reads = objects.map(|object| GetRange(object, 0, 2 * MIB, Ok(())));
    Scenario::store(store_with(objects.map(Object::as_flat)), reads.to_vec())
        .fault(Fault::ExtentBudget(3 << 20))
        .calls("wait", 0..=0)
}

fn store_reads_hold_no_more_than_allowed() -> Scenario {
    let objects = [1, 2].map(|number| packfile(number, 12 << 20));
    let steps = objects.map(|object| pieces(object, 0, 12 * MIB, MIB)).concat();
    Scenario::store(store_with(objects.map(Object::as_flat)), steps)
        .option("read_ahead", "10MiB")
        .calls("held", 2..=10)
}

fn store_reads_hold_nothing_if_the_user_says_so() -> Scenario {
    let one = packfile(1, 4 << 20);
    one_packfile(4 << 20, pieces(one, 0, 4 * MIB, 256 * KIB))
        .option("read_ahead", "0")
        .calls("fetch", 16..=16)
        .calls("held", 0..=0)
}

fn store_no_more_streams_than_allowed_are_open() -> Scenario {
    let objects: Vec<_> = (0..20).map(|number| packfile(number, 100_000)).collect();
    let reads = objects.iter().map(|object| GetRange(*object, 5, 1000, Ok(())));
    let steps = vec![AtOnce(reads.collect())];
    Scenario::store(store_with(objects.iter().map(|object| object.as_flat())), steps)
        .option("streams", "3")
        .fault(Fault::Slow(5))
        .calls("at-once", 3..=3)
}

/// Returns the states of a store, in the order of their listing.
fn states(count: u64) -> Vec<Object> {
    let mut states: Vec<_> = (0..count).map(|number| state(number, 20_000)).collect();
    states.sort_by_key(|state| state.hex());
    states
}

/// Returns a session that lists states and then takes these steps.
fn listed_states(states: &[Object], steps: Vec<Step>) -> Scenario {
    let listing = vec![List(Kind::State, states.to_vec())];
    let nodes = store_with(states.iter().map(|state| state.as_flat()));
    Scenario::store(nodes, [listing, steps].concat())
}

fn store_states_are_fetched_ahead_and_once() -> Scenario {
    let states = states(100);
    let read = |state: &Object| Get(*state, Ok(()));
    let mut steps: Vec<_> = states[..60].iter().map(read).collect();
    // By now the fetches are 32 states ahead.
    steps.push(Calls("fetch states/".to_owned(), 85..=100));
    steps.extend(states[60..].iter().map(read));
    steps.extend(states.iter().rev().map(read));
    listed_states(&states, steps)
        .fault(Fault::Slow(5))
        .calls("fetch", 100..=100)
        .calls("read", 0..=0)
        .calls("at-once", 17..=33)
}

fn store_states_read_in_another_order_are_not_fetched_ahead() -> Scenario {
    let states = states(40);
    let steps = [0, 5, 3, 9, 30, 20].map(|at: usize| Get(states[at], Ok(())));
    listed_states(&states, steps.to_vec()).calls("fetch", 6..=6)
}

fn store_state_that_was_not_listed_is_read() -> Scenario {
    let new = state(500, 3000);
    let steps = vec![Write(new.as_flat()), Get(new, Ok(()))];
    listed_states(&states(3), steps).calls("read", 1..=1)
}

fn store_removed_packfile_is_not_read() -> Scenario {
    let one = packfile(1, 1000);
    let steps = vec![
        GetRange(one, 0, 1000, Ok(())),
        Step::Delete(one, Ok(())),
        GetRange(one, 0, 1000, Err((Reason::NotFound, ""))),
        Write(one.as_flat()),
        GetRange(one, 0, 1000, Ok(())),
        Remove(one.flat()),
    ];
    one_packfile(1000, steps)
}

fn packfiles(count: u64) -> Vec<Object> {
    (0..count).map(|number| packfile(number, 1000)).collect()
}

/// Returns the call that looks up an object.
fn look_up(object: Object) -> String {
    format!("fetch {} 0 0", object.flat())
}

/// Returns a session of a store with some packfiles on a backend, some of which are read.
fn reading(
    backend: &'static str,
    objects: &[Object],
    reads: &[usize],
    then: Vec<Step>,
) -> Scenario {
    let reads = reads.iter().map(|number| GetRange(objects[*number], 0, 10, Ok(())));
    let steps = reads.chain(then).collect();
    let nodes = store_with(objects.iter().map(|object| object.as_flat()));
    Scenario::store(nodes, steps).with_backend(backend)
}

fn looked_up(objects: &[Object]) -> Vec<Step> {
    objects.iter().map(|object| Until(look_up(*object))).collect()
}

fn store_newest_packfiles_are_looked_up_ahead_where_each_lookup_is_a_call() -> Scenario {
    let objects = packfiles(16);
    let steps = [vec![Put(lock(1), Ok(()))], looked_up(&objects)].concat();
    reading("s3", &objects, &[], steps)
}

fn store_all_packfiles_are_looked_up_ahead_once_one_after_the_other_is_read() -> Scenario {
    let objects = packfiles(40);
    // The first lookups begin with the second read, the others with one that follows them.
    let reads: Vec<_> = (0..20).collect();
    reading("s3", &objects, &reads, looked_up(&objects[20..])).fault(Fault::Slow(2))
}

fn store_packfiles_are_not_looked_up_ahead_elsewhere() -> Scenario {
    let objects = packfiles(20);
    reading("webdav", &objects, &[0, 1, 2, 3, 4, 5, 6, 7], Vec::new()).calls("list", 0..=0)
}
