//! Entries that share bytes of an archive. An archive that was made by a program has none; one
//! that was made to exhaust its reader may have thousands.

/// Bytes that an entry has at least.
pub struct Extent {
    /// Offset of its local header.
    pub start: u64,
    /// Offset before which it can't end.
    pub end: u64,
}

/// Returns the positions of the extents that share bytes with another one. They are in the order
/// of their starts.
pub fn find_overlaps(extents: &[Extent]) -> Vec<usize> {
    let mut found = Vec::new();
    // The extent that ends last of those before the present one.
    let mut last: Option<(usize, u64)> = None;
    for (index, extent) in extents.iter().enumerate() {
        if let Some((owner, end)) = last
            && extent.start < end
        {
            found.extend([owner, index]);
        }
        if last.is_none_or(|(_, end)| extent.end > end) {
            last = Some((index, extent.end));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaps(extents: &[(u64, u64)]) -> Vec<usize> {
        let extents: Vec<_> =
            extents.iter().map(|(start, end)| Extent { start: *start, end: *end }).collect();
        find_overlaps(&extents)
    }

    #[test]
    fn every_entry_that_shares_bytes_is_found_and_no_other() {
        assert_eq!(overlaps(&[]), [] as [usize; 0]);
        assert_eq!(overlaps(&[(0, 10), (10, 20), (20, 30)]), [] as [usize; 0]);
        assert_eq!(overlaps(&[(0, 11), (10, 20), (20, 30)]), [0, 1]);
        assert_eq!(overlaps(&[(0, 25), (10, 12), (14, 20), (20, 30), (30, 40)]), [0, 1, 2, 3]);
        assert_eq!(overlaps(&[(5, 9), (5, 9), (9, 12)]), [0, 1]);
    }

    #[test]
    fn whatever_the_extents_are_the_pairs_decide() {
        use proptest::prelude::*;
        let extent = (0_u64..60, 1_u64..20);
        crate::random_inputs::check_property(
            prop::collection::vec(extent, 0..12),
            |mut extents| {
                extents.sort_unstable();
                let extents: Vec<_> =
                    extents.iter().map(|(start, size)| (*start, start + size)).collect();
                let shares = |one: usize, other: usize| {
                    one != other
                        && extents[one].0 < extents[other].1
                        && extents[other].0 < extents[one].1
                };
                let expected: Vec<_> = (0..extents.len())
                    .filter(|one| (0..extents.len()).any(|other| shares(*one, other)))
                    .collect();
                assert_eq!(overlaps(&extents), expected);
            },
        );
    }
}
