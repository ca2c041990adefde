#!/usr/bin/env bash
# servers.sh DIRECTORY: installs the servers for the end-to-end tests, if the system is
# Debian and the user is root. Tests whose server is missing are skipped.
#
# vsftpd and proftpd exclude each other as packages: the former is unpacked into DIRECTORY.
set -euo pipefail
directory=$1
packages=(strace openssh-server proftpd-core proftpd-mod-crypto samba apache2 nginx-light lighttpd)
programs=(strace sshd proftpd smbd apache2 nginx lighttpd)

missing() {
    for program in "${programs[@]}"; do
        PATH="$PATH:/usr/sbin" command -v "$program" > /dev/null || return 0
    done
    ! test -x "$directory/bin/vsftpd"
}

missing || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "servers are not installed, and tests that need a missing one are skipped: this needs root and apt-get"
    exit 0
fi

# No service is to run because of this: each test starts its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -qq -o DPkg::Lock::Timeout=600)
install() {
    "${apt[@]}" install --yes --no-install-recommends "${packages[@]}" libwrap0 && unpack
}
unpack() {
    (
        mkdir -p "$directory/bin" "$directory/vsftpd"
        cd "$directory/vsftpd"
        "${apt[@]}" download vsftpd
        dpkg-deb --extract vsftpd_*.deb .
        ln -sf ../vsftpd/usr/sbin/vsftpd "$directory/bin/vsftpd"
    )
}
log=$(mktemp)
if ! install > "$log" 2>&1 && ! { "${apt[@]}" update && install; } >> "$log" 2>&1; then
    tail -n 3 "$log"
    echo "not all servers are installed, and tests that need a missing one are skipped"
fi
rm -f "$log"
