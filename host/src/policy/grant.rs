//! What a session may have: joined from the rules for all that it reaches, narrowed by
//! each policy in force.

use semver::Version;
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::error::disagree;
use super::limits::Limits;
use super::pins::Pins;
use super::values::{Digest, Level, Ports};
use crate::connector::Failure;

/// Variables of the environment that rclone gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Environment {
    /// Those that a single user's rclone needs.
    Usual,
    Only(BTreeSet<String>),
}

impl Environment {
    fn narrow(self, other: Self) -> Self {
        match (self, other) {
            (Self::Usual, names) | (names, Self::Usual) => names,
            (Self::Only(one), Self::Only(other)) => Self::Only(&one & &other),
        }
    }
}

/// Which rclone may be run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    pub path: Option<PathBuf>,
    pub minimum_version: Option<Version>,
    pub sha256: Option<Digest>,
}

/// What a session may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Whether the remote may be written.
    pub write: bool,
    /// Directories on this machine that are reached, whole.
    pub directories: BTreeSet<PathBuf>,
    pub ports: Ports,
    /// Names of hosts that must not lead to this machine or to private networks.
    pub public: BTreeSet<String>,
    pub environment: Environment,
    pub level: Level,
    pub limits: Limits,
    pub program: Program,
    /// Options that are set.
    pub pinned: Pins,
    /// What allowed it: `FILE:LINE` of each rule.
    pub rules: BTreeSet<String>,
}

impl Grant {
    /// What a session has of one policy when it reaches what both were given for. Fails
    /// where both pin an option to different things.
    pub fn join(self, other: Self) -> Result<Self, Failure> {
        Ok(Self {
            write: self.write && other.write,
            directories: &self.directories | &other.directories,
            ports: self.ports.join(other.ports),
            public: &self.public | &other.public,
            limits: self.limits.narrow(other.limits),
            pinned: self.pinned.and(other.pinned)?,
            rules: &self.rules | &other.rules,
            ..other
        })
    }

    /// What is left of it under another policy. Fails where both want different things.
    pub fn narrow(self, other: Self) -> Result<Self, Failure> {
        Ok(Self {
            write: self.write && other.write,
            directories: common(&self.directories, &other.directories),
            ports: self.ports.narrow(other.ports),
            public: &self.public | &other.public,
            environment: self.environment.narrow(other.environment),
            level: self.level.max(other.level),
            limits: self.limits.narrow(other.limits),
            program: self.program.narrow(other.program)?,
            pinned: self.pinned.and(other.pinned)?,
            rules: &self.rules | &other.rules,
        })
    }
}

impl Program {
    fn narrow(self, other: Self) -> Result<Self, Failure> {
        Ok(Self {
            path: same("path of rclone", self.path, other.path)?,
            sha256: same("SHA-256 of rclone", self.sha256, other.sha256)?,
            minimum_version: self.minimum_version.max(other.minimum_version),
        })
    }
}

/// The directories that lie in one of both.
fn common(some: &BTreeSet<PathBuf>, others: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let within = |inner: &BTreeSet<PathBuf>, outer: &BTreeSet<PathBuf>| {
        let inside = |path: &&PathBuf| outer.iter().any(|directory| path.starts_with(directory));
        inner.iter().filter(inside).cloned().collect::<BTreeSet<_>>()
    };
    &within(some, others) | &within(others, some)
}

fn same<T: PartialEq>(what: &str, one: Option<T>, other: Option<T>) -> Result<Option<T>, Failure> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(disagree(what)),
        (one, other) => Ok(one.or(other)),
    }
}
