//! Verification of uploads: the packfiles that a state may name are looked up before it is sent.

use futures::{StreamExt, stream};
use std::collections::BTreeMap;

use super::retry::{Backoff, LIST_RETRY_MS, PUT_RETRY_MS, is_final, retry};
use crate::bindings::exports::plakar::connector::store::ObjectKind;
use crate::bindings::plakar::connector::objects;
use crate::bindings::plakar::connector::rclone::ListOptions;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::lsjson::run;

/// Maximum number of packfiles that are looked up one by one. A listing needs fewer calls for
/// more of them on most backends.
const MAX_LOOKUPS: usize = 64;

/// Sizes of packfiles in bytes, by their paths. A size of -1 is one that the backend doesn't tell.
type Sizes = BTreeMap<String, i64>;

/// Looks up packfiles by their paths and sizes, `lookups` at the same time.
///
/// # Errors
///
/// One of them isn't there as it was uploaded, or can't be looked up.
pub async fn verify(expected: &BTreeMap<String, u64>, lookups: usize) -> Result<(), Failure> {
    // A backend may need some time to show an object.
    let mut backoff = Backoff::new(LIST_RETRY_MS);
    while let Some(failure) = find_wrong(expected, lookups).await? {
        if !backoff.wait().await {
            return Err(failure);
        }
    }
    Ok(())
}

/// Returns the failure of the first packfile that isn't there with its size.
///
/// # Errors
///
/// The packfiles can't be looked up.
async fn find_wrong(
    expected: &BTreeMap<String, u64>,
    lookups: usize,
) -> Result<Option<Failure>, Failure> {
    let sizes = if expected.len() <= MAX_LOOKUPS {
        look_up(expected, lookups).await?
    } else {
        retry(PUT_RETRY_MS, is_final, async || list(expected).await).await?
    };
    let wrong = expected.iter().find_map(|(path, size)| match sizes.get(path) {
        None => Some(format!("`{path}` was uploaded and isn't there any more")),
        Some(found) => u64::try_from(*found).ok().filter(|found| found != size).map(|found| {
            format!("`{path}` was uploaded with {size} bytes and has {found} bytes now")
        }),
    });
    Ok(wrong.map(|message| {
        let help = "check what else changes the store, and run the backup again";
        Failure::new(Reason::Corrupted, message).with_help(help)
    }))
}

/// Looks up packfiles one by one.
async fn look_up(expected: &BTreeMap<String, u64>, lookups: usize) -> Result<Sizes, Failure> {
    let each = stream::iter(expected.keys()).map(async |path| {
        let stat = async || objects::stat(path.clone()).await;
        retry(PUT_RETRY_MS, is_final, stat).await.map(|size| (path, size))
    });
    let found: Vec<_> = each.buffer_unordered(lookups).collect().await;
    let mut sizes = Sizes::new();
    for found in found {
        let (path, size) = found?;
        if let Some(size) = size {
            sizes.insert(path.clone(), i64::try_from(size).unwrap_or(-1));
        }
    }
    Ok(sizes)
}

/// Lists all packfiles of the store.
async fn list(expected: &BTreeMap<String, u64>) -> Result<Sizes, Failure> {
    let directory = ObjectKind::Packfile.directory();
    let options = ListOptions { server_times: true, ..ListOptions::descendants(directory) };
    let mut sizes = Sizes::new();
    let end = run::for_each(options, |item| {
        let path = format!("{directory}/{}", item.path);
        if expected.contains_key(&path) {
            let size = item.size();
            sizes.insert(path, size);
        }
    });
    end.await.complete()?;
    Ok(sizes)
}
