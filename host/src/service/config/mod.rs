//! What an operator sets of a service: a TOML file, in which unknown keys are errors.

pub mod tenants;

use bytesize::ByteSize;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::connector::{Failure, Reason};
use crate::policy::{Audit, Enforcement};

/// The file of a service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The version of this format, which is 1.
    pub version: u32,
    /// Where what is kept for each tenant lies.
    pub state: PathBuf,
    /// A file of tenants, or a directory of such files.
    pub tenants: PathBuf,
    /// Where the connectors lie, if not beside this program.
    pub connectors: Option<PathBuf>,
    pub listen: Listen,
    #[serde(default)]
    pub admin: Admin,
    #[serde(default)]
    pub limits: Limits,
    /// Whether the control group that the service is started in is its own, to be divided
    /// among tenants and sessions.
    #[serde(default)]
    pub cgroups: bool,
    /// The users that tenants' processes run as, one each; needs a service of root's.
    pub users: Option<Users>,
    pub audit: Option<Audit>,
}

/// Where clients come in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Listen {
    /// A Unix socket; whose user connects is who the kernel says it is.
    pub socket: Option<PathBuf>,
    /// An address for TCP; who connects is whom the certificate names.
    pub address: Option<SocketAddr>,
    pub tls: Option<Tls>,
}

/// Files in PEM form.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// Our certificate, and those that lead to its authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authorities of the certificates of the other side.
    pub ca: PathBuf,
}

/// Where operators look in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Admin {
    /// A Unix socket for `plakbox sessions`, metrics and health.
    pub socket: Option<PathBuf>,
    /// An address for metrics and health alone.
    pub address: Option<SocketAddr>,
}

/// How much all tenants have together.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Sessions at the same time.
    pub sessions: u32,
    /// Sessions that wait for a place.
    pub queue: u32,
    /// How long one waits.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub wait: Duration,
    /// rclone processes at the same time.
    pub processes: u32,
    /// Bytes a second, of all together.
    pub bandwidth: Option<ByteSize>,
    /// Bytes of memory that the rclone processes and components of all may have, with what is
    /// held between them.
    pub memory: Option<ByteSize>,
    /// Bytes that the service itself may hold between Plakar, components and rclone.
    pub buffers: ByteSize,
    /// How long sessions may take to end when the service has to.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub drain: Duration,
    /// How long a connection may be there without a session.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub idle: Duration,
    /// Connections that haven't said yet who they are: on the socket, and as many by TCP.
    pub pending_connections: u32,
    /// Those of one user, or of one address.
    pub pending_per_client: u32,
    /// How often rejections are summed up.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub rejection_summaries: Duration,
}

impl Limits {
    /// Each by its name, as it is shown.
    fn entries(&self) -> [(&'static str, String); 12] {
        let size = |size: Option<ByteSize>| size.map_or("no limit".into(), |it| it.to_string());
        let time = |time: Duration| format!("{time:?}");
        [
            ("sessions", self.sessions.to_string()),
            ("queue", self.queue.to_string()),
            ("wait", time(self.wait)),
            ("processes", self.processes.to_string()),
            ("bandwidth", size(self.bandwidth)),
            ("memory", size(self.memory)),
            ("buffers", self.buffers.to_string()),
            ("drain", time(self.drain)),
            ("idle", time(self.idle)),
            ("pending-connections", self.pending_connections.to_string()),
            ("pending-per-client", self.pending_per_client.to_string()),
            ("rejection-summaries", time(self.rejection_summaries)),
        ]
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 64,
            queue: 256,
            wait: Duration::from_secs(300),
            processes: 256,
            bandwidth: None,
            memory: None,
            buffers: ByteSize::gib(4),
            drain: Duration::from_secs(600),
            idle: Duration::from_secs(60),
            pending_connections: 256,
            pending_per_client: 64,
            rejection_summaries: Duration::from_secs(60),
        }
    }
}

/// A range of user IDs that nobody else has, each with the group of the same number.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    pub first: u32,
    pub count: u32,
    /// The user that the service itself becomes, which is none of these: the one before `first`
    /// if it isn't set.
    pub service: Option<u32>,
    /// Whether the service may keep rights over other users where the system has no user
    /// namespaces.
    #[serde(default = "required")]
    pub namespace: Enforcement,
}

fn required() -> Enforcement {
    Enforcement::Required
}

impl Users {
    /// The user that the service becomes.
    pub fn service(self) -> u32 {
        self.service.unwrap_or(self.first.saturating_sub(1))
    }

    fn mistake(self) -> Option<&'static str> {
        let Self { first, count, .. } = self;
        if first == 0 || count == 0 {
            return Some("[users] must be users beside root: set `first` and `count` above 0");
        }
        let Some(end) = first.checked_add(count) else {
            return Some("[users] has no end: set a smaller `first` or `count`");
        };
        if self.service() == 0 || (first..end).contains(&self.service()) {
            return Some(
                "the user of the service must be another one than root and those of tenants: set `service` in [users]",
            );
        }
        None
    }
}

impl Settings {
    /// Reads the file of a service. Relative paths are relative to it.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let mut settings: Self = read(file)?;
        settings.locate(file.parent().unwrap_or(Path::new("/")));
        match settings.mistake() {
            None => Ok(settings),
            Some(what) => Err(wrong(format!("`{}`: {what}", file.display()))),
        }
    }

    /// What is otherwise, in words: limits, than it was read before, and what takes a new
    /// start, than when the service was started.
    pub fn changes(&self, before: &Self, started: &Self) -> Vec<String> {
        let limits = self.limits.entries().into_iter().zip(before.limits.entries());
        let limits = limits.filter(|(now, then)| now != then).map(|((name, now), (_, then))| {
            format!("`{name}` in [limits] was {then}, and is {now}")
        });
        let restart_only = self.restart_only().into_iter().zip(started.restart_only());
        let restart_only = restart_only.filter(|(now, then)| now != then).map(|((name, _), _)| {
            format!("`{name}` is another: that takes a new start of the service")
        });
        limits.chain(restart_only).collect()
    }

    /// What isn't read again.
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

    fn locate(&mut self, directory: &Path) {
        let Listen { socket, tls, .. } = &mut self.listen;
        let tls = tls.iter_mut().flat_map(|tls| tls.files());
        let own = [&mut self.state, &mut self.tenants].into_iter();
        let optional = [socket.as_mut(), self.admin.socket.as_mut(), self.connectors.as_mut()];
        for path in own.chain(optional.into_iter().flatten()).chain(tls) {
            *path = directory.join(&*path);
        }
    }

    fn mistake(&self) -> Option<&'static str> {
        let Listen { socket, address, tls } = &self.listen;
        let limits = &self.limits;
        let relative =
            |audit: &Audit| matches!(audit, Audit::File(path) if !path.get_ref().is_absolute());
        match () {
            () if self.version != 1 => {
                Some("this version of the format isn't known: write `version = 1`")
            }
            () if socket.is_none() && address.is_none() => {
                Some("nobody can come in: set `socket` or `address` in [listen]")
            }
            () if address.is_some() != tls.is_some() => {
                Some("`address` and [listen.tls] go together: set both or none")
            }
            () if limits.sessions == 0 || limits.processes == 0 => {
                Some("`sessions` and `processes` in [limits] must be at least 1")
            }
            () if limits.pending_connections == 0 || limits.pending_per_client == 0 => Some(
                "`pending-connections` and `pending-per-client` in [limits] must be at least 1",
            ),
            () if limits.idle.min(limits.rejection_summaries) < Duration::from_secs(1) => {
                Some("`idle` and `rejection-summaries` in [limits] must be at least 1s")
            }
            () if self.users.and_then(Users::mistake).is_some() => {
                self.users.and_then(Users::mistake)
            }
            () if self.audit.as_ref().is_some_and(relative) => {
                Some("the `file` in [audit] must be an absolute path")
            }
            () => None,
        }
    }
}

impl Tls {
    pub fn files(&mut self) -> [&mut PathBuf; 3] {
        [&mut self.certificate, &mut self.key, &mut self.ca]
    }

    pub fn paths(&self) -> [&Path; 3] {
        [&self.certificate, &self.key, &self.ca]
    }
}

/// Reads a TOML file; what is wrong with it is named by line and column.
pub fn read<T: DeserializeOwned>(file: &Path) -> Result<T, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| wrong(format!("`{shown}` can't be read: {error}: correct its path")))?;
    toml::from_str(&text).map_err(|error| {
        let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        wrong(format!("`{shown}`:{line}:{column}: {}: correct it", error.message()))
    })
}

pub fn wrong(message: String) -> Failure {
    Failure::new(Reason::InvalidConfiguration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("service.toml");
        std::fs::write(&file, text).unwrap();
        Settings::read(&file).map_err(|failure| failure.message)
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
    fn what_is_written_otherwise_is_told_by_name() {
        let one = settings(&format!("{HEAD}[listen]\nsocket = \"/x\"\n")).unwrap();
        let more = "cgroups = true\n[listen]\nsocket = \"/y\"\n[limits]\nmemory = \"1GiB\"\nwait = \"1m\"\n";
        let two = settings(&format!("{HEAD}{more}")).unwrap();
        assert_eq!(one.changes(&two, &one).into_iter().skip(2).collect::<Vec<_>>(), [""; 0]);
        let told: Vec<_> =
            two.changes(&one, &one).into_iter().filter(|it| !it.starts_with("`state`")).collect();
        assert_eq!(
            told,
            [
                "`wait` in [limits] was 300s, and is 60s",
                "`memory` in [limits] was no limit, and is 1.0 GiB",
                "`[listen]` is another: that takes a new start of the service",
                "`cgroups` is another: that takes a new start of the service",
            ]
        );
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_place_or_its_remedy() {
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
            ("[listen]\nsocket = \"s\"\n[users]\nfirst = 0\ncount = 5\n", "beside root"),
            ("[listen]\nsocket = \"s\"\n[users]\nfirst = 4294967295\ncount = 5\n", "no end"),
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
