//! proftpd: rclone's `ftp`, with TLS.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{Daemon, setting};
use crate::TestEnv;
use crate::certificates::{Authority, Valid};
use crate::servers::{self, PASSWORD, USER};

/// Serves by a password, over TLS alone. More lines of its configuration may be given.
pub fn proftpd(place: &TestEnv, more: &str) -> Option<Daemon> {
    let setting = setting(place, "proftpd", 0)?;
    if !fs::exists("/usr/lib/proftpd/mod_tls.so").unwrap() {
        eprintln!("skipped: proftpd's mod_tls isn't installed (`just servers`)");
        return None;
    }
    let certificate = Authority::new().sign(&setting.home, "tls", "localhost", Valid::Now);
    let key = certificate.with_extension("key");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let users = setting.path("users");
    let line = format!("{USER}:{}:0:0::{}:/bin/sh\n", hashed(), setting.served.display());
    fs::write(&users, line).unwrap();
    fs::set_permissions(&users, Permissions::from_mode(0o600)).unwrap();
    let (conf, password) = (setting.path("conf"), servers::obscure(place, PASSWORD));
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    Some(setting.start(
        &["-n", "-q", "-c", &conf],
        |setting, port| {
            let [board, pid, log] = ["board", "pid", "log"].map(|name| setting.path(name));
            format!(
                "LoadModule mod_tls.c\nServerType standalone\nDefaultAddress 127.0.0.1\n\
                 SocketBindTight on\nPort {port}\nUseIPv6 off\nUseReverseDNS off\nUser root\n\
                 Group root\nScoreboardFile {board}\nPidFile {pid}\nSystemLog {log}\n\
                 TransferLog none\nWtmpLog off\nAuthPAM off\nAuthOrder mod_auth_file.c\n\
                 AuthUserFile {users}\nRequireValidShell off\nRootLogin on\nDefaultRoot ~\n\
                 AllowOverwrite on\nListOptions -a\nTLSEngine on\nTLSRequired on\n\
                 TLSECCertificateFile {certificate}\nTLSECCertificateKeyFile {key}\n\
                 TLSVerifyClient off\nTLSOptions NoSessionReuseRequired\n{more}"
            )
        },
        |port| {
            vec![
                ("type", "ftp".into()),
                ("host", "127.0.0.1".into()),
                ("port", port.to_string()),
                ("user", USER.into()),
                ("pass", password.clone()),
                ("explicit_tls", "true".into()),
                ("no_check_certificate", "true".into()),
            ]
        },
    ))
}

/// The password as crypt(3) keeps it.
fn hashed() -> String {
    let output = Command::new("openssl").args(["passwd", "-6", PASSWORD]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
