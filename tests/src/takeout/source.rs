//! A directory of exports, and a place whose Plakar backs it up.

use std::path::PathBuf;

use super::delivery::{self, Archive};
use super::export::Export;
use super::languages::Language;
use super::library::Library;
use super::snapshot::{self, Snapshot, Union};
use super::zip_writer::ZipStyle;
use crate::latency_proxy;
use crate::range_server::{Pace, RangeServer};
use crate::{Run, TestEnv};
use std::time::Duration;

/// A directory of exports that Plakar knows as `exports`.
pub struct Source {
    /// Home of the user.
    pub place: TestEnv,
    /// Directory of the exports.
    pub directory: PathBuf,
    /// The server, if the directory isn't read as one of this machine.
    pub server: Option<RangeServer>,
}

impl Default for Source {
    fn default() -> Self {
        Self::new()
    }
}

impl Source {
    /// A directory of this machine.
    pub fn new() -> Self {
        let place = TestEnv::new();
        let directory = place.directory_remote("exports");
        Self { place, directory, server: None }.imported()
    }

    /// A directory behind a WebDAV server that counts, at this pace and distance.
    pub fn served(pace: Pace, round_trip: Option<Duration>) -> Self {
        let place = TestEnv::new();
        let directory = place.path("served");
        std::fs::create_dir_all(&directory).unwrap();
        let server = RangeServer::paced(&directory, pace);
        let url = match round_trip {
            Some(time) => format!("http://{}/", latency_proxy::start(&server.address, time)),
            None => server.url(),
        };
        place.remote("exports", &[("type", "webdav"), ("url", &url), ("vendor", "other")]);
        Self { place, directory, server: Some(server) }.imported()
    }

    fn imported(self) -> Self {
        self.place.import("exports");
        self.set("view=takeout");
        self
    }

    /// Sets an option of the source, as `KEY=VALUE`.
    pub fn set(&self, option: &str) {
        self.place.plakar(["source", "set", "exports", option]).good();
    }

    /// The server, which must be there.
    pub fn server(&self) -> &RangeServer {
        self.server.as_ref().unwrap()
    }

    /// Writes an export of a library as archives.
    pub fn deliver(&self, export: &Export, library: &Library) -> Vec<Archive> {
        delivery::zips(&self.directory, export, library, ZipStyle::default())
    }

    /// Backs up the exports.
    pub fn backup(&self) -> Run {
        self.place.backup("@exports")
    }

    /// The last snapshot, restored to a new directory of this name.
    pub fn restored(&self, name: &str) -> Snapshot {
        snapshot::restored(&self.place.restore_here(name))
    }

    /// The last snapshot must be that of the library.
    #[track_caller]
    pub fn assert_holds(&self, library: &Library, union: Union, language: Language) {
        let directory = self.place.restore_here("restored to be compared");
        let have = snapshot::restored(&directory);
        std::fs::remove_dir_all(directory).unwrap();
        snapshot::assert_same(&have, &snapshot::expected(library, union, language));
    }

    /// The same, for one in English and the union of all exports.
    #[track_caller]
    pub fn assert_whole(&self, library: &Library) {
        self.assert_holds(library, Union::All, Language::English);
    }
}
