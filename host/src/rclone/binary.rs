//! The rclone binary: finds it, and checks its version and digest.

use semver::Version;
use sha2::{Digest, Sha256};
use std::env;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::backends::GOOGLE_PHOTOS;
use super::state::{State, records};
use crate::audit::{AuditLog, Event};
use crate::confinement::{Confinement, Profile, Scheduling, spawner};
use crate::connector::{Failure, Reason};
use crate::kernel::UserIds;
use crate::policy::{self, Enforcement, Limits, Program};

/// The oldest version that works: earlier ones ask Google Photos for scopes that it doesn't grant
/// any more.
const MINIMUM_VERSION: Version = Version::new(1, 70, 0);

/// Time limit of `rclone version`.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// Number of bytes of its output that are read.
const MAX_VERSION_BYTES: u64 = 64 << 10;

/// Environment variable with the path of rclone, in place of a search in `PATH`.
const RCLONE_ENV: &str = "PLAKBOX_RCLONE";

/// An rclone of a recent version.
#[derive(Debug, Clone)]
pub struct Binary {
    path: PathBuf,
    pub version: Version,
}

impl Binary {
    /// Finds rclone and queries its version, unless that of the same file is recorded. `backend` is
    /// named in errors; the policy may demand a path, a version and a digest, and by `level` that
    /// the query is confined.
    ///
    /// # Errors
    ///
    /// There is no rclone, it is too old or doesn't work, or the policy doesn't allow it.
    pub async fn find(
        state: &State,
        backend: &str,
        policy: &Program,
        level: Enforcement,
        trail: &AuditLog,
    ) -> Result<Self, Failure> {
        let configured = policy.path.clone().or_else(|| env::var_os(RCLONE_ENV).map(PathBuf::from));
        let path = match configured {
            Some(path) if path.is_file() => Some(path),
            Some(path) => return Err(missing_binary(&path, policy.path.is_some())),
            None => env::split_paths(&env::var_os("PATH").unwrap_or_default())
                .map(|directory| directory.join("rclone"))
                .find(|path| path.is_absolute() && is_executable(path)),
        };
        let path = path.ok_or_else(|| {
            Failure::new(Reason::InvalidConfiguration, "rclone was not found").with_help(format!(
                "install rclone {MINIMUM_VERSION} or later (https://rclone.org/install), or set \
                 {RCLONE_ENV} to its path"
            ))
        })?;
        // Check the digest before running the binary at all.
        if let Some(wanted) = &policy.sha256 {
            check_digest(&path, wanted)?;
        }
        let version =
            records::cached_version(state, &path, run_version(&path, level, state.owner(), trail))
                .await?;
        if version < MINIMUM_VERSION {
            return Err(outdated(&version, &path, backend));
        }
        if let Some(minimum) = policy.minimum_version.as_ref().filter(|minimum| version < **minimum)
        {
            return Err(Failure::new(
                Reason::Denied,
                format!("rclone {version} at `{}` is older than the policy allows", path.display()),
            )
            .with_help(format!("install rclone {minimum} or later")));
        }
        Ok(Self { path, version })
    }

    /// The path of the binary.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn missing_binary(path: &Path, by_policy: bool) -> Failure {
    let (shown, who) = (path.display(), if by_policy { "the policy" } else { RCLONE_ENV });
    Failure::new(
        Reason::InvalidConfiguration,
        format!("{who} names `{shown}` as rclone, which isn't a file"),
    )
    .with_help(format!("correct it, or install rclone {MINIMUM_VERSION} or later there"))
}

/// Checks that a file has the digest that a policy demands.
fn check_digest(path: &Path, wanted: &policy::Digest) -> Result<(), Failure> {
    let refused = |why: String| Failure::denied(format!("rclone at `{}` {why}", path.display()));
    let mut digest = Sha256::new();
    File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut digest))
        .map_err(|error| refused(format!("can't be read: {error}")))?;
    let found = format!("{:x}", digest.finalize());
    if found == wanted.0 {
        return Ok(());
    }
    let wanted = &wanted.0;
    let why = format!("has the SHA-256 {found}, and the policy allows only the one with {wanted}");
    Err(refused(why).with_help("install that one"))
}

fn outdated(version: &Version, path: &Path, backend: &str) -> Failure {
    let (why, then) = if backend == GOOGLE_PHOTOS {
        (
            " for Google Photos, which since 2025-03-31 refuses the permissions that it asks for",
            ", run `rclone config reconnect NAME:`, and `plakbox renew NAME` if it was imported",
        )
    } else {
        ("", "")
    };
    let message = format!("rclone {version} at `{}` is too old{why}", path.display());
    Failure::invalid_config(message).with_help(format!(
        "install rclone {MINIMUM_VERSION} or later (https://rclone.org/install){then}"
    ))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs `rclone version`, confined to doing nothing else.
async fn run_version(
    path: &Path,
    level: Enforcement,
    owner: Option<UserIds>,
    trail: &AuditLog,
) -> Result<Version, Failure> {
    let failed = |why: String| {
        let message = format!("`{} version` doesn't work ({why})", path.display());
        Failure::invalid_config(message).with_help("reinstall rclone")
    };
    let profile = Profile { limits: Limits::built_in(), level, owner, ..Profile::default() };
    let confinement = Confinement::prepare(path, &profile)?;
    let started = Instant::now();
    let mut command = Command::new(path);
    command.arg("version").env_clear().env("HOME", "/").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = spawner::spawn(command, &confinement, Scheduling::default()).await;
    let mut child = child.map_err(|error| failed(error.to_string()))?;
    let mut text = Vec::new();
    let output = async {
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_VERSION_BYTES).read_to_end(&mut text).await?;
        }
        child.wait().await
    };
    let ended = tokio::time::timeout(VERSION_TIMEOUT, output).await;
    trail.record(Event::Process {
        remote: String::new(),
        argv: vec![path.display().to_string(), "version".to_owned()],
        outcome: match &ended {
            Ok(Ok(status)) => status.to_string(),
            _ => "stopped".to_owned(),
        },
        bytes_in: 0,
        bytes_out: text.len() as u64,
        milliseconds: started.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
    })?;
    match ended {
        Ok(ended) => ended.map_err(|error| failed(error.to_string()))?,
        Err(_) => return Err(failed("it doesn't end".to_owned())),
    };
    let text = String::from_utf8_lossy(&text);
    let first = text.lines().next().unwrap_or_default();
    parse_version(first).ok_or_else(|| failed(format!("it prints `{first}`")))
}

/// Parses the version in `rclone v1.75.1` or `rclone v1.60.1-DEV`.
fn parse_version(line: &str) -> Option<Version> {
    let text = line.strip_prefix("rclone v")?;
    let numbers = text.split(|char: char| !char.is_ascii_digit() && char != '.').next()?;
    let version = Version::parse(numbers);
    version.or_else(|_| Version::parse(&format!("{numbers}.0"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_releases_and_of_development_are_read() {
        assert_eq!(parse_version("rclone v1.75.1"), Some(Version::new(1, 75, 1)));
        assert_eq!(parse_version("rclone v1.60.1-DEV"), Some(Version::new(1, 60, 1)));
        assert_eq!(parse_version("rclone v1.71-beta.1234"), Some(Version::new(1, 71, 0)));
        assert_eq!(parse_version("bash: no"), None);
    }
}
