//! Places for connections of which isn't known yet who is there and what is wanted: so many
//! in all, and so many of each source. Nobody is kept out: where they are taken, the oldest
//! connection of the source with the most gives way.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Where a connection comes from, as far as it shows before anything is said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A user of this machine.
    User(u32),
    /// An address; of IPv6 its first 64 bits, as a host may have all addresses below them.
    Network(IpAddr),
    /// A tenant, by a certificate.
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

/// How many places there are.
#[derive(Debug, Clone, Copy)]
pub struct PendingLimits {
    pub total: usize,
    pub per_source: usize,
}

/// Places that are taken.
#[derive(Debug, Default)]
pub struct PendingConnections {
    taken: Arc<Mutex<Sources>>,
}

#[derive(Debug, Default)]
struct Sources {
    /// How many there were ever: a later one has a higher number.
    ever: u64,
    sources: BTreeMap<Source, BTreeMap<u64, CancellationToken>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct PendingPermit {
    taken: Arc<Mutex<Sources>>,
    source: Source,
    number: u64,
    evicted: CancellationToken,
}

impl PendingConnections {
    /// A place for a connection from there. Others lose theirs as long as there are too many.
    pub fn enter(&self, source: Source, most: PendingLimits) -> PendingPermit {
        let mut taken = locked(&self.taken);
        while taken.count_of(&source) >= most.per_source.max(1) {
            taken.take_oldest(&source);
        }
        while taken.count() >= most.total.max(1) {
            let Some(crowd) = taken.crowded_source() else { break };
            taken.take_oldest(&crowd);
        }
        let (number, evicted) = (taken.ever, CancellationToken::new());
        taken.ever += 1;
        taken.sources.entry(source.clone()).or_default().insert(number, evicted.clone());
        PendingPermit { taken: self.taken.clone(), source, number, evicted }
    }
}

impl Sources {
    fn count_of(&self, source: &Source) -> usize {
        self.sources.get(source).map_or(0, BTreeMap::len)
    }

    fn count(&self) -> usize {
        self.sources.values().map(BTreeMap::len).sum()
    }

    /// The source with the most places; among several, the one with the oldest.
    fn crowded_source(&self) -> Option<Source> {
        let first = |places: &BTreeMap<u64, _>| places.keys().next().copied();
        let rank = |places: &BTreeMap<u64, _>| (places.len(), std::cmp::Reverse(first(places)));
        let most = self.sources.iter().max_by_key(|(_, places)| rank(places));
        most.map(|(source, _)| source.clone())
    }

    fn take_oldest(&mut self, source: &Source) {
        let oldest = self.sources.get(source).and_then(|places| places.keys().next().copied());
        if let Some(evicted) = oldest.and_then(|number| self.remove(source, number)) {
            evicted.cancel();
        }
    }

    fn remove(&mut self, source: &Source, number: u64) -> Option<CancellationToken> {
        let places = self.sources.get_mut(source)?;
        let removed = places.remove(&number);
        if places.is_empty() {
            self.sources.remove(source);
        }
        removed
    }
}

impl PendingPermit {
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Waits until it is another's; for ever, if it stays.
    pub async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for PendingPermit {
    fn drop(&mut self) {
        locked(&self.taken).remove(&self.source, self.number);
    }
}

fn locked(taken: &Mutex<Sources>) -> MutexGuard<'_, Sources> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PendingLimits = PendingLimits { total: 5, per_source: 3 };

    fn network(address: &str) -> Source {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn the_oldest_of_the_source_with_the_most_gives_way() {
        let strangers = PendingConnections::default();
        let evicted = |places: &[PendingPermit]| {
            places.iter().map(|place| place.evicted.is_cancelled()).collect::<Vec<_>>()
        };
        let silent = network("127.0.0.2");
        let enter = |source: &Source| strangers.enter(source.clone(), LIMITS);
        let crowd: Vec<_> = (0..4).map(|_| enter(&silent)).collect();
        assert_eq!(evicted(&crowd), [true, false, false, false], "three of each");
        let one = network("127.0.0.1");
        let others: Vec<_> =
            [&one, &Source::User(7), &Source::Tenant("a".into())].map(enter).into();
        assert_eq!(evicted(&crowd), [true, true, false, false], "five of all");
        assert_eq!(evicted(&others), [false; 3]);
        drop((crowd, others));
        assert_eq!(locked(&strangers.taken).count(), 0);
    }

    #[test]
    fn a_host_has_one_place_to_come_from_whatever_addresses_it_takes() {
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:0:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:127.0.0.1"), network("127.0.0.1"));
        assert_ne!(network("127.0.0.1"), network("127.0.0.2"));
        assert_eq!(network("2001:db8::1").to_string(), "2001:db8::/64");
    }
}
