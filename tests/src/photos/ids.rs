//! Ids and tokens: long, safe in URLs, the same from the same seed.

use fastrand::Rng;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Length of an item's id. rclone finds ids of 55 characters or more in file names.
pub const ITEM: usize = 98;
/// Length of an album's id.
pub const ALBUM: usize = 77;

/// Gives one new id after the other.
pub struct Ids {
    seed: u64,
    given: u64,
}

impl Ids {
    /// Starts with a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, given: 0 }
    }

    /// The next one, of so many characters in all.
    pub fn next(&mut self, prefix: &str, length: usize) -> String {
        self.given += 1;
        let mut random = seeded(self.seed, self.given);
        let mut id = String::with_capacity(length);
        id.push_str(prefix);
        while id.len() < length {
            id.push(char::from(ALPHABET[random.usize(..ALPHABET.len())]));
        }
        id
    }
}

/// A generator that depends on a seed and on a number.
pub fn seeded(seed: u64, number: u64) -> Rng {
    Rng::with_seed(seed ^ Rng::with_seed(number).u64(..))
}
