//! Who is whose: the tenants of a service, and who may come as one of them.

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

/// A tenant as an operator writes it down.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TenantConfig {
    /// Letters, digits, `-` and `_`: it is the name of a directory, too.
    pub name: String,
    /// The file of its policy, relative to this one.
    pub policy: PathBuf,
    /// The IDs of the users that come as this tenant on the Unix socket.
    #[serde(default)]
    pub users: BTreeSet<u32>,
    /// The IDs of groups whose users do, unless a tenant names them themselves.
    #[serde(default)]
    pub groups: BTreeSet<u32>,
    /// Names in certificates of clients that come as this tenant: of hosts, or URIs.
    #[serde(default)]
    pub certificates: BTreeSet<String>,
    #[serde(default)]
    pub limits: Limits,
}

/// How much one tenant has.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Sessions at the same time.
    pub sessions: u32,
    /// Sessions that wait for a place.
    pub queue: u32,
    /// rclone processes at the same time.
    pub processes: u32,
    /// Memory of its rclone processes and components together, with what is held between them.
    pub memory: Option<ByteSize>,
    /// Bytes that the service itself may hold of it between Plakar, components and rclone.
    pub buffers: ByteSize,
    /// Bytes a second.
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
    /// Connections: of sessions that run, and of those that wait.
    pub fn connections(&self) -> usize {
        self.sessions as usize + self.queue as usize
    }
}

/// Who stands behind a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// By what the kernel says of the other end of a Unix socket.
    User { uid: u32, gid: u32 },
    /// By the names in a certificate that an authority of ours has signed.
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
    all: BTreeMap<String, (TenantConfig, Arc<Policies>)>,
}

impl Tenants {
    /// Reads a file of tenants, or every `.toml` in a directory, with the policies that they
    /// name: all of them, or nothing.
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
                let named = |what| wrong(format!("`{}`: {what}", file.display()));
                tenants.add(tenant, file.parent().unwrap_or(Path::new("/"))).map_err(named)?;
            }
        }
        Ok(tenants)
    }

    fn add(&mut self, mut tenant: TenantConfig, directory: &Path) -> Result<(), String> {
        let name = tenant.name.clone();
        let plain = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(format!(
                "`{}` is no name of a tenant: it has up to 64 letters, digits, `-` and `_`",
                name.escape_debug()
            ));
        }
        if let Some(other) = self.all.values().find_map(|(other, _)| common(other, &tenant)) {
            return Err(format!("the tenant `{name}` isn't the only one with {other}"));
        }
        let Limits { sessions, processes, .. } = tenant.limits;
        if sessions == 0 || processes == 0 {
            return Err(format!("the tenant `{name}` needs a session and a process at least"));
        }
        tenant.policy = directory.join(&tenant.policy);
        let policies =
            Policies::load_for_tenant(&tenant.policy).map_err(|failure| failure.message)?;
        self.all.insert(name, (tenant, Arc::new(policies)));
        Ok(())
    }

    /// Every tenant with the policies that it is under.
    pub fn all(&self) -> impl Iterator<Item = &(TenantConfig, Arc<Policies>)> {
        self.all.values()
    }

    /// The name of the tenant as whom somebody comes. A user counts before a group, and a
    /// certificate of several tenants is none's.
    pub fn tenant_of(&self, identity: &Identity) -> Option<&str> {
        let find = |fits: &dyn Fn(&TenantConfig) -> bool| {
            self.all.values().map(|(tenant, _)| tenant).find(|tenant| fits(tenant))
        };
        let tenant = match identity {
            Identity::User { uid, gid } => {
                find(&|it| it.users.contains(uid)).or_else(|| find(&|it| it.groups.contains(gid)))
            }
            Identity::Certificate(names) => {
                let named =
                    |it: &&TenantConfig| names.iter().any(|name| it.certificates.contains(name));
                let mut fit = self.all.values().map(|(tenant, _)| tenant).filter(named);
                fit.next().filter(|_| fit.next().is_none())
            }
        };
        tenant.map(|tenant| tenant.name.as_str())
    }

    /// What other tenants there are than before, a line for each.
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let names = self.all.keys().chain(before.all.keys()).collect::<BTreeSet<_>>();
        let line = |name: &String| {
            let what = match (before.all.get(name), self.all.get(name)) {
                (None, Some(_)) => "is new",
                (Some(_), None) => "is gone",
                (Some((old, _)), Some((new, _))) if old != new => "has changed",
                (Some((_, old)), Some((_, new))) if !old.is_same(new) => "has another policy",
                _ => return None,
            };
            Some(format!("the tenant `{name}` {what}"))
        };
        names.into_iter().filter_map(line).collect()
    }
}

/// What two tenants may not have in common, and do.
fn common(one: &TenantConfig, other: &TenantConfig) -> Option<String> {
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

    /// Tenants of these files, and a policy `p.toml`.
    fn tenants(files: &[(&str, &str)]) -> Result<Tenants, String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("p.txt"), "version = 1\n").unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        Tenants::read(directory.path()).map_err(|failure| failure.message)
    }

    const A: &str = "[[tenant]]\nname = \"a\"\npolicy = \"p.txt\"\nusers = [7]\ngroups = [1]\n";
    const B: &str = "[[tenant]]\nname = \"b\"\npolicy = \"p.txt\"\ngroups = [2]\ncertificates = [\"b.example\"]\n";

    #[test]
    fn users_groups_and_certificates_lead_to_tenants() {
        let tenants = tenants(&[("1.toml", A), ("2.toml", B), ("notes.txt", "x")]).unwrap();
        let user = |uid, gid| tenants.tenant_of(&Identity::User { uid, gid });
        assert_eq!(user(7, 2), Some("a"), "a user counts before a group");
        assert_eq!((user(8, 2), user(8, 1), user(8, 3)), (Some("b"), Some("a"), None));
        let certificate = |name: &str| {
            tenants.tenant_of(&Identity::Certificate(vec!["x".to_owned(), name.to_owned()]))
        };
        assert_eq!((certificate("b.example"), certificate("a.example")), (Some("b"), None));
        let two = A.replace("groups", "certificates = [\"x\"]\ngroups");
        let tenants = self::tenants(&[("1.toml", &two), ("2.toml", B)]).unwrap();
        let both = Identity::Certificate(vec!["x".to_owned(), "b.example".to_owned()]);
        assert_eq!(tenants.tenant_of(&both), None, "it is of two tenants");
    }

    #[test]
    fn one_mistake_and_there_are_no_tenants() {
        for (file, part) in [
            (A.to_owned(), "isn't the only one with this name"),
            (B.replace("[2]", "[1]"), "isn't the only one with the group 1"),
            (B.replace("\"b\"", "\"../b\""), "is no name of a tenant"),
            (B.replace("p.txt", "q.txt"), "q.txt` can't be read"),
            (B.replace("groups", "group"), "2.toml`:4:1: unknown field `group`"),
            (format!("{B}[tenant.limits]\nsessions = 0\n"), "needs a session"),
            (format!("{B}[tenant.limits]\nqueue = 9223372036854775807\n"), "2.toml`:7:9"),
        ] {
            let message = tenants(&[("1.toml", A), ("2.toml", &file)]).unwrap_err();
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn changes_are_told() {
        let before = tenants(&[("1.toml", A), ("2.toml", B)]).unwrap();
        let other = B.replace("[2]", "[3]");
        let after = tenants(&[("2.toml", &other), ("3.toml", &A.replace("\"a\"", "\"c\""))]);
        let changes = after.unwrap().changes(&before).join(", ");
        assert_eq!(
            changes,
            "the tenant `a` is gone, the tenant `b` has changed, the tenant `c` is new"
        );
    }
}
