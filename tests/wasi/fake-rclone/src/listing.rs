//! The function `list`: output of `rclone lsjson`.

use scenarios::fault::Fault;
use scenarios::tree::Time;
use scenarios::types::{Failure, Reason};
use std::collections::VecDeque;
use std::fmt::Write;
use std::rc::Rc;
use wit_bindgen::{StreamWriter, spawn_local};

use crate::bindings::exports::plakar::connector::rclone::{ListError, ListOptions, Listing};
use crate::bindings::{wit_future, wit_stream};
use crate::remote::{self, Item};
use crate::run_state::{RunState, check_path, run_state};

/// Backends whose modification times cost a lookup for each file.
const COSTLY_TIMES: [&str; 2] = ["s3", "swift"];

/// Time at which the server received each file.
const SERVER_TIME: Time = (1_800_000_000, 0);

/// Number of bytes written at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Lists the remote.
pub fn list(options: ListOptions) -> Result<Listing, Failure> {
    let state = run_state();
    let number = state.increment("list");
    let word = if options.files.is_some() { "look-ups" } else { "list" };
    state.log(word, if options.recursive { "all" } else { "one" });
    options.excluded.iter().try_for_each(|path| check_path(path))?;
    if !options.directory.is_empty() {
        check_path(&options.directory)?;
    }
    if state.has_fault(&Fault::NoListing) {
        let reason = Reason::ALL[number % Reason::ALL.len()];
        return Err(Failure::new(reason, "rclone can't be started").with_help("see its log"));
    }
    let (text, errors, end) = output(&state, &options);
    let (output, lines) = wit_stream::new();
    let (mut error_sender, list_errors) = wit_stream::new();
    let (ended, ending) = wit_future::new(|| Err(Failure::new(Reason::Internal, "dropped")));
    spawn_local(async move {
        let sending = async {
            if !errors.is_empty() {
                error_sender.write_all(errors).await;
            }
            drop(error_sender);
        };
        let ((), is_read) = futures::join!(sending, print(&state, number, text, output));
        if !is_read {
            state.log("listing-dropped", "");
        }
        let _ = ended.write(end).await;
    });
    Ok((lines, list_errors, ending))
}

/// Returns the text of a listing, the errors of single paths, and how the listing ends.
fn output(
    state: &RunState,
    options: &ListOptions,
) -> (Vec<u8>, Vec<ListError>, Result<(), Failure>) {
    let (mut items, mut errors) = (Vec::new(), Vec::new());
    let mut end = match &options.files {
        Some(files) => look_up(state, files, &mut items),
        None => walk(state, options, &mut items, &mut errors),
    };
    let mut lines: Vec<_> =
        items.iter().map(|item| line(state, options, item).into_bytes()).collect();
    let mut continues = false;
    for fault in &state.scenario.faults {
        match fault {
            Fault::Lines(more) if options.files.is_none() => {
                lines.extend(more.iter().map(|line| line.to_vec()));
            }
            Fault::EndlessLine | Fault::EndlessListing | Fault::SyntheticFiles(_) => {
                continues = true
            }
            Fault::ListingsFail { reason, times }
                if options.files.is_none() && state.increment("failed listings") < *times =>
            {
                end = Err(Failure::new(*reason, "the listing failed"));
            }
            Fault::ListingEnds(reason) => {
                let number = state.counter("list") - 1;
                let reason = reason.unwrap_or(Reason::ALL[number % Reason::ALL.len()]);
                end = Err(Failure::new(reason, "the listing failed").with_help("run it again"));
            }
            _ => {}
        }
    }
    // rclone ends a line only when another one follows.
    let mut text = [b"[\n", lines.join(&b",\n"[..]).as_slice()].concat();
    if continues {
        text.extend(if lines.is_empty() { &b""[..] } else { b",\n" });
    } else if end.is_ok() && errors.is_empty() && !state.has_fault(&Fault::NoBracket) {
        text.extend(if lines.is_empty() { &b"]\n"[..] } else { b"\n]\n" });
    }
    for fault in &state.scenario.faults {
        match fault {
            Fault::After(more) => text.extend(more.bytes()),
            Fault::ListingBreaks(at) => text.truncate(*at),
            _ => {}
        }
    }
    (text, errors, end)
}

/// Walks the directories as rclone does: the children of one together, then those of its child
/// directories.
fn walk(
    state: &RunState,
    options: &ListOptions,
    items: &mut Vec<Item>,
    errors: &mut Vec<ListError>,
) -> Result<(), Failure> {
    let top = match options.directory.as_str() {
        "" => String::new(),
        directory => format!("{directory}/"),
    };
    let mut queue = VecDeque::from([options.directory.clone()]);
    while let Some(directory) = queue.pop_front() {
        let error = state.find_fault(|fault| match fault {
            Fault::ListError(path, reason) if *path == directory => Some(*reason),
            _ => None,
        });
        if let Some(reason) = error {
            let failure = Failure::new(reason, format!("`{directory}` can't be listed"));
            errors.push(ListError { path: directory, failure });
            continue;
        }
        for item in remote::entries(state, &directory)? {
            let path = item.path.strip_prefix(&top).unwrap_or(&item.path).to_owned();
            if item.directory && options.excluded.contains(&path) {
                continue;
            }
            if item.directory && options.recursive {
                queue.push_back(item.path.clone());
            }
            items.push(Item { path, ..item });
        }
    }
    Ok(())
}

/// Looks up single files. Leaves out those that don't exist.
fn look_up(state: &RunState, files: &[String], items: &mut Vec<Item>) -> Result<(), Failure> {
    for path in files {
        check_path(path)?;
        state.log("look-up", path);
        let refused = state.find_fault(|fault| match fault {
            Fault::NoLookUp(refused, reason) if refused == path => Some(*reason),
            _ => None,
        });
        if let Some(reason) = refused {
            return Err(Failure::new(reason, format!("`{path}` can't be looked up")));
        }
        let removed = |fault: &Fault| matches!(fault, Fault::Removed(removed) if removed == path);
        if state.scenario.faults.iter().any(removed) {
            continue;
        }
        items.extend(remote::file(state, path));
    }
    Ok(())
}

/// Formats one line as Go does.
fn line(
    state: &RunState,
    options: &ListOptions,
    Item { path, size, modified, directory, id }: &Item,
) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let costly = COSTLY_TIMES.contains(&state.scenario.backend);
    let has_server_time = costly && options.server_times && !directory;
    let modified = if has_server_time { SERVER_TIME } else { *modified };
    let mut line = format!(
        r#"{{"Path":{},"Name":{},"Size":{size},"ModTime":"{}","IsDir":{directory}"#,
        quote(path),
        quote(name),
        format_time(modified),
    );
    if options.hashes && !directory {
        let hash = u64::try_from(*size).unwrap_or_default() ^ modified.0;
        let _ = write!(line, r#","Hashes":{{"md5":"{hash:032x}"}}"#);
    }
    if !id.is_empty() {
        let _ = write!(line, r#","ID":{}"#, quote(id));
    }
    line + "}"
}

/// Formats a time as RFC 3339 with nanoseconds, in a time zone that isn't UTC.
fn format_time((seconds, nanoseconds): Time) -> String {
    let local = i64::try_from(seconds).unwrap_or_default() + 2 * 3600;
    let time = jiff::Timestamp::from_second(local).unwrap_or_default();
    format!("{}.{nanoseconds:09}+02:00", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// Quotes text as Go's encoding/json does, which also escapes what HTML and JavaScript could
/// misread.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\r' => quoted += "\\r",
            '\t' => quoted += "\\t",
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            _ => quoted.push(char),
        }
    }
    quoted + "\""
}

/// Writes the text in the pieces of the scenario. Returns whether all of it was read.
async fn print(
    state: &Rc<RunState>,
    number: usize,
    text: Vec<u8>,
    mut output: StreamWriter<u8>,
) -> bool {
    let mut cuts = Vec::new();
    let mut endless = None;
    let mut synthetic = 0;
    for fault in &state.scenario.faults {
        match fault {
            Fault::CutFurtherEachTime => cuts.push(number.min(text.len())),
            Fault::Pieces(size) => cuts.extend((0..text.len()).step_by(*size).skip(1)),
            Fault::SyntheticFiles(count) => synthetic = *count,
            Fault::EndlessLine => endless = Some(vec![b'x'; CHUNK_BYTES]),
            Fault::EndlessListing => synthetic = usize::MAX,
            _ => {}
        }
    }
    let mut from = 0;
    for to in cuts.into_iter().chain([text.len()]) {
        if !output.write_all(text[from..to].to_vec()).await.is_empty() {
            return false;
        }
        from = to;
    }
    for from in (0..synthetic).step_by(1000) {
        let lines = (from..synthetic.min(from + 1000)).map(synthetic_line).collect::<String>();
        if !output.write_all(lines.into_bytes()).await.is_empty() {
            return false;
        }
    }
    if synthetic > 0 {
        output.write_all(b"]\n".to_vec()).await;
    }
    while let Some(piece) = &endless {
        if !output.write_all(piece.clone()).await.is_empty() {
            return false;
        }
    }
    true
}

/// Formats the line of a file that doesn't exist.
fn synthetic_line(number: usize) -> String {
    let name = format!("file-{number:09}");
    format!(
        "{{\"Path\":\"{name}\",\"Name\":\"{name}\",\"Size\":{},\"ModTime\":\"{}\",\"IsDir\":false}},\n",
        number % 1000,
        format_time((1_000_000_000 + number as u64, 0)),
    )
}
