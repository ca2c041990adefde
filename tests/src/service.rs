//! A service of plakbox for tests: its files, its process, and clients that come to it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::place::{Run, run, within};
use crate::{Place, tools};

/// How long a service may take to be there.
const PATIENCE: Duration = Duration::from_secs(30);

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
    pub fn start(place: &Place, settings: &str, tenants: &str) -> Self {
        let directory = directory(place);
        let text = format!(
            "version = 1\nstate = \"state\"\ntenants = \"tenants.toml\"\n[listen]\nsocket = \"socket\"\n[operations]\nsocket = \"operations\"\n{settings}"
        );
        fs::write(directory.join("service.toml"), text).unwrap();
        fs::write(directory.join("tenants.toml"), tenants).unwrap();
        fs::write(directory.join("connect.toml"), "socket = \"socket\"\n").unwrap();
        let log = fs::File::create(directory.join("log")).unwrap();
        let child = place
            .command(tools::plakbox())
            .arg("serve")
            .arg(directory.join("service.toml"))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let service = Self { child, directory };
        let ready = within(PATIENCE, || service.log().contains("the service is ready"));
        assert!(ready, "{}", service.log());
        service
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let mut text = String::new();
        fs::File::open(self.directory.join("log")).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> bool {
        within(PATIENCE, || self.child.try_wait().unwrap().is_some())
    }

    /// Lets a command's plugins be clients of this service.
    pub fn client<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("PLAKBOX_CONNECT", self.path("connect.toml"))
    }

    /// `plakbox sessions` for this service.
    pub fn sessions<const N: usize>(&self, place: &Place, args: [&str; N]) -> Run {
        let mut command = place.command(tools::plakbox());
        command.arg("sessions").arg("--socket").arg(self.path("operations"));
        run(command.args(args))
    }
}

/// The directory of a place's service.
fn directory(place: &Place) -> PathBuf {
    let directory = place.path("service");
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// Writes the policy of a tenant: what may be read and written are local directories below
/// this one, by this rclone.
pub fn policy(place: &Place, name: &str, below: &Path, rclone: &Path) {
    let text = format!(
        "version = 1\n[rclone]\npath = {rclone:?}\n[[allow]]\nbackends = [\"local\", \"alias\"]\nuse = [\"importer\", \"exporter\"]\ndirectories = [{below:?}]\n"
    );
    fs::write(directory(place).join(name), text).unwrap();
}
