//! Photos and videos, recognised by their first bytes, as Google does.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::ids::seeded;
use crate::tree;

/// Minimum of the bytes after the magic number.
const MIN_RANDOM_BYTES: usize = 8;

/// The SHA-256 of an item's bytes, in hexadecimal.
pub type Digest = String;

/// The digest of an item's bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    format!("{:x}", Sha256::digest(bytes))
}

/// The media type of a photo or a video; none of anything else.
pub fn media_type(bytes: &[u8]) -> Option<&'static str> {
    let box_type = bytes.get(4..8);
    let brand = bytes.get(8..12);
    Some(match bytes {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', ..] if brand == Some(b"WEBP") => "image/webp",
        _ if box_type == Some(b"ftyp") => match brand {
            Some(b"heic" | b"mif1") => "image/heif",
            Some(b"qt  ") => "video/quicktime",
            _ => "video/mp4",
        },
        _ => return None,
    })
}

/// Bytes that begin like a JPEG, different for each seed and number.
pub fn photo(seed: u64, number: u64, size: usize) -> Bytes {
    blob(b"\xff\xd8\xff\xe0\0\x10JFIF\0", seed, number, size)
}

/// Bytes that begin like an MP4.
pub fn video(seed: u64, number: u64, size: usize) -> Bytes {
    blob(b"\0\0\0\x18ftypisom\0\0\0\0", seed, number, size)
}

fn blob(magic: &[u8], seed: u64, number: u64, size: usize) -> Bytes {
    // However small they are asked for, their number makes them differ.
    let size = size.max(magic.len() + MIN_RANDOM_BYTES);
    let mut bytes = magic.to_vec();
    bytes.extend(tree::random_bytes(&mut seeded(number, seed), size - magic.len()));
    bytes.into()
}
