//! Apache with mod_dav: rclone's `webdav`.

use std::fs;
use std::process::Command;

use super::{Daemon, USER_ID, make, setting};
use crate::TestEnv;
use crate::servers::{self, PASSWORD, USER};

const MODULES: &str = "/usr/lib/apache2/modules";

/// Serves by a password.
pub fn apache(place: &TestEnv) -> Option<Daemon> {
    let setting = setting(place, "apache2", USER_ID)?;
    let (conf, locks) = (setting.path("conf"), setting.path("locks"));
    make(locks.as_ref(), USER_ID);
    let hashed = Command::new("openssl").args(["passwd", "-apr1", PASSWORD]).output().unwrap();
    let hashed = String::from_utf8(hashed.stdout).unwrap();
    fs::write(setting.path("users"), format!("{USER}:{hashed}")).unwrap();
    let password = servers::obscure(place, PASSWORD);
    let modules = [
        "mpm_event",
        "authn_core",
        "authn_file",
        "authz_core",
        "authz_user",
        "auth_basic",
        "dav",
        "dav_fs",
    ];
    let modules = modules.map(|it| format!("LoadModule {it}_module {MODULES}/mod_{it}.so\n"));
    Some(setting.start(
        &["-DFOREGROUND", "-f", &conf],
        |setting, port| {
            let [home, pid, log, access, users] =
                ["", "pid", "log", "access", "users"].map(|name| setting.path(name));
            let served = setting.served.display();
            let user = super::USER;
            format!(
                "{}ServerRoot {home}\nServerName localhost\nListen 127.0.0.1:{port}\n\
                 PidFile {pid}\nDefaultRuntimeDir {home}\nMutex fcntl:{home}\nErrorLog {log}\n\
                 LogFormat \"%r %>s\" short\nCustomLog {access} short\nUser {user}\n\
                 Group {user}\nDocumentRoot {served}\nDavLockDB {locks}/db\n\
                 <Directory {served}>\nDav On\nAllowOverride None\nAuthType Basic\n\
                 AuthName test\nAuthUserFile {users}\nRequire valid-user\n</Directory>\n",
                modules.concat()
            )
        },
        |port| {
            vec![
                ("type", "webdav".into()),
                ("url", format!("http://127.0.0.1:{port}/")),
                ("vendor", "other".into()),
                ("user", USER.into()),
                ("pass", password.clone()),
            ]
        },
    ))
}
