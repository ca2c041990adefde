//! Listings of many entries, and replies of nonsense.

use fastrand::Rng;
use plakbox_tests::tree;
use std::io::{self, Write};
use std::time::Duration;

/// Lists a number of files, as fast as it can.
pub fn entries(count: u64) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    writeln!(out, "[")?;
    for at in 0..count {
        let (directory, nested) = (at / 10_000, at / 100);
        let end = if at + 1 < count { ",\n" } else { "\n" };
        write!(
            out,
            "{{\"Path\":\"dir{directory}/sub{nested}/file-{at:07}.bin\",\"Name\":\"file-{at:07}.bin\",\
             \"Size\":{at},\"ModTime\":\"2024-01-02T03:04:05.{at:09}Z\",\"IsDir\":false,\
             \"ID\":\"abcdefghijklmnop{at}\"}}{end}"
        )?;
    }
    writeln!(out, "]")?;
    out.flush()
}

/// Lists four files, and then serves them by nonsense: frames of HTTP/2 and what isn't.
pub fn replies(verb: &str, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let mut out = io::stdout().lock();
    if verb == "lsjson" {
        let file = |name: &str, size: i64| {
            format!(
                "{{\"Path\":\"{name}\",\"Size\":{size},\"ModTime\":\"2001-09-09T01:46:40Z\",\"IsDir\":false}}"
            )
        };
        let files = [file("a", -1), file("b", 5), file("c", 70_000), file("d", 0)];
        let _ = write!(out, "[\n{}\n]\n", files.join(",\n"));
        return;
    }
    // An empty list of settings, which every connection begins with.
    let mut bytes = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    for _ in 0..random.u64(..40) {
        let length = random.usize(..200);
        let kind = random.u8(..11);
        let flags = random.u8(..);
        let stream = [0, 0, 0, [0, 1, 3, 5, 7, 255][random.usize(..6)]];
        let told = if random.u64(..8) == 0 { 0xff_ffff } else { length };
        bytes.extend_from_slice(&u32::try_from(told).unwrap().to_be_bytes()[1..]);
        bytes.extend([kind, flags]);
        bytes.extend(stream);
        // `:status: 200`, at times.
        let status = kind == 1 && random.bool();
        bytes.extend(if status {
            vec![0x88; length.min(1)]
        } else {
            tree::random_bytes(&mut random, length)
        });
    }
    for piece in bytes.chunks(1 + random.usize(..300)) {
        if out.write_all(piece).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
    if random.u64(..4) == 0 {
        std::thread::sleep(Duration::from_millis(200));
    }
}
