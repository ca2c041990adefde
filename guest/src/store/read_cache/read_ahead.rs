//! Rule of reading ahead in one object: what to fetch beyond the range that was asked for.
//!
//! A first read fetches its own range, rounded outwards. Reads that continue where one ended,
//! or a little later, form a run: its fetches double in size, and reach further ahead. So a
//! random read stays small, and a run needs few calls.

use std::ops::Range;

/// Number of bytes to whose multiples the ends of a fetch are rounded.
pub const ROUNDING_BYTES: u64 = 64 << 10;

/// Maximum number of bytes of one fetch.
pub const MAX_BLOCK_BYTES: u64 = 4 << 20;

/// Number of fetches of the maximum size that a run is ahead.
const MAX_BLOCKS_AHEAD: u64 = 4;

/// The same in an object whose size isn't known, where they may be behind its end.
const BLOCKS_AHEAD_WITHOUT_SIZE: u64 = 1;

/// Maximum number of bytes between two reads of a run: to read on is faster than another call.
const MAX_GAP_BYTES: u64 = 1 << 20;

/// The same after the first read, which says little about the next one.
const FIRST_GAP_BYTES: u64 = 256 << 10;

/// Maximum number of runs that are followed in one object.
const MAX_RUNS: usize = 8;

/// Runs of reads in one object.
#[derive(Debug, Default)]
pub struct ReadAhead {
    /// The one that was read from last is the last.
    runs: Vec<Run>,
}

/// Reads of which each continues where another one ended.
#[derive(Debug)]
struct Run {
    /// Begin of the last read.
    begin: u64,
    /// Where the furthest read ended.
    end: u64,
    /// Whether there were two reads.
    is_confirmed: bool,
    /// Size of the last fetch.
    block_bytes: u64,
    /// Begin of the last fetch.
    block_begin: u64,
    /// Where the last fetch ends.
    fetched_to: u64,
}

/// Fetches for one read.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// The range that the read needs, enlarged to blocks.
    pub now: Range<u64>,
    /// Further fetches, of which each was reserved.
    pub ahead: Vec<Range<u64>>,
}

impl ReadAhead {
    /// Plans the fetches for a read. `is_missing` says whether a part of the rounded range isn't
    /// there. `reserve` is asked for the bytes of each fetch beyond it, and returns whether they
    /// fit. Nothing is fetched ahead behind the object's end, `size`.
    pub fn plan(
        &mut self,
        read: Range<u64>,
        is_missing: bool,
        size: Option<u64>,
        reserve: impl FnMut(u64) -> bool,
    ) -> Plan {
        let now = round(&read);
        let Some(index) = self.runs.iter().rposition(|run| run.is_continued_by(&read)) else {
            if self.runs.len() >= MAX_RUNS {
                self.runs.remove(0);
            }
            self.runs.push(Run::new(&read, &now));
            return Plan { now, ahead: Vec::new() };
        };
        let mut run = self.runs.remove(index);
        let plan = run.plan(&read, now, is_missing, size, reserve);
        self.runs.push(run);
        plan
    }
}

impl Run {
    fn new(read: &Range<u64>, now: &Range<u64>) -> Self {
        Self {
            begin: read.start,
            end: read.end,
            is_confirmed: false,
            block_bytes: (now.end - now.start).min(MAX_BLOCK_BYTES),
            block_begin: now.start,
            fetched_to: now.end,
        }
    }

    /// Reports whether a read continues the run, or repeats a part of its last read. Several
    /// clients may read one run, so that a read may also come a little too early.
    fn is_continued_by(&self, read: &Range<u64>) -> bool {
        let gap = if self.is_confirmed { MAX_GAP_BYTES } else { FIRST_GAP_BYTES };
        (self.begin..self.end).contains(&read.start) || read.start.abs_diff(self.end) <= gap
    }

    fn plan(
        &mut self,
        read: &Range<u64>,
        mut now: Range<u64>,
        is_missing: bool,
        size: Option<u64>,
        mut reserve: impl FnMut(u64) -> bool,
    ) -> Plan {
        let limit = size.unwrap_or(u64::MAX);
        self.begin = read.start;
        if read.end <= self.end {
            return Plan { now, ahead: Vec::new() };
        }
        self.is_confirmed = true;
        self.end = read.end;
        if is_missing {
            // The run has caught up with its fetches: this one is as large as the next would be.
            let end = (now.start + self.next_block_bytes()).min(limit);
            if end > now.end && reserve(end - now.start) {
                self.block_bytes = self.next_block_bytes();
                self.block_begin = now.start;
                now.end = end;
            }
        }
        self.fetched_to = self.fetched_to.max(now.end);
        let mut ahead = Vec::new();
        while self.fetched_to < limit && self.wants_more(size.is_some()) {
            let block_bytes = self.next_block_bytes();
            let end = (self.fetched_to + block_bytes).min(limit);
            if !reserve(end - self.fetched_to) {
                break;
            }
            ahead.push(self.fetched_to..end);
            self.block_begin = self.fetched_to;
            self.block_bytes = block_bytes;
            self.fetched_to = end;
        }
        Plan { now, ahead }
    }

    fn next_block_bytes(&self) -> u64 {
        (self.block_bytes * 2).clamp(ROUNDING_BYTES, MAX_BLOCK_BYTES)
    }

    /// Reports whether a further fetch is due: when the run reaches the last one, or, at full
    /// speed, whenever there is room for one.
    fn wants_more(&self, is_sized: bool) -> bool {
        if self.block_bytes < MAX_BLOCK_BYTES {
            return self.end > self.block_begin;
        }
        let blocks = if is_sized { MAX_BLOCKS_AHEAD } else { BLOCKS_AHEAD_WITHOUT_SIZE };
        self.fetched_to <= self.end + (blocks - 1) * MAX_BLOCK_BYTES
    }
}

/// Rounds a range outwards.
pub fn round(range: &Range<u64>) -> Range<u64> {
    let end = range.end.checked_next_multiple_of(ROUNDING_BYTES).unwrap_or(range.end);
    range.start - range.start % ROUNDING_BYTES..end
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    /// Returns the fetches of some reads of an object.
    fn fetches(
        reads: impl IntoIterator<Item = Range<u64>>,
        size: u64,
        mut room: u64,
    ) -> Vec<Range<u64>> {
        let mut read_ahead = ReadAhead::default();
        let mut fetches: Vec<Range<u64>> = Vec::new();
        for read in reads {
            let is_held = |at: u64| fetches.iter().any(|fetch| fetch.contains(&at));
            let mut granules = round(&read).step_by(64 << 10);
            let is_missing = granules.any(|at| !is_held(at));
            let plan = read_ahead.plan(read, is_missing, Some(size), |bytes| {
                let fits = bytes <= room;
                room -= if fits { bytes } else { 0 };
                fits
            });
            for fetch in std::iter::once(plan.now).chain(plan.ahead) {
                let is_covered =
                    fetches.iter().any(|it| it.start <= fetch.start && it.end >= fetch.end);
                if !is_covered {
                    fetches.push(fetch);
                }
            }
        }
        fetches
    }

    fn run(from: u64, step: u64, count: u64) -> impl Iterator<Item = Range<u64>> {
        (0..count).map(move |number| from + number * step..from + (number + 1) * step)
    }

    #[test]
    fn a_run_of_small_reads_needs_few_fetches_that_double() {
        let fetches = fetches(run(0, 16 * KIB, 4096), 64 * MIB, u64::MAX);
        let sizes: Vec<_> = fetches.iter().map(|it| it.end - it.start).collect();
        assert_eq!(sizes[..4], [64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB]);
        assert!(sizes.iter().all(|size| *size <= MAX_BLOCK_BYTES));
        assert!(fetches.len() <= 24, "{fetches:?}");
        assert!(fetches.is_sorted_by(|one, other| one.end == other.start), "{fetches:?}");
        assert_eq!(fetches.last().unwrap().end, 64 * MIB);
    }

    #[test]
    fn a_run_at_full_speed_is_four_blocks_ahead() {
        let mut read_ahead = ReadAhead::default();
        let mut plan = Plan { now: 0..0, ahead: Vec::new() };
        for read in run(0, 4 * MIB, 3) {
            plan = read_ahead.plan(read, false, Some(64 * MIB), |_| true);
        }
        assert_eq!(plan.now, 8 * MIB..12 * MIB);
        assert_eq!(plan.ahead.last().unwrap().end, (12 + 16) * MIB);
        let next = 12 * MIB..16 * MIB;
        assert_eq!(
            read_ahead.plan(next, false, Some(30 * MIB), |_| true).ahead,
            [28 * MIB..30 * MIB]
        );
    }

    #[test]
    fn a_run_in_an_object_of_unknown_size_is_one_block_ahead() {
        let mut read_ahead = ReadAhead::default();
        for read in run(0, 4 * MIB, 5) {
            let end = read.end;
            let plan = read_ahead.plan(read, false, None, |_| true);
            assert!(plan.ahead.iter().all(|ahead| ahead.end <= end + 4 * MIB), "{plan:?}");
        }
    }

    #[test]
    fn random_reads_stay_small() {
        let reads = [40, 8, 24, 60, 16, 52, 4, 32, 48, 12].map(|at| at * MIB..at * MIB + 20 * KIB);
        let fetches = fetches(reads, 64 * MIB, u64::MAX);
        assert_eq!(fetches.len(), 10);
        assert!(fetches.iter().all(|it| it.end - it.start <= 64 * KIB), "{fetches:?}");
    }

    #[test]
    fn two_reads_that_are_repeated_are_no_run() {
        let reads = [100 * KIB..110 * KIB, 100 * KIB..110 * KIB, 102 * KIB..108 * KIB];
        assert_eq!(fetches(reads, 64 * MIB, u64::MAX), [64 * KIB..128 * KIB]);
    }

    #[test]
    fn several_runs_do_not_disturb_each_other() {
        let runs = run(0, 16 * KIB, 200).zip(run(32 * MIB, 16 * KIB, 200));
        let fetches = fetches(runs.flat_map(|(one, other)| [one, other]), 64 * MIB, u64::MAX);
        assert!(fetches.len() <= 20, "{fetches:?}");
    }

    #[test]
    fn a_run_without_room_fetches_what_it_reads() {
        let fetches = fetches(run(0, 16 * KIB, 64), 64 * MIB, 0);
        assert_eq!(fetches.len(), 16);
    }

    #[test]
    fn a_run_whose_fetches_were_lost_goes_on_in_large_blocks() {
        let mut read_ahead = ReadAhead::default();
        let mut plan = Plan { now: 0..0, ahead: Vec::new() };
        for read in run(0, MIB, 20) {
            plan = read_ahead.plan(read, true, Some(64 * MIB), |_| true);
        }
        assert_eq!(plan.now, 19 * MIB..23 * MIB);
    }

    #[test]
    fn nothing_is_fetched_behind_the_end() {
        let fetches = fetches(run(0, 100 * KIB, 10), 1000 * KIB, u64::MAX);
        assert!(fetches.iter().all(|it| it.end <= 1024 * KIB), "{fetches:?}");
        assert_eq!(round(&(5..u64::MAX)).start, 0);
    }
}
