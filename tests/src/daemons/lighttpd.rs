//! lighttpd: rclone's `http`, read only.

use super::{Daemon, setting};
use crate::TestEnv;

/// Lists directories to anyone.
pub fn lighttpd(place: &TestEnv) -> Option<Daemon> {
    let setting = setting(place, "lighttpd", 0)?;
    let conf = setting.path("conf");
    Some(setting.start(
        &["-D", "-f", &conf],
        |setting, port| {
            let served = setting.served.display();
            format!(
                "server.modules = (\"mod_dirlisting\")\nserver.port = {port}\n\
                 server.bind = \"127.0.0.1\"\nserver.document-root = \"{served}\"\n\
                 dir-listing.activate = \"enable\"\n\
                 server.stat-cache-engine = \"disable\"\n"
            )
        },
        |port| vec![("type", "http".into()), ("url", format!("http://127.0.0.1:{port}/"))],
    ))
}
