//! The parts of the system that every rclone reads: name resolution, certificates, and time zones.
//! Nothing of any user's.

use std::path::PathBuf;

/// Devices that are read and written.
pub const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// Files and directories, some of which exist on a system.
///
/// Sources: Go's crypto/x509 (root_linux.go), net (conf.go, dnsconfig_unix.go, hosts.go),
/// time (zoneinfo_unix.go) and mime (type_unix.go), and nsswitch.conf(5).
const READABLE_PATHS: [&str; 34] = [
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/run/NetworkManager/resolv.conf",
    "/run/resolvconf",
    "/run/systemd/resolve/resolv.conf",
    "/run/systemd/resolve/stub-resolv.conf",
    "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
    "/usr/lib/locale/TZ",
    "/usr/local/share/ca-certificates",
    "/usr/local/share/mime",
    "/usr/share/ca-certificates",
    "/usr/share/lib/zoneinfo",
    "/usr/share/mime",
    "/usr/share/pki",
    "/usr/share/zoneinfo",
    "/var/lib/ca-certificates",
    "/var/run/resolvconf",
    "/etc/ssl/ca-bundle.crt",
];

/// The files and directories that exist.
pub fn readable() -> Vec<PathBuf> {
    READABLE_PATHS.iter().map(PathBuf::from).filter(|path| path.exists()).collect()
}
