//! The hosts that a remote's configuration names.
//!
//! - [`private`]: addresses of this machine and of private networks
//! - [`lookup`]: resolves names that must not lead to these

pub mod lookup;
pub mod private;

use hyper::http::uri::Authority;
use serde_json::Value;
use std::collections::BTreeMap;

use super::rclone_options::{self, Table};
use super::request::Section;

/// The metadata server of a machine in Google's or Oracle's cloud, which answers on this
/// address in others' as well.
const METADATA: &str = "169.254.169.254";

/// Where azureblob's emulator is.
const EMULATOR: &str = "127.0.0.1";

/// A host that a remote is told to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The option that names it; where none does, what its lack leads to.
    pub option: String,
    pub host: String,
    /// Whether it is there for want of an option.
    pub is_implied: bool,
}

/// The hosts that a section of this backend names. Fails where one can't be told, or where
/// what rclone puts after an address would make another one of it.
pub fn named(backend: &str, section: &Section) -> Result<Vec<Named>, String> {
    let table = rclone_options::table().map_err(|failure| failure.message)?;
    let set = || section.iter().filter(|(_, value)| !value.is_empty());
    let plain =
        |value: &str| value.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
    let part =
        |(option, value): &(&String, &String)| table.is_host_part(backend, option) && !plain(value);
    if let Some((option, _)) = set().find(part) {
        return Err(format!("the option `{option}` makes another host of the remote's"));
    }
    let open = |(option, value): &(&String, &String)| {
        table.is_address_prefix(backend, option) && !is_closed(value)
    };
    if let Some((option, _)) = set().find(open) {
        return Err(format!("the option `{option}` {OPEN}"));
    }
    let mut all = Vec::new();
    for (option, value) in set().filter(|(option, _)| table.is_address(backend, option)) {
        let hosts = hosts(backend, option, value, table)
            .ok_or_else(|| format!("the option `{option}` names no host that can be told"))?;
        let named = |host| Named { option: option.clone(), host, is_implied: false };
        all.extend(hosts.into_iter().map(named));
    }
    if let Some(option) = asks_metadata(backend, section) {
        all.push(Named { option: option.to_owned(), host: METADATA.to_owned(), is_implied: true });
    }
    Ok(all)
}

/// What is wrong with an address that a name is put right after.
pub const OPEN: &str =
    "needs a `/` after its host: rclone puts names right after it, which would make another host";

/// Whether whatever comes after an address leaves its host as it is.
pub fn is_closed(address: &str) -> bool {
    address.split_once("://").is_some_and(|(_, rest)| rest.contains('/'))
}

/// The hosts in one option's value.
fn hosts(backend: &str, option: &str, value: &str, table: &Table) -> Option<Vec<String>> {
    if option == "use_emulator" {
        return Some(if rclone_options::is_off(value) {
            Vec::new()
        } else {
            vec![EMULATOR.to_owned()]
        });
    }
    if option == "connection_string" {
        return connection_string(value);
    }
    if value.trim_start().starts_with('{') {
        return key_file(&serde_json::from_str(value).ok()?);
    }
    let parts = value.split([',', ' ']).filter(|part| !part.is_empty());
    let within = |host: String| match table.hosts_of(backend, option) {
        [] => vec![host],
        forms => forms.iter().map(|form| form.replace("{}", &host)).collect(),
    };
    parts.map(|part| host(part).map(within)).collect::<Option<Vec<_>>>().map(|all| all.concat())
}

/// The host in `https://user@host:port/path` or `host:port`. With any other scheme none can
/// be told: some backends put `https://` before it, and it is the host then.
fn host(text: &str) -> Option<String> {
    let rest = match text.split_once("://") {
        None => text,
        Some(("http" | "https", rest)) => rest,
        Some(_) => return None,
    };
    let authority: Authority = rest.split(['/', '?', '#']).next()?.parse().ok()?;
    let host = authority.host().to_ascii_lowercase();
    // What a URL allows beside these is a part of no name, and may be one of a list's ends.
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None if host.chars().all(plain) => host,
        None => return None,
    };
    (!host.is_empty()).then_some(host)
}

/// The hosts of a connection string of Azure's.
///
/// Source: `ParseConnectionString` in azblob's and azfile's internal/shared/shared.go, which
/// takes the last of several, and makes `PROTOCOL://ACCOUNT.blob.SUFFIX` of them.
fn connection_string(text: &str) -> Option<Vec<String>> {
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
        ["blob", "file"].map(|service| host(&format!("{account}.{service}.{suffix}")))
    });
    let endpoints = pairs.iter().filter(|(key, _)| key.ends_with("Endpoint"));
    let has_endpoint = endpoints.clone().next().is_some();
    let endpoints = endpoints.map(|(_, endpoint)| host(endpoint));
    endpoints.chain(of_account.filter(|_| !has_endpoint)).collect()
}

/// The hosts in the key of a service account: of every address in it, whatever it is called.
fn key_file(value: &Value) -> Option<Vec<String>> {
    let all = |values: &mut dyn Iterator<Item = &Value>| {
        values.map(key_file).collect::<Option<Vec<_>>>().map(|hosts| hosts.concat())
    };
    match value {
        Value::Object(pairs) => all(&mut pairs.values()),
        Value::Array(values) => all(&mut values.iter()),
        Value::String(text) => {
            let beginning = text.trim_start().get(..4).unwrap_or_default();
            match text.contains("://") || beginning.eq_ignore_ascii_case("http") {
                true => host(text).map(|host| vec![host]),
                false => Some(Vec::new()),
            }
        }
        _ => Some(Vec::new()),
    }
}

/// The option for want of which a backend asks the metadata server who this machine is. Those
/// that make it do so are named in full.
///
/// Source: googlecloudstorage.go, `NewFs`, and the `env_auth` of oracleobjectstorage.
fn asks_metadata(backend: &str, section: &Section) -> Option<&'static str> {
    let is_set = |option: &&str| section.get(*option).is_some_and(|it| !rclone_options::is_off(it));
    match backend {
        "google cloud storage" => {
            let ways = ["access_token", "anonymous", "env_auth", "service_account_credentials"];
            let ways = ways.iter().chain(&["service_account_file", "token"]);
            (!ways.into_iter().any(is_set)).then_some("token")
        }
        "oracleobjectstorage" => (!is_set(&"provider")).then_some("provider"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(backend: &str, pairs: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let section = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        named(backend, &section.collect()).map(|all| all.into_iter().map(|it| it.host).collect())
    }

    #[test]
    fn what_is_put_after_an_address_can_t_make_another_of_it() {
        for bad in ["http://127.0.0.1", "https://cdn.example.org:443", "cdn.example.org", "http:/x"]
        {
            let why = of("s3", &[("download_url", bad)]).unwrap_err();
            assert!(why.contains("`download_url` needs a `/`"), "{bad}: {why}");
        }
        for good in ["https://cdn.example.org/", "https://cdn.example.org/a"] {
            assert_eq!(of("s3", &[("download_url", good)]).unwrap(), ["cdn.example.org"]);
        }
        assert!(of("b2", &[("download_url", "https://cdn.example.org")]).is_ok());
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_around_it() {
        for bad in ["http://a;b.example.org", "http://a=b.example", "http://a\\@b.example", "a%2eb"]
        {
            assert!(of("http", &[("url", bad)]).is_err(), "{bad}");
        }
        assert_eq!(of("http", &[("url", "http://[0:0::1]:80/")]).unwrap(), ["::1"]);
        assert_eq!(of("hdfs", &[("namenode", "a:1,b:2")]).unwrap(), ["a", "b"]);
    }

    #[test]
    fn hosts_inside_of_connection_strings_and_keys_are_found() {
        let string = |text| of("azureblob", &[("connection_string", text)]);
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
        let key = |text| of("drive", &[("service_account_credentials", text)]);
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
        assert_eq!(of("azureblob", &[("use_emulator", "true")]).unwrap(), [EMULATOR]);
        assert_eq!(of("google cloud storage", &[]).unwrap(), [METADATA]);
        assert!(of("google cloud storage", &[("anonymous", "true")]).unwrap().is_empty());
        assert_eq!(of("oracleobjectstorage", &[]).unwrap(), [METADATA]);
        let zoho = of("zoho", &[("region", "eu")]).unwrap();
        assert!(zoho.contains(&"accounts.zoho.eu".to_owned()), "{zoho:?}");
        // None has looked at this one.
        assert_eq!(of("s3", &[("mirror_endpoint", "http://a.example")]).unwrap(), ["a.example"]);
    }
}
