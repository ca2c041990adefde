//! Sockets: TCP and UDP by their own names, and the kernel's list of addresses. Landlock
//! knows no other, and no Unix socket that is a file.

use seccompiler::{BackendError, SeccompCmpOp, SeccompCondition, SeccompRule};
use std::collections::BTreeMap;

use super::{Needs, argument, rule};

/// Families of sockets that rclone needs: IPv4, IPv6, and the kernel's list of addresses.
const FAMILIES: [libc::c_int; 3] = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// What of the second argument is the type; the others are flags (include/linux/net.h).
const TYPE: u64 = 0xf;

/// Types that neither TCP nor UDP is (include/linux/net.h); the last one is `SOCK_PACKET`,
/// which makes a socket of any family one for packets.
const OTHER_TYPES: [libc::c_int; 5] =
    [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP, 10];

/// The one protocol of each type beside 0, which is the same. So there is no MPTCP, SMC,
/// SCTP, UDP-Lite or ICMP.
const PROTOCOLS: [(libc::c_int, libc::c_int); 2] =
    [(libc::SOCK_STREAM, libc::IPPROTO_TCP), (libc::SOCK_DGRAM, libc::IPPROTO_UDP)];

/// Options of TCP that connect without `connect` or put another protocol in its place
/// (include/uapi/linux/tcp.h).
const CONNECTING: [libc::c_int; 2] = [libc::TCP_FASTOPEN_CONNECT, libc::TCP_ULP];

/// What of the calls about sockets is refused.
pub fn refused(needs: Needs) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut refused = BTreeMap::new();
    refused.insert(libc::SYS_socket, kinds(needs)?);
    if !needs.unix_sockets {
        // One half of a pair can be made to reach others.
        refused.insert(libc::SYS_socketpair, Vec::new());
    }
    // A connection made by its first bytes is one that Landlock doesn't see.
    let first = libc::MSG_FASTOPEN as u64;
    for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        let flag = argument(flags, SeccompCmpOp::MaskedEq(first), first)?;
        refused.insert(call, vec![rule([flag])?]);
    }
    let options = CONNECTING.map(|option| {
        rule([
            argument(1, SeccompCmpOp::Eq, libc::IPPROTO_TCP as u64)?,
            argument(2, SeccompCmpOp::Eq, option as u64)?,
        ])
    });
    refused.insert(libc::SYS_setsockopt, options.into_iter().collect::<Result<_, _>>()?);
    Ok(refused)
}

/// The kinds of sockets that are refused.
fn kinds(needs: Needs) -> Result<Vec<SeccompRule>, BackendError> {
    let unix = needs.unix_sockets.then_some(libc::AF_UNIX);
    let families = FAMILIES.into_iter().chain(unix);
    let others = families.map(isnt_family).collect::<Result<Vec<_>, _>>()?;
    let mut refused = vec![SeccompRule::new(others)?];
    let local = [isnt_family(libc::AF_NETLINK)?, isnt_family(libc::AF_UNIX)?];
    for other in OTHER_TYPES {
        refused.push(rule([local[0].clone(), local[1].clone(), is_type(other)?])?);
    }
    for (kind, protocol) in PROTOCOLS {
        let others = [is_type(kind)?, isnt_protocol(0)?, isnt_protocol(protocol)?];
        let [kind, default, other] = others;
        refused.push(rule([local[0].clone(), local[1].clone(), kind, default, other])?);
    }
    // Of what the kernel tells on such sockets, addresses alone.
    let netlink = argument(0, SeccompCmpOp::Eq, libc::AF_NETLINK as u64)?;
    refused.push(rule([netlink, isnt_protocol(libc::NETLINK_ROUTE)?])?);
    Ok(refused)
}

fn isnt_family(family: libc::c_int) -> Result<SeccompCondition, BackendError> {
    argument(0, SeccompCmpOp::Ne, family as u64)
}

fn is_type(kind: libc::c_int) -> Result<SeccompCondition, BackendError> {
    argument(1, SeccompCmpOp::MaskedEq(TYPE), kind as u64)
}

fn isnt_protocol(protocol: libc::c_int) -> Result<SeccompCondition, BackendError> {
    argument(2, SeccompCmpOp::Ne, protocol as u64)
}
