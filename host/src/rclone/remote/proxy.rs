//! Proxies that the environment gives to rclone, without their users and passwords.

use std::env;

/// The variables that Go's programs read, and the scheme of the addresses that each is for.
///
/// Source: golang.org/x/net/http/httpproxy. Other variables, `ALL_PROXY` among them, are ignored.
const PROXY_VARIABLES: [(&str, &str); 2] = [("HTTPS_PROXY", "https"), ("HTTP_PROXY", "http")];

/// Texts in the errors of proxies, in lower case.
const PROXY_ERRORS: [&str; 3] = ["proxyconnect", "proxy authentication required", "socks connect"];

/// The variables that are set, with the host and port of each.
pub fn from_environment() -> Vec<(&'static str, String)> {
    let value = |name: &str| {
        let both = [name.to_owned(), name.to_lowercase()];
        both.into_iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    };
    let all = PROXY_VARIABLES.iter().filter_map(|(name, _)| Some((*name, value(name)?)));
    all.map(|(name, value)| (name, host_and_port(&value).to_owned())).collect()
}

/// The remedy for an error of a proxy. `error` is in lower case.
pub fn remedy(error: &str) -> Option<String> {
    PROXY_ERRORS
        .iter()
        .any(|words| error.contains(words))
        .then(|| remedy_for(error, &from_environment()))
}

fn remedy_for(error: &str, named: &[(&str, String)]) -> String {
    let of = |(name, _): &&(&str, String)| {
        let scheme =
            PROXY_VARIABLES.iter().find(|(known, _)| known == name).map(|(_, scheme)| scheme);
        scheme.is_some_and(|scheme| error.contains(&format!("\"{scheme}://")))
    };
    match named.iter().find(of).or(named.first()) {
        Some((name, place)) => {
            format!("check {name}, which names the proxy `{place}`, or whether that runs")
        }
        None => "check HTTPS_PROXY and the proxy that it names".to_owned(),
    }
}

/// The host and port of a proxy's address, which may have a user and a password.
fn host_and_port(address: &str) -> &str {
    let after = address.split_once("://").map_or(address, |(_, after)| after);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    // A password may contain a slash or an `@`.
    after
        .rsplit_once('@')
        .map_or(authority, |(_, place)| place.split(['/', '?', '#']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_user_and_password() {
        for (address, shown) in [
            ("http://127.0.0.1:3128", "127.0.0.1:3128"),
            ("127.0.0.1:3128", "127.0.0.1:3128"),
            ("http://me:secret@proxy.example.com:8080/", "proxy.example.com:8080"),
            ("socks5://me:se/cr@et@[::1]:1080", "[::1]:1080"),
            ("me:secret@proxy", "proxy"),
        ] {
            assert_eq!(host_and_port(address), shown);
        }
    }

    #[test]
    fn the_variable_is_the_one_that_the_call_went_by() {
        let named = [("HTTPS_PROXY", "a:1".to_owned()), ("HTTP_PROXY", "b:2".to_owned())];
        let remedy = |error| remedy_for(error, &named);
        assert!(
            remedy("propfind \"http://x/\": proxyconnect tcp")
                .contains("HTTP_PROXY, which names the proxy `b:2`")
        );
        assert!(
            remedy("get \"https://x/\": proxyconnect tcp")
                .contains("HTTPS_PROXY, which names the proxy `a:1`")
        );
        assert!(remedy_for("proxyconnect", &[]).contains("check HTTPS_PROXY"));
    }
}
