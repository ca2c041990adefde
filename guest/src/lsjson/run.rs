//! Runs of `rclone lsjson` that are short enough to collect, and options of all runs.

use wit_bindgen::{StreamReader, StreamResult};

use super::item::Item;
use super::parser::Parser;
use crate::bindings::plakar::connector::rclone::{self, ListError, ListOptions};
use crate::bindings::plakar::connector::types::{Failure, Reason};

/// Number of bytes of a listing that are read at once.
pub const READ_BYTES: usize = 64 << 10;

/// Number of list errors that are read at once.
pub const READ_ERRORS: usize = 64;

impl ListOptions {
    /// Selects what is directly in a directory, with the server's times.
    pub fn children(directory: impl Into<String>) -> Self {
        Self { recursive: false, server_times: true, ..Self::descendants(directory) }
    }

    /// Selects everything below a directory.
    pub fn descendants(directory: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            recursive: true,
            hashes: false,
            server_times: false,
            files: None,
            excluded: Vec::new(),
        }
    }
}

/// Output of a run.
pub struct ListOutput {
    pub items: Vec<Item>,
    pub errors: Vec<ListError>,
    /// End of the run.
    pub result: Result<(), Failure>,
}

/// Checks that a directory can be listed: waits for its first item, or for the end.
pub async fn probe(directory: &str) -> Result<(), Failure> {
    let (mut lines, mut errors, end) = rclone::list(ListOptions::children(directory)).await?;
    loop {
        let (result, bytes) = lines.read(Vec::with_capacity(READ_BYTES)).await;
        if bytes.contains(&b'{') {
            return Ok(());
        }
        if !matches!(result, StreamResult::Complete(_)) {
            // The run may not end before its errors are read.
            let first_error = async move {
                let (_, first) = errors.read(Vec::with_capacity(1)).await;
                first
            };
            let (end, first_error) = futures::join!(end.into_future(), first_error);
            end?;
            return first_error.into_iter().next().map_or(Ok(()), |error| Err(error.failure));
        }
    }
}

/// Collects the output of a run.
pub async fn collect(selection: ListOptions) -> ListOutput {
    let mut items = Vec::new();
    let RunEnd { errors, result, .. } = for_each(selection, |item| items.push(item)).await;
    ListOutput { items, errors, result }
}

/// End of a run.
pub struct RunEnd {
    pub errors: Vec<ListError>,
    pub result: Result<(), Failure>,
    /// Whether the closing bracket arrived.
    is_closed: bool,
}

impl RunEnd {
    /// Reports whether the listed directory doesn't exist.
    pub fn is_missing_directory(&self) -> bool {
        let is_not_found = |failure: &Failure| failure.reason == Reason::NotFound;
        let mut errors = self.errors.iter();
        let result = &self.result;
        let ended = result.as_ref().map_or_else(is_not_found, |()| !self.errors.is_empty());
        ended && errors.all(|error| error.path.is_empty() && is_not_found(&error.failure))
    }

    /// Checks that the run listed everything.
    ///
    /// # Errors
    ///
    /// The run failed, a path could not be listed, or the output was cut off.
    pub fn complete(self) -> Result<(), Failure> {
        self.result?;
        match self.errors.into_iter().next() {
            Some(error) => Err(error.failure),
            None if self.is_closed => Ok(()),
            None => {
                let message = "rclone's listing ended before its end";
                Err(Failure::new(Reason::Corrupted, message).with_help("run the command again"))
            }
        }
    }
}

/// Passes each item of a run to `each`. Returns how the run ended.
pub async fn for_each(selection: ListOptions, each: impl FnMut(Item)) -> RunEnd {
    let (lines, list_errors, end) = match rclone::list(selection).await {
        Ok(listing) => listing,
        Err(failure) => {
            return RunEnd { errors: Vec::new(), result: Err(failure), is_closed: false };
        }
    };
    let (parsed, errors) = futures::join!(parse(lines, each), collect_errors(list_errors));
    match parsed {
        Ok(is_closed) => RunEnd { errors, result: end.await, is_closed },
        Err(failure) => RunEnd { errors, result: Err(failure), is_closed: false },
    }
}

/// Returns whether the closing bracket arrived.
async fn parse(mut lines: StreamReader<u8>, mut each: impl FnMut(Item)) -> Result<bool, Failure> {
    let mut parser = Parser::default();
    loop {
        let (result, bytes) = lines.read(Vec::with_capacity(READ_BYTES)).await;
        parser.feed(&bytes, &mut each)?;
        if !matches!(result, StreamResult::Complete(_)) {
            return Ok(parser.end(&mut each)?);
        }
    }
}

async fn collect_errors(mut list_errors: StreamReader<ListError>) -> Vec<ListError> {
    let mut errors = Vec::new();
    loop {
        let (result, read) = list_errors.read(Vec::with_capacity(READ_ERRORS)).await;
        errors.extend(read);
        if !matches!(result, StreamResult::Complete(_)) {
            return errors;
        }
    }
}
