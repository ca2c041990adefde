//! Sizes of objects, as the backend reports them, and their removal.

use hyper::Method;

use super::{Objects, guard};
use crate::connector::Failure;
use crate::rclone::remote_path::RemotePath;

/// The size of an object; `None` if the backend reports that it doesn't exist.
///
/// # Errors
///
/// The backend reports neither.
pub async fn size(objects: &Objects, path: &RemotePath) -> Result<Option<u64>, Failure> {
    if guard::may_change(path) {
        present_size(objects, path).await
    } else {
        known_size(objects, path).await
    }
}

/// The size of an object by the server that remembers what it has looked up.
///
/// # Errors
///
/// The backend reports neither a size nor that the object doesn't exist.
pub async fn known_size(objects: &Objects, path: &RemotePath) -> Result<Option<u64>, Failure> {
    if let Some(size) = objects.sizes().get(&**path) {
        return Ok(Some(*size));
    }
    let server = objects.server().await?;
    match server.head(path).await {
        Ok(size) => {
            if let Some(size) = size {
                objects.sizes().insert(path.to_string(), size);
            }
            Ok(size)
        }
        // This server logs no reason.
        Err(_) => present_size(objects, path).await,
    }
}

/// The size of an object as the backend reports it now; `None` if it reports that the object
/// doesn't exist.
///
/// # Errors
///
/// The backend reports neither.
pub async fn present_size(objects: &Objects, path: &RemotePath) -> Result<Option<u64>, Failure> {
    objects.fresh_server().await?.head(path).await
}

/// Removes an object, if it exists.
///
/// # Errors
///
/// The backend doesn't remove it.
pub async fn delete(objects: &Objects, path: &RemotePath) -> Result<(), Failure> {
    objects.sizes().remove(&**path);
    let server = objects.server_of(path).await?;
    let response = server.request(Method::DELETE, path, None).await?;
    if response.status().is_success() {
        return Ok(());
    }
    let failure = server.reason(path, response.status());
    // The server says 404 whenever it can't look up an object, and also where there is none.
    match present_size(objects, path).await? {
        None => Ok(()),
        Some(_) => Err(failure),
    }
}
