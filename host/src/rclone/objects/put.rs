//! Uploads of parcels: under their final name where objects appear whole, and elsewhere under a
//! temporary name first.

use std::sync::Arc;

use super::parcel::Parcel;
use super::server::Server;
use super::{Objects, guard, lookup, object_path, temporary};
use crate::audit::Event;
use crate::connector::{Failure, Reason};
use crate::rclone::commands::features;
use crate::rclone::remote_path::RemotePath;

/// The outcome of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is there now.
    Stored,
    /// An object of the same size was there already, and stays.
    Present,
}

impl Parcel {
    /// Uploads the parcel to a path.
    ///
    /// # Errors
    ///
    /// The path isn't below the root, the policy doesn't allow it, or the backend doesn't take
    /// it.
    pub async fn put(&self, path: &str) -> Result<PutOutcome, Failure> {
        let path = object_path(path)?;
        // It isn't cancelled: a broken upload must be removed.
        let upload = tokio::spawn(put(self.objects.clone(), self.clone(), path));
        upload.await.map_err(|error| Failure::internal(format!("an upload ended: {error}")))?
    }
}

/// Uploads a parcel to a path. Runs to its end even if its caller doesn't wait for it.
///
/// # Errors
///
/// The policy doesn't allow it, or the backend doesn't take it.
async fn put(objects: Objects, parcel: Parcel, path: RemotePath) -> Result<PutOutcome, Failure> {
    let size = parcel.size();
    objects.allow(objects.shared.guard.check_put(&path, size), &path)?;
    // A broken upload is removed by name, so no other one of that name may run meanwhile.
    let _lock = objects.shared.path_locks.lock(&path).await;
    let must_stay = !objects.shared.guard.may_replace(&path);
    // A lock that is refreshed has the size of the former one.
    let may_be_there = objects.shared.unanswered.contains(&path) && !guard::is_lock(&path);
    if (must_stay || may_be_there)
        && let Some(present) = lookup::present_size(&objects, &path).await?
    {
        if present == size {
            objects.shared.unanswered.remove(&path);
            return Ok(PutOutcome::Present);
        }
        if must_stay {
            let message = format!(
                "`{path}` exists with {present} bytes and can't be replaced by {size} bytes: \
                 the policy makes this store append-only"
            );
            objects.allow(Err(Failure::new(Reason::Denied, message)), &path)?;
        }
    }
    if guard::is_lock(&path) {
        objects.shared.notes.add(&path)?;
    }
    let uploaded = if shows_incomplete(&objects).await? {
        upload_and_move(&objects, &parcel, &path).await
    } else {
        upload(&objects, &parcel, &path).await
    };
    match &uploaded {
        Ok(()) => {
            objects.shared.unanswered.remove(&path);
            objects.record(Event::ObjectStored { path: path.to_string(), bytes: size })?;
        }
        Err(_) => objects.shared.unanswered.add(&path),
    }
    uploaded.map(|()| PutOutcome::Stored)
}

/// Whether the backend shows files before they are complete.
async fn shows_incomplete(objects: &Objects) -> Result<bool, Failure> {
    let features = features::query(objects.session()).await?;
    if !features.shows_incomplete() {
        return Ok(false);
    }
    if features.renames() {
        return Ok(true);
    }
    Err(Failure::new(
        Reason::Unsupported,
        "the backend can't hold a store: it shows files before they are complete, and can't rename them",
    )
    .with_help("keep the store on another remote"))
}

/// Uploads a parcel under its final name.
async fn upload(objects: &Objects, parcel: &Parcel, path: &RemotePath) -> Result<(), Failure> {
    let is_lock = guard::is_lock(path);
    // Where there was an object before, a failed upload may have left that one.
    let may_be_former =
        !is_lock && guard::may_change(path) && lookup::present_size(objects, path).await?.is_some();
    let server = upload_server(objects, path).await?;
    objects.sizes().remove(&**path);
    let uploaded = post(&server, parcel, path).await;
    if uploaded.is_err() && !is_lock {
        // Some servers keep a part of what broke off.
        match lookup::present_size(objects, path).await {
            Ok(Some(present)) if present == parcel.size() => return Ok(()),
            Ok(Some(_)) if !may_be_former => lookup::delete(objects, path).await?,
            _ => {}
        }
    }
    uploaded
}

/// Uploads a parcel under a temporary name, and moves it when it is complete.
async fn upload_and_move(
    objects: &Objects,
    parcel: &Parcel,
    path: &RemotePath,
) -> Result<(), Failure> {
    objects.shared.swept.get_or_init(|| async { temporary::sweep(objects.session()) }).await;
    let incomplete = temporary::new_path()?;
    let server = upload_server(objects, path).await?;
    let moved = async {
        post(&server, parcel, &incomplete).await?;
        let session = objects.session();
        let (from, to) = (session.target(&incomplete), session.target(path));
        session.run("moveto", &["--ignore-times", &from, &to]).await
    };
    let moved = moved.await;
    objects.sizes().remove(&**path);
    if moved.is_err() {
        // There may be nothing to remove.
        let _ =
            objects.session().run("deletefile", &[&objects.session().target(&incomplete)]).await;
        return moved;
    }
    check_size(path, parcel.size(), lookup::size(objects, path).await?)
}

/// The server of an upload. Locks don't wait for the bytes of other objects.
async fn upload_server(objects: &Objects, path: &RemotePath) -> Result<Arc<Server>, Failure> {
    if guard::is_lock(path) { objects.fresh_server().await } else { objects.server().await }
}

/// Sends a parcel to a path, and checks the size that the backend reports.
async fn post(server: &Server, parcel: &Parcel, path: &RemotePath) -> Result<(), Failure> {
    server.post(path, parcel.size(), parcel.body()).await?;
    // The server remembers what the backend reported of the upload.
    check_size(path, parcel.size(), server.head(path).await?)
}

fn check_size(path: &RemotePath, sent: u64, stored: Option<u64>) -> Result<(), Failure> {
    match stored {
        Some(size) if size == sent => Ok(()),
        Some(size) => Err(Failure::new(
            Reason::Corrupted,
            format!("the backend stored {size} bytes of the {sent} bytes of `{path}`"),
        )),
        None => Err(Failure::new(
            Reason::Corrupted,
            format!("the backend took `{path}`, and doesn't have it"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_of_another_size_is_named() {
        let path = RemotePath::parse("packfiles/x").unwrap();
        assert!(check_size(&path, 8, Some(8)).is_ok());
        let short = check_size(&path, 8, Some(5)).unwrap_err();
        assert_eq!(short.reason, Reason::Corrupted);
        assert!(short.message.contains("5 bytes of the 8 bytes of `packfiles/x`"), "{short}");
        assert!(check_size(&path, 0, None).is_err());
    }
}
