//! Creation of a store, and its configuration.

use super::names::{CONFIG, KINDS};
use super::retry::{LIST_RETRY_MS, READ_RETRY_MS, is_final, put_parcel, retry};
use crate::bindings::plakar::connector::objects::{self, Extent, Parcel};
use crate::bindings::plakar::connector::rclone::{self, ListOptions};
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::contents;
use crate::lsjson::run;
use crate::path::SnapshotRoot;

/// Maximum size of a configuration. Plakar's have less than a KiB.
const MAX_CONFIG_BYTES: usize = 1 << 20;

/// Time in which others that found the place empty have written their configuration.
const RIVAL_MS: u32 = 2000;

/// Creates a store.
///
/// # Errors
///
/// There is something already, or the store could not be written.
pub async fn create(root: &SnapshotRoot, configuration: Vec<u8>) -> Result<(), Failure> {
    let stat = async || objects::stat(CONFIG.to_owned()).await;
    if retry(LIST_RETRY_MS, is_final, stat).await?.is_some() {
        let message = format!("there is already a store at `{}`", root.path());
        let help = "open it, or choose another path";
        return Err(Failure::new(Reason::Denied, message).with_help(help));
    }
    check_empty(root).await?;
    // Before the configuration: a backend that allows two directories of one name would get two
    // of each from the first concurrent uploads.
    let directories = || KINDS.map(|kind| kind.directory().to_owned()).to_vec();
    let make = async || objects::create_directories(directories()).await;
    retry(READ_RETRY_MS, is_final, make).await?;
    let parcel = Parcel::receive(contents::of_bytes(configuration.clone())).await?;
    put_parcel(&parcel, CONFIG, || true).await?;
    // Of two that create a store at the same moment, the last configuration stays: both have to
    // read that one.
    objects::wait(RIVAL_MS).await;
    let read = async || {
        let content = rclone::cat(CONFIG.to_owned(), None).await?;
        contents::collect(content, MAX_CONFIG_BYTES).await
    };
    if retry(READ_RETRY_MS, is_final, read).await? != configuration {
        let message = format!("another store was created at `{}` at the same time", root.path());
        return Err(Failure::new(Reason::Denied, message).with_help("open that one"));
    }
    Ok(())
}

/// Checks that nothing is at the root.
async fn check_empty(root: &SnapshotRoot) -> Result<(), Failure> {
    let first = retry(LIST_RETRY_MS, is_final, async || {
        let mut first = None;
        let end = run::for_each(ListOptions::children(""), |item| {
            first.get_or_insert(item.path);
        });
        let end = end.await;
        if first.is_none() && !end.is_missing_directory() {
            end.complete()?;
        }
        Ok(first)
    });
    match first.await? {
        None => Ok(()),
        Some(name) => {
            let message = format!("`{}` isn't empty: it has `{name}`", root.path());
            let help = "choose an empty or a new directory for the store";
            Err(Failure::new(Reason::Denied, message).with_help(help))
        }
    }
}

/// Reads the configuration of the store.
///
/// # Errors
///
/// There is none, or it can't be read.
pub async fn configuration(root: &SnapshotRoot) -> Result<Vec<u8>, Failure> {
    let max_bytes = MAX_CONFIG_BYTES as u64;
    let read = async || {
        let extent = Extent::fetch(CONFIG.to_owned(), 0, max_bytes).await?;
        let content = Extent::join(&[(&extent, 0, extent.size())])?;
        contents::collect(content, MAX_CONFIG_BYTES).await
    };
    retry(READ_RETRY_MS, is_final, read).await.map_err(|failure| match failure.reason {
        Reason::NotFound => {
            let message =
                format!("there is no Kloset store at `{}`: it has no `{CONFIG}`", root.path());
            let help = "correct the path, or create a store with `plakar at LOCATION create`";
            Failure::new(Reason::NotFound, message).with_help(help)
        }
        _ => failure,
    })
}
