//! A remote as Plakar passes it, before it is parsed.

use std::collections::BTreeMap;

/// Prefix of the keys of an imported rclone configuration.
pub const OPTION_PREFIX: &str = "rclone_";

/// The remote as Plakar passes it.
#[derive(Debug, Default)]
pub struct RemoteSpec {
    /// Every key of the source or destination.
    pub config: BTreeMap<String, String>,
    /// The name of the machine that Plakar runs on.
    pub hostname: String,
    /// The directory that Plakar was started in.
    pub directory: String,
}

impl RemoteSpec {
    /// The protocol of the location, by which Plakar selects a connector: `rclone`.
    pub fn protocol(&self) -> Option<&str> {
        let (protocol, _) = self.config.get("location")?.split_once("://")?;
        Some(protocol)
    }

    /// Whether it names a remote of the user's own rclone.conf, as none was imported.
    pub fn names_user_remote(&self) -> bool {
        !self.config.keys().any(|key| key.starts_with(OPTION_PREFIX))
    }
}
