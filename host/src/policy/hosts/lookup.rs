//! Resolves host names that must not lead to this machine or to private networks.

use std::collections::BTreeSet;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::private::{is_private, private_host};
use crate::connector::{Failure, Reason};

/// Maximum time to resolve all names of a session.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Resolves the names. A name that can't be resolved is accepted: rclone asks the same
/// resolver, unless a proxy resolves it.
///
/// # Errors
///
/// A name resolves to a private address, or the resolver doesn't answer in time.
pub async fn check_public(names: &BTreeSet<String>) -> Result<(), Failure> {
    let all = async {
        for name in names {
            let found = lookup_host((name.as_str(), 0)).await.into_iter().flatten();
            let mut found = found.map(|address| address.ip());
            if let Some(address) = found.find(|address| is_private(*address)) {
                let mut failure = private_host(name);
                failure.message += &format!(" (it resolves to {address})");
                return Err(failure);
            }
        }
        Ok(())
    };
    timeout(RESOLVE_TIMEOUT, all).await.unwrap_or_else(|_| {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        Err(Failure::new(
            Reason::Unavailable,
            format!(
                "{} couldn't be resolved within {} seconds, which is needed as private networks \
                 aren't allowed",
                names.join(", "),
                RESOLVE_TIMEOUT.as_secs()
            ),
        )
        .with_help("check the name server, and run it again"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused() {
        let names = |name: &str| BTreeSet::from([name.to_owned()]);
        // Every machine resolves it.
        let failure = check_public(&names("localhost")).await.unwrap_err();
        assert_eq!(failure.reason, Reason::Denied);
        assert!(failure.message.contains("`localhost` is this machine"), "{}", failure.message);
        assert!(check_public(&names("8.8.8.8")).await.is_ok());
        assert!(check_public(&BTreeSet::new()).await.is_ok());
    }
}
