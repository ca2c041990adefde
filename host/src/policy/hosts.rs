//! The hosts that a remote's configuration names.

use hyper::http::uri::Authority;

use super::options;
use super::request::Section;

/// The hosts that options of this backend name. Fails where one can't be told.
pub fn named(backend: &str, section: &Section) -> Result<Vec<String>, String> {
    let table = options::table().map_err(|failure| failure.message)?;
    let plain =
        |value: &str| value.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
    let part =
        |(option, value): &(&String, &String)| table.is_host_part(backend, option) && !plain(value);
    if let Some((option, _)) = section.iter().find(part) {
        return Err(format!("the option `{option}` makes another host of the remote's"));
    }
    let addresses = section
        .iter()
        .filter(|(option, value)| !value.is_empty() && table.is_address(backend, option));
    addresses
        .flat_map(|(option, value)| {
            let hosts = value.split([',', ' ']).filter(|part| !part.is_empty());
            hosts.map(move |part| {
                host(part)
                    .ok_or_else(|| format!("the option `{option}` names no host that can be told"))
            })
        })
        .collect()
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
    let host = authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
    (!host.is_empty()).then_some(host)
}
