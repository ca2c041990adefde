//! vsftpd: rclone's `ftp`, without TLS.

use super::{Daemon, USER, USER_ID, make, setting};
use crate::{TestEnv, servers};

/// Serves to anyone, in a directory of what it calls the root. More lines of its
/// configuration may be given.
pub fn vsftpd(place: &TestEnv, more: &str) -> Option<Daemon> {
    let mut setting = setting(place, "vsftpd", 0)?;
    // It refuses a root that can be written.
    let root = setting.path("served");
    setting.served = setting.served.join("files");
    setting.on_server = "files";
    make(&setting.served, USER_ID);
    let (conf, empty) = (setting.path("conf"), setting.path("empty"));
    make(empty.as_ref(), 0);
    let password = servers::obscure(place, "anyone");
    Some(setting.start(
        &[&conf],
        |_, port| {
            format!(
                "listen=YES\nbackground=NO\nlisten_address=127.0.0.1\nlisten_port={port}\n\
                 anonymous_enable=YES\nlocal_enable=NO\nno_anon_password=YES\nanon_root={root}\n\
                 ftp_username={USER}\nsecure_chroot_dir={empty}\nwrite_enable=YES\n\
                 anon_upload_enable=YES\nanon_mkdir_write_enable=YES\n\
                 anon_other_write_enable=YES\nanon_world_readable_only=NO\nanon_umask=022\n\
                 mdtm_write=YES\nseccomp_sandbox=NO\n{more}"
            )
        },
        |port| {
            vec![
                ("type", "ftp".into()),
                ("host", "127.0.0.1".into()),
                ("port", port.to_string()),
                ("user", "anonymous".into()),
                ("pass", password.clone()),
                ("writing_mdtm", "true".into()),
            ]
        },
    ))
}
