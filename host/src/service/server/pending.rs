//! Connections of clients that haven't identified themselves yet. Their number is limited, in all
//! and for each source. A new connection is never refused: above a limit, the oldest connection
//! of the source with the most is evicted.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Source of a connection, as far as it is known before the client sends anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A user of this machine.
    User(u32),
    /// An address. Of IPv6, its first 64 bits, as a host may have all addresses below them.
    Network(IpAddr),
    /// A tenant, identified by a certificate.
    Tenant(String),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self::Network(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(network))
            }
            address => address,
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(out, "the user {uid}"),
            Self::Network(IpAddr::V4(address)) => write!(out, "{address}"),
            Self::Network(IpAddr::V6(network)) => write!(out, "{network}/64"),
            Self::Tenant(name) => write!(out, "the tenant `{name}`"),
        }
    }
}

/// Maximum numbers of pending connections.
#[derive(Debug, Clone, Copy)]
pub struct PendingLimits {
    pub total: usize,
    pub per_source: usize,
}

/// The pending connections of a listener.
#[derive(Debug, Default)]
pub struct PendingConnections {
    sources: Arc<Mutex<Sources>>,
}

/// The pending connections of each source, by number.
#[derive(Debug, Default)]
struct Sources {
    /// Number of the next connection. Older connections have lower numbers.
    next_number: u64,
    connections: BTreeMap<Source, BTreeMap<u64, CancellationToken>>,
}

/// Permit of a pending connection, which is returned when this is dropped.
#[derive(Debug)]
pub struct PendingPermit {
    sources: Arc<Mutex<Sources>>,
    source: Source,
    number: u64,
    evicted: CancellationToken,
}

impl PendingConnections {
    /// Adds a connection, and evicts others until the limits hold.
    pub fn enter(&self, source: Source, limits: PendingLimits) -> PendingPermit {
        let mut sources = lock(&self.sources);
        while sources.count_from(&source) >= limits.per_source.max(1) {
            sources.evict_oldest(&source);
        }
        while sources.count() >= limits.total.max(1) {
            let Some(largest) = sources.largest_source() else { break };
            sources.evict_oldest(&largest);
        }
        let (number, evicted) = (sources.next_number, CancellationToken::new());
        sources.next_number += 1;
        sources.connections.entry(source.clone()).or_default().insert(number, evicted.clone());
        PendingPermit { sources: self.sources.clone(), source, number, evicted }
    }
}

impl Sources {
    fn count_from(&self, source: &Source) -> usize {
        self.connections.get(source).map_or(0, BTreeMap::len)
    }

    fn count(&self) -> usize {
        self.connections.values().map(BTreeMap::len).sum()
    }

    /// Returns the source with the most connections; among several, the one with the oldest.
    fn largest_source(&self) -> Option<Source> {
        let rank = |connections: &BTreeMap<u64, _>| {
            (connections.len(), Reverse(connections.keys().next().copied()))
        };
        let largest = self.connections.iter().max_by_key(|(_, connections)| rank(connections));
        largest.map(|(source, _)| source.clone())
    }

    fn evict_oldest(&mut self, source: &Source) {
        let connections = self.connections.get(source);
        let oldest = connections.and_then(|connections| connections.keys().next().copied());
        if let Some(evicted) = oldest.and_then(|number| self.remove(source, number)) {
            evicted.cancel();
        }
    }

    fn remove(&mut self, source: &Source, number: u64) -> Option<CancellationToken> {
        let connections = self.connections.get_mut(source)?;
        let removed = connections.remove(&number);
        if connections.is_empty() {
            self.connections.remove(source);
        }
        removed
    }
}

impl PendingPermit {
    /// Returns the source of the connection.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Waits until the connection is evicted.
    pub async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for PendingPermit {
    fn drop(&mut self) {
        lock(&self.sources).remove(&self.source, self.number);
    }
}

fn lock(sources: &Mutex<Sources>) -> MutexGuard<'_, Sources> {
    sources.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PendingLimits = PendingLimits { total: 5, per_source: 3 };

    fn network(address: &str) -> Source {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn the_oldest_connection_of_the_largest_source_is_evicted() {
        let pending = PendingConnections::default();
        let evicted = |permits: &[PendingPermit]| {
            permits.iter().map(|permit| permit.evicted.is_cancelled()).collect::<Vec<_>>()
        };
        let silent = network("127.0.0.2");
        let enter = |source: &Source| pending.enter(source.clone(), LIMITS);
        let crowd: Vec<_> = (0..4).map(|_| enter(&silent)).collect();
        assert_eq!(evicted(&crowd), [true, false, false, false], "three of each");
        let one = network("127.0.0.1");
        let others: Vec<_> =
            [&one, &Source::User(7), &Source::Tenant("a".into())].map(enter).into();
        assert_eq!(evicted(&crowd), [true, true, false, false], "five of all");
        assert_eq!(evicted(&others), [false; 3]);
        drop((crowd, others));
        assert_eq!(lock(&pending.sources).count(), 0);
    }

    #[test]
    fn all_addresses_of_a_host_are_one_source() {
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:0:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:127.0.0.1"), network("127.0.0.1"));
        assert_ne!(network("127.0.0.1"), network("127.0.0.2"));
        assert_eq!(network("2001:db8::1").to_string(), "2001:db8::/64");
    }
}
