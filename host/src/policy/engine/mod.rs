//! The decision of all policies in force: the built-in policy allows a session, and each file
//! narrows what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::discovery;
use super::file::{Audit, PolicyFile};
use super::grant::{Environment, Grant, Program};
use super::limits::Limits;
use super::pins::Pins;
use super::rclone_options::hard_denies;
use super::rclone_options::paths;
use super::request::{LOCAL_BACKEND, Request, Section, backend};
use super::rule;
use super::values::{Destination, Enforcement, Ports};
use crate::connector::{Failure, Reason};

/// The policy files in force, the operator's first.
#[derive(Debug, Default)]
pub struct Policies {
    pub files: Vec<PolicyFile>,
}

impl Policies {
    /// Loads the operator's policy, the one that the command line names, and the user's own.
    ///
    /// # Errors
    ///
    /// A file is invalid, or can't be read.
    pub fn load(argument: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self { files: discovery::discover(argument)? })
    }

    /// Loads the operator's policy and a tenant's.
    ///
    /// # Errors
    ///
    /// A file is invalid, or can't be read.
    pub fn load_for_tenant(policy: &Path) -> Result<Self, Failure> {
        Ok(Self { files: discovery::discover_for_tenant(policy)? })
    }

    /// Destinations of the audit log that any of the files wants.
    pub fn audit_destinations(&self) -> BTreeSet<Destination> {
        let wanted = self.files.iter().filter_map(|file| file.policy.audit.as_ref());
        wanted.filter_map(Audit::destination).collect()
    }

    /// The strictest confinement that any of the files requires, for every use of rclone.
    pub fn enforcement(&self) -> Enforcement {
        let all = self.files.iter().map(|file| file.policy.confinement);
        all.max().unwrap_or(Enforcement::Preferred)
    }

    /// Whether these are the same files with the same text.
    pub fn is_same(&self, others: &Self) -> bool {
        self.files.len() == others.files.len()
            && self.files.iter().zip(&others.files).all(|(one, other)| one.is_same(other))
    }

    /// Decides what a session may have. Options that one file pins are then subject to all
    /// files, as if the remote's configuration had them.
    ///
    /// # Errors
    ///
    /// A file denies the request, or the files contradict each other.
    pub fn decide(&self, request: &Request<'_>) -> Result<Grant, Failure> {
        let pins = self.narrow_built_in(request)?.pins;
        let sections = with_pins(request.sections, &pins);
        for (name, section) in &sections {
            hard_denies::check_section(name, section)?;
        }
        let mut grant = self.narrow_built_in(&Request { sections: &sections, ..*request })?;
        if with_pins(&sections, &grant.pins) != sections {
            return Err(Failure::new(
                Reason::Denied,
                "the options that the policies in force pin select rules that pin further options",
            )
            .with_help("pin all of them in each of these rules"));
        }
        grant.pins = pins;
        grant.limits = grant.limits.with_defaults(Limits::built_in());
        Ok(grant)
    }

    /// Narrows the grant of the built-in policy by each file.
    fn narrow_built_in(&self, request: &Request<'_>) -> Result<Grant, Failure> {
        let mut grant = built_in_grant(request)?;
        for file in &self.files {
            grant = grant.narrow(rule::decide(file, request)?)?;
        }
        Ok(grant)
    }
}

/// Returns the sections with the pinned options.
fn with_pins(sections: &BTreeMap<String, Section>, pins: &Pins) -> BTreeMap<String, Section> {
    let mut sections = sections.clone();
    pins.apply(&mut sections);
    sections
}

/// Grant of the built-in policy, for a single user: every backend, and local ones in the
/// directory that they name.
fn built_in_grant(request: &Request<'_>) -> Result<Grant, Failure> {
    let mut directories = BTreeSet::new();
    for target in request.targets()? {
        let is_local = match &target.name {
            Some(name) => backend(request.section(name)?) == LOCAL_BACKEND,
            None => true,
        };
        if is_local {
            let directory = paths::resolve(Path::new(&target.path)).map_err(|what| {
                Failure::invalid_config(what).with_help("use an absolute path without broken links")
            })?;
            directories.insert(directory);
        }
    }
    Ok(Grant {
        write: request.direction.is_writing(),
        append_only: false,
        directories,
        ports: Ports::ANY,
        public_hosts: BTreeSet::new(),
        environment: Environment::BuiltIn,
        enforcement: Enforcement::Preferred,
        limits: Limits::default(),
        program: Program::default(),
        pins: Pins::default(),
        rules: BTreeSet::new(),
    })
}

#[cfg(test)]
mod tests;
