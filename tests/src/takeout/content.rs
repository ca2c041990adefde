//! Bytes of a file that is made: kept as numbers, written when they are needed.

use std::io::{self, Seek, SeekFrom, Write};

use crate::photos::media;

/// The content of a file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A photo of random bytes, different for each number.
    Photo {
        /// Number that decides on the bytes.
        number: u64,
        /// Number of bytes.
        size: usize,
    },
    /// A video of random bytes.
    Video {
        /// Number that decides on the bytes.
        number: u64,
        /// Number of bytes.
        size: usize,
    },
    /// A photo whose bytes after the first ones are zeros: it takes little disk and time.
    Sparse {
        /// Number that decides on the first bytes.
        number: u64,
        /// Number of bytes.
        size: u64,
    },
    /// These bytes.
    Bytes(Vec<u8>),
}

/// Number of bytes of a sparse photo that aren't zeros.
const SPARSE_HEAD: usize = 32;

impl Content {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Bytes(text.into().into_bytes())
    }

    /// The number of bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Sparse { size, .. } => *size,
            _ => self.bytes().len() as u64,
        }
    }

    /// All bytes.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Photo { number, size } => media::photo(11, *number, *size).into(),
            Self::Video { number, size } => media::video(12, *number, *size).into(),
            Self::Sparse { number, size } => {
                let mut bytes: Vec<u8> = media::photo(13, *number, SPARSE_HEAD).into();
                bytes.resize(usize::try_from(*size).unwrap(), 0);
                bytes
            }
            Self::Bytes(bytes) => bytes.clone(),
        }
    }

    /// The CRC-32 that zip has of it.
    pub fn crc32(&self) -> u32 {
        match self {
            Self::Sparse { number, size } => {
                let head = media::photo(13, *number, SPARSE_HEAD);
                let mut crc = crc32fast::Hasher::new();
                crc.update(&head);
                crc.combine(&zeros(size - head.len() as u64));
                crc.finalize()
            }
            _ => crc32fast::hash(&self.bytes()),
        }
    }

    /// Writes all bytes, leaving holes where there are only zeros: the file must be cut to its
    /// length afterwards.
    pub fn write(&self, to: &mut (impl Write + Seek)) -> io::Result<()> {
        match self {
            Self::Sparse { number, size } => {
                let head = media::photo(13, *number, SPARSE_HEAD);
                to.write_all(&head)?;
                to.seek(SeekFrom::Current(i64::try_from(*size).unwrap() - head.len() as i64))?;
                Ok(())
            }
            _ => to.write_all(&self.bytes()),
        }
    }
}

/// The CRC-32 of a number of zeros, by doubling.
fn zeros(mut count: u64) -> crc32fast::Hasher {
    let mut sum = crc32fast::Hasher::new();
    let mut power = crc32fast::Hasher::new();
    power.update(&[0]);
    while count > 0 {
        if count & 1 == 1 {
            sum.combine(&power);
        }
        power.combine(&power.clone());
        count >>= 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_of_a_sparse_photo_is_that_of_its_bytes() {
        for size in [32, 33, 1000, 70_001] {
            let content = Content::Sparse { number: 7, size };
            assert_eq!(content.crc32(), crc32fast::hash(&content.bytes()));
            assert_eq!(content.size(), content.bytes().len() as u64);
        }
    }
}
