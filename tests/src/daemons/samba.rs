//! Samba's smbd: rclone's `smb`.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{Daemon, USER, USER_ID, make, setting};
use crate::TestEnv;
use crate::servers::{self, PASSWORD};

/// Serves one share, by a password.
pub fn samba(place: &TestEnv) -> Option<Daemon> {
    let mut setting = setting(place, "smbd", USER_ID)?;
    setting.on_server = "share";
    let (conf, state) = (setting.path("conf"), setting.path("state"));
    make(state.as_ref(), 0);
    let configuration = |served: &str, port: u16| {
        format!(
            "[global]\nserver role = standalone server\ninterfaces = 127.0.0.1\n\
             bind interfaces only = yes\nsmb ports = {port}\ndisable netbios = yes\n\
             private dir = {state}\nlock directory = {state}\nstate directory = {state}\n\
             cache directory = {state}\npid directory = {state}\n\
             ncalrpc dir = {state}/ncalrpc\nlog file = {state}/log\n\
             passdb backend = tdbsam:{state}/passdb.tdb\nload printers = no\n\
             printing = bsd\nprintcap name = /dev/null\ndisable spoolss = yes\n\
             [share]\npath = {served}\nread only = no\n"
        )
    };
    // Its tool for passwords reads the same file.
    let served = setting.served.display().to_string();
    std::fs::write(&conf, configuration(&served, 1)).unwrap();
    let mut tool = Command::new("smbpasswd");
    tool.args(["-c", &conf, "-s", "-a", USER]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut tool = tool.spawn().unwrap();
    write!(tool.stdin.take().unwrap(), "{PASSWORD}\n{PASSWORD}\n").unwrap();
    assert!(tool.wait().unwrap().success());
    let password = servers::obscure(place, PASSWORD);
    Some(setting.start(
        &["--foreground", "--no-process-group", "--debug-stdout", "-s", &conf],
        |_, port| configuration(&served, port),
        |port| {
            vec![
                ("type", "smb".into()),
                ("host", "127.0.0.1".into()),
                ("port", port.to_string()),
                ("user", USER.into()),
                ("pass", password.clone()),
            ]
        },
    ))
}
