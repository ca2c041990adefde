//! OpenSSH's sshd: rclone's `sftp`.

use std::fs;
use std::process::Command;

use super::{Daemon, setting};
use crate::TestEnv;

/// Serves by a key; passwords are all wrong. More lines of sshd_config may be given.
pub fn sshd(place: &TestEnv, more: &str) -> Option<Daemon> {
    let setting = setting(place, "sshd", 0)?;
    // Where it gives up being root; its package makes it when the service starts.
    fs::create_dir_all("/run/sshd").unwrap();
    for key in ["host", "key"] {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &setting.path(key)]);
        assert!(keygen.status().unwrap().success());
    }
    let (program, conf, key) = (setting.program.clone(), setting.path("conf"), setting.path("key"));
    assert!(program.is_absolute(), "sshd starts itself again by its path");
    Some(setting.start(
        &["-D", "-e", "-f", &conf],
        |setting, port| {
            let [host, key, home] = ["host", "key.pub", ""].map(|name| setting.path(name));
            let served = setting.served.display();
            // The shell that counts checksums reads no file of root's.
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nPidFile none\n\
                 AuthorizedKeysFile {key}\nStrictModes no\nPermitRootLogin yes\n\
                 PasswordAuthentication yes\nUsePAM no\nSetEnv HOME={home}\n\
                 Subsystem sftp internal-sftp -d {served}\n{more}"
            )
        },
        |port| {
            vec![
                ("type", "sftp".into()),
                ("host", "127.0.0.1".into()),
                ("port", port.to_string()),
                ("user", "root".into()),
                ("key_file", key.clone()),
                ("known_hosts_file", "none".into()),
            ]
        },
    ))
}
