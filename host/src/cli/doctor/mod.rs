//! `plakbox doctor`: checks a remote from its configuration to its first listing, and prints a
//! line for everything that is in order, to know, or to mend.
//!
//! - [`target`]: the remote that is checked
//! - [`report`]: the lines
//! - [`reach`]: the first listing
//! - [`scan`]: complete scans
//! - [`store`]: a Kloset store at its path
//! - [`takeout`]: Google Takeout exports at its path
//! - [`tally`]: numbers and samples of what a listing shows

mod reach;
mod report;
mod scan;
mod store;
mod takeout;
mod tally;
mod target;

use std::collections::BTreeSet;
use std::io;

use crate::audit::{AuditLog, Subject};
use crate::connector::Failure;
use crate::direction::Direction;
use crate::policy::{self, Enforcement, Policies};
use crate::rclone;
use crate::rclone::Secrets;
use crate::rclone::binary::Binary;
use crate::rclone::google_photos::{self, Finding};
use crate::rclone::remote::{Remote, proxy};
use crate::rclone::state::{State, token_lock};
use crate::service::client;
use crate::session::SessionContext;
use reach::Probe;
use report::Report;
use target::Target;

/// Checks a remote and says what is wrong with it and how to mend that
///
/// Looks at rclone, the remote's configuration and its token, and reaches the
/// remote once. Ends with 1 if something is wrong. No secret is printed.
///
/// It doesn't look at backups: `plakar backup` ends with 0 though paths have failed, and
/// says `completed without errors` if none has.
#[derive(clap::Args)]
pub struct Args {
    /// NAME:path of your rclone.conf; without it, the configuration comes on stdin:
    /// rclone config show NAME | plakbox doctor
    remote: Option<String>,
}

impl Args {
    /// Checks a remote of the user's rclone.conf, or the one that comes on stdin.
    ///
    /// # Errors
    ///
    /// Fails if there is a problem, or the report can't be printed.
    pub async fn exec(self, context: &SessionContext) -> anyhow::Result<()> {
        let mut report = Report::default();
        let target = Target::new(self.remote);
        if let Ok(target) = &target {
            report.name = target.name().to_owned();
        }
        let parsed = target.and_then(|target| {
            let remote = target.remote()?;
            Ok((target, remote))
        });
        let policies = Policies::load(context.policy.as_deref());
        check_service(&mut report, parsed.as_ref().ok()).await?;
        let tools = check_tools(&mut report, parsed.as_ref().ok(), &policies, context).await?;
        let (target, remote) = match parsed {
            Ok(parsed) => parsed,
            Err(failure) => {
                report.failure(&failure)?;
                return report.finish();
            }
        };
        report.secrets = Secrets::from_remote(&remote);
        let (name, backend) = (&report.name, remote.backend());
        report.ok(format!("the configuration of `{name}` is sound: {backend}"))?;
        check_values(&report, &remote)?;
        check_policy(&mut report, &remote, policies)?;
        let before = report.problems;
        for finding in google_photos::findings(&remote) {
            match finding {
                Finding::Notice(text) => report.warning(text)?,
                Finding::Problem(failure) => report.failure(&failure)?,
            }
        }
        // A remote with a finding that is a problem would fail for the same reason.
        if let Some((state, binary)) = tools.filter(|_| report.problems == before) {
            let probe = Probe { target: &target, state: &state, binary, context };
            match probe.reach(&remote).await {
                Ok(()) => {
                    report.ok("the remote answers")?;
                    check_token(&report, &target, &remote, &state)?;
                    if !probe.check_store(&mut report, &remote).await? {
                        probe.check_takeout(&mut report, &remote).await?;
                    }
                }
                Err(failure) => report.failure(&failure)?,
            }
        }
        report.finish()
    }
}

/// Reports what the policies in force say of the remote.
fn check_policy(
    report: &mut Report,
    remote: &Remote,
    policies: Result<Policies, Failure>,
) -> io::Result<()> {
    let policies = match policies {
        Ok(policies) => policies,
        Err(failure) => return report.failure(&failure),
    };
    if let Ok(grant) = policies.decide(&remote.request(Direction::Backup)) {
        let environment = rclone::environment(&grant);
        let inherited = |name: &str| environment.iter().any(|it| it.eq_ignore_ascii_case(name));
        for (name, place) in
            proxy::from_environment().into_iter().filter(|(name, _)| inherited(name))
        {
            report.ok(format!("rclone goes by the proxy `{place}`, which {name} names"))?;
        }
    }
    for (direction, what) in [(Direction::Backup, "backups"), (Direction::Restore, "restores")] {
        match policies.decide(&remote.request(direction)) {
            Ok(grant) if grant.rules.is_empty() => {}
            Ok(grant) => {
                let rules = Vec::from_iter(grant.rules).join(", ");
                report.ok(format!("{what} are allowed by {rules}"))?;
            }
            Err(failure) if direction == Direction::Backup => report.failure(&failure)?,
            Err(failure) => {
                let failure = failure.with_context(format_args!("{what} are not allowed"));
                report.warning(report.secrets.redact_failure(&failure))?
            }
        }
    }
    // Policies rarely allow stores, so that isn't worth a warning.
    if let Ok(grant) = policies.decide(&remote.request(Direction::Store))
        && !grant.rules.is_empty()
    {
        let rights = match (grant.write, grant.append_only) {
            (false, _) => " to be read",
            (true, true) => " to be appended to",
            (true, false) => "",
        };
        let rules = Vec::from_iter(grant.rules).join(", ");
        report.ok(format!("stores are allowed{rights} by {rules}"))?;
    }
    Ok(())
}

/// Reports whether the service that the operator has named, if any, admits this user.
async fn check_service(report: &mut Report, parsed: Option<&(Target, Remote)>) -> io::Result<()> {
    let service = match client::configured() {
        Ok(None) => return Ok(()),
        Ok(Some(service)) => service,
        Err(failure) => return report.failure(&failure),
    };
    let location = service.location();
    match service.check().await {
        Ok(()) => report.warning(format!(
            "plakar's backups and restores go to the service at `{location}`, whose policy and \
             rclone count: what follows is about this machine"
        ))?,
        Err(failure) => report.failure(&failure)?,
    }
    match parsed {
        Some((Target::UserConfig { .. }, _)) => report.warning(
            "the service reads no rclone.conf; help: import the remote with `rclone config dump | \
             plakar source import -rclone NAME`, and back up @NAME",
        ),
        _ => Ok(()),
    }
}

/// Reports values that Plakar's own import would cut off.
///
/// Source: gopkg.in/ini.v1, which takes these for the beginning of a comment.
fn check_values(report: &Report, remote: &Remote) -> io::Result<()> {
    let options = remote.sections().values().flatten();
    let cut = options.filter(|(_, value)| value.contains(['#', ';'])).map(|(key, _)| key.as_str());
    for key in BTreeSet::from_iter(cut) {
        report.warning(format!(
            "the value of `{key}` has a `#` or `;`, where plakar cuts it off when it imports what \
             `rclone config show` prints; help: import the remote with `rclone config dump | \
             plakar source import -rclone NAME`"
        ))?;
    }
    Ok(())
}

/// Checks what every remote needs: the private directory, and an rclone.
async fn check_tools(
    report: &mut Report,
    parsed: Option<&(Target, Remote)>,
    policies: &Result<Policies, Failure>,
    context: &SessionContext,
) -> io::Result<Option<(State, Binary)>> {
    let backend = parsed.map_or("", |(_, remote)| remote.backend());
    let program = required_program(parsed, policies.as_ref().ok());
    let level = policies.as_ref().map_or(Enforcement::Required, Policies::enforcement);
    let trail = match policies {
        Ok(policies) => context.audit(policies),
        Err(_) => AuditLog::open(&BTreeSet::new(), Subject::local()),
    };
    let tools = async {
        let state = State::open()?;
        let binary = Binary::find(&state, backend, &program, level, &trail?).await?;
        Ok::<_, Failure>((state, binary))
    };
    match tools.await {
        Ok((state, binary)) => {
            report.ok(format!("rclone {} at `{}`", binary.version, binary.path().display()))?;
            Ok(Some((state, binary)))
        }
        Err(failure) => {
            report.failure(&failure)?;
            Ok(None)
        }
    }
}

/// Returns the rclone that the policies require.
fn required_program(
    parsed: Option<&(Target, Remote)>,
    policies: Option<&Policies>,
) -> policy::Program {
    let grant = parsed
        .zip(policies)
        .map(|((_, remote), policies)| policies.decide(&remote.request(Direction::Backup)));
    grant.and_then(Result::ok).map(|grant| grant.program).unwrap_or_default()
}

/// Reports what happened to the token while the remote was listed.
fn check_token(report: &Report, target: &Target, before: &Remote, state: &State) -> io::Result<()> {
    let Some(token) = before.option("token").filter(|token| !token.is_empty()) else {
        return Ok(());
    };
    state.write_back(before);
    let now = if target.is_stdin() { None } else { target.remote().ok() };
    if now.is_some_and(|now| now.option("token") != Some(token)) {
        return report.ok("the access token was refreshed, in your rclone.conf");
    }
    if state.has_unsaved_changes(before) {
        if target.is_stdin() {
            return report.ok("the access token was refreshed, and is kept for the next run");
        }
        return report.warning(
            "the access token was refreshed and is kept for the next run, and rclone.conf still \
             has the old one; help: make it writable",
        );
    }
    if token_lock::is_expired(token) {
        return report.warning(
            "the access token has expired and was not kept when it was refreshed; help: make \
             PLAKBOX_STATE writable",
        );
    }
    report.ok("the access token is valid")
}
