//! The proxies that rclone is given by the environment, as they may be shown: where they
//! are, and not who logs in there.

use std::env;

/// The variables by which Go's programs find one, and what they connect to by it.
///
/// Source: golang.org/x/net/http/httpproxy. Others, `ALL_PROXY` among them, aren't looked at.
const VARIABLES: [(&str, &str); 2] = [("HTTPS_PROXY", "https"), ("HTTP_PROXY", "http")];

/// How errors begin that are about a proxy, in lower case.
const WORDS: [&str; 3] = ["proxyconnect", "proxy authentication required", "socks connect"];

/// The variables that are set, and the host and port that each names.
pub fn named() -> Vec<(&'static str, String)> {
    let value = |name: &str| {
        let both = [name.to_owned(), name.to_lowercase()];
        both.into_iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    };
    let all = VARIABLES.iter().filter_map(|(name, _)| Some((*name, value(name)?)));
    all.map(|(name, value)| (name, place(&value).to_owned())).collect()
}

/// What to do about an error, in lower case, if it is about a proxy.
pub fn remedy(error: &str) -> Option<String> {
    WORDS.iter().any(|words| error.contains(words)).then(|| remedy_by(error, &named()))
}

fn remedy_by(error: &str, named: &[(&str, String)]) -> String {
    let of = |(name, _): &&(&str, String)| {
        let scheme = VARIABLES.iter().find(|(known, _)| known == name).map(|(_, scheme)| scheme);
        scheme.is_some_and(|scheme| error.contains(&format!("\"{scheme}://")))
    };
    match named.iter().find(of).or(named.first()) {
        Some((name, place)) => {
            format!("check {name}, which names the proxy `{place}`, or whether that runs")
        }
        None => "check HTTPS_PROXY and the proxy that it names".to_owned(),
    }
}

/// The host and the port of a proxy's address, which may hold a user and a password.
fn place(address: &str) -> &str {
    let after = address.split_once("://").map_or(address, |(_, after)| after);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    // A password may have a slash or an `@` in it.
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
            assert_eq!(place(address), shown);
        }
    }

    #[test]
    fn the_variable_is_the_one_that_the_call_went_by() {
        let named = [("HTTPS_PROXY", "a:1".to_owned()), ("HTTP_PROXY", "b:2".to_owned())];
        let remedy = |error| remedy_by(error, &named);
        assert!(
            remedy("propfind \"http://x/\": proxyconnect tcp")
                .contains("HTTP_PROXY, which names the proxy `b:2`")
        );
        assert!(
            remedy("get \"https://x/\": proxyconnect tcp")
                .contains("HTTPS_PROXY, which names the proxy `a:1`")
        );
        assert!(remedy_by("proxyconnect", &[]).contains("check HTTPS_PROXY"));
    }
}
