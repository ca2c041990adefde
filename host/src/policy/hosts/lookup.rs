//! Where hosts' names lead that must not lead to this machine or to private networks.

use std::collections::BTreeSet;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::private::{is_private, private_host};
use crate::connector::{Failure, Reason};

/// How long the resolver may take for all of them.
const PATIENCE: Duration = Duration::from_secs(5);

/// Refuses names that are resolved to what isn't the internet. One that isn't resolved is none
/// of our concern: rclone asks the same resolver, unless a proxy does.
pub async fn check(names: &BTreeSet<String>) -> Result<(), Failure> {
    let all = async {
        for name in names {
            let found = lookup_host((name.as_str(), 0)).await.into_iter().flatten();
            let mut found = found.map(|address| address.ip());
            if let Some(address) = found.find(|address| is_private(*address)) {
                let why = private_host(name);
                let message = format!("{why} (it is resolved to {address})");
                return Err(Failure::new(Reason::Denied, message));
            }
        }
        Ok(())
    };
    timeout(PATIENCE, all).await.unwrap_or_else(|_| {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        Err(Failure::new(
            Reason::Unavailable,
            format!(
                "where {} lead wasn't answered within {} seconds, and they may not lead to private networks: look at the name server, and run it again",
                names.join(", "),
                PATIENCE.as_secs()
            ),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused() {
        let names = |name: &str| BTreeSet::from([name.to_owned()]);
        // Every machine resolves it.
        let failure = check(&names("localhost")).await.unwrap_err();
        assert_eq!(failure.reason, Reason::Denied);
        assert!(failure.message.contains("`localhost` is this machine"), "{}", failure.message);
        assert!(check(&names("8.8.8.8")).await.is_ok());
        assert!(check(&BTreeSet::new()).await.is_ok());
    }
}
