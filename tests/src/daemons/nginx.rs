//! nginx: rclone's `http`, read only.

use super::{Daemon, setting};
use crate::TestEnv;

/// Lists directories to anyone. `zone` goes where all servers are described, `more` into
/// this one.
pub fn nginx(place: &TestEnv, zone: &str, more: &str) -> Option<Daemon> {
    let setting = setting(place, "nginx", 0)?;
    let (conf, log) = (setting.path("conf"), setting.path("log"));
    Some(setting.start(
        &["-e", &log, "-c", &conf],
        |setting, port| {
            let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let temporary =
                kinds.map(|kind| format!("{kind}_temp_path {};\n", setting.path(kind))).concat();
            let (pid, served) = (setting.path("pid"), setting.served.display());
            format!(
                "daemon off;\nuser root;\nworker_processes 1;\npid {pid};\nerror_log {log};\n\
                 events {{}}\nhttp {{\naccess_log off;\n{temporary}{zone}\n\
                 server {{\nlisten 127.0.0.1:{port};\nroot {served};\nautoindex on;\n{more}\n}}\n}}\n"
            )
        },
        |port| vec![("type", "http".into()), ("url", format!("http://127.0.0.1:{port}/"))],
    ))
}
