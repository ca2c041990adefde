//! Why clients get no session, and how often.

use std::sync::atomic::{AtomicU64, Ordering};

/// What somebody is refused for. A refusal after that is a failure of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There is no TLS with it: no certificate, or one of another authority.
    Tls,
    /// It speaks another version of the greeting.
    Version,
    /// It is no tenant.
    Unknown,
    /// The service is being stopped.
    Stopping,
    /// Its tenant has as many sessions and waits for as many as it may.
    Busy,
    /// Too many others haven't said yet who they are.
    Crowded,
}

impl Cause {
    const ALL: [Self; 6] =
        [Self::Tls, Self::Version, Self::Unknown, Self::Stopping, Self::Busy, Self::Crowded];

    fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Version => "version",
            Self::Unknown => "unknown",
            Self::Stopping => "stopping",
            Self::Busy => "busy",
            Self::Crowded => "crowded",
        }
    }
}

/// A refusal, and what whoever is refused is told.
#[derive(Debug)]
pub struct Refusal {
    pub cause: Cause,
    pub message: String,
}

/// How often each happened.
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; Cause::ALL.len()]);

impl Refusals {
    pub fn add(&self, cause: Cause) {
        self.0[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The causes by name, and how often.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Cause::ALL
            .iter()
            .map(|cause| (cause.name(), self.0[*cause as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_counted_by_its_cause() {
        let refusals = Refusals::default();
        for (times, cause) in Cause::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| refusals.add(cause));
        }
        let all: Vec<_> = refusals.all().collect();
        let named = [
            ("tls", 0),
            ("version", 1),
            ("unknown", 2),
            ("stopping", 3),
            ("busy", 4),
            ("crowded", 5),
        ];
        assert_eq!(all, named);
    }
}
