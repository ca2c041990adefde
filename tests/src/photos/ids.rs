//! Ids and tokens: long, safe in URLs, the same from the same seed.

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
    pub fn new(seed: u64) -> Self {
        Self { seed, given: 0 }
    }

    /// The next one, of so many characters in all.
    pub fn next(&mut self, prefix: &str, length: usize) -> String {
        self.given += 1;
        let mut numbers = Numbers::new(self.seed ^ Numbers::new(self.given).draw());
        let mut id = String::with_capacity(length);
        id.push_str(prefix);
        while id.len() < length {
            id.push(char::from(ALPHABET[(numbers.draw() >> 58) as usize]));
        }
        id
    }
}

/// Numbers that look random (splitmix64).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}
