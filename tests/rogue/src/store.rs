//! A store in memory: complete, or wrong in the way that it was told.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::exports::plakar::connector::store::{Guest, Mac, ObjectKind, Range};
use crate::bindings::plakar::connector::types::{Content, Failure, Location, Reason, Remote};
use crate::{Rogue, content, failure, forever, how, told, trap};

thread_local! {
    static OBJECTS: RefCell<BTreeMap<(u8, Mac), Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

fn key(kind: ObjectKind, name: Mac) -> (u8, Mac) {
    (kind as u8, name)
}

impl Guest for Rogue {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        Ok(told(remote))
    }

    async fn ping() -> Result<(), Failure> {
        Ok(())
    }

    async fn create(_: Vec<u8>) -> Result<(), Failure> {
        Ok(())
    }

    async fn configuration() -> Result<Vec<u8>, Failure> {
        Err(Failure { reason: Reason::NotFound, message: "none".into(), help: None })
    }

    async fn size() -> Result<u64, Failure> {
        Ok(u64::MAX)
    }

    async fn list(kind: ObjectKind) -> Result<Vec<Mac>, Failure> {
        let of_kind = |key: &&(u8, Mac)| key.0 == kind as u8;
        Ok(OBJECTS.with_borrow(|all| all.keys().filter(of_kind).map(|key| key.1).collect()))
    }

    async fn put(kind: ObjectKind, name: Mac, content: Content) -> Result<u64, Failure> {
        let (stream, end) = content;
        match how() {
            "store-refuses" => return Err(failure("the remote is full")),
            "store-traps" => trap(),
            "store-holds" if kind == ObjectKind::Packfile => forever().await,
            _ => {}
        }
        let bytes = stream.collect().await;
        end.await?;
        let size = bytes.len() as u64;
        OBJECTS.with_borrow_mut(|all| all.insert(key(kind, name), bytes));
        Ok(size)
    }

    async fn get(kind: ObjectKind, name: Mac, range: Option<Range>) -> Result<Content, Failure> {
        let bytes = OBJECTS.with_borrow(|all| all.get(&key(kind, name)).cloned());
        let mut bytes = bytes.ok_or_else(|| failure("there is nothing of that name"))?;
        if let Some(Range { offset, length }) = range {
            bytes = bytes.split_off((offset as usize).min(bytes.len()));
            bytes.truncate(length as usize);
        }
        Ok(content(bytes))
    }

    async fn delete(kind: ObjectKind, name: Mac) -> Result<(), Failure> {
        OBJECTS.with_borrow_mut(|all| all.remove(&key(kind, name)));
        Ok(())
    }

    async fn finish() -> Result<(), Failure> {
        if how() == "store-hangs" {
            forever().await;
        }
        Ok(())
    }
}
