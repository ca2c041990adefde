//! Files that grow while they are backed up, as logs do. They are truncated to the length that
//! was listed.

use bytes::Bytes;

use crate::connector::Failure;
use crate::policy;
use crate::rclone::backends;
use crate::rclone::process::Process;
use crate::rclone::remote::Remote;
use crate::rclone::session::RcloneSession;

/// Wrapping backends that show the objects of others as they are.
const TRANSPARENT_BACKENDS: [&str; 2] = ["alias", "combine"];

/// Prefix of rclone's error for a local file that was appended to.
///
/// Source: `Read` in rclone's backend/local/local.go.
const SIZE_CHANGED_MESSAGE: &str = "source file is being updated (size changed from ";

/// Error of rclone's server for a file that is longer than it was when it was opened.
///
/// Source: Go's net/http.
const BODY_TOO_LONG_MESSAGE: &str = "handler wrote more than declared Content-Length";

/// Whether a file of this remote may be truncated to the length that was listed. With other
/// wrapping backends a longer file counts as a different one.
pub fn may_truncate(remote: &Remote) -> bool {
    let mut types = remote.sections().values().filter_map(|section| section.get("type"));
    types.all(|name| {
        let backend = policy::canonical_backend(name);
        backends::find(backend).is_file_system || TRANSPARENT_BACKENDS.contains(&backend)
    })
}

/// Whether a read failed because the file grew.
pub fn is_growth_error(failure: &Failure) -> bool {
    if failure.message.contains(BODY_TOO_LONG_MESSAGE) {
        return true;
    }
    let sizes =
        failure.message.split_once(SIZE_CHANGED_MESSAGE).and_then(|(_, rest)| rest.split_once(')'));
    let sizes = sizes.and_then(|(sizes, _)| sizes.split_once(" to "));
    let number = |text: &str| text.parse::<u64>().ok();
    sizes.is_some_and(|(before, now)| {
        number(before).zip(number(now)).is_some_and(|(before, now)| now > before)
    })
}

/// Starts to read the rest of a local file that grows, from an offset on.
///
/// # Errors
///
/// rclone can't be started.
pub async fn read_rest(
    session: &RcloneSession,
    path: &str,
    offset: u64,
) -> Result<Process, Failure> {
    let command = session.reading_command("cat").arg("--local-no-check-updated");
    let command = command.arg("--offset").arg(offset.to_string());
    command.arg(session.target(path)).spawn().await
}

/// The chunk without its last `surplus` bytes.
pub fn truncate(chunk: &Bytes, surplus: u64) -> Bytes {
    let surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
    chunk.slice(..chunk.len().saturating_sub(surplus))
}

/// Warns that a file is stored shorter than it is.
pub fn warn_truncated(path: &str, size: u64) {
    tracing::warn!(
        "`{}` grew while it was backed up: its first {size} bytes are kept, as it was listed",
        path.escape_debug()
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::Reason;

    #[test]
    fn a_file_grew_where_its_size_did() {
        let says = |message: &str| is_growth_error(&Failure::new(Reason::Internal, message));
        let updated = "can't copy - source file is being updated";
        assert!(says(&format!("{updated} (size changed from 10 to 11)")));
        assert!(!says(&format!("{updated} (size changed from 11 to 10)")));
        assert!(!says(&format!("{updated} (mod time changed from a to b)")));
        assert!(!says("size changed from 1 to 2"));
        assert!(says(
            "Didn't finish writing (wrote 1/2 bytes): http2: handler wrote more than declared \
             Content-Length"
        ));
    }
}
