//! The direction of a session: from the remote, to it, or both.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Direction of a session. The names of its variants in configurations are those of Plakar's
/// kinds of plugins.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
pub enum Direction {
    /// A backup or an inspection: the remote is read.
    #[serde(rename = "importer")]
    #[value(name = "importer")]
    Backup,
    /// A restore: the remote is written.
    #[serde(rename = "exporter")]
    #[value(name = "exporter")]
    Restore,
    /// A Kloset store: the remote is read and written. Plakar's name of the plugin is `storage`.
    #[serde(rename = "store")]
    #[value(name = "storage", alias = "store")]
    Store,
}

impl Direction {
    /// Returns whether such a session writes to the remote, if the policy lets it.
    pub fn is_writing(self) -> bool {
        self != Self::Backup
    }

    /// Returns the name of the plugin for this direction, as in policies and the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "importer",
            Self::Restore => "exporter",
            Self::Store => "store",
        }
    }
}
