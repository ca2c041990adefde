//! States, which Plakar reads one after the other in the order of their listing, twice: the next
//! ones are fetched ahead, several at the same time, and kept for the second reading.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use super::listing::Listed;
use super::read_cache::{MAX_EXTENT_BYTES, ReadCache};
use crate::bindings::exports::plakar::connector::store::{Mac, ObjectKind};
use crate::bindings::plakar::connector::types::{Content, Failure};
use crate::contents;

/// Number of states that are fetched ahead at first.
const FIRST_WINDOW: usize = 2;

/// Maximum number of states that are fetched ahead.
const MAX_WINDOW: usize = 32;

/// States of one store.
pub struct States {
    cache: Rc<ReadCache>,
    order: RefCell<Order>,
}

/// Order of the last listing, and how far Plakar has read in it.
#[derive(Default)]
struct Order {
    /// Names with sizes, where the listing had them.
    states: Vec<(Mac, Option<u64>)>,
    positions: BTreeMap<Mac, usize>,
    /// Position of the last state that was read.
    last: Option<usize>,
    /// Number of states to fetch ahead; 0 until two were read in order.
    window: usize,
    /// Position of the first state that wasn't fetched ahead.
    next: usize,
}

impl States {
    /// Creates the states of a store that isn't listed yet.
    pub fn new(cache: Rc<ReadCache>) -> Self {
        Self { cache, order: RefCell::default() }
    }

    /// Notes the order of a listing.
    pub fn set_order(&self, listed: &[Listed]) {
        let states: Vec<_> = listed.iter().map(|state| (state.name, state.size)).collect();
        let positions = states.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
        *self.order.borrow_mut() = Order { states, positions, ..Order::default() };
    }

    /// Reads a state.
    ///
    /// # Errors
    ///
    /// The state doesn't exist, or can't be read.
    pub async fn read(&self, name: Mac) -> Result<Content, Failure> {
        let object = (ObjectKind::State, name);
        let (size, ahead) = self.order.borrow_mut().advance(name);
        match size {
            Some(0) => Ok(contents::of_bytes(Vec::new())),
            Some(size) if size <= MAX_EXTENT_BYTES => {
                // What Plakar waits for comes first.
                self.cache.fetch_ahead(object, 0..size);
                self.fetch_ahead(ahead);
                self.cache.read_blocks(object, 0..size).await
            }
            size => self.cache.read_whole(object, size).await,
        }
    }

    /// Fetches the states at these positions, as far as there is room.
    fn fetch_ahead(&self, positions: Range<usize>) {
        let mut order = self.order.borrow_mut();
        for position in positions {
            let (name, size) = order.states[position];
            let size = size.filter(|size| (1..=MAX_EXTENT_BYTES).contains(size));
            let fits =
                size.is_none_or(|size| self.cache.fetch_ahead((ObjectKind::State, name), 0..size));
            if !fits {
                return;
            }
            order.next = position + 1;
        }
    }
}

impl Order {
    /// Notes that a state is read. Returns its size and the positions of those to fetch ahead.
    fn advance(&mut self, name: Mac) -> (Option<u64>, Range<usize>) {
        let Some(position) = self.positions.get(&name).copied() else { return (None, 0..0) };
        if self.last != Some(position) {
            let follows = position.checked_sub(1).is_some_and(|before| self.last == Some(before));
            self.window =
                if follows { (self.window * 2).clamp(FIRST_WINDOW, MAX_WINDOW) } else { 0 };
            self.last = Some(position);
        }
        let after = position + 1;
        let begin = if self.window == 0 { after } else { self.next.max(after) };
        self.next = begin;
        let end = (after + self.window).min(self.states.len());
        (self.states[position].1, begin..end.max(begin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(count: u64) -> Order {
        let states: Vec<_> = (0..count).map(|number| ((0, 0, 0, number), Some(10))).collect();
        let positions = states.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
        Order { states, positions, ..Order::default() }
    }

    /// Returns how many states are fetched ahead at each read.
    fn ahead(order: &mut Order, reads: impl IntoIterator<Item = u64>) -> Vec<usize> {
        let read = |number| {
            let (_, ahead) = order.advance((0, 0, 0, number));
            order.next = ahead.end;
            ahead.len()
        };
        reads.into_iter().map(read).collect()
    }

    #[test]
    fn the_window_grows_while_states_are_read_in_order() {
        let mut order = order(100);
        let ahead = ahead(&mut order, 0..100);
        assert_eq!(ahead[..7], [0, 2, 3, 5, 9, 17, 1]);
        // The first and the second one were not fetched ahead.
        assert_eq!(ahead.iter().sum::<usize>(), 98);
    }

    #[test]
    fn states_read_in_another_order_are_not_fetched_ahead() {
        assert_eq!(ahead(&mut order(100), [0, 2, 4, 9, 8, 7, 50]), [0; 7]);
        assert_eq!(ahead(&mut order(100), [3, 4, 4, 6, 7]), [0, 2, 0, 0, 2]);
        assert_eq!(order(2).advance((9, 9, 9, 9)), (None, 0..0));
    }
}
