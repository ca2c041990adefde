//! The fingerprint of a remote or account, which stays the same when a token is refreshed.
//!
//! Plakar takes a file for unchanged if a snapshot of the same origin has one of the same name,
//! size and time. Two remotes of one type must therefore never have the same origin, or the
//! snapshot of one would have the bytes of the other.

use serde_json::Value;
use sha2::digest::Output;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

use super::ini::Section;
use crate::policy;

/// A digest of the configuration of a remote. It doesn't reveal secrets: passwords in a
/// configuration are obscured with a random nonce, and tokens and keys can't be guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Output<Sha256>);

impl Fingerprint {
    /// The fingerprint of a remote's sections, in a fixed order. `hostname` is a part of it if the
    /// remote is on this machine.
    pub fn new<'a>(sections: impl Iterator<Item = &'a Section>, hostname: &str) -> Self {
        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        let mut local = false;
        for section in sections {
            part(b"section");
            for (key, value) in section {
                part(key.as_bytes());
                part(stable_value(key, value).as_bytes());
            }
            local |= is_local(section);
        }
        if local {
            part(hostname.as_bytes());
        }
        Self(digest.finalize())
    }

    /// 64 bits of the digest, for the device number of a snapshot's files.
    pub fn device(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = self.0.into();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The digest in hexadecimal.
    pub fn to_hex(&self) -> String {
        format!("{:x}", self.0)
    }

    /// Parses a digest in hexadecimal.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = Output::<Sha256>::default();
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// 64 bits of the digest in hexadecimal, for a snapshot's origin.
    pub fn short(&self) -> String {
        format!("{:016x}", self.device())
    }
}

/// The part of an option's value that stays the same: only the refresh token of an OAuth token, as
/// the access token and its expiry change every hour.
fn stable_value(key: &str, value: &str) -> String {
    if key != "token" {
        return value.to_owned();
    }
    let token: BTreeMap<String, Value> = serde_json::from_str(value).unwrap_or_default();
    let refresh = token.get("refresh_token").and_then(Value::as_str);
    refresh.filter(|refresh| !refresh.is_empty()).unwrap_or(value).to_owned()
}

/// Whether a section has files of this machine. A path counts as one of this machine unless it
/// certainly belongs to another remote.
fn is_local(section: &Section) -> bool {
    let local = |target: &policy::Target| target.name.is_none();
    section.get("type").is_some_and(|backend| backend == "local")
        || policy::wrapped_targets(section).is_ok_and(|targets| targets.iter().any(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)], hostname: &str) -> Fingerprint {
        let section = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Fingerprint::new([section].iter(), hostname)
    }

    #[test]
    fn a_refreshed_token_changes_nothing_and_another_account_does() {
        let drive = |token: &str| of(&[("type", "drive"), ("token", token)], "a");
        let first = drive(r#"{"access_token":"1","refresh_token":"R","expiry":"2024"}"#);
        assert_eq!(first, drive(r#"{"expiry":"2025","access_token":"2","refresh_token":"R"}"#));
        assert_ne!(first, drive(r#"{"access_token":"1","refresh_token":"S","expiry":"2024"}"#));
        assert_ne!(drive(r#"{"access_token":"1"}"#), drive(r#"{"access_token":"2"}"#));
    }

    #[test]
    fn any_other_option_makes_another_remote() {
        let one = of(&[("type", "webdav"), ("url", "http://a"), ("user", "u")], "h");
        assert_ne!(one, of(&[("type", "webdav"), ("url", "http://a"), ("user", "v")], "h"));
        assert_ne!(one, of(&[("type", "webdav"), ("url", "http://au"), ("ser", "u")], "h"));
        assert_eq!(one, of(&[("type", "webdav"), ("url", "http://a"), ("user", "u")], "other"));
    }

    #[test]
    fn the_machine_counts_where_the_files_are_on_it() {
        for pairs in [
            &[("type", "local")][..],
            &[("type", "alias"), ("remote", "/srv")],
            &[("type", "crypt"), ("remote", "dir")],
            &[("type", "union"), ("upstreams", "a:x /srv")],
            &[("type", "combine"), ("upstreams", "d=/srv:x")],
        ] {
            assert_ne!(of(pairs, "one"), of(pairs, "two"), "{pairs:?}");
        }
        for pairs in [
            &[("type", "alias"), ("remote", "my base:a b")][..],
            &[("type", "union"), ("upstreams", "a:x \"my base:a b\"")],
            &[("type", "combine"), ("upstreams", "d=a:x")],
        ] {
            assert_eq!(of(pairs, "one"), of(pairs, "two"), "{pairs:?}");
        }
    }
}
