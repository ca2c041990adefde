//! The `rclone` interface as the component sees it: each verb is handed on to
//! [`crate::rclone`], which checks what it was given.

use wasmtime::component::{Accessor, HasSelf, Resource};
use wasmtime::{AsContextMut, Result};

use super::engine::Cell;
use super::streams::{bytes_in, content_in, content_out, end_in, items_in};
use crate::connector::bindings::plakar::connector::rclone;
use crate::connector::bindings::plakar::connector::rclone::{
    Content, Entry, Failure, Listing, Outcome, Selection, Timestamp,
};
use crate::rclone::{Batch, Rclone, Reader};

type Border = Accessor<Cell, HasSelf<Cell>>;

/// What a verb gives, or why it doesn't; errors of the outer kind are traps.
type Verb<T> = Result<core::result::Result<T, Failure>>;

/// Notes that the component had to do with the host, and gives its capability.
fn granted(border: &Border) -> Rclone {
    border.with(|mut access| {
        let cell = access.get();
        cell.limits.progress();
        cell.rclone.clone()
    })
}

impl crate::connector::bindings::plakar::connector::types::Host for Cell {}
impl rclone::Host for Cell {}
impl rclone::HostReader for Cell {}
impl rclone::HostBatch for Cell {}

impl rclone::HostWithStore<Cell> for HasSelf<Cell> {
    async fn list(border: &Border, selection: Selection) -> Verb<Listing> {
        match granted(border).list(selection).await {
            Err(failure) => Ok(Err(failure)),
            Ok(listing) => border.with(|mut store| {
                Ok(Ok((
                    bytes_in(store.as_context_mut(), listing.lines)?,
                    items_in(store.as_context_mut(), listing.troubles)?,
                    end_in(store.as_context_mut(), listing.end)?,
                )))
            }),
        }
    }

    async fn cat(border: &Border, path: String, size: Option<u64>) -> Verb<Content> {
        let content = granted(border).cat(&path, size).await;
        hand_in(border, content)
    }

    async fn receive(
        border: &Border,
        path: String,
        size: u64,
        modified: Timestamp,
        content: Content,
    ) -> Verb<()> {
        let content = border.with(|store| content_out(store, content))?;
        Ok(granted(border).receive(&path, size, modified, content).await)
    }
}

impl rclone::HostReaderWithStore<Cell> for HasSelf<Cell> {
    async fn start(border: &Border, root: String) -> Verb<Resource<Reader>> {
        match granted(border).reader(&root).await {
            Err(failure) => Ok(Err(failure)),
            Ok(reader) => Ok(Ok(border.with(|mut access| access.get().table.push(reader))?)),
        }
    }

    async fn warm(border: &Border, reader: Resource<Reader>) -> Verb<()> {
        granted(border);
        let reader = border.with(|mut access| access.get().table.get(&reader).cloned())?;
        Ok(reader.warm().await)
    }

    async fn read(
        border: &Border,
        reader: Resource<Reader>,
        path: String,
        size: Option<u64>,
    ) -> Verb<Content> {
        granted(border);
        let reader = border.with(|mut access| access.get().table.get(&reader).cloned())?;
        let content = reader.read(&path, size).await;
        hand_in(border, content)
    }

    async fn drop(border: &Border, reader: Resource<Reader>) -> Result<()> {
        border.with(|mut access| access.get().table.delete(reader))?;
        Ok(())
    }
}

impl rclone::HostBatchWithStore<Cell> for HasSelf<Cell> {
    async fn create(border: &Border) -> Verb<Resource<Batch>> {
        match granted(border).batch() {
            Err(failure) => Ok(Err(failure)),
            Ok(batch) => Ok(Ok(border.with(|mut access| access.get().table.push(batch))?)),
        }
    }

    async fn add(
        border: &Border,
        batch: Resource<Batch>,
        entry: Entry,
        content: Option<Content>,
    ) -> Verb<()> {
        granted(border);
        let (batch, content) = border.with(|mut access| -> Result<_> {
            let batch = access.get().table.get(&batch)?.clone();
            let content = content.map(|content| content_out(access.as_context_mut(), content));
            Ok((batch, content.transpose()?))
        })?;
        Ok(batch.add(entry, content).await)
    }

    async fn send(
        border: &Border,
        batch: Resource<Batch>,
    ) -> Result<(
        wasmtime::component::StreamReader<Outcome>,
        wasmtime::component::FutureReader<core::result::Result<(), Failure>>,
    )> {
        granted(border);
        let batch = border.with(|mut access| access.get().table.delete(batch))?;
        let sending = batch.send();
        border.with(|mut store| {
            Ok((
                items_in(store.as_context_mut(), sending.outcomes)?,
                end_in(store.as_context_mut(), sending.end)?,
            ))
        })
    }

    async fn drop(border: &Border, batch: Resource<Batch>) -> Result<()> {
        border.with(|mut access| access.get().table.delete(batch))?;
        Ok(())
    }
}

fn hand_in(
    border: &Border,
    content: core::result::Result<crate::connector::Content, Failure>,
) -> Verb<Content> {
    match content {
        Err(failure) => Ok(Err(failure)),
        Ok(content) => border.with(|store| Ok(Ok(content_in(store, content)?))),
    }
}
