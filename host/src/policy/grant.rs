//! The rights of a session. Grants for all remotes that it reaches are joined, and each policy
//! in force narrows the result.

use semver::Version;
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::error::conflict;
use super::limits::Limits;
use super::pins::Pins;
use super::values::{Digest, Enforcement, Ports};
use crate::connector::Failure;

/// Environment variables that rclone gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Environment {
    /// The variables that a single user's rclone needs.
    BuiltIn,
    Only(BTreeSet<String>),
}

impl Environment {
    fn narrow(self, other: Self) -> Self {
        match (self, other) {
            (Self::BuiltIn, names) | (names, Self::BuiltIn) => names,
            (Self::Only(one), Self::Only(other)) => Self::Only(&one & &other),
        }
    }
}

/// Requirements on the rclone that is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    pub path: Option<PathBuf>,
    pub minimum_version: Option<Version>,
    pub sha256: Option<Digest>,
}

/// Rights of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Whether the remote may be written.
    pub write: bool,
    /// Whether what is on the remote may neither be replaced nor deleted, except locks.
    pub append_only: bool,
    /// Local directories that may be reached, with everything below them.
    pub directories: BTreeSet<PathBuf>,
    pub ports: Ports,
    /// Names of hosts that must not resolve to this machine or to private networks.
    pub public_hosts: BTreeSet<String>,
    pub environment: Environment,
    pub enforcement: Enforcement,
    pub limits: Limits,
    pub program: Program,
    /// Options that are set in the remotes.
    pub pins: Pins,
    /// Rules that allowed the session, each as `FILE:LINE`.
    pub rules: BTreeSet<String>,
}

impl Grant {
    /// Combines the grants of one policy for two remotes of the same session.
    ///
    /// # Errors
    ///
    /// Both pin an option to different values.
    pub fn join(self, other: Self) -> Result<Self, Failure> {
        Ok(Self {
            write: self.write && other.write,
            append_only: self.append_only || other.append_only,
            directories: &self.directories | &other.directories,
            ports: self.ports.join(other.ports),
            public_hosts: &self.public_hosts | &other.public_hosts,
            limits: self.limits.narrow(other.limits),
            pins: self.pins.merge(other.pins)?,
            rules: &self.rules | &other.rules,
            ..other
        })
    }

    /// Returns the intersection with the grant of a different policy.
    ///
    /// # Errors
    ///
    /// Both require different values.
    pub fn narrow(self, other: Self) -> Result<Self, Failure> {
        Ok(Self {
            write: self.write && other.write,
            append_only: self.append_only || other.append_only,
            directories: intersect(&self.directories, &other.directories),
            ports: self.ports.narrow(other.ports),
            public_hosts: &self.public_hosts | &other.public_hosts,
            environment: self.environment.narrow(other.environment),
            enforcement: self.enforcement.max(other.enforcement),
            limits: self.limits.narrow(other.limits),
            program: self.program.narrow(other.program)?,
            pins: self.pins.merge(other.pins)?,
            rules: &self.rules | &other.rules,
        })
    }
}

impl Program {
    fn narrow(self, other: Self) -> Result<Self, Failure> {
        Ok(Self {
            path: require_same("path of rclone", self.path, other.path)?,
            sha256: require_same("SHA-256 of rclone", self.sha256, other.sha256)?,
            minimum_version: self.minimum_version.max(other.minimum_version),
        })
    }
}

/// Returns the directories of each set that lie in one of the other.
fn intersect(some: &BTreeSet<PathBuf>, others: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let within = |inner: &BTreeSet<PathBuf>, outer: &BTreeSet<PathBuf>| {
        let is_inside = |path: &&PathBuf| outer.iter().any(|directory| path.starts_with(directory));
        inner.iter().filter(is_inside).cloned().collect::<BTreeSet<_>>()
    };
    &within(some, others) | &within(others, some)
}

fn require_same<T: PartialEq>(
    what: &str,
    one: Option<T>,
    other: Option<T>,
) -> Result<Option<T>, Failure> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(conflict(what)),
        (one, other) => Ok(one.or(other)),
    }
}
