//! Addresses of this machine, of private networks and of cloud metadata services, in all
//! notations.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::connector::Failure;

/// Class of a host, as far as its text shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostClass {
    /// This machine, or a network other than the internet.
    Private,
    /// An address of the internet.
    Public,
    /// A name, which must be resolved.
    Name,
}

/// Networks other than the internet: an address and the length of its prefix in bits.
///
/// Source: the IANA IPv4 Special-Purpose Address Registry. 168.63.129.16 gives
/// Azure's machines their own configuration.
const PRIVATE_NETWORKS: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::BROADCAST, 32),
];

/// Suffixes of names that lead to this machine or to private networks with any resolver.
///
/// Source: RFC 6761, RFC 6762, RFC 8375, and internal names of clouds and clusters.
const PRIVATE_SUFFIXES: [&str; 8] =
    ["localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa", "svc"];

/// Classifies a host by its text.
pub fn classify(host: &str) -> HostClass {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    if let Some(address) = parse_address(&host) {
        return if is_private(address) { HostClass::Private } else { HostClass::Public };
    }
    let is_within =
        |end: &&str| host.strip_suffix(*end).is_some_and(|it| it.is_empty() || it.ends_with('.'));
    // A host whose last label begins with a digit isn't a name: some resolver may parse it as
    // an address.
    let is_numeric = |end: &str| end.starts_with(|char: char| char.is_ascii_digit());
    let ends_in_number = host.rsplit('.').next().is_some_and(is_numeric);
    if host.is_empty() || ends_in_number || PRIVATE_SUFFIXES.iter().any(is_within) {
        HostClass::Private
    } else {
        HostClass::Name
    }
}

/// Parses an address in any notation: `127.0.0.1`, `2130706433`,
/// `0x7f.1`, `0177.0.0.1`, `::ffff:127.0.0.1`, `fe80::1%eth0`.
fn parse_address(host: &str) -> Option<IpAddr> {
    let without_zone = host.split('%').next().unwrap_or(host);
    without_zone
        .parse::<Ipv6Addr>()
        .map(IpAddr::V6)
        .ok()
        .or_else(|| parse_ipv4(host).map(IpAddr::V4))
}

/// Parses an IPv4 address like `inet_aton`: up to four numbers, of which the last one fills the
/// remaining bytes.
fn parse_ipv4(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<_> = host.split('.').map(parse_number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    let left = 32_u32.checked_sub(8 * u32::try_from(first.len()).ok()?)?;
    if left == 0 || first.iter().any(|part| *part > 255) || *last >= 1_u64 << left {
        return None;
    }
    let first = first.iter().enumerate().map(|(at, part)| part << (24 - 8 * at)).sum::<u64>();
    u32::try_from(first + last).ok().map(Ipv4Addr::from)
}

/// Parses a number in decimal, octal or hexadecimal.
fn parse_number(text: &str) -> Option<u64> {
    let (digits, base) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    let is_valid = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_valid.then(|| u64::from_str_radix(digits, base).ok()).flatten()
}

/// Whether an address is not one of the internet.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => PRIVATE_NETWORKS.iter().any(|(network, bits)| {
            (address.to_bits() ^ network.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

/// Like [`is_private`], for IPv6. The internet is 2000::/3, and an address may contain an IPv4
/// address.
fn is_private_v6(address: Ipv6Addr) -> bool {
    let within = |bits: u128| is_private(Ipv4Addr::from((bits & 0xffff_ffff) as u32).into());
    let bits = address.to_bits();
    match address.segments() {
        // IPv4-mapped and IPv4-translated addresses, and NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => within(bits),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => within(bits),
        // 6to4 has the IPv4 address after the first 16 bits.
        [0x2002, ..] => within(bits >> 80),
        // Protocol assignments, including Teredo, and addresses for documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => true,
        [0x3fff, second, ..] if second < 0x1000 => true,
        [first, ..] => first & 0xe000 != 0x2000,
    }
}

/// Creates the failure that a rule doesn't allow a private host.
pub fn private_host(host: &str) -> Failure {
    Failure::denied(format!("the host `{host}` is this machine or in a private network")).with_help(
        "let the rule name it in full in `hosts` or `pin`, or have `private-hosts = true`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_whatever_form_they_are_written() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "0",
            "0.0.0.0",
            "10.1.2.3",
            "100.100.100.200",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "169.254.43518",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.192",
            "168.63.129.16",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "::1",
            "::",
            "fe80::1",
            "fe80::1%eth0",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
            "::ffff:0:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001::1",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "localhost.localdomain",
            "nas.local",
            "metadata.google.internal",
            "kubernetes.default.svc",
            "router.home.arpa",
            "1.2.3.4.5",
            "127.0.0.1x.2",
            "256.0.0.1",
            "",
            ".",
            "08.1.1.1",
        ] {
            assert_eq!(classify(host), HostClass::Private, "{host}");
        }
    }

    #[test]
    fn addresses_of_the_internet_and_names_are_recognized() {
        for host in [
            "1.1.1.1",
            "8.8.8.8",
            "134744072",
            "172.32.0.1",
            "100.128.0.1",
            "11.0.0.1",
            "[2606:4700::1111]",
            "2a00::1",
            "2002:808:808::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2001:4860:4860::8888",
            "168.63.129.17",
            "223.255.255.255",
        ] {
            assert_eq!(classify(host), HostClass::Public, "{host}");
        }
        for host in [
            "s3.example.org",
            "minio",
            "com",
            "0xbeef.example",
            "notlocalhost",
            "a1",
            "x.svc.example",
        ] {
            assert_eq!(classify(host), HostClass::Name, "{host}");
        }
    }
}
