//! Lookups ahead: where rclone looks up each object before its first read, a packfile that was
//! looked up before it is needed takes one call less.

use futures::{TryStreamExt, stream};
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::HashSet;

use crate::bindings::exports::plakar::connector::store::{Mac, ObjectKind};
use crate::bindings::plakar::connector::objects::Extent;
use crate::store::listing::{self, Listed};
use crate::store::names::ObjectName;

/// Number of packfiles that are looked up first. A backup begins with reads of the snapshot before
/// it, whose packfiles are the newest.
const NEWEST: usize = 16;

/// Number of packfiles that are read for the first time, without another read between them, after
/// which the newest are looked up, and with the next one all others.
const MIN_STREAK: usize = 2;

/// Maximum number of packfiles of a store all of whose packfiles are looked up.
const MAX_PACKFILES: usize = 1000;

/// Number of lookups at the same time, which leaves streams to reads.
const MAX_CONCURRENT: usize = 12;

/// Lookups ahead of one store.
pub struct LookupAhead {
    is_useful: bool,
    was_begun: Cell<bool>,
    /// Packfiles that were neither read nor looked up, unless there are too many.
    others: RefCell<Vec<Listed>>,
    seen: RefCell<HashSet<Mac>>,
    streak: Cell<usize>,
}

impl LookupAhead {
    /// Creates the lookups of a store, which has seen no reads. `is_useful` is whether a lookup
    /// costs a call that isn't needed for a listed object.
    pub fn new(is_useful: bool) -> Self {
        Self {
            is_useful,
            was_begun: Cell::default(),
            others: RefCell::default(),
            seen: RefCell::default(),
            streak: Cell::default(),
        }
    }

    /// Looks up the newest packfiles. A failure ends it: the reads look up what they need. Only
    /// the first call has an effect.
    pub async fn begin(&self) {
        if !self.is_useful || self.was_begun.replace(true) {
            return;
        }
        let Ok(mut listed) = listing::list(ObjectKind::Packfile).await else { return };
        listed.sort_unstable_by_key(|packfile| Reverse(packfile.modified));
        let others = listed.split_off(NEWEST.min(listed.len()));
        if others.len() <= MAX_PACKFILES {
            *self.others.borrow_mut() = others;
        }
        self.look_up(listed).await;
    }

    /// Notes a read. Returns whether packfiles should be looked up.
    pub fn note(&self, (kind, name): ObjectName) -> bool {
        if !self.is_useful || kind != ObjectKind::Packfile {
            return false;
        }
        let is_first = self.seen.borrow_mut().insert(name);
        self.streak.set(if is_first { self.streak.get() + 1 } else { 0 });
        let has_more = !self.was_begun.get() || !self.others.borrow().is_empty();
        self.streak.get() >= MIN_STREAK && has_more
    }

    /// Looks up the newest packfiles, or else those that were neither read nor looked up.
    pub async fn go_on(&self) {
        if self.was_begun.get() {
            let others = self.others.take();
            self.look_up(others).await;
        } else {
            self.begin().await;
        }
    }

    async fn look_up(&self, mut listed: Vec<Listed>) {
        listed.retain(|packfile| !self.seen.borrow().contains(&packfile.name));
        let paths = listed.iter().map(|packfile| {
            let object = (ObjectKind::Packfile, packfile.name);
            Ok(packfile.layout.path(object))
        });
        // A part without bytes needs the lookup only.
        let look_up = async |path| Extent::fetch(path, 0, 0).await.map(drop);
        let _ = stream::iter(paths).try_for_each_concurrent(MAX_CONCURRENT, look_up).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::layout::Layout;

    /// Returns at which reads packfiles are looked up, if there are others than the newest.
    fn starts(others: usize, reads: &[u64]) -> Vec<usize> {
        let lookups = LookupAhead::new(true);
        lookups.was_begun.set(true);
        let name = |number| (0, 0, 0, number);
        let listed = Listed { name: name(99), size: None, layout: Layout::Flat, modified: (0, 0) };
        *lookups.others.borrow_mut() = vec![listed; others];
        let starts = |(at, number): (usize, &u64)| {
            lookups.note((ObjectKind::Packfile, name(*number))).then_some(at)
        };
        reads.iter().enumerate().filter_map(starts).collect()
    }

    #[test]
    fn packfiles_are_looked_up_once_two_were_read_for_the_first_time_in_a_row() {
        assert_eq!(starts(5, &[1, 2]), [1]);
        assert_eq!(starts(5, &[1, 1, 2, 2, 3, 3, 2]), Vec::<usize>::new());
        assert_eq!(starts(5, &[1, 1, 1, 2, 3]), [4]);
        assert_eq!(starts(0, &[1, 2, 3, 4, 5, 6, 7]), Vec::<usize>::new());
    }

    #[test]
    fn states_are_not_counted() {
        let lookups = LookupAhead::new(true);
        assert!((0..9).all(|number| !lookups.note((ObjectKind::State, (0, 0, 0, number)))));
    }
}
