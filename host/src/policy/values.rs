//! Types that policy files and grants share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// TCP ports that rclone may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ports {
    Any(AnyPort),
    Only(BTreeSet<u16>),
}

/// The word for every port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnyPort {
    Any,
}

impl Default for Ports {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl Ports {
    /// Every port.
    pub const ANY: Self = Self::Any(AnyPort::Any);

    /// Returns the ports of either.
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(one), Self::Only(other)) => Self::Only(&one | &other),
            _ => Self::ANY,
        }
    }

    /// Returns the ports of both.
    pub fn narrow(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any(_), ports) | (ports, Self::Any(_)) => ports,
            (Self::Only(one), Self::Only(other)) => Self::Only(&one & &other),
        }
    }
}

/// Whether rclone must be confined by the kernel.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Enforcement {
    /// rclone runs unconfined, with a warning, if the kernel can't confine it.
    Preferred,
    /// rclone doesn't run if the kernel can't confine it.
    #[default]
    Required,
}

/// The SHA-256 of a file, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Digest(pub String);

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hexadecimal = |byte: u8| {
            byte.is_ascii_digit() || byte.is_ascii_hexdigit() && byte.is_ascii_lowercase()
        };
        if text.len() == 64 && text.bytes().all(hexadecimal) {
            return Ok(Self(text));
        }
        Err("a SHA-256 has 64 hexadecimal digits in lower case, as `sha256sum` prints it")
    }
}

/// Destination of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    File(PathBuf),
    Stderr,
}
