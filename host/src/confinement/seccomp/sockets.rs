//! Sockets: TCP, UDP, and the kernel's list of addresses. Landlock covers no other sockets, and no
//! Unix sockets in the file system.

use seccompiler::{BackendError, SeccompCmpOp, SeccompCondition, SeccompRule};
use std::collections::BTreeMap;

use super::{SessionNeeds, argument, rule};

/// The allowed families: IPv4, IPv6, and netlink for the list of addresses.
const ALLOWED_FAMILIES: [libc::c_int; 3] = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The bits of the second argument that are the type; the others are flags (include/linux/net.h).
const SOCKET_TYPE_MASK: u64 = 0xf;

/// The refused types: all but those of TCP and UDP (include/linux/net.h). The last one is
/// `SOCK_PACKET`, which makes a packet socket of any family.
const REFUSED_TYPES: [libc::c_int; 5] =
    [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP, 10];

/// The allowed protocol of each type, in addition to the default 0. This excludes MPTCP, SMC, SCTP,
/// UDP-Lite and ICMP.
const ALLOWED_PROTOCOLS: [(libc::c_int, libc::c_int); 2] =
    [(libc::SOCK_STREAM, libc::IPPROTO_TCP), (libc::SOCK_DGRAM, libc::IPPROTO_UDP)];

/// TCP options that connect without `connect`, or replace the protocol (include/uapi/linux/tcp.h).
const REFUSED_TCP_OPTIONS: [libc::c_int; 2] = [libc::TCP_FASTOPEN_CONNECT, libc::TCP_ULP];

/// The rules for calls on sockets that are refused.
///
/// # Errors
///
/// A rule is invalid.
pub fn refused_calls(needs: SessionNeeds) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut refused = BTreeMap::new();
    refused.insert(libc::SYS_socket, socket_rules(needs)?);
    if !needs.unix_sockets {
        // A socket of a pair can be connected to others.
        refused.insert(libc::SYS_socketpair, Vec::new());
    }
    // Landlock doesn't cover connections that `sendto` opens.
    let first = libc::MSG_FASTOPEN as u64;
    for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        let flag = argument(flags, SeccompCmpOp::MaskedEq(first), first)?;
        refused.insert(call, vec![rule([flag])?]);
    }
    let options = REFUSED_TCP_OPTIONS.map(|option| {
        rule([
            argument(1, SeccompCmpOp::Eq, libc::IPPROTO_TCP as u64)?,
            argument(2, SeccompCmpOp::Eq, option as u64)?,
        ])
    });
    refused.insert(libc::SYS_setsockopt, options.into_iter().collect::<Result<_, _>>()?);
    Ok(refused)
}

/// The rules for kinds of sockets that are refused.
fn socket_rules(needs: SessionNeeds) -> Result<Vec<SeccompRule>, BackendError> {
    let unix = needs.unix_sockets.then_some(libc::AF_UNIX);
    let families = ALLOWED_FAMILIES.into_iter().chain(unix);
    let others = families.map(is_not_family).collect::<Result<Vec<_>, _>>()?;
    let mut refused = vec![SeccompRule::new(others)?];
    let local = [is_not_family(libc::AF_NETLINK)?, is_not_family(libc::AF_UNIX)?];
    for other in REFUSED_TYPES {
        refused.push(rule([local[0].clone(), local[1].clone(), is_type(other)?])?);
    }
    for (kind, protocol) in ALLOWED_PROTOCOLS {
        let others = [is_type(kind)?, is_not_protocol(0)?, is_not_protocol(protocol)?];
        let [kind, default, other] = others;
        refused.push(rule([local[0].clone(), local[1].clone(), kind, default, other])?);
    }
    // Of netlink, only addresses are allowed.
    let netlink = argument(0, SeccompCmpOp::Eq, libc::AF_NETLINK as u64)?;
    refused.push(rule([netlink, is_not_protocol(libc::NETLINK_ROUTE)?])?);
    Ok(refused)
}

fn is_not_family(family: libc::c_int) -> Result<SeccompCondition, BackendError> {
    argument(0, SeccompCmpOp::Ne, family as u64)
}

fn is_type(kind: libc::c_int) -> Result<SeccompCondition, BackendError> {
    argument(1, SeccompCmpOp::MaskedEq(SOCKET_TYPE_MASK), kind as u64)
}

fn is_not_protocol(protocol: libc::c_int) -> Result<SeccompCondition, BackendError> {
    argument(2, SeccompCmpOp::Ne, protocol as u64)
}
