//! The upstreams of a union. A union lists those that answer and doesn't report the others, so
//! each is probed before and after the union is listed.
//!
//! Source: `List` in rclone's backend/union/union.go.

use futures::future::try_join_all;

use crate::connector::Failure;
use crate::policy;
use crate::rclone::remote::Remote;
use crate::rclone::session::RcloneSession;

/// A remote or local path that a union shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The path as rclone's commands take it.
    target: String,
    /// The name of the union's section.
    union: String,
}

/// The upstreams of all unions that a remote consists of.
pub fn find(remote: &Remote) -> Vec<Upstream> {
    let sections = remote.sections().iter();
    let unions = sections
        .filter(|(_, section)| section.get("type").is_some_and(|backend| backend == "union"));
    let upstreams = unions.flat_map(|(name, section)| {
        let lists = ["upstreams", "remotes"].iter().filter_map(|key| section.get(*key));
        let targets = lists.flat_map(|list| policy::upstreams("union", "upstreams", list));
        targets.map(|target| Upstream { target, union: name.clone() })
    });
    upstreams.collect()
}

/// Lists each upstream once.
///
/// # Errors
///
/// The failure of the first that doesn't answer.
pub async fn check(session: &RcloneSession, upstreams: &[Upstream]) -> Result<(), Failure> {
    try_join_all(upstreams.iter().map(|upstream| probe(session, upstream))).await?;
    Ok(())
}

async fn probe(
    session: &RcloneSession,
    Upstream { target, union }: &Upstream,
) -> Result<(), Failure> {
    let command = session.command("lsjson").args(["--no-mimetype", "--no-modtime", "--dirs-only"]);
    let mut process = command.arg(target).spawn().await?;
    if let Some(mut stdout) = process.stdout.take() {
        // Only the exit status counts.
        let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
    }
    process.wait().await.map_err(|failure| {
        let cause = failure.help.clone().map(|help| format!("{help}, or ")).unwrap_or_default();
        failure
            .with_context(format_args!("`{target}` of the union `{union}` doesn't answer"))
            .with_help(format!(
                "{cause}connect or mount it, or take it out of the union's `upstreams`"
            ))
    })
}
