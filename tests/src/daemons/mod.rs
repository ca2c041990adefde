//! Real servers on loopback, each with a configuration, a directory and a port of its own.
//!
//! A server that isn't installed (`just servers` does that) is skipped with a line that says
//! so: its test gets `None`, and returns.

mod apache;
mod lighttpd;
mod nginx;
mod proftpd;
mod samba;
mod sshd;
mod vsftpd;

pub use apache::apache;
pub use lighttpd::lighttpd;
pub use nginx::nginx;
pub use proftpd::proftpd;
pub use samba::samba;
pub use sshd::sshd;
pub use vsftpd::vsftpd;

use std::fs::{self, File, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{TestEnv, processes};

/// The user that files belong to, where a server doesn't work as root: every Debian has it.
const USER: &str = "daemon";
const USER_ID: u32 = 1;

/// Number of ports that are tried, as another process may take one that was free.
const MAX_TRIES: u32 = 5;

/// A server that ends with the test.
pub struct Daemon {
    child: Child,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The directory that it serves.
    pub served: PathBuf,
    /// The path of this directory on the server.
    pub path: &'static str,
    /// Its options in rclone.conf, except for its port.
    options: Vec<(&'static str, String)>,
}

impl Daemon {
    /// Adds a remote of this name to rclone.conf, with some options beside the usual ones.
    pub fn remote_with(&self, place: &TestEnv, name: &str, more: &[(&str, &str)]) {
        let usual = self.options.iter().map(|(key, value)| (*key, value.as_str()));
        let usual = usual.filter(|(key, _)| more.iter().all(|(other, _)| key != other));
        let options: Vec<_> = usual.chain(more.iter().copied()).collect();
        place.remote(name, &options);
    }

    /// Adds a remote of this name to rclone.conf.
    pub fn remote(&self, place: &TestEnv, name: &str) {
        self.remote_with(place, name, &[]);
    }

    /// Where a directory below what is served is found by a remote of this name.
    pub fn location(&self, name: &str, below: &str) -> String {
        let slash = if self.path.is_empty() || below.is_empty() { "" } else { "/" };
        format!("rclone://{name}:{}{slash}{below}", self.path)
    }

    /// Makes an empty directory below what is served, writable to the server.
    pub fn directory(&self, name: &str) -> PathBuf {
        let directory = self.served.join(name);
        make(&directory, self.owner());
        directory
    }

    /// Lets the server write to what a test put into its directory.
    pub fn adopt(&self) {
        adopt(&self.served, self.owner());
    }

    fn owner(&self) -> u32 {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(&self.served).unwrap().uid()
    }

    /// Ends it, with all that it has started.
    pub fn end(&mut self) {
        // Some of its children lead sessions of their own.
        let family = processes::descendants(self.child.id());
        processes::kill_group(self.child.id());
        family.into_iter().for_each(processes::kill);
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// A server while it is prepared.
struct Setting {
    name: &'static str,
    program: PathBuf,
    /// Where its configuration and its state lie.
    home: PathBuf,
    served: PathBuf,
    /// The path of `served` on the server.
    on_server: &'static str,
}

/// A directory for a server, `None` where it isn't installed or can't be run. What it serves
/// belongs to this user.
fn setting(place: &TestEnv, name: &'static str, owner: u32) -> Option<Setting> {
    let Some(program) = program(name) else {
        eprintln!("skipped: {name} isn't installed (`just servers`)");
        return None;
    };
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: {name} is run by root alone");
        return None;
    }
    // Servers give up being root before they come here.
    fs::set_permissions(place.path(""), Permissions::from_mode(0o755)).unwrap();
    let home = (0..).map(|number| place.path(&format!("{name}{number}")));
    let home = home.into_iter().find(|home| !home.exists()).unwrap();
    make(&home, 0);
    let served = home.join("served");
    make(&served, owner);
    Some(Setting { name, program, home, served, on_server: "" })
}

impl Setting {
    /// A path in its own directory.
    fn path(&self, name: &str) -> String {
        self.home.join(name).to_str().unwrap().to_owned()
    }

    /// Starts the server in the foreground, once its configuration was written for a port,
    /// and waits until it answers.
    fn start(
        self,
        args: &[&str],
        configuration: impl Fn(&Self, u16) -> String,
        options: impl Fn(u16) -> Vec<(&'static str, String)>,
    ) -> Daemon {
        for _ in 0..MAX_TRIES {
            let port = free_port();
            fs::write(self.path("conf"), configuration(&self, port)).unwrap();
            let log = File::create(self.path("output")).unwrap();
            let mut command = Command::new(&self.program);
            command.args(args).current_dir(&self.home).process_group(0);
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            let mut child = command.spawn().unwrap();
            if answers(&mut child, port) {
                let (served, path, options) = (self.served, self.on_server, options(port));
                return Daemon { child, port, served, path, options };
            }
            processes::kill_group(child.id());
            let _ = child.wait();
        }
        let said = fs::read_to_string(self.path("output")).unwrap_or_default();
        panic!("{} doesn't start: {said}", self.name)
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap();
    let mut directories = std::env::split_paths(&path).chain(usual);
    directories.find_map(|directory| Some(directory.join(name)).filter(|path| path.is_file()))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether it takes connections; not if it ended, or takes none for long.
fn answers(child: &mut Child, port: u16) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Makes a directory that everyone may look into and this user may write to.
fn make(directory: &Path, owner: u32) {
    fs::create_dir_all(directory).unwrap();
    fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    chown(directory, Some(owner), None).unwrap();
}

fn adopt(path: &Path, owner: u32) {
    chown(path, Some(owner), None).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().flatten().for_each(|entry| adopt(&entry.path(), owner));
    }
}
