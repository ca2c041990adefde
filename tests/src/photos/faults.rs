//! Faults that a test has ordered.

use std::collections::HashMap;

use super::answers::Refusal;
use super::calls::Call;

/// The faults that are in force.
#[derive(Default)]
pub struct Faults {
    failing: HashMap<Call, (u16, String, u64)>,
    albums: HashMap<String, u16>,
    breaking: HashMap<String, (usize, u64)>,
    refused: HashMap<String, (i32, String)>,
}

impl Faults {
    /// The next calls of a kind are answered with this status.
    pub fn fail(&mut self, call: Call, status: u16, times: u64) {
        self.fail_with(call, status, said_with(status), times);
    }

    /// The same with these words.
    pub fn fail_with(&mut self, call: Call, status: u16, words: &str, times: u64) {
        self.failing.insert(call, (status, words.to_owned(), times));
    }

    /// Searches of this album are answered with this status.
    pub fn fail_album(&mut self, id: &str, status: u16) {
        self.albums.insert(id.to_owned(), status);
    }

    /// The next downloads of an item break off after so many bytes.
    pub fn break_off(&mut self, id: &str, after: usize, times: u64) {
        self.breaking.insert(id.to_owned(), (after, times));
    }

    /// Files of this name aren't made into items.
    pub fn refuse(&mut self, name: &str, code: i32, message: &str) {
        self.refused.insert(name.to_owned(), (code, message.to_owned()));
    }

    /// Nothing goes wrong any more.
    pub fn heal(&mut self) {
        *self = Self::default();
    }

    pub(super) fn of_call(&mut self, call: Call) -> Result<(), Refusal> {
        match self.failing.get_mut(&call) {
            Some((status, words, times @ 1..)) => {
                *times -= 1;
                Err(Refusal::new(*status, words.clone()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn of_album(&self, id: &str) -> Result<(), Refusal> {
        match self.albums.get(id) {
            Some(status) => Err(Refusal::new(*status, said_with(*status))),
            None => Ok(()),
        }
    }

    /// After how many bytes this download of an item breaks off.
    pub(super) fn of_download(&mut self, id: &str) -> Option<usize> {
        let (after, times) = self.breaking.get_mut(id)?;
        *times = times.checked_sub(1)?;
        Some(*after)
    }

    /// Why a file of this name doesn't become an item.
    pub(super) fn of_upload(&self, name: &str) -> Option<(i32, &str)> {
        self.refused.get(name).map(|(code, message)| (*code, message.as_str()))
    }
}

/// Google's message for a status.
fn said_with(status: u16) -> &'static str {
    match status {
        401 => super::oauth::NO_CREDENTIALS,
        403 => "The caller does not have permission",
        404 => "Requested entity was not found.",
        409 => "The operation was aborted.",
        429 => {
            "Quota exceeded for quota metric 'All requests' and limit 'All requests per minute \
             per user' of service 'photoslibrary.googleapis.com' for consumer \
             'project_number:202264815644'."
        }
        503 => "The service is currently unavailable.",
        _ => "Internal error encountered.",
    }
}
