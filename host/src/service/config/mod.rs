//! The configuration of a service: a TOML file, in which unknown keys are errors.

mod limits;
pub mod tenants;

pub use limits::Limits;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::connector::{Failure, Reason};
use crate::policy::{Audit, Enforcement};

/// The configuration file of a service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Version of this format, which is 1.
    pub version: u32,
    /// Directory of the tenants' private directories.
    pub state: PathBuf,
    /// File of tenants, or directory of such files.
    pub tenants: PathBuf,
    /// Directory of the connectors, if it isn't the one of this program.
    pub connectors: Option<PathBuf>,
    pub listen: Listen,
    #[serde(default)]
    pub admin: Admin,
    #[serde(default)]
    pub limits: Limits,
    /// Whether the service owns the control group that it is started in, and divides it among
    /// tenants and sessions.
    #[serde(default)]
    pub cgroups: bool,
    /// Range of the users that tenants' processes run as, one for each tenant. Root has to start
    /// the service.
    pub users: Option<Users>,
    pub audit: Option<Audit>,
}

/// Addresses for clients.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Listen {
    /// Unix socket. The kernel identifies the client's user.
    pub socket: Option<PathBuf>,
    /// Address for TCP. Clients are identified by their certificates.
    pub address: Option<SocketAddr>,
    pub tls: Option<Tls>,
}

/// Files for TLS, in PEM format.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// This side's certificate, followed by the intermediate ones.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Authorities of the peer's certificate.
    pub ca: PathBuf,
}

/// Addresses for operators.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Admin {
    /// Unix socket for `plakbox sessions`, metrics and health.
    pub socket: Option<PathBuf>,
    /// Address for metrics and health only.
    pub address: Option<SocketAddr>,
}

/// A range of user IDs without accounts, each with the group of the same number.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    pub first: u32,
    pub count: u32,
    /// User that the service itself becomes, outside this range. By default, the one before
    /// `first`.
    pub service: Option<u32>,
    /// Whether the service may keep its rights over other users where user namespaces are
    /// unavailable.
    #[serde(default = "required")]
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "only Linux has user namespaces")
    )]
    pub namespace: Enforcement,
}

fn required() -> Enforcement {
    Enforcement::Required
}

impl Users {
    /// Returns the user that the service becomes.
    pub fn service(self) -> u32 {
        self.service.unwrap_or(self.first.saturating_sub(1))
    }

    /// Returns what is wrong with the range.
    fn find_mistake(self) -> Option<Failure> {
        let Self { first, count, .. } = self;
        if first == 0 || count == 0 {
            let mistake = wrong("[users] must not include root or be empty");
            return Some(mistake.with_help("set `first` and `count` above 0"));
        }
        let Some(end) = first.checked_add(count) else {
            let mistake = wrong("[users] exceeds the largest user ID");
            return Some(mistake.with_help("set a smaller `first` or `count`"));
        };
        if self.service() == 0 || (first..end).contains(&self.service()) {
            let mistake = wrong("the service's user must be neither root nor a user of tenants");
            return Some(mistake.with_help("set `service` in [users]"));
        }
        None
    }
}

impl Settings {
    /// Reads the configuration file of a service. Relative paths in it are relative to its
    /// directory.
    ///
    /// # Errors
    ///
    /// The file can't be read, or a value in it is invalid.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let mut settings: Self = read(file)?;
        settings.resolve_paths(file.parent().unwrap_or(Path::new("/")));
        match settings.find_mistake() {
            None => Ok(settings),
            Some(mistake) => Err(mistake.with_context(format_args!("`{}`", file.display()))),
        }
    }

    /// Describes the changes: of limits since the previous load, and of settings that need a
    /// restart since the start of the service.
    pub fn changes(&self, before: &Self, at_start: &Self) -> Vec<String> {
        let limits = self.limits.entries().into_iter().zip(before.limits.entries());
        let limits = limits.filter(|(now, then)| now != then).map(|((name, now), (_, then))| {
            format!("`{name}` in [limits] changed from {then} to {now}")
        });
        let restart_only = self.restart_only().into_iter().zip(at_start.restart_only());
        let restart_only = restart_only.filter(|(now, then)| now != then).map(|((name, _), _)| {
            format!("`{name}` has changed; help: restart the service to apply it")
        });
        limits.chain(restart_only).collect()
    }

    /// Returns the name and the value of each setting that a reload doesn't apply.
    fn restart_only(&self) -> [(&'static str, String); 7] {
        let Self { state, connectors, listen, admin, cgroups, users, audit, .. } = self;
        [
            ("state", format!("{state:?}")),
            ("connectors", format!("{connectors:?}")),
            ("[listen]", format!("{:?} {:?}", listen.socket, listen.address)),
            ("[admin]", format!("{admin:?}")),
            ("cgroups", format!("{cgroups}")),
            ("[users]", format!("{users:?}")),
            ("[audit]", format!("{:?}", audit.as_ref().and_then(Audit::destination))),
        ]
    }

    /// Makes relative paths absolute.
    fn resolve_paths(&mut self, directory: &Path) {
        let Listen { socket, tls, .. } = &mut self.listen;
        let tls = tls.iter_mut().flat_map(|tls| tls.paths_mut());
        let required = [&mut self.state, &mut self.tenants].into_iter();
        let optional = [socket.as_mut(), self.admin.socket.as_mut(), self.connectors.as_mut()];
        for path in required.chain(optional.into_iter().flatten()).chain(tls) {
            *path = directory.join(&*path);
        }
    }

    /// Returns the first mistake.
    fn find_mistake(&self) -> Option<Failure> {
        if self.version != 1 {
            let mistake = wrong("this version of the format is unknown");
            return Some(mistake.with_help("write `version = 1`"));
        }
        let mistake = self.listen.find_mistake().or_else(|| self.limits.find_mistake().map(wrong));
        if let Some(mistake) = mistake.or_else(|| self.users?.find_mistake()) {
            return Some(mistake);
        }
        match &self.audit {
            Some(Audit::File(path)) if !path.get_ref().is_absolute() => {
                Some(wrong("the `file` in [audit] must be an absolute path"))
            }
            _ => None,
        }
    }
}

impl Listen {
    /// Returns the first mistake.
    fn find_mistake(&self) -> Option<Failure> {
        let Self { socket, address, tls } = self;
        if socket.is_none() && address.is_none() {
            let mistake = wrong("the service would listen nowhere");
            Some(mistake.with_help("set `socket` or `address` in [listen]"))
        } else if address.is_some() != tls.is_some() {
            Some(wrong("`address` and [listen.tls] go together").with_help("set both or none"))
        } else {
            None
        }
    }
}

impl Tls {
    /// Returns the paths of all files, to change them.
    pub fn paths_mut(&mut self) -> [&mut PathBuf; 3] {
        [&mut self.certificate, &mut self.key, &mut self.ca]
    }

    /// Returns the paths of all files.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "only Linux has user namespaces")
    )]
    pub fn paths(&self) -> [&Path; 3] {
        [&self.certificate, &self.key, &self.ca]
    }
}

/// Reads a TOML file.
///
/// # Errors
///
/// The file can't be read or parsed. The message has the line and the column of a mistake.
pub fn read<T: DeserializeOwned>(file: &Path) -> Result<T, Failure> {
    let path = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        wrong(format!("`{path}` can't be read: {error}")).with_help("correct its path")
    })?;
    toml::from_str(&text).map_err(|error| {
        let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        wrong(format!("`{path}`:{line}:{column}: {}", error.message())).with_help("correct it")
    })
}

/// Returns the failure of an invalid configuration.
pub fn wrong(message: impl AsRef<str>) -> Failure {
    Failure::new(Reason::InvalidConfiguration, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn settings(text: &str) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("service.toml");
        std::fs::write(&file, text).unwrap();
        Settings::read(&file).map_err(|failure| failure.to_string())
    }

    const HEAD: &str = "version = 1\nstate = \"/var/lib/x\"\ntenants = \"tenants.d\"\n";

    #[test]
    fn paths_are_relative_to_the_file_and_the_rest_has_defaults() {
        let read = settings(&format!("{HEAD}[listen]\nsocket = \"x.sock\"\n")).unwrap();
        assert!(read.tenants.is_absolute() && read.tenants.ends_with("tenants.d"));
        assert!(read.listen.socket.unwrap().is_absolute());
        assert_eq!(read.state, Path::new("/var/lib/x"));
        assert_eq!((read.limits.sessions, read.limits.wait), (64, Duration::from_secs(300)));
    }

    #[test]
    fn changes_are_described_by_name() {
        let one = settings(&format!("{HEAD}[listen]\nsocket = \"/x\"\n")).unwrap();
        let more = "cgroups = true\n[listen]\nsocket = \"/y\"\n[limits]\nmemory = \"1GiB\"\n\
                    wait = \"1m\"\n";
        let two = settings(&format!("{HEAD}{more}")).unwrap();
        assert_eq!(one.changes(&two, &one).into_iter().skip(2).collect::<Vec<_>>(), [""; 0]);
        let changes: Vec<_> =
            two.changes(&one, &one).into_iter().filter(|it| !it.starts_with("`state`")).collect();
        assert_eq!(
            changes,
            [
                "`wait` in [limits] changed from 300s to 60s",
                "`memory` in [limits] changed from no limit to 1.0 GiB",
                "`[listen]` has changed; help: restart the service to apply it",
                "`cgroups` has changed; help: restart the service to apply it",
            ]
        );
    }

    #[test]
    fn a_mistake_is_named_with_its_position_or_its_remedy() {
        for (text, part) in [
            ("[listen]\n", "set `socket` or `address`"),
            ("[listen]\naddress = \"0.0.0.0:1\"\n", "go together"),
            ("[listen]\nsocket = \"s\"\nport = 1\n", ":6:1: unknown field `port`"),
            ("[listen]\nsocket = \"s\"\n[limits]\nsessions = 0\n", "at least 1"),
            ("[listen]\nsocket = \"s\"\n[limits]\nwait = \"soon\"\n", ":7:8:"),
            ("[listen]\nsocket = \"s\"\n[limits]\nidle = \"10ms\"\n", "at least 1s"),
            (
                "[listen]\nsocket = \"s\"\n[limits]\npending-connections = 0\n",
                "`pending-per-client` in",
            ),
            ("[listen]\nsocket = \"s\"\n[users]\nfirst = 0\ncount = 5\n", "must not include root"),
            (
                "[listen]\nsocket = \"s\"\n[users]\nfirst = 4294967295\ncount = 5\n",
                "largest user ID",
            ),
            ("[listen]\nsocket = \"s\"\n[users]\nfirst = 1\ncount = 5\n", "set `service` in"),
            (
                "[listen]\nsocket = \"s\"\n[users]\nfirst = 9\ncount = 5\nservice = 10\n",
                "set `service` in",
            ),
        ] {
            let message = settings(&format!("{HEAD}{text}")).unwrap_err();
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}
