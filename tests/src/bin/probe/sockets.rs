//! Attempts on sockets and the network.

use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

use super::{call, numbers};

/// Tries something; returns `None` if it isn't of this kind.
pub fn attempt(what: &str, value: &str) -> io::Result<Option<String>> {
    let done = match what {
        "connect" => TcpStream::connect(value).map(|_| String::new()),
        "listen" => TcpListener::bind("127.0.0.1:0").map(|_| String::new()),
        "udp" => UdpSocket::bind("127.0.0.1:0").map(|_| String::new()),
        "abstract" => abstract_socket(value),
        "unix" => UnixStream::connect(value).map(|_| String::new()),
        "unix_pair" => std::os::unix::net::UnixDatagram::pair().map(|_| String::new()),
        "socket" => {
            let [family, kind, protocol] = numbers(value)?;
            call(|| unsafe { libc::socket(family, kind, protocol) })
        }
        "address" => netlink_address(),
        "raw_socket" => call(|| unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) }),
        "listen_abstract" => {
            use std::os::linux::net::SocketAddrExt;
            let name = format!("probe-{}", std::process::id());
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            std::os::unix::net::UnixListener::bind_addr(&address).map(|_| String::new())
        }
        "mptcp" => call(|| unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 262) }),
        "fast_open" | "fast_message" | "fast_option" => fast_open(what, value),
        _ => return Ok(None),
    };
    done.map(Some)
}

/// Gives the loop-back interface another address (rtnetlink(7)), or says why it may not.
fn netlink_address() -> io::Result<String> {
    const NEW_ADDRESS: u16 = 20;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    // The header, the kind of address with its length and interface, and the address twice.
    let mut message = Vec::new();
    message.extend(40_u32.to_ne_bytes());
    message.extend(NEW_ADDRESS.to_ne_bytes());
    message.extend(REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([libc::AF_INET as u8, 32, 0, 0]);
    message.extend(1_u32.to_ne_bytes());
    for kind in [1_u16, 2] {
        message.extend(8_u16.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend([10, 66, 66, 66]);
    }
    let mut reply = [0_u8; 64];
    call(|| unsafe {
        let socket = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE);
        if libc::send(socket, message.as_ptr().cast(), message.len(), 0) < 0 {
            return -1;
        }
        libc::recv(socket, reply.as_mut_ptr().cast(), reply.len(), 0) as i32
    })?;
    let error = i32::from_ne_bytes(reply[16..20].try_into().map_err(io::Error::other)?);
    if error == 0 { Ok(String::new()) } else { Err(io::Error::from_raw_os_error(-error)) }
}

/// Reaches a port without `connect`, in one of the ways that TCP Fast Open has.
fn fast_open(how: &str, port: &str) -> io::Result<String> {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.parse::<u16>().map_err(io::Error::other)?.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    let length = size_of_val(&address) as u32;
    call(|| unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let to = (&raw const address).cast::<libc::sockaddr>();
        match how {
            "fast_open" => {
                let bytes = c"x".as_ptr().cast();
                libc::sendto(socket, bytes, 1, libc::MSG_FASTOPEN, to, length) as i32
            }
            "fast_message" => {
                let mut bytes = libc::iovec { iov_base: c"x".as_ptr() as *mut _, iov_len: 1 };
                let mut message: libc::msghdr = std::mem::zeroed();
                message.msg_name = to.cast_mut().cast();
                message.msg_namelen = length;
                message.msg_iov = &raw mut bytes;
                message.msg_iovlen = 1;
                libc::sendmsg(socket, &raw const message, libc::MSG_FASTOPEN) as i32
            }
            _ => {
                let on = 1;
                let option = (&raw const on).cast();
                let (level, name) = (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT);
                libc::setsockopt(socket, level, name, option, size_of_val(&on) as u32)
            }
        }
    })
}

fn abstract_socket(name: &str) -> io::Result<String> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    UnixStream::connect_addr(&address).map(|_| String::new())
}
