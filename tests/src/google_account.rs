//! An emulated account of Google Photos, and a place whose Plakar backs it up.

use std::collections::BTreeSet;

use crate::env::run;
use crate::photos::{Photos, Settings};
use crate::{Run, TestEnv, tools};

/// An emulated account, and a place whose Plakar knows it as `photos`.
pub struct Account {
    /// The emulated account.
    pub photos: Photos,
    /// The place with a remote that uses it.
    pub place: TestEnv,
}

impl Account {
    /// Starts an account, and configures a remote for it.
    pub fn new(settings: Settings) -> Self {
        let photos = Photos::with(settings);
        let config = photos.config("photos");
        Self::imported(photos, &config)
    }

    /// The same with a configuration of the test's own, whose remote is `photos`, too.
    pub fn imported(photos: Photos, config: &str) -> Self {
        let place = TestEnv::new();
        for kind in ["source", "destination"] {
            place.import_text(kind, config.as_bytes());
        }
        Self { photos, place }
    }

    /// A backup of all, or of the part below this path.
    pub fn backup(&self, part: &str) -> Run {
        let location = format!("location=rclone://{part}");
        self.place.plakar(["source", "set", "photos", &location]).good();
        self.place.backup_by(self.place.backup_command("@photos").envs(self.photos.environment()))
    }

    /// Restores a part of the last snapshot to the account.
    pub fn restore(&self, part: &str) -> Run {
        let location = format!("location=rclone://{part}");
        self.place.plakar(["destination", "set", "photos", &location]).good();
        run(self.place.restore_command("@photos").envs(self.photos.environment()))
    }

    /// The same of one directory of the last snapshot, to the whole account.
    pub fn restore_only(&self, directory: &str) -> Run {
        self.place.plakar(["destination", "set", "photos", "location=rclone://"]).good();
        let part = format!("{}:{directory}", self.place.last());
        let mut command = self.place.command(tools::plakar());
        command.args(["at", &self.place.store(), "restore", "-to", "@photos", &part]);
        run(command.envs(self.photos.environment()))
    }

    /// The visible state of the account: its photos, and its albums with theirs.
    pub fn state(&self) -> (BTreeSet<String>, Vec<(String, BTreeSet<String>)>) {
        let photos = self.photos.items().into_iter().map(|item| item.digest).collect();
        (photos, self.photos.albums())
    }

    /// Number of photos in all its albums.
    pub fn in_albums(&self) -> usize {
        self.photos.albums().iter().map(|(_, photos)| photos.len()).sum()
    }
}
