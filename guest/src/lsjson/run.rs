//! Runs of `rclone lsjson` that are short enough to collect, and options of all runs.

use wit_bindgen::{StreamReader, StreamResult};

use super::item::Item;
use super::parser::Parser;
use crate::bindings::plakar::connector::rclone::{self, ListError, ListOptions};
use crate::bindings::plakar::connector::types::Failure;

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
    /// How the run ended.
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
    let (errors, result) = for_each(selection, |item| items.push(item)).await;
    ListOutput { items, errors, result }
}

/// Passes each item of a run to `each`. Returns the list errors, and how the run ended.
pub async fn for_each(
    selection: ListOptions,
    each: impl FnMut(Item),
) -> (Vec<ListError>, Result<(), Failure>) {
    let (lines, list_errors, end) = match rclone::list(selection).await {
        Ok(listing) => listing,
        Err(failure) => return (Vec::new(), Err(failure)),
    };
    let (parsed, errors) = futures::join!(parse(lines, each), collect_errors(list_errors));
    let result = match parsed {
        Ok(()) => end.await,
        Err(failure) => Err(failure),
    };
    (errors, result)
}

async fn parse(mut lines: StreamReader<u8>, mut each: impl FnMut(Item)) -> Result<(), Failure> {
    let mut parser = Parser::default();
    loop {
        let (result, bytes) = lines.read(Vec::with_capacity(READ_BYTES)).await;
        parser.feed(&bytes, &mut each)?;
        if !matches!(result, StreamResult::Complete(_)) {
            parser.end(&mut each)?;
            return Ok(());
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
