//! Places of stores: creation, configuration, options, backends, listings.

use crate::fault::Fault;
use crate::store::Step::{
    Calls, Configuration, Create, Has, InOrder, List, ListFails, Open, Ping, Size,
};
use crate::store::{CONFIGURATION, Kind, leak, lock, packfile, state, store_with};
use crate::tree::{Node, directory, file};
use crate::{Reason, Scenario, scenarios};

scenarios![
    store_is_created_in_an_empty_place,
    store_is_not_created_twice,
    store_is_not_created_where_something_is,
    store_that_was_created_by_another_at_the_same_time_is_noticed,
    store_gets_its_directories_before_its_configuration,
    store_returns_its_configuration,
    store_that_does_not_exist_is_reported,
    store_is_pinged_by_one_call,
    store_options_are_known_by_name,
    store_has_no_options_of_an_importer,
    store_uploads_are_limited_to_a_number,
    store_on_a_backend_for_photos_is_refused,
    store_on_a_backend_that_only_reads_is_refused,
    store_lists_objects_in_both_layouts,
    store_lists_nothing_but_objects,
    store_listing_that_fails_is_not_shorter,
    store_listing_without_its_end_is_not_shorter,
    store_listing_with_an_unreadable_directory_is_not_shorter,
    store_listing_that_fails_once_is_made_again,
    store_without_objects_has_an_empty_listing,
    store_directory_that_is_missing_is_empty,
    store_that_is_gone_has_no_empty_listing,
    store_object_that_is_there_twice_is_listed_once,
    store_objects_of_one_name_that_differ_are_an_error,
    store_returns_its_size,
];

fn store_is_created_in_an_empty_place() -> Scenario {
    let created = Has("CONFIG".to_owned(), Some(CONFIGURATION.len()));
    Scenario::store(Vec::new(), vec![Create(Ok(())), created, Configuration(Ok(()))])
        .calls("mkdir", 3..=3)
}

fn store_is_not_created_twice() -> Scenario {
    let refused = Create(Err((Reason::Denied, "there is already a store")));
    Scenario::store(store_with([]), vec![refused, Configuration(Ok(()))]).calls("put", 0..=0)
}

fn store_is_not_created_where_something_is() -> Scenario {
    let refused = Create(Err((Reason::Denied, "`letter.txt`")));
    let steps = vec![refused, Has("CONFIG".to_owned(), None)];
    Scenario::store(vec![file("letter.txt", 5)], steps).calls("put", 0..=0).calls("mkdir", 0..=0)
}

fn store_that_was_created_by_another_at_the_same_time_is_noticed() -> Scenario {
    let refused = Create(Err((Reason::Denied, "at the same time")));
    Scenario::store(Vec::new(), vec![refused]).fault(Fault::Overwritten("CONFIG"))
}

fn store_gets_its_directories_before_its_configuration() -> Scenario {
    let order = ["packfiles", "states", "locks"]
        .map(|name| InOrder(format!("mkdir {name}"), "put CONFIG".to_owned()));
    Scenario::store(Vec::new(), [vec![Create(Ok(()))], order.to_vec()].concat())
}

fn store_returns_its_configuration() -> Scenario {
    let fault = Fault::FetchFails { below: "CONFIG", reason: Reason::Unavailable, times: 2 };
    Scenario::store(store_with([]), vec![Configuration(Ok(()))])
        .fault(fault)
        .calls("fetch", 3..=3)
        .calls("wait", 2..=2)
}

fn store_that_does_not_exist_is_reported() -> Scenario {
    let missing = Configuration(Err((Reason::NotFound, "no Kloset store at `/backups/kloset`")));
    let nodes = vec![directory("backups"), directory("backups/kloset")];
    Scenario::store(nodes, vec![missing]).with_root("backups/kloset").calls("wait", 0..=0)
}

fn store_is_pinged_by_one_call() -> Scenario {
    Scenario::store(Vec::new(), vec![Ping(Ok(()))]).calls("stat", 1..=1).calls("list", 0..=0)
}

fn store_options_are_known_by_name() -> Scenario {
    let refused = Open(Err((Reason::InvalidConfiguration, "`uploads`")));
    Scenario::store(store_with([]), vec![refused])
        .option("layout", "nested")
        .option("streams", "4")
        .option("read_ahead", "8MiB")
        .option("uploads", "33")
}

fn store_has_no_options_of_an_importer() -> Scenario {
    let refused = Open(Err((Reason::InvalidConfiguration, "`times`")));
    Scenario::store(store_with([]), vec![refused]).option("times", "own")
}

fn store_uploads_are_limited_to_a_number() -> Scenario {
    use crate::store::Step::{AtOnce, Put};
    let puts = (0..20).map(|number| Put(packfile(number, 1000), Ok(())));
    Scenario::store(store_with([]), vec![AtOnce(puts.collect())])
        .option("uploads", "3")
        .fault(Fault::Slow(5))
        .calls("at-once", 3..=3)
}

fn store_on_a_backend_for_photos_is_refused() -> Scenario {
    let refused = Open(Err((Reason::Unsupported, "`google photos`")));
    Scenario::store(Vec::new(), vec![refused]).with_backend("google photos")
}

fn store_on_a_backend_that_only_reads_is_refused() -> Scenario {
    let refused = Open(Err((Reason::Unsupported, "`http`")));
    Scenario::store(Vec::new(), vec![refused]).with_backend("http")
}

fn store_lists_objects_in_both_layouts() -> Scenario {
    let objects = [packfile(1, 10), packfile(2, 20), packfile(3, 30)];
    let [one, two, three] = objects;
    let nodes = store_with([one.as_flat(), two.as_nested(), three.as_nested()]);
    Scenario::store(nodes, vec![List(Kind::Packfile, objects.to_vec())]).calls("list", 1..=1)
}

/// Returns files in the directory of a kind that are no objects.
fn foreign_files(directory: &str, hex: &str) -> Vec<Node> {
    let other_prefix = if hex.starts_with("00") { "01" } else { "00" };
    let names = [
        ".DS_Store".to_owned(),
        format!("{hex}.partial"),
        hex[1..].to_owned(),
        hex.to_uppercase(),
        format!("{other_prefix}/{hex}"),
        format!("{}/deep/{hex}", &hex[..2]),
    ];
    names.iter().map(|name| file(&format!("{directory}/{name}"), 7)).collect()
}

fn store_lists_nothing_but_objects() -> Scenario {
    let (one, two) = (state(1, 10), lock(2));
    // Locks are never in a subdirectory.
    let nested_lock = Node { path: lock(3).nested(), ..lock(3).as_flat() };
    let nodes = [
        vec![one.as_flat(), two.as_flat(), nested_lock],
        foreign_files("states", &state(5, 0).hex()),
        foreign_files("locks", &lock(6).hex()),
    ];
    let steps = vec![List(Kind::State, vec![one]), List(Kind::Lock, vec![two])];
    Scenario::store(store_with(nodes.concat()), steps)
}

fn failing_listing(reason: Reason, part: &'static str) -> Scenario {
    let nodes = store_with([state(1, 10).as_nested(), state(2, 10).as_nested()]);
    Scenario::store(nodes, vec![ListFails(Kind::State, reason, part)])
}

fn store_listing_that_fails_is_not_shorter() -> Scenario {
    failing_listing(Reason::Unavailable, "listing failed")
        .fault(Fault::ListingEnds(Some(Reason::Unavailable)))
}

fn store_listing_without_its_end_is_not_shorter() -> Scenario {
    failing_listing(Reason::Corrupted, "before its end").fault(Fault::NoBracket)
}

fn store_listing_with_an_unreadable_directory_is_not_shorter() -> Scenario {
    let directory = state(2, 10).nested().rsplit_once('/').map(|(parent, _)| parent.to_owned());
    let fault = Fault::ListError(leak(directory.unwrap()), Reason::NotFound);
    failing_listing(Reason::NotFound, "can't be listed").fault(fault)
}

fn store_listing_that_fails_once_is_made_again() -> Scenario {
    let nodes = store_with([state(1, 10).as_flat()]);
    Scenario::store(nodes, vec![List(Kind::State, vec![state(1, 10)])])
        .fault(Fault::ListingsFail { reason: Reason::Unavailable, times: 1 })
        .calls("list", 2..=2)
}

fn store_without_objects_has_an_empty_listing() -> Scenario {
    let kinds = [Kind::Packfile, Kind::State, Kind::Lock];
    Scenario::store(store_with([]), kinds.map(|kind| List(kind, Vec::new())).to_vec())
}

fn store_directory_that_is_missing_is_empty() -> Scenario {
    let nodes = store_with([]).into_iter().filter(|node| node.path != "states").collect();
    Scenario::store(nodes, vec![List(Kind::State, Vec::new())]).calls("stat", 1..=1)
}

fn store_that_is_gone_has_no_empty_listing() -> Scenario {
    let gone = |kind| ListFails(kind, Reason::NotFound, "`CONFIG`");
    let steps = vec![gone(Kind::State), gone(Kind::Packfile)];
    Scenario::store(vec![directory("packfiles")], steps)
}

/// Returns a line of a listing.
fn line(path: &str, size: u64) -> &'static [u8] {
    leak(format!(r#"{{"Path":"{path}","Size":{size},"IsDir":false}}"#)).as_bytes()
}

fn store_object_that_is_there_twice_is_listed_once() -> Scenario {
    let one = packfile(1, 10);
    let again = vec![line(&one.hex(), 10)];
    let nodes = store_with([one.as_flat(), one.as_nested()]);
    let steps = vec![List(Kind::Packfile, vec![one])];
    Scenario::store(nodes, steps).fault(Fault::Lines(again)).calls("list", 1..=1)
}

fn store_objects_of_one_name_that_differ_are_an_error() -> Scenario {
    let one = packfile(1, 10);
    let steps = vec![
        ListFails(Kind::Packfile, Reason::Corrupted, leak(one.hex())),
        ListFails(Kind::Packfile, Reason::Corrupted, "rclone dedupe"),
    ];
    Scenario::store(store_with([one.as_flat()]), steps)
        .fault(Fault::Lines(vec![line(&one.hex(), 11)]))
        .calls("wait", 0..=6)
}

fn store_returns_its_size() -> Scenario {
    let nodes = [packfile(1, 1000).as_flat(), packfile(2, 500).as_flat(), state(1, 70).as_flat()];
    let steps = vec![Size(1570), Calls("directory states".to_owned(), 1..=1)];
    Scenario::store(store_with(nodes.into_iter().chain([lock(1).as_flat()])), steps)
}
