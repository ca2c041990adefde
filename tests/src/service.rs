//! A service of plakbox for tests: its files, its process, and clients that come to it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tonic::Status;

use crate::certificates::{Authority, Valid};
use crate::env::{Run, run, within};
use crate::plugin::{Importer, local};
use crate::{TestEnv, processes, tools};

/// Time limit for the start, a reload and the end of a service.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The name in the certificates of services that listen to TCP.
pub const HOST: &str = "plakbox.example";

/// Where a service listens if nothing else is said.
const SOCKET: &str = "socket = \"socket\"\n";

/// A service, which ends with the test.
pub struct Service {
    child: Child,
    directory: PathBuf,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    /// Starts one in this place: `settings` comes after what every service has, and
    /// `tenants` is the file of its tenants. Policies are written before, by [`policy`].
    pub fn start(place: &TestEnv, settings: &str, tenants: &str) -> Self {
        write(place, SOCKET, settings, tenants);
        Self::begin(place, &mut command(place))
    }

    /// Starts one that listens to TCP as well, and believes this authority.
    pub fn start_with_tls(
        place: &TestEnv,
        tls: &Tls<'_>,
        settings: &str,
        tenants: &str,
    ) -> (Self, String) {
        let address = write_with_tls(place, tls, settings, tenants);
        (Self::begin(place, &mut command(place)), address)
    }

    /// Starts what [`command`] gave.
    pub fn begin(place: &TestEnv, command: &mut Command) -> Self {
        let directory = directory(place);
        let log = fs::File::create(directory.join("log")).unwrap();
        let child = command.stderr(Stdio::from(log)).spawn().unwrap();
        let mut service = Self { child, directory };
        let ready = within(TIMEOUT, || {
            let gone = service.child.try_wait().unwrap().is_some();
            gone || service.log().contains("the service is ready")
        });
        assert!(ready && service.child.try_wait().unwrap().is_none(), "{}", service.log());
        service
    }

    /// Its log.
    pub fn log(&self) -> String {
        let mut text = String::new();
        fs::File::open(self.directory.join("log")).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// The path of a file in the service's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it read its files again, and waits until it has said this.
    #[track_caller]
    pub fn read_again(&self, said: &str) {
        let before = self.log().len();
        processes::hang_up(self.pid());
        let told = within(TIMEOUT, || self.log()[before..].contains(said));
        assert!(told, "it didn't say `{said}`:\n{}", self.log());
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> bool {
        within(TIMEOUT, || self.child.try_wait().unwrap().is_some())
    }

    /// Lets a command's plugins be clients of this service.
    pub fn client<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("PLAKBOX_CONNECT", self.path("connect.toml"))
    }

    /// A session with a directory of this machine, without a plugin in between.
    pub async fn session(&self, directory: &Path) -> Result<Importer, Status> {
        Importer::start_at(&self.path("socket"), &local(directory)).await
    }

    /// The value of a metric, with its labels, as an operator's socket shows it.
    pub fn metric(&self, name: &str) -> f64 {
        let socket = UnixStream::connect(self.path("admin")).unwrap();
        let text = ask(socket, "GET /metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("there is no `{name}`:\n{text}")).parse().unwrap()
    }

    /// `plakbox sessions` for this service.
    pub fn sessions<const N: usize>(&self, place: &TestEnv, args: [&str; N]) -> Run {
        let mut command = place.command(tools::plakbox());
        command.arg("sessions").arg("--socket").arg(self.path("admin"));
        run(command.args(args))
    }
}

/// The answer of the other end to a request.
pub fn ask(mut connection: impl Read + Write, request: &str) -> String {
    write!(connection, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

/// The certificates of a service over TCP, and those that it accepts.
pub struct Tls<'a> {
    /// The authority of its certificate.
    pub authority: &'a Authority,
    /// The validity of its certificate.
    pub valid: Valid,
}

/// The lines that name files of TLS.
fn tls_of(section: &str, name: &str) -> String {
    format!(
        "[{section}]\ncertificate = \"{name}.pem\"\nkey = \"{name}.key\"\nca = \"authority.pem\"\n"
    )
}

/// Writes the file that names the service at this address, for a client with the
/// certificate `client.pem` in this directory that believes `authority.pem` beside it.
pub fn remote_client(directory: &Path, address: &str) -> PathBuf {
    let file = directory.join("connect.toml");
    let text = format!("address = \"{address}\"\nname = \"{HOST}\"\n{}", tls_of("tls", "client"));
    fs::write(&file, text).unwrap();
    file
}

/// The same for a client that has, in a new directory, what it needs to come as `whose`.
pub fn certified_client(
    directory: &Path,
    authority: &Authority,
    whose: &str,
    address: &str,
) -> PathBuf {
    fs::create_dir_all(directory).unwrap();
    authority.sign(directory, "client", whose, Valid::Now);
    authority.write(&directory.join("authority.pem"));
    remote_client(directory, address)
}

/// A session with a directory of this machine, by a plugin that finds its service in the
/// file `connect`.
pub async fn session_by(
    place: &TestEnv,
    connect: &Path,
    directory: &Path,
) -> Result<Importer, Status> {
    let connect = connect.to_str().unwrap().to_owned();
    let variables = [("PLAKBOX_CONNECT".to_owned(), connect)];
    Importer::start_in(place, &local(directory), variables).await
}

/// An address at which nothing listens at present.
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A place with a remote `granted`, which the policy of the tenant `ours` allows and this
/// fills.
pub fn place(fill: impl FnOnce(&Path)) -> TestEnv {
    let place = TestEnv::new();
    let granted = place.directory_remote("granted");
    fill(&granted);
    place.import("granted");
    policy(&place, "ours.toml", &granted, &tools::rclone());
    place
}

/// Lets users pass that tenants' processes run as.
pub fn open_to_users(place: &TestEnv) {
    fs::set_permissions(place.path("."), fs::Permissions::from_mode(0o755)).unwrap();
}

/// The directory of a place's service.
pub fn directory(place: &TestEnv) -> PathBuf {
    let directory = place.path("service");
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// Writes the files of a service; `listen` is its section of this name.
pub fn write(place: &TestEnv, listen: &str, settings: &str, tenants: &str) {
    let directory = directory(place);
    let (settings, connectors) = match settings.split_once("[users]\n") {
        Some((before, users)) => {
            (&*with_users(&directory, before, users), "connectors = \"connectors\"\n")
        }
        None => (settings, ""),
    };
    let text = format!(
        "version = 1\nstate = \"state\"\n{connectors}tenants = \"tenants.toml\"\n\
         [admin]\nsocket = \"admin\"\n[listen]\n{listen}{settings}"
    );
    fs::write(directory.join("service.toml"), text).unwrap();
    fs::write(directory.join("tenants.toml"), tenants).unwrap();
    fs::write(directory.join("connect.toml"), SOCKET).unwrap();
}

/// The settings of a service that becomes a user of its own, who may not get to where this was
/// built, or to its state and logs without being let.
fn with_users(directory: &Path, before: &str, users: &str) -> String {
    let connectors = directory.join("connectors");
    fs::create_dir_all(&connectors).unwrap();
    let built = tools::plakbox();
    for name in ["rclone.wasm", "rclone.cwasm"] {
        fs::copy(built.with_file_name(name), connectors.join(name)).unwrap();
    }
    let can = Command::new("unshare").args(["--user", "true"]).status().unwrap().success();
    let namespace = if can { "required" } else { "preferred" };
    format!("{before}[users]\nnamespace = \"{namespace}\"\n{users}")
}

/// Writes the files of one that listens to TCP as well; gives its address.
pub fn write_with_tls(place: &TestEnv, tls: &Tls<'_>, settings: &str, tenants: &str) -> String {
    let address = free_address();
    let directory = directory(place);
    tls.authority.write(&directory.join("authority.pem"));
    tls.authority.sign(&directory, "service", HOST, tls.valid);
    let listen = format!("{SOCKET}address = \"{address}\"\n{}", tls_of("listen.tls", "service"));
    write(place, &listen, settings, tenants);
    address
}

/// `plakbox serve` for what was written.
pub fn command(place: &TestEnv) -> Command {
    let mut command = place.command(tools::plakbox());
    command.arg("serve").arg(directory(place).join("service.toml"));
    command
}

/// The tenant `ours`, which is that of the user who runs the tests.
pub fn ours(more: &str) -> String {
    let uid = rustix::process::getuid().as_raw();
    format!("[[tenant]]\nname = \"ours\"\npolicy = \"ours.toml\"\nusers = [{uid}]\n{more}")
}

/// Writes the policy of a tenant: what may be read and written are local directories below
/// this one, by this rclone.
pub fn policy(place: &TestEnv, name: &str, below: &Path, rclone: &Path) {
    let text = format!(
        "version = 1\n[rclone]\npath = {rclone:?}\n[[allow]]\n\
         backends = [\"local\", \"alias\"]\nuse = [\"importer\", \"exporter\"]\n\
         directories = [{below:?}]\n"
    );
    fs::write(directory(place).join(name), text).unwrap();
}
