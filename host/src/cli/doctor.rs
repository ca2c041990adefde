//! `plakbox doctor`: checks a remote from its configuration to its first listing, and
//! says in one line each what is well, what to know and what to mend.

use anyhow::bail;
use std::collections::BTreeSet;
use std::io::{Write, stdout};
use std::time::Duration;

use super::invocation;
use super::target::Patient;
use crate::audit::{AuditLog, Subject};
use crate::connector::bindings::exports::plakar::connector::importer::Discovery;
use crate::connector::{Failure, Kind, Reason};
use crate::direction::Direction;
use crate::policy;
use crate::policy::hosts::lookup;
use crate::policy::{Enforcement, Policies};
use crate::quota::SessionQuota;
use crate::rclone::binary::Binary;
use crate::rclone::google_photos::{self, Finding};
use crate::rclone::remote::Remote;
use crate::rclone::remote::proxy;
use crate::rclone::state::State;
use crate::rclone::state::token_lock;
use crate::rclone::{self, Secrets};
use crate::sandbox::Session;
use crate::service::client;
use crate::session::open::{self, Opened, Setting};
use crate::terminal;

/// How long a remote may take to be listed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where all photos are, and how long their listing may take to be taken for that of a
/// library that isn't empty: that of an empty one is a single call.
const LIBRARY: &str = "media/all";
const NOT_EMPTY: Duration = Duration::from_secs(10);

/// The lines, as they are found.
struct Report {
    name: String,
    secrets: Secrets,
    problems: usize,
}

impl Report {
    fn well(&self, text: &str) -> std::io::Result<()> {
        self.line("ok", text)
    }

    fn warning(&self, text: &str) -> std::io::Result<()> {
        self.line("warning", text)
    }

    fn problem(&mut self, text: &str) -> std::io::Result<()> {
        self.problems += 1;
        self.line("problem", text)
    }

    fn line(&self, mark: &str, text: &str) -> std::io::Result<()> {
        let text = self.secrets.strike(text);
        // What a remedy calls NAME has one here.
        let plain = |char: char| char.is_alphanumeric() || "_-.+@".contains(char);
        let text = match !self.name.is_empty() && self.name.chars().all(plain) {
            true => text.replace(" NAME", &format!(" {}", self.name)),
            false => text,
        };
        let text = invocation::with_command(&text);
        writeln!(stdout(), "{mark:<9}{}", terminal::escape(&text))
    }

    fn end(self) -> anyhow::Result<()> {
        match self.problems {
            0 => Ok(()),
            1 => bail!("there is a problem: mend it and run this again"),
            problems => bail!("there are {problems} problems: mend them and run this again"),
        }
    }
}

/// Examines a remote of the user's rclone.conf, or the one that comes on stdin.
pub async fn examine(argument: Option<String>, setting: &Setting) -> anyhow::Result<()> {
    let mut report = Report { name: String::new(), secrets: Secrets::default(), problems: 0 };
    let patient = Patient::of(argument);
    if let Ok(patient) = &patient {
        report.name = patient.name().to_owned();
    }
    let parsed = patient.and_then(|patient| {
        let remote = patient.remote()?;
        Ok((patient, remote))
    });
    let backend = parsed.as_ref().map_or("", |(_, remote)| remote.backend());
    let policies = Policies::load(setting.policy.as_deref());
    let program = program(parsed.as_ref().ok(), policies.as_ref().ok());
    let level = policies.as_ref().map_or(Enforcement::Required, Policies::enforcement);
    let trail = match &policies {
        Ok(policies) => setting.audit(policies),
        Err(_) => AuditLog::open(&BTreeSet::new(), Subject::local()),
    };
    service(&mut report, parsed.as_ref().ok()).await?;
    let tools = tools(&mut report, backend, &program, level, trail).await?;
    let (patient, remote) = match parsed {
        Ok(parsed) => parsed,
        Err(failure) => {
            report.problem(&failure.message)?;
            return report.end();
        }
    };
    report.secrets = Secrets::of(&remote);
    report.well(&format!(
        "the configuration of `{}` is sound: {}",
        report.name,
        remote.backend()
    ))?;
    cut_values(&report, &remote)?;
    policy(&mut report, &remote, policies)?;
    let before = report.problems;
    for finding in google_photos::findings(&remote) {
        match finding {
            Finding::Notice(text) => report.warning(&text)?,
            Finding::Problem(text) => report.problem(&text)?,
        }
    }
    // One that can't be used as it stands would fail for the same reason.
    if let Some((state, binary)) = tools.filter(|_| report.problems == before) {
        match reach(&patient, &remote, &state, binary, setting).await {
            Ok(()) => {
                report.well("the remote answers")?;
                token(&report, &patient, &remote, &state)?;
            }
            Err(failure) => report.problem(&failure.message)?,
        }
    }
    report.end()
}

/// Which rclone the policies want.
fn program(parsed: Option<&(Patient, Remote)>, policies: Option<&Policies>) -> policy::Program {
    let grant = parsed
        .zip(policies)
        .map(|((_, remote), policies)| policies.decide(&remote.request(Direction::Backup)));
    grant.and_then(Result::ok).map(|grant| grant.program).unwrap_or_default()
}

/// What the policies in force say of the remote.
fn policy(
    report: &mut Report,
    remote: &Remote,
    policies: Result<Policies, Failure>,
) -> std::io::Result<()> {
    let policies = match policies {
        Ok(policies) => policies,
        Err(failure) => return report.problem(&failure.message),
    };
    if let Ok(grant) = policies.decide(&remote.request(Direction::Backup)) {
        let environment = rclone::environment(&grant);
        let inherited = |name: &str| environment.iter().any(|it| it.eq_ignore_ascii_case(name));
        for (name, place) in proxy::named().into_iter().filter(|(name, _)| inherited(name)) {
            report.well(&format!("rclone goes by the proxy `{place}`, which {name} names"))?;
        }
    }
    for (direction, what) in [(Direction::Backup, "backups"), (Direction::Restore, "restores")] {
        match policies.decide(&remote.request(direction)) {
            Ok(grant) if grant.rules.is_empty() => {}
            Ok(grant) => {
                let by = Vec::from_iter(grant.rules).join(", ");
                report.well(&format!("{what} are allowed by {by}"))?;
            }
            Err(failure) if direction == Direction::Backup => report.problem(&failure.message)?,
            Err(failure) => {
                report.warning(&format!("{what} are not allowed: {}", failure.message))?
            }
        }
    }
    Ok(())
}

/// What a service says that Plakar's backups go to, where the operator has named one.
async fn service(report: &mut Report, parsed: Option<&(Patient, Remote)>) -> std::io::Result<()> {
    let target = match client::named() {
        Ok(None) => return Ok(()),
        Ok(Some(target)) => target,
        Err(failure) => return report.problem(&failure.message),
    };
    let place = target.place();
    match target.admits().await {
        Ok(()) => report.warning(&format!(
            "plakar's backups and restores go to the service at `{place}`, whose policy and rclone count: what follows is about this machine"
        ))?,
        Err(failure) => report.problem(&failure.message)?,
    }
    match parsed {
        Some((Patient::Users { .. }, _)) => report.warning(
            "the service reads no rclone.conf: import the remote with `rclone config dump | plakar source import -rclone NAME`, and back up @NAME",
        ),
        _ => Ok(()),
    }
}

/// What Plakar's own import would cut off.
///
/// Source: gopkg.in/ini.v1, which takes these for the beginning of a comment.
fn cut_values(report: &Report, remote: &Remote) -> std::io::Result<()> {
    let sections = remote.sections().values().flatten();
    let cut = sections.filter(|(_, value)| value.contains(['#', ';'])).map(|(key, _)| key.as_str());
    for key in BTreeSet::from_iter(cut) {
        report.warning(&format!(
            "the value of `{key}` has a `#` or `;`, where plakar cuts it off when it imports what `rclone config show` prints: import the remote with `rclone config dump | plakar source import -rclone NAME`"
        ))?;
    }
    Ok(())
}

/// What every remote needs: the private directory, and an rclone.
async fn tools(
    report: &mut Report,
    backend: &str,
    program: &policy::Program,
    level: Enforcement,
    trail: Result<AuditLog, Failure>,
) -> std::io::Result<Option<(State, Binary)>> {
    let tools = async {
        let state = State::open()?;
        let binary = Binary::find(&state, backend, program, level, &trail?).await?;
        Ok::<_, Failure>((state, binary))
    };
    match tools.await {
        Ok((state, binary)) => {
            report.well(&format!("rclone {} at `{}`", binary.version, binary.path().display()))?;
            Ok(Some((state, binary)))
        }
        Err(failure) => {
            report.problem(&failure.message)?;
            Ok(None)
        }
    }
}

/// Lists the remote once, through the component.
async fn reach(
    patient: &Patient,
    remote: &Remote,
    state: &State,
    binary: Binary,
    setting: &Setting,
) -> Result<(), Failure> {
    let path = remote.path().trim_matches('/');
    // The library itself may have thousands of pages.
    let costly = path.is_empty() || path.split('/').next() == Some("media");
    let probed =
        if google_photos::is(remote) && costly { google_photos::ASKED } else { patient.path() };
    let session = session(patient, probed, state, binary.clone(), setting).await?;
    tokio::time::timeout(PATIENCE, session.ping_importer()).await.unwrap_or_else(|_| {
        Err(Failure::new(
            Reason::Unavailable,
            "the remote doesn't answer within a minute: check the network and the server, and run it again",
        ))
    })?;
    drop(session);
    if google_photos::is(remote) && path.is_empty() {
        let session = self::session(patient, LIBRARY, state, binary, setting).await?;
        return tokio::time::timeout(NOT_EMPTY, any(&session)).await.unwrap_or(Ok(()));
    }
    Ok(())
}

/// A session of the remote at another path.
async fn session(
    patient: &Patient,
    path: &str,
    state: &State,
    binary: Binary,
    setting: &Setting,
) -> Result<Session, Failure> {
    let allowed = open::allow(patient.said(path), setting, Direction::Backup)?;
    lookup::check_public(&allowed.grant.public_hosts).await?;
    let Opened { session, remote, .. } =
        open::start(allowed, state, binary, setting, SessionQuota::default())?;
    session.open_importer(remote).await?;
    Ok(session)
}

/// Waits for the first file of a listing, or its end, which says why there is none.
async fn any(session: &Session) -> Result<(), Failure> {
    let mut scan = session.scan().await?;
    while let Some(some) = scan.found.recv().await {
        let is_file = |discovery: &Discovery| match discovery {
            Discovery::Found(entry) => entry.metadata.kind == Kind::File,
            Discovery::Failed(_) => false,
        };
        if some.iter().any(is_file) {
            return Ok(());
        }
    }
    scan.end.await.unwrap_or(Ok(()))
}

/// What became of the token while the remote was listed.
fn token(
    report: &Report,
    patient: &Patient,
    before: &Remote,
    state: &State,
) -> std::io::Result<()> {
    let Some(token) = before.option("token").filter(|token| !token.is_empty()) else {
        return Ok(());
    };
    state.bring_back(before);
    let now = match patient {
        Patient::Shown { .. } => None,
        Patient::Users { .. } => patient.remote().ok(),
    };
    if now.is_some_and(|now| now.option("token") != Some(token)) {
        return report.well("the access token was refreshed, in your rclone.conf");
    }
    match (state.keeps(before), patient) {
        (true, Patient::Shown { .. }) => {
            report.well("the access token was refreshed, and is kept for the next run")
        }
        (true, Patient::Users { .. }) => report.warning(
            "the access token was refreshed and is kept for the next run, and rclone.conf still has the old one: make it writable",
        ),
        (false, _) if token_lock::is_expired(token) => report.warning(
            "the access token has expired and was not kept when it was refreshed: make PLAKBOX_STATE writable",
        ),
        (false, _) => report.well("the access token is valid"),
    }
}
