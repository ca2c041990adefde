//! Files that grow while they are backed up, as logs do: these are kept as long as they
//! were when they were listed.

use bytes::Bytes;

use crate::connector::Failure;
use crate::rclone::Rclone;
use crate::rclone::process::Process;
use crate::rclone::remote::Remote;

/// Backends of file systems, where a file that is longer than it was listed has been appended
/// to. Elsewhere it is another object.
const FILE_SYSTEMS: [&str; 3] = ["local", "sftp", "smb"];

/// How rclone refuses to read a local file on whose end something was written.
///
/// Source: `Read` in rclone's backend/local/local.go.
const GREW: &str = "source file is being updated (size changed from ";

/// Whether a file of this remote may be cut to the length that was listed. A remote that
/// wraps others is taken for one that has other objects.
pub fn is_possible(remote: &Remote) -> bool {
    let below = ["alias", "combine"];
    let mut sections = remote.sections().values().filter_map(|section| section.get("type"));
    sections.all(|backend| {
        FILE_SYSTEMS.contains(&backend.as_str()) || below.contains(&backend.as_str())
    })
}

/// How rclone's server ends a file that is longer than it was when it was opened.
///
/// Source: Go's net/http.
const LONGER: &str = "handler wrote more than declared Content-Length";

/// Whether a read failed because the file grew.
pub fn is(failure: &Failure) -> bool {
    if failure.message.contains(LONGER) {
        return true;
    }
    let sizes = failure.message.split_once(GREW).and_then(|(_, rest)| rest.split_once(')'));
    let sizes = sizes.and_then(|(sizes, _)| sizes.split_once(" to "));
    let number = |text: &str| text.parse::<u64>().ok();
    sizes.is_some_and(|(before, now)| {
        number(before).zip(number(now)).is_some_and(|(before, now)| now > before)
    })
}

/// Reads the rest of a local file that grows, from an offset on.
pub async fn rest(rclone: &Rclone, path: &str, offset: u64) -> Result<Process, Failure> {
    let verb = rclone.reading_verb("cat").arg("--local-no-check-updated");
    let verb = verb.arg("--offset").arg(offset.to_string());
    verb.arg(rclone.target(path)).start(false, None).await
}

/// The beginning of a piece, of which the last `surplus` bytes are too many.
pub fn cut(piece: &Bytes, surplus: u64) -> Bytes {
    let surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
    piece.slice(..piece.len().saturating_sub(surplus))
}

/// Tells that a file was kept shorter than it is.
pub fn warn(path: &str, size: u64) {
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
        let says = |message: &str| is(&Failure::new(Reason::Internal, message));
        let updated = "can't copy - source file is being updated";
        assert!(says(&format!("{updated} (size changed from 10 to 11)")));
        assert!(!says(&format!("{updated} (size changed from 11 to 10)")));
        assert!(!says(&format!("{updated} (mod time changed from a to b)")));
        assert!(!says("size changed from 1 to 2"));
        assert!(says(
            "Didn't finish writing (wrote 1/2 bytes): http2: handler wrote more than declared Content-Length"
        ));
    }
}
