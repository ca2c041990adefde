//! Complete scans of a remote.

use crate::connector::Failure;
use crate::sandbox::{ScanEvent, Session};

/// Passes each event of a scan on.
///
/// # Errors
///
/// The scan can't be started, or isn't complete.
pub async fn for_each(
    session: &Session,
    mut receive: impl FnMut(ScanEvent),
) -> Result<(), Failure> {
    let mut scan = session.scan().await?;
    while let Some(events) = scan.found.recv().await {
        for event in events {
            receive(event);
        }
    }
    match scan.end.await {
        Ok(end) => end,
        Err(_) => Err(session.fault().await),
    }
}
