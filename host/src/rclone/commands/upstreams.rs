//! The remotes that a union shows as one. A union lists what answers and says nothing of
//! what doesn't, so each is asked for its root before and after the union is listed.
//!
//! Source: `List` in rclone's backend/union/union.go.

use futures::future::try_join_all;

use crate::connector::Failure;
use crate::policy;
use crate::rclone::Rclone;
use crate::rclone::remote::Remote;

/// A remote or local path that a union shows, as rclone takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    target: String,
    union: String,
}

/// The upstreams of all unions that a remote is made of.
pub fn of(remote: &Remote) -> Vec<Upstream> {
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

/// Reaches each upstream once.
///
/// # Errors
///
/// The first that doesn't answer, with its reason.
pub async fn check(rclone: &Rclone, upstreams: &[Upstream]) -> Result<(), Failure> {
    try_join_all(upstreams.iter().map(|upstream| reach(rclone, upstream))).await?;
    Ok(())
}

async fn reach(rclone: &Rclone, Upstream { target, union }: &Upstream) -> Result<(), Failure> {
    let verb = rclone.verb("lsjson").args(["--no-mimetype", "--no-modtime", "--dirs-only"]);
    let mut process = verb.arg(target).start(false, None).await?;
    if let Some(mut stdout) = process.stdout.take() {
        // What there is doesn't matter.
        let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
    }
    process.end().await.map_err(|failure| {
        Failure::new(
            failure.reason,
            format!(
                "`{target}` of the union `{union}` doesn't answer: {}: connect or mount it, or take it out of the union's `upstreams`",
                failure.message
            ),
        )
    })
}
