//! `plakbox doctor`: checks a remote from its configuration to its first listing, and
//! says in one line each what is well, what to know and what to mend.

use anyhow::bail;
use std::collections::BTreeSet;
use std::io::{IsTerminal, Read, Write, stdin, stdout};
use std::time::Duration;

use crate::audit::{Subject, Trail};
use crate::contract::Failure;
use crate::opened::{self, Opened, Setting};
use crate::policy::{self, Level, Policies, Use};
use crate::rclone::Secrets;
use crate::rclone::binary::Binary;
use crate::rclone::conf::Section;
use crate::rclone::photos::{self, Finding};
use crate::rclone::remote::{Remote, Said};
use crate::rclone::state::State;
use crate::rclone::token;
use crate::rclone::users;
use crate::tenant::Hosted;

/// How long a remote may take to be listed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A configuration of one remote is never longer.
const LONGEST: u64 = 1 << 20;

/// What of Google Photos is listed: its root is rclone's own, and asks Google nothing.
const ASKS_GOOGLE: &str = "album";

/// What a person asks about.
enum Patient {
    /// A remote of the user's own rclone.conf.
    Users { name: String, path: String },
    /// A remote whose configuration came on stdin.
    Shown { name: String, section: Section },
}

impl Patient {
    fn of(argument: Option<String>) -> Result<Self, Failure> {
        let wrong =
            |message: &str| Failure::new(crate::contract::Reason::InvalidConfiguration, message);
        if let Some(argument) = argument {
            let Some((name, path)) = argument.split_once(':') else {
                return Err(wrong(&format!("`{argument}` names no remote: say NAME:path")));
            };
            return Ok(Self::Users { name: name.to_owned(), path: path.to_owned() });
        }
        if stdin().is_terminal() {
            return Err(wrong(
                "no remote is named: run `plakbox doctor NAME:` or `rclone config show NAME | plakbox doctor`",
            ));
        }
        let mut text = String::new();
        let read = stdin().take(LONGEST).read_to_string(&mut text);
        read.map_err(|error| wrong(&format!("stdin can't be read: {error}")))?;
        let (name, section) = users::shown(&text)?;
        Ok(Self::Shown { name, section })
    }

    fn name(&self) -> &str {
        match self {
            Self::Users { name, .. } | Self::Shown { name, .. } => name,
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Users { path, .. } => path,
            Self::Shown { .. } => "",
        }
    }

    /// The remote at a path, as Plakar would name it.
    fn said(&self, path: &str) -> Said {
        let (location, options) = match self {
            Self::Users { name, .. } => (format!("rclone://{name}:{path}"), None),
            Self::Shown { section, .. } => (format!("rclone://{path}"), Some(section)),
        };
        let options = options.into_iter().flatten();
        let config = options
            .map(|(key, value)| (format!("rclone_{key}"), value.clone()))
            .chain([("location".to_owned(), location)])
            .collect();
        let directory = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
        Said { config, hostname: String::new(), directory }
    }

    fn remote(&self) -> Result<Remote, Failure> {
        Ok(Remote::from_plakar(self.said(self.path()))?.0)
    }
}

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
        writeln!(stdout(), "{mark:<9}{text}")
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
    let policies = Policies::in_force(setting.policy.as_deref());
    let program = program(parsed.as_ref().ok(), policies.as_ref().ok());
    let level = policies.as_ref().map_or(Level::Required, Policies::level);
    let trail = match &policies {
        Ok(policies) => setting.audit(policies),
        Err(_) => Trail::open(&BTreeSet::new(), Subject::own()),
    };
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
    policy(&mut report, &remote, policies)?;
    for finding in photos::findings(&remote) {
        match finding {
            Finding::Notice(text) => report.warning(&text)?,
            Finding::Problem(text) => report.problem(&text)?,
        }
    }
    if let Some((state, binary)) = tools {
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
        .map(|((_, remote), policies)| policies.decide(&remote.request(Use::Importer)));
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
    for (r#use, what) in [(Use::Importer, "backups"), (Use::Exporter, "restores")] {
        match policies.decide(&remote.request(r#use)) {
            Ok(grant) if grant.rules.is_empty() => {}
            Ok(grant) => {
                let by = Vec::from_iter(grant.rules).join(", ");
                report.well(&format!("{what} are allowed by {by}"))?;
            }
            Err(failure) if r#use == Use::Importer => report.problem(&failure.message)?,
            Err(failure) => {
                report.warning(&format!("{what} are not allowed: {}", failure.message))?
            }
        }
    }
    Ok(())
}

/// What every remote needs: the private directory, and an rclone.
async fn tools(
    report: &mut Report,
    backend: &str,
    program: &policy::Program,
    level: Level,
    trail: Result<Trail, Failure>,
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
    let path = if photos::is(remote) && costly { ASKS_GOOGLE } else { patient.path() };
    let allowed = opened::allow(patient.said(path), setting, Use::Importer)?;
    let Opened { session, remote, .. } =
        opened::start(allowed, state, binary, setting, Hosted::default())?;
    session.open_importer(remote).await?;
    tokio::time::timeout(PATIENCE, session.ping_importer()).await.unwrap_or_else(|_| {
        Err(Failure::new(
            crate::contract::Reason::Unavailable,
            "the remote doesn't answer within a minute: check the network and the server, and run it again",
        ))
    })
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
        (false, _) if token::is_expired(token) => report.warning(
            "the access token has expired and was not kept when it was refreshed: make PLAKBOX_STATE writable",
        ),
        (false, _) => report.well("the access token is valid"),
    }
}
