//! The direction of a session.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Direction of a session. The names of its variants in configurations are those of Plakar's two
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
}

impl Direction {
    /// Returns the name of the plugin for this direction, as in policies and the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "importer",
            Self::Restore => "exporter",
        }
    }
}
