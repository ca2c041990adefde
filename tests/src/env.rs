//! A place of a test's own: a home with the package installed, a store, remotes.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::{tools, tree};

/// Vanishes with the test.
pub struct TestEnv {
    directory: TempDir,
    last: RefCell<Option<String>>,
}

/// The result of a program's run.
#[derive(Debug)]
pub struct Run {
    /// Whether it succeeded.
    pub ok: bool,
    /// Both outputs, in the order in which they came as far as that is known.
    pub text: String,
    /// Its duration.
    pub took: Duration,
}

impl Run {
    fn of(output: &Output, took: Duration) -> Self {
        let [out, err] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        Self { ok: output.status.success(), text: format!("{out}{err}"), took }
    }

    /// The run must have gone well.
    #[track_caller]
    pub fn good(self) -> Self {
        assert!(self.ok, "it failed:\n{}", self.text);
        self
    }

    /// The run must have failed, and said this in one of its lines.
    #[track_caller]
    pub fn bad(self, line: &str) -> Self {
        assert!(!self.ok, "it should have failed:\n{}", self.text);
        self.says(line)
    }

    /// One of its lines must contain this.
    #[track_caller]
    pub fn says(self, line: &str) -> Self {
        assert!(
            self.text.lines().any(|have| have.contains(line)),
            "no line has `{line}`:\n{}",
            self.text
        );
        self
    }

    /// It must not have waited for what never comes; on a busy machine even an error at
    /// once takes its seconds.
    #[track_caller]
    pub fn soon(self) -> Self {
        assert!(self.took < Duration::from_secs(45), "it took {:?}:\n{}", self.took, self.text);
        self
    }
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl TestEnv {
    /// A home, with the package installed and an empty store.
    pub fn new() -> Self {
        Self::with_package(&tools::package())
    }

    /// The same with another package.
    pub fn with_package(package: &Path) -> Self {
        let place = Self::bare();
        // A command of its own: no network is asked for updates from then on.
        place.plakar(["-disable-security-check"]).good();
        place.plakar(["pkg", "add", package.to_str().unwrap()]).good();
        place.plakar(["at", &place.store(), "create", "-plaintext"]).good();
        place
    }

    /// The same with a directory of one file, imported as `source`.
    pub fn with_source() -> Self {
        let place = Self::new();
        tree::file(&place.directory_remote("source").join("file"), b"x", tree::time(1));
        place.import("source");
        place
    }

    /// A home with nothing in it.
    pub fn bare() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap(), last: RefCell::default() };
        fs::create_dir(place.path("home")).unwrap();
        fs::write(place.path("rclone.conf"), "").unwrap();
        place
    }

    /// A path in this place.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The location of the store in this place.
    pub fn store(&self) -> String {
        self.path("store").to_str().unwrap().to_owned()
    }

    /// The directory that plakbox keeps its state in.
    pub fn state(&self) -> PathBuf {
        self.path("home/.local/state/plakbox")
    }

    /// A command that sees only this place.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("RCLONE_CONFIG", self.path("rclone.conf"))
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs Plakar.
    pub fn plakar<const N: usize>(&self, args: [&str; N]) -> Run {
        run(self.command(tools::plakar()).args(args))
    }

    /// Adds a remote to rclone.conf.
    pub fn remote(&self, name: &str, options: &[(&str, &str)]) {
        let mut file = fs::OpenOptions::new().append(true).open(self.path("rclone.conf")).unwrap();
        writeln!(file, "[{name}]").unwrap();
        for (key, value) in options {
            writeln!(file, "{key} = {value}").unwrap();
        }
    }

    /// A program in rclone's place that says this when it is asked for its version.
    pub fn rclone_that_says(&self, version: &str) -> PathBuf {
        let directory = self.path(&format!("says {version}"));
        fs::create_dir_all(&directory).unwrap();
        let rclone = directory.join("rclone");
        fs::copy(tools::probe(), &rclone).unwrap();
        rclone
    }

    /// The policy of this home's user.
    pub fn policy(&self, text: &str) {
        let directory = self.path("home/.config/plakbox");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("policy.toml"), format!("version = 1\n{text}")).unwrap();
    }

    /// Adds a remote that is a directory of this place.
    pub fn directory_remote(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        self.remote(name, &[("type", "alias"), ("remote", path.to_str().unwrap())]);
        path
    }

    /// `rclone config show NAME | plakar source import -rclone`, and the same for
    /// destinations.
    pub fn import(&self, name: &str) {
        let shown = self.command(tools::rclone()).args(["config", "show", name]).output().unwrap();
        for kind in ["source", "destination"] {
            self.import_text(kind, &shown.stdout);
        }
    }

    /// The same from the file itself, which shows passwords.
    pub fn import_file(&self, name: &str) {
        let file = self.path("rclone.conf");
        let file = file.to_str().unwrap();
        self.plakar(["source", "import", "-rclone", "-overwrite", "-config", file, name]).good();
        self.plakar(["destination", "import", "-rclone", "-overwrite", "-config", file, name])
            .good();
    }

    /// Imports a configuration, replacing the one of the same name.
    pub fn import_text(&self, kind: &str, text: &[u8]) {
        let mut child = self
            .command(tools::plakar())
            .args([kind, "import", "-rclone", "-overwrite"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// A backup, which isn't started yet.
    pub fn backup_command(&self, source: &str) -> Command {
        let mut command = self.command(tools::plakar());
        command.args(["at", &self.store(), "backup", source]);
        command
    }

    /// Backs up a source to the store.
    pub fn backup(&self, source: &str) -> Run {
        self.backup_by(&mut self.backup_command(source))
    }

    /// Runs a backup that was prepared.
    pub fn backup_by(&self, command: &mut Command) -> Run {
        self.note(run(command))
    }

    /// Notes the snapshot that a backup made.
    pub fn note(&self, run: Run) -> Run {
        let done = run.text.lines().find_map(|line| line.split_once(": backup completed"));
        if let Some((snapshot, _)) = done {
            self.last.replace(Some(snapshot.to_owned()));
        }
        run
    }

    /// A restore of the last snapshot, which isn't started yet.
    pub fn restore_command(&self, destination: &str) -> Command {
        let mut command = self.command(tools::plakar());
        command.args(["at", &self.store(), "restore", "-to", destination]);
        command.arg(self.last());
        command
    }

    /// Restores the last snapshot to a destination.
    pub fn restore(&self, destination: &str) -> Run {
        run(&mut self.restore_command(destination))
    }

    /// The snapshot that was made last.
    pub fn last(&self) -> String {
        self.last.borrow().clone().expect("there is no snapshot")
    }

    /// Everything that is in the last snapshot, as Plakar lists it.
    pub fn listed(&self) -> String {
        self.plakar(["at", &self.store(), "ls", "-recursive", &self.last()]).good().text
    }

    /// The content of a file in the last snapshot.
    pub fn content(&self, path: &str) -> Vec<u8> {
        let what = format!("{}:{path}", self.last());
        let output =
            self.command(tools::plakar()).args(["at", &self.store(), "cat", &what]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Restores the last snapshot into a new directory with Plakar's own exporter.
    pub fn restore_here(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        self.restore(path.to_str().unwrap()).good();
        path
    }
}

/// Runs a command to its end, or kills it after two minutes.
pub fn run(command: &mut Command) -> Run {
    let start = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    finish(child, start)
}

/// Waits for a running command, or kills it after five minutes.
pub fn finish(child: Child, start: Instant) -> Run {
    let id = child.id();
    let waiting = thread::spawn(move || child.wait_with_output().unwrap());
    while !waiting.is_finished() {
        if start.elapsed() > Duration::from_secs(300) {
            crate::processes::kill(id);
        }
        thread::sleep(Duration::from_millis(5));
    }
    Run::of(&waiting.join().unwrap(), start.elapsed())
}

/// Whether something becomes true within this time.
pub fn within(limit: Duration, mut test: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if test() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// All files below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}
