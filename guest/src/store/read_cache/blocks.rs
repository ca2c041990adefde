//! Table of the blocks that are held or being fetched, and the budget that they share.

use std::collections::BTreeMap;
use std::ops::Range;

use super::read_ahead::{ReadAhead, round};
use crate::bindings::exports::plakar::connector::store::ObjectKind;
use crate::store::names::ObjectName;

/// Minimum number of bytes that a block counts, for what is needed to remember it.
const MIN_BLOCK_BYTES: u64 = 4 << 10;

/// Number of reads after which a block that was fetched ahead is given up.
const MAX_UNREAD_AGE: u64 = 1000;

/// Number of bytes of a fetch from which the size of the object should be known.
const LARGE_FETCH_BYTES: u64 = 1 << 20;

/// Blocks of all objects. `T` is what stands for the bytes of a block.
pub struct Blocks<T> {
    objects: BTreeMap<ObjectName, Object<T>>,
    budget_bytes: u64,
    /// Number of bytes of all blocks.
    bytes: u64,
    /// Number of uses so far.
    clock: u64,
}

/// Object of which something was read.
struct Object<T> {
    read_ahead: ReadAhead,
    /// Size, where it is known.
    size: Option<u64>,
    /// Whether the size was asked for.
    is_size_wanted: bool,
    /// Blocks by their begin. None overlaps with another one.
    blocks: BTreeMap<u64, Block<T>>,
}

struct Block<T> {
    /// Number that no other block has.
    id: u64,
    end: u64,
    bytes: T,
    is_ready: bool,
    /// Whether it was read, or only fetched ahead.
    is_read: bool,
    /// Time of its last use.
    used: u64,
}

/// Identity of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    pub object: ObjectName,
    pub begin: u64,
    id: u64,
}

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self {
            read_ahead: ReadAhead::default(),
            size: None,
            is_size_wanted: false,
            blocks: BTreeMap::new(),
        }
    }
}

impl<T> Block<T> {
    fn charge(&self, begin: u64) -> u64 {
        charge(self.end - begin)
    }
}

fn charge(bytes: u64) -> u64 {
    bytes.max(MIN_BLOCK_BYTES)
}

impl<T: Clone> Blocks<T> {
    /// Creates an empty table.
    pub fn new(budget_bytes: u64) -> Self {
        Self { objects: BTreeMap::new(), budget_bytes, bytes: 0, clock: 0 }
    }

    /// Plans the fetches for a read, which are the parts of these ranges without a block. Those
    /// ahead fit in the budget.
    pub fn plan(&mut self, object: ObjectName, read: Range<u64>) -> Vec<Range<u64>> {
        let entry = self.objects.entry(object).or_default();
        let (mut read_ahead, size) = (std::mem::take(&mut entry.read_ahead), entry.size);
        let limit = size.unwrap_or(u64::MAX);
        let rounded = round(&read);
        let missing = self.gaps(object, rounded.start..rounded.end.min(limit));
        // Room is made for all fetches before any of them counts.
        let mut reserved = missing.iter().map(|gap| gap.end - gap.start).sum();
        self.make_room(reserved, Evict::Any);
        let plan = read_ahead.plan(read, !missing.is_empty(), size, |bytes| {
            let fits = self.make_room(reserved + bytes, Evict::Read);
            reserved += if fits { bytes } else { 0 };
            fits
        });
        self.objects.entry(object).or_default().read_ahead = read_ahead;
        let now = plan.now.start..plan.now.end.min(limit);
        std::iter::once(now).chain(plan.ahead).flat_map(|range| self.gaps(object, range)).collect()
    }

    /// Returns once that the size of an object should be asked for: when some of these fetches are
    /// so large that others may follow that are behind its end.
    pub fn wants_size(&mut self, object: ObjectName, fetches: &[Range<u64>]) -> bool {
        let is_large = |fetch: &Range<u64>| fetch.end - fetch.start >= LARGE_FETCH_BYTES;
        let Some(object) = self.objects.get_mut(&object) else { return false };
        object.size.is_none()
            && fetches.iter().any(is_large)
            && !std::mem::replace(&mut object.is_size_wanted, true)
    }

    /// Notes the size of an object.
    pub fn set_size(&mut self, object: ObjectName, size: u64) {
        if let Some(object) = self.objects.get_mut(&object) {
            object.size = Some(size);
        }
    }

    /// Returns the parts of a range that have no block.
    pub fn gaps(&self, object: ObjectName, range: Range<u64>) -> Vec<Range<u64>> {
        let (mut gaps, mut from) = (Vec::new(), range.start);
        let blocks = self.objects.get(&object).into_iter().flat_map(|object| &object.blocks);
        for (begin, block) in blocks {
            if block.end <= from || *begin >= range.end {
                continue;
            }
            if *begin > from {
                gaps.push(from..*begin);
            }
            from = block.end;
        }
        if from < range.end {
            gaps.push(from..range.end);
        }
        gaps
    }

    /// Adds a block that is being fetched. Its range has no block yet.
    pub fn insert(&mut self, object: ObjectName, range: Range<u64>, bytes: T) -> BlockId {
        self.clock += 1;
        self.bytes += charge(range.end - range.start);
        let id = self.clock;
        let block =
            Block { id, end: range.end, bytes, is_ready: false, is_read: false, used: self.clock };
        self.objects.entry(object).or_default().blocks.insert(range.start, block);
        BlockId { object, begin: range.start, id }
    }

    /// Notes that a block is there. If it is shorter than it was asked for, the object ends.
    pub fn complete(&mut self, block: BlockId, size: u64) {
        let Some(object) = self.objects.get_mut(&block.object) else { return };
        let Some(found) = object.blocks.get_mut(&block.begin).filter(|it| it.id == block.id) else {
            return;
        };
        found.is_ready = true;
        if block.begin + size >= found.end {
            return;
        }
        self.bytes -= found.charge(block.begin);
        found.end = block.begin + size;
        self.bytes += found.charge(block.begin);
        if size == 0 {
            self.remove(block);
        } else {
            object.size = Some(block.begin + size);
        }
    }

    /// Removes a block, if it is still there.
    pub fn remove(&mut self, block: BlockId) {
        let Some(object) = self.objects.get_mut(&block.object) else { return };
        if object.blocks.get(&block.begin).is_some_and(|found| found.id == block.id)
            && let Some(removed) = object.blocks.remove(&block.begin)
        {
            self.bytes -= removed.charge(block.begin);
            // There may be many states, whose runs are of no use.
            if object.blocks.is_empty() && block.object.0 == ObjectKind::State {
                self.objects.remove(&block.object);
            }
        }
    }

    /// Removes everything of an object.
    pub fn forget(&mut self, object: ObjectName) {
        let removed = self.objects.remove(&object).into_iter().flat_map(|object| object.blocks);
        self.bytes -= removed.map(|(begin, block)| block.charge(begin)).sum::<u64>();
    }

    /// Returns the blocks that have a part of a range, with their begins, and notes that they are
    /// read.
    pub fn take(&mut self, object: ObjectName, range: &Range<u64>) -> Vec<(u64, T)> {
        self.clock += 1;
        let clock = self.clock;
        let Some(object) = self.objects.get_mut(&object) else { return Vec::new() };
        let overlapping = object
            .blocks
            .iter_mut()
            .filter(|(begin, block)| **begin < range.end && block.end > range.start);
        overlapping
            .map(|(begin, block)| {
                (block.is_read, block.used) = (true, clock);
                (*begin, block.bytes.clone())
            })
            .collect()
    }

    /// Makes room for a number of bytes. Returns false if there is none.
    pub fn make_room(&mut self, bytes: u64, evict: Evict) -> bool {
        if charge(bytes) > self.budget_bytes {
            return false;
        }
        while self.bytes + charge(bytes) > self.budget_bytes {
            match self.oldest(evict) {
                Some(oldest) => self.remove(oldest),
                None => return false,
            }
        }
        true
    }

    /// Removes blocks until the others fit in the budget.
    pub fn trim(&mut self) {
        while self.bytes > self.budget_bytes
            && let Some(oldest) = self.oldest(Evict::Any)
        {
            self.remove(oldest);
        }
    }

    /// Removes all blocks that are there. Returns whether there were any.
    pub fn clear(&mut self) -> bool {
        let mut is_removed = false;
        while let Some(oldest) = self.oldest(Evict::Any) {
            self.remove(oldest);
            is_removed = true;
        }
        is_removed
    }

    /// Returns the block that wasn't used for the longest time, of those that may be removed.
    fn oldest(&self, evict: Evict) -> Option<BlockId> {
        let is_old = |block: &Block<T>| block.is_read || block.used + MAX_UNREAD_AGE < self.clock;
        let blocks = self.objects.iter().flat_map(|(object, entry)| {
            entry.blocks.iter().map(move |(begin, block)| (*object, *begin, block))
        });
        blocks
            .filter(|(_, _, block)| block.is_ready && (evict == Evict::Any || is_old(block)))
            // What was read goes before what is still to be read.
            .min_by_key(|(_, _, block)| (!is_old(block), block.used))
            .map(|(object, begin, block)| BlockId { object, begin, id: block.id })
    }
}

/// Blocks that may be removed to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evict {
    /// Those that were read, or were fetched ahead a long time ago.
    Read,
    /// All that are there.
    Any,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const ONE: ObjectName = (ObjectKind::Packfile, (0, 0, 0, 1));
    const OTHER: ObjectName = (ObjectKind::Packfile, (0, 0, 0, 2));

    /// Returns a table with blocks of a MiB each, which are there.
    fn blocks(budget_mib: u64, begins: &[(ObjectName, u64)]) -> Blocks<u64> {
        let mut blocks = Blocks::new(budget_mib * MIB);
        for (object, begin) in begins {
            let range = begin * MIB..(begin + 1) * MIB;
            let id = blocks.insert(*object, range, *begin);
            blocks.complete(id, MIB);
        }
        blocks
    }

    fn held(blocks: &Blocks<u64>, object: ObjectName) -> Vec<u64> {
        blocks.objects.get(&object).map_or_else(Vec::new, |object| {
            object.blocks.values().map(|block| block.bytes).collect()
        })
    }

    #[test]
    fn gaps_are_what_no_block_has() {
        let blocks = blocks(64, &[(ONE, 1), (ONE, 3), (OTHER, 2)]);
        assert_eq!(blocks.gaps(ONE, 0..5 * MIB), [0..MIB, 2 * MIB..3 * MIB, 4 * MIB..5 * MIB]);
        assert_eq!(blocks.gaps(ONE, MIB + 5..2 * MIB), []);
        assert_eq!(blocks.gaps(ONE, MIB + 5..2 * MIB + 1), [2 * MIB..2 * MIB + 1]);
    }

    #[test]
    fn blocks_that_were_read_make_room_first() {
        let mut blocks = blocks(4, &[(ONE, 0), (ONE, 1), (OTHER, 0), (OTHER, 1)]);
        blocks.take(OTHER, &(0..1));
        blocks.take(ONE, &(MIB..MIB + 1));
        assert!(blocks.make_room(MIB, Evict::Read));
        assert_eq!((held(&blocks, ONE), held(&blocks, OTHER)), (vec![0, 1], vec![1]));
        assert!(blocks.make_room(2 * MIB, Evict::Read));
        // The others were fetched ahead.
        assert!(!blocks.make_room(3 * MIB, Evict::Read));
        assert!(blocks.make_room(3 * MIB, Evict::Any));
        assert_eq!((held(&blocks, ONE), held(&blocks, OTHER)), (vec![], vec![1]));
        assert!(!blocks.make_room(5 * MIB, Evict::Any));
    }

    #[test]
    fn a_fetch_under_way_is_not_removed() {
        let mut blocks = blocks(2, &[(ONE, 0)]);
        let id = blocks.insert(OTHER, 0..3 * MIB, 7);
        blocks.trim();
        assert_eq!((held(&blocks, ONE), held(&blocks, OTHER)), (vec![], vec![7]));
        blocks.complete(id, 3 * MIB);
        blocks.trim();
        assert_eq!((held(&blocks, OTHER), blocks.bytes), (vec![], 0));
    }

    #[test]
    fn a_short_block_shows_the_object_s_size() {
        let mut blocks = Blocks::new(64 * MIB);
        let id = blocks.insert(ONE, 0..MIB, 0);
        blocks.complete(id, 1000);
        assert_eq!(blocks.plan(ONE, 0..1000), []);
        assert_eq!(blocks.bytes, MIN_BLOCK_BYTES);
        let empty = blocks.insert(OTHER, MIB..2 * MIB, 0);
        blocks.complete(empty, 0);
        assert_eq!((held(&blocks, OTHER), blocks.bytes), (vec![], MIN_BLOCK_BYTES));
        blocks.forget(ONE);
        assert_eq!(blocks.bytes, 0);
    }
}
