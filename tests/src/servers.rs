//! WebDAV and S3 on loopback, by `rclone serve`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

use crate::{TestEnv, tools};

/// Access key of the S3 server.
pub const KEY: &str = "AKIAPLAKBOX";
/// Secret key of the S3 server.
pub const SECRET: &str = "a-secret-of-the-tests";
/// User of the other servers.
pub const USER: &str = "user";
/// Password of the user.
pub const PASSWORD: &str = "a-password-of-the-tests";

/// A server that ends with the test.
pub struct Server {
    child: Child,
    /// Its address and port.
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves a directory; `kind` is `webdav` or `s3`.
pub fn serve(place: &TestEnv, kind: &str, directory: &Path) -> Server {
    let mut command = place.command(tools::rclone());
    command.args(["serve", kind, "--addr", "127.0.0.1:0", "-v"]).arg(directory);
    match kind {
        "webdav" => command.args(["--user", USER, "--pass", PASSWORD]),
        _ => command.args(["--auth-key", &format!("{KEY},{SECRET}")]),
    };
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().expect("rclone serve ended").unwrap();
        if let Some((_, address)) = line.split_once("http://") {
            let end =
                address.find(|char: char| !char.is_ascii_digit() && char != '.' && char != ':');
            break address[..end.unwrap_or(address.len())].to_owned();
        }
    };
    thread::spawn(move || lines.for_each(drop));
    Server { child, address }
}

/// Adds a remote for a server of this kind at this address.
pub fn remote(place: &TestEnv, name: &str, kind: &str, address: &str) {
    if kind == "webdav" {
        let password = obscure(place, PASSWORD);
        let url = format!("http://{address}/");
        let options = [
            ("type", kind),
            ("url", &url),
            ("vendor", "rclone"),
            ("user", USER),
            ("pass", &password),
        ];
        place.remote(name, &options);
    } else {
        let url = format!("http://{address}");
        let keys = [("access_key_id", KEY), ("secret_access_key", SECRET)];
        let options = [("type", kind), ("provider", "Rclone"), ("endpoint", &url)];
        place.remote(name, &[&options[..], &keys].concat());
    }
}

/// Adds a WebDAV remote for a server.
pub fn webdav_remote(place: &TestEnv, name: &str, server: &Server) {
    remote(place, name, "webdav", &server.address);
}

/// Adds an S3 remote for a server.
pub fn s3_remote(place: &TestEnv, name: &str, server: &Server) {
    remote(place, name, "s3", &server.address);
}

/// A password as rclone wants it in its configuration.
pub fn obscure(place: &TestEnv, password: &str) -> String {
    let output = place.command(tools::rclone()).args(["obscure", password]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
