//! The configuration of tenants, and the assignment of clients to them.

use bytesize::ByteSize;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{read, wrong};
use crate::connector::Failure;
use crate::policy::Policies;

/// A file of tenants.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    tenant: Vec<TenantConfig>,
}

/// A tenant's configuration.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TenantConfig {
    /// Name of letters, digits, `-` and `_`, which is also the name of a directory.
    pub name: String,
    /// Path of its policy, relative to the directory of this file.
    pub policy: PathBuf,
    /// IDs of the users that belong to this tenant on the Unix socket.
    #[serde(default)]
    pub users: BTreeSet<u32>,
    /// IDs of groups whose users belong to this tenant, unless a tenant names the user.
    #[serde(default)]
    pub groups: BTreeSet<u32>,
    /// Hosts and URIs in the certificates of clients that belong to this tenant.
    #[serde(default)]
    pub certificates: BTreeSet<String>,
    #[serde(default)]
    pub limits: Limits,
}

/// Limits of one tenant.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Maximum number of concurrent sessions.
    pub sessions: u32,
    /// Maximum number of sessions that wait for admission.
    pub queue: u32,
    /// Maximum number of concurrent rclone processes.
    pub processes: u32,
    /// Maximum memory of its rclone processes, components and buffers.
    pub memory: Option<ByteSize>,
    /// Maximum size of the service's buffers between Plakar, its components and rclone.
    pub buffers: ByteSize,
    /// Bandwidth in bytes per second.
    pub bandwidth: Option<ByteSize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 16,
            queue: 64,
            processes: 64,
            memory: None,
            buffers: ByteSize::gib(1),
            bandwidth: None,
        }
    }
}

impl Limits {
    /// Returns the maximum number of connections: of running and of waiting sessions.
    pub fn connections(&self) -> usize {
        self.sessions as usize + self.queue as usize
    }
}

/// Identity of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A local user, identified by the kernel.
    User { uid: u32, gid: u32 },
    /// The names in a certificate of a configured authority.
    Certificate(Vec<String>),
}

impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { uid, gid } => write!(out, "the user {uid} of the group {gid}"),
            Self::Certificate(names) => write!(out, "the certificate of `{}`", names.join("`, `")),
        }
    }
}

/// All tenants of a service.
#[derive(Debug, Default)]
pub struct Tenants {
    by_name: BTreeMap<String, (TenantConfig, Arc<Policies>)>,
}

impl Tenants {
    /// Reads a file of tenants, or every `.toml` in a directory, with the tenants' policies.
    ///
    /// # Errors
    ///
    /// A file can't be read, or a tenant or its policy is invalid.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let unreadable = |error: std::io::Error| {
            wrong(format!("the tenants in `{}` can't be read: {error}", path.display()))
        };
        let mut files = vec![path.to_owned()];
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(unreadable)?;
            let paths = entries.map(|entry| entry.map(|entry| entry.path()));
            files = paths.collect::<Result<_, _>>().map_err(unreadable)?;
            files.retain(|file| file.extension().is_some_and(|it| it == "toml"));
            files.sort();
        }
        let mut tenants = Self::default();
        for file in files {
            for tenant in read::<File>(&file)?.tenant {
                let in_file =
                    |mistake: Failure| mistake.with_context(format_args!("`{}`", file.display()));
                tenants.add(tenant, file.parent().unwrap_or(Path::new("/"))).map_err(in_file)?;
            }
        }
        Ok(tenants)
    }

    /// Adds a tenant after checking it. Its policy is relative to `directory`.
    fn add(&mut self, mut tenant: TenantConfig, directory: &Path) -> Result<(), Failure> {
        let name = tenant.name.clone();
        let is_allowed = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_allowed) {
            let name = name.escape_debug();
            return Err(wrong(format!("`{name}` is not a valid tenant name"))
                .with_help("use up to 64 letters, digits, `-` and `_`"));
        }
        if let Some(conflict) =
            self.by_name.values().find_map(|(other, _)| find_conflict(other, &tenant))
        {
            return Err(wrong(format!("the tenant `{name}` isn't the only one with {conflict}")));
        }
        let Limits { sessions, processes, .. } = tenant.limits;
        if sessions == 0 || processes == 0 {
            let message = format!("the tenant `{name}` needs at least one session and one process");
            return Err(wrong(message));
        }
        tenant.policy = directory.join(&tenant.policy);
        let policies = Policies::load_for_tenant(&tenant.policy)?;
        self.by_name.insert(name, (tenant, Arc::new(policies)));
        Ok(())
    }

    /// Returns all tenants, with their policies.
    pub fn iter(&self) -> impl Iterator<Item = &(TenantConfig, Arc<Policies>)> {
        self.by_name.values()
    }

    /// Returns the name of a client's tenant. A user takes precedence over a group, and a
    /// certificate that matches several tenants belongs to none.
    pub fn tenant_of(&self, identity: &Identity) -> Option<&str> {
        let mut tenants = self.by_name.values().map(|(tenant, _)| tenant);
        let tenant = match identity {
            Identity::User { uid, gid } => {
                let by_user = tenants.clone().find(|tenant| tenant.users.contains(uid));
                by_user.or_else(|| tenants.find(|tenant| tenant.groups.contains(gid)))
            }
            Identity::Certificate(names) => {
                let mut matches = tenants
                    .filter(|tenant| names.iter().any(|name| tenant.certificates.contains(name)));
                matches.next().filter(|_| matches.next().is_none())
            }
        };
        tenant.map(|tenant| tenant.name.as_str())
    }

    /// Describes added, removed and changed tenants, a line for each.
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let names = self.by_name.keys().chain(before.by_name.keys()).collect::<BTreeSet<_>>();
        let line = |name: &String| {
            let change = match (before.by_name.get(name), self.by_name.get(name)) {
                (None, Some(_)) => "was added",
                (Some(_), None) => "was removed",
                (Some((old, _)), Some((new, _))) if old != new => "has changed",
                (Some((_, old)), Some((_, new))) if !old.is_same(new) => "has a different policy",
                _ => return None,
            };
            Some(format!("the tenant `{name}` {change}"))
        };
        names.into_iter().filter_map(line).collect()
    }
}

/// Returns what two tenants have in common but must not share.
fn find_conflict(one: &TenantConfig, other: &TenantConfig) -> Option<String> {
    if one.name == other.name {
        return Some("this name".to_owned());
    }
    let user = one.users.intersection(&other.users).map(|uid| format!("the user {uid}"));
    let group = one.groups.intersection(&other.groups).map(|gid| format!("the group {gid}"));
    let names = one.certificates.intersection(&other.certificates);
    user.chain(group).chain(names.map(|name| format!("the certificates of `{name}`"))).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads tenants of these files, in a directory with a policy `p.txt`.
    fn tenants(files: &[(&str, &str)]) -> Result<Tenants, String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("p.txt"), "version = 1\n").unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        Tenants::read(directory.path()).map_err(|failure| failure.message)
    }

    const A: &str = "[[tenant]]\nname = \"a\"\npolicy = \"p.txt\"\nusers = [7]\ngroups = [1]\n";
    const B: &str = "[[tenant]]\nname = \"b\"\npolicy = \"p.txt\"\ngroups = [2]\n\
                     certificates = [\"b.example\"]\n";

    #[test]
    fn users_groups_and_certificates_lead_to_tenants() {
        let tenants = tenants(&[("1.toml", A), ("2.toml", B), ("notes.txt", "x")]).unwrap();
        let user = |uid, gid| tenants.tenant_of(&Identity::User { uid, gid });
        assert_eq!(user(7, 2), Some("a"), "a user takes precedence over a group");
        assert_eq!((user(8, 2), user(8, 1), user(8, 3)), (Some("b"), Some("a"), None));
        let certificate = |name: &str| {
            tenants.tenant_of(&Identity::Certificate(vec!["x".to_owned(), name.to_owned()]))
        };
        assert_eq!((certificate("b.example"), certificate("a.example")), (Some("b"), None));
        let two = A.replace("groups", "certificates = [\"x\"]\ngroups");
        let tenants = self::tenants(&[("1.toml", &two), ("2.toml", B)]).unwrap();
        let both = Identity::Certificate(vec!["x".to_owned(), "b.example".to_owned()]);
        assert_eq!(tenants.tenant_of(&both), None, "it matches two tenants");
    }

    #[test]
    fn a_mistake_in_any_tenant_is_an_error() {
        for (file, part) in [
            (A.to_owned(), "isn't the only one with this name"),
            (B.replace("[2]", "[1]"), "isn't the only one with the group 1"),
            (B.replace("\"b\"", "\"../b\""), "is not a valid tenant name"),
            (B.replace("p.txt", "q.txt"), "q.txt` can't be read"),
            (B.replace("groups", "group"), "2.toml`:4:1: unknown field `group`"),
            (format!("{B}[tenant.limits]\nsessions = 0\n"), "needs at least one session"),
            (format!("{B}[tenant.limits]\nqueue = 9223372036854775807\n"), "2.toml`:7:9"),
        ] {
            let message = tenants(&[("1.toml", A), ("2.toml", &file)]).unwrap_err();
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn changes_are_described() {
        let before = tenants(&[("1.toml", A), ("2.toml", B)]).unwrap();
        let other = B.replace("[2]", "[3]");
        let after = tenants(&[("2.toml", &other), ("3.toml", &A.replace("\"a\"", "\"c\""))]);
        let changes = after.unwrap().changes(&before).join(", ");
        assert_eq!(
            changes,
            "the tenant `a` was removed, the tenant `b` has changed, the tenant `c` was added"
        );
    }
}
