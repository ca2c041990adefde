//! The hosts that a remote's configuration names.
//!
//! - [`private`]: addresses of this machine and of private networks
//! - [`lookup`]: resolves names that must not lead to those

pub mod lookup;
pub mod private;

use hyper::http::uri::Authority;
use serde_json::Value;
use std::collections::BTreeMap;

use super::rclone_options::{self, OptionTable};
use super::request::Section;
use crate::connector::Failure;

/// Address of the metadata server in Google's and Oracle's cloud, and in others as well.
const METADATA_HOST: &str = "169.254.169.254";

/// Host of azureblob's emulator.
const EMULATOR_HOST: &str = "127.0.0.1";

/// A host that a remote connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHost {
    /// Option that names the host, or whose absence implies it.
    pub option: String,
    pub host: String,
    /// Whether the host is implied by the absence of an option.
    pub is_implied: bool,
}

/// Finds the hosts that a section of this backend names.
///
/// # Errors
///
/// A host can't be determined, or something that rclone appends to an address could change
/// its host.
pub fn find_hosts(backend: &str, section: &Section) -> Result<Vec<RemoteHost>, Failure> {
    let table = rclone_options::table()?;
    let set = || section.iter().filter(|(_, value)| !value.is_empty());
    let is_plain =
        |value: &str| value.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
    let is_unsafe_part = |(option, value): &(&String, &String)| {
        table.is_host_part(backend, option) && !is_plain(value)
    };
    if let Some((option, _)) = set().find(is_unsafe_part) {
        let message = format!("the option `{option}` would change the host of the remote");
        return Err(Failure::denied(message));
    }
    let is_unterminated = |(option, value): &(&String, &String)| {
        table.is_address_prefix(backend, option) && !is_terminated(value)
    };
    if let Some((option, _)) = set().find(is_unterminated) {
        return Err(Failure::denied(format!("the option `{option}` {UNTERMINATED_ADDRESS}")));
    }
    let mut all = Vec::new();
    for (option, value) in set().filter(|(option, _)| table.is_address(backend, option)) {
        let hosts = hosts_in_value(backend, option, value, table).ok_or_else(|| {
            Failure::denied(format!("the host in the option `{option}` can't be determined"))
        })?;
        let with_option = |host| RemoteHost { option: option.clone(), host, is_implied: false };
        all.extend(hosts.into_iter().map(with_option));
    }
    if let Some(option) = metadata_option(backend, section) {
        all.push(RemoteHost {
            option: option.to_owned(),
            host: METADATA_HOST.to_owned(),
            is_implied: true,
        });
    }
    Ok(all)
}

/// Message about an address without a `/` after its host, to which rclone appends names.
pub const UNTERMINATED_ADDRESS: &str =
    "needs a `/` after its host: rclone appends names to it, which could change the host";

/// Whether text that is appended to an address can't change its host.
pub fn is_terminated(address: &str) -> bool {
    address.split_once("://").is_some_and(|(_, rest)| rest.contains('/'))
}

/// Finds the hosts in the value of an option.
fn hosts_in_value(
    backend: &str,
    option: &str,
    value: &str,
    table: &OptionTable,
) -> Option<Vec<String>> {
    if option == "use_emulator" {
        return Some(if rclone_options::is_off(value) {
            Vec::new()
        } else {
            vec![EMULATOR_HOST.to_owned()]
        });
    }
    if option == "connection_string" {
        return connection_string_hosts(value);
    }
    if value.trim_start().starts_with('{') {
        return key_file_hosts(&serde_json::from_str(value).ok()?);
    }
    let parts = value.split([',', ' ']).filter(|part| !part.is_empty());
    let complete = |host: String| match table.host_templates(backend, option) {
        [] => vec![host],
        templates => templates.iter().map(|it| it.replace("{}", &host)).collect(),
    };
    parts
        .map(|part| parse_host(part).map(complete))
        .collect::<Option<Vec<_>>>()
        .map(|all| all.concat())
}

/// Parses the host in `https://user@host:port/path` or `host:port`. Any other scheme is an
/// error: some backends prepend `https://`, which makes the scheme the host.
fn parse_host(text: &str) -> Option<String> {
    let rest = match text.split_once("://") {
        None => text,
        Some(("http" | "https", rest)) => rest,
        Some(_) => return None,
    };
    let authority: Authority = rest.split(['/', '?', '#']).next()?.parse().ok()?;
    let host = authority.host().to_ascii_lowercase();
    // Other characters of a URL are not part of a name, and could separate list elements.
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None if host.chars().all(is_plain) => host,
        None => return None,
    };
    (!host.is_empty()).then_some(host)
}

/// Finds the hosts in one of Azure's connection strings.
///
/// Source: `ParseConnectionString` in azblob's and azfile's internal/shared/shared.go, which
/// uses the last of several, and builds `PROTOCOL://ACCOUNT.blob.SUFFIX`.
fn connection_string_hosts(text: &str) -> Option<Vec<String>> {
    let pairs = text.trim_end_matches(';').split(';').map(|pair| pair.split_once('='));
    let pairs = pairs.collect::<Option<BTreeMap<_, _>>>()?;
    let known = |key: &&str| {
        matches!(*key, "AccountName" | "AccountKey" | "SharedAccessSignature" | "EndpointSuffix")
            || matches!(*key, "DefaultEndpointsProtocol")
            || key.ends_with("Endpoint")
    };
    let protocol = pairs.get("DefaultEndpointsProtocol").copied().unwrap_or("https");
    if !pairs.keys().all(known) || !matches!(protocol, "http" | "https") {
        return None;
    }
    let suffix = pairs.get("EndpointSuffix").copied().unwrap_or("core.windows.net");
    let of_account = pairs.get("AccountName").into_iter().flat_map(|account| {
        ["blob", "file"].map(|service| parse_host(&format!("{account}.{service}.{suffix}")))
    });
    let endpoints = pairs.iter().filter(|(key, _)| key.ends_with("Endpoint"));
    let has_endpoint = endpoints.clone().next().is_some();
    let endpoints = endpoints.map(|(_, endpoint)| parse_host(endpoint));
    endpoints.chain(of_account.filter(|_| !has_endpoint)).collect()
}

/// Finds the hosts in the key of a service account: those of all addresses in it.
fn key_file_hosts(value: &Value) -> Option<Vec<String>> {
    let all = |values: &mut dyn Iterator<Item = &Value>| {
        values.map(key_file_hosts).collect::<Option<Vec<_>>>().map(|hosts| hosts.concat())
    };
    match value {
        Value::Object(pairs) => all(&mut pairs.values()),
        Value::Array(values) => all(&mut values.iter()),
        Value::String(text) => {
            let beginning = text.trim_start().get(..4).unwrap_or_default();
            if text.contains("://") || beginning.eq_ignore_ascii_case("http") {
                parse_host(text).map(|host| vec![host])
            } else {
                Some(Vec::new())
            }
        }
        _ => Some(Vec::new()),
    }
}

/// Returns the option without which a backend asks the metadata server for this machine's
/// identity. Options that request this explicitly must be named in full.
///
/// Source: googlecloudstorage.go, `NewFs`, and the `env_auth` of oracleobjectstorage.
fn metadata_option(backend: &str, section: &Section) -> Option<&'static str> {
    let is_set = |option: &&str| section.get(*option).is_some_and(|it| !rclone_options::is_off(it));
    match backend {
        "google cloud storage" => {
            let credentials =
                ["access_token", "anonymous", "env_auth", "service_account_credentials"];
            let credentials = credentials.iter().chain(&["service_account_file", "token"]);
            (!credentials.into_iter().any(is_set)).then_some("token")
        }
        "oracleobjectstorage" => (!is_set(&"provider")).then_some("provider"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(backend: &str, pairs: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let section = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        find_hosts(backend, &section.collect())
            .map(|all| all.into_iter().map(|it| it.host).collect())
            .map_err(|failure| failure.message)
    }

    #[test]
    fn what_is_put_after_an_address_can_t_make_another_of_it() {
        for bad in ["http://127.0.0.1", "https://cdn.example.org:443", "cdn.example.org", "http:/x"]
        {
            let why = hosts("s3", &[("download_url", bad)]).unwrap_err();
            assert!(why.contains("`download_url` needs a `/`"), "{bad}: {why}");
        }
        for good in ["https://cdn.example.org/", "https://cdn.example.org/a"] {
            assert_eq!(hosts("s3", &[("download_url", good)]).unwrap(), ["cdn.example.org"]);
        }
        assert!(hosts("b2", &[("download_url", "https://cdn.example.org")]).is_ok());
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_around_it() {
        for bad in ["http://a;b.example.org", "http://a=b.example", "http://a\\@b.example", "a%2eb"]
        {
            assert!(hosts("http", &[("url", bad)]).is_err(), "{bad}");
        }
        assert_eq!(hosts("http", &[("url", "http://[0:0::1]:80/")]).unwrap(), ["::1"]);
        assert_eq!(hosts("hdfs", &[("namenode", "a:1,b:2")]).unwrap(), ["a", "b"]);
    }

    #[test]
    fn hosts_inside_of_connection_strings_and_keys_are_found() {
        let string = |text| hosts("azureblob", &[("connection_string", text)]);
        assert_eq!(
            string("AccountName=a;AccountKey=eA==;EndpointSuffix=evil.com").unwrap(),
            ["a.blob.evil.com", "a.file.evil.com"]
        );
        assert_eq!(
            string("BlobEndpoint=http://127.0.0.1:1/a;SharedAccessSignature=x=y;").unwrap(),
            ["127.0.0.1"]
        );
        for bad in [
            "AccountName=a;AccountKey=eA==;EndpointSuffix=evil.com;x=.example.org",
            "DefaultEndpointsProtocol=https://evil.com/?;AccountName=a;AccountKey=eA==",
            "AccountName=evil.com/;AccountKey=eA==;EndpointSuffix=a b",
            "nonsense",
        ] {
            assert!(string(bad).is_err() || !string(bad).unwrap()[0].contains("example"), "{bad}");
        }
        let key = |text| hosts("drive", &[("service_account_credentials", text)]);
        assert_eq!(
            key(r#"{"type": "service_account", "token_uri": "https://a.example/t"}"#).unwrap(),
            ["a.example"]
        );
        for bad in [r#"{"token_uri": "HTTP://127.0.0.1/"}"#, r#"{"a": [{"b": "x://y"}]}"#, "{"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_leads_to_another_host_without_naming_it_is_known() {
        assert_eq!(hosts("azureblob", &[("use_emulator", "true")]).unwrap(), [EMULATOR_HOST]);
        assert_eq!(hosts("google cloud storage", &[]).unwrap(), [METADATA_HOST]);
        assert!(hosts("google cloud storage", &[("anonymous", "true")]).unwrap().is_empty());
        assert_eq!(hosts("oracleobjectstorage", &[]).unwrap(), [METADATA_HOST]);
        let zoho = hosts("zoho", &[("region", "eu")]).unwrap();
        assert!(zoho.contains(&"accounts.zoho.eu".to_owned()), "{zoho:?}");
        // The table doesn't have this one.
        assert_eq!(hosts("s3", &[("mirror_endpoint", "http://a.example")]).unwrap(), ["a.example"]);
    }
}
