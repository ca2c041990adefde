//! A Kloset store on a remote, as the user of Plakar sees it.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::env::{Run, run};
use crate::tree::{self, Keep};
use crate::{TestEnv, tools};

/// A store at a location, by plakar's commands.
pub struct Repository<'a> {
    /// The place that it is in.
    pub place: &'a TestEnv,
    /// Its location for Plakar.
    pub location: String,
    last: RefCell<Option<String>>,
}

impl<'a> Repository<'a> {
    /// The one at this location, which may not exist yet.
    pub fn at(place: &'a TestEnv, location: impl Into<String>) -> Self {
        Self { place, location: location.into(), last: RefCell::default() }
    }

    /// Creates it, without a passphrase.
    pub fn created(place: &'a TestEnv, location: impl Into<String>) -> Self {
        let repository = Self::at(place, location);
        repository.create().good();
        repository
    }

    /// Creates the store.
    pub fn create(&self) -> Run {
        self.plakar(&["create", "-plaintext"])
    }

    /// A command on it, which isn't started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(tools::plakar());
        command.args(["at", &self.location]).args(args);
        command
    }

    /// Runs Plakar on the store.
    pub fn plakar(&self, args: &[&str]) -> Run {
        run(&mut self.command(args))
    }

    /// Backs up a directory of this machine.
    pub fn backup(&self, source: &Path) -> Run {
        self.note(self.plakar(&["backup", source.to_str().unwrap()]))
    }

    /// Notes the snapshot that a backup made.
    pub fn note(&self, run: Run) -> Run {
        let done = run.text.lines().find_map(|line| line.split_once(": backup completed"));
        if let Some((snapshot, _)) = done {
            self.last.replace(Some(snapshot.to_owned()));
        }
        run
    }

    /// The snapshot that was made last.
    pub fn last(&self) -> String {
        self.last.borrow().clone().expect("there is no snapshot")
    }

    /// Restores the last snapshot, and compares it with what was backed up.
    pub fn assert_restored(&self, source: &Path, name: &str) {
        let target = self.place.path(name);
        let (to, snapshot) = (target.to_str().unwrap(), self.last());
        self.plakar(&["restore", "-to", to, &snapshot]).good();
        tree::assert_same(source, &target, Keep::Files);
        fs::remove_dir_all(target).unwrap();
    }

    /// Checks every snapshot.
    pub fn assert_sound(&self) {
        let checked = self.plakar(&["check"]).good();
        assert!(!checked.text.contains("missing"), "{}", checked.text);
    }
}

/// The objects in a directory of a store that is a directory of this machine, with their sizes.
pub fn objects(store: &Path, kind: &str) -> Vec<(PathBuf, u64)> {
    let files = crate::env::files_below(&store.join(kind)).into_iter();
    let mut objects: Vec<_> = files
        .filter_map(|path| fs::metadata(&path).ok().map(|metadata| (path, metadata.len())))
        .collect();
    objects.sort();
    objects
}
