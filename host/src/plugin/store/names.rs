//! The names and kinds of objects in Plakar's messages.

use bytes::{BufMut, Bytes, BytesMut};

use crate::connector::{Failure, Reason};
use crate::plugin::proto::store::StorageResource;
use crate::sandbox::{Mac, ObjectKind};

/// Length of a name.
const NAME_BYTES: usize = 32;

/// Converts the kind of an object.
///
/// # Errors
///
/// Fails if stores don't hold such objects.
pub fn kind(number: i32) -> Result<ObjectKind, Failure> {
    match StorageResource::try_from(number) {
        Ok(StorageResource::Packfile) => Ok(ObjectKind::Packfile),
        Ok(StorageResource::State) => Ok(ObjectKind::State),
        Ok(StorageResource::Lock) => Ok(ObjectKind::Lock),
        Ok(StorageResource::EccPackfile | StorageResource::EccState) => {
            Err(Failure::new(Reason::Unsupported, "the store doesn't hold error-correcting codes"))
        }
        Ok(StorageResource::Undefined) | Err(_) => {
            Err(Failure::new(Reason::Unsupported, format!("{number} isn't a kind of objects")))
        }
    }
}

/// Converts the name of an object.
///
/// # Errors
///
/// Fails if it hasn't 32 bytes.
pub fn from_bytes(bytes: &[u8]) -> Result<Mac, Failure> {
    let (words, []) = bytes.as_chunks::<8>() else { return Err(invalid_name(bytes)) };
    match *words {
        [one, two, three, four] => {
            let word = u64::from_be_bytes;
            Ok((word(one), word(two), word(three), word(four)))
        }
        _ => Err(invalid_name(bytes)),
    }
}

fn invalid_name(bytes: &[u8]) -> Failure {
    let length = bytes.len();
    Failure::invalid_config(format!("the name of an object has {NAME_BYTES} bytes, not {length}"))
}

/// Converts the names of objects, all in one piece of memory.
pub fn to_bytes(names: &[Mac]) -> Vec<Bytes> {
    let mut all = BytesMut::with_capacity(names.len() * NAME_BYTES);
    for &(one, two, three, four) in names {
        for word in [one, two, three, four] {
            all.put_u64(word);
        }
    }
    let mut all = all.freeze();
    names.iter().map(|_| all.split_to(NAME_BYTES)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_32_bytes_the_most_significant_ones_first() {
        let bytes: Vec<u8> = (0..32).collect();
        let name = from_bytes(&bytes).unwrap();
        assert_eq!(name.0, 0x0001_0203_0405_0607);
        assert_eq!(to_bytes(&[name, (0, 0, 0, 1)]), [bytes.clone(), [&[0; 31][..], &[1]].concat()]);
        for wrong in [0, 8, 31, 33, 40] {
            let failure = from_bytes(&vec![7; wrong]).unwrap_err();
            assert!(failure.message.contains(&format!("32 bytes, not {wrong}")), "{failure}");
        }
    }

    #[test]
    fn only_packfiles_states_and_locks_are_held() {
        assert_eq!(kind(1), Ok(ObjectKind::Packfile));
        assert_eq!(kind(3), Ok(ObjectKind::Lock));
        for number in [0, 4, 5, 6, -1] {
            assert_eq!(kind(number).unwrap_err().reason, Reason::Unsupported, "{number}");
        }
    }
}
