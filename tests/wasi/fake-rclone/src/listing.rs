//! The verb `list`: what `rclone lsjson` prints.

use scenarios::Reason;
use scenarios::fault::Fault;
use scenarios::tree::Time;
use std::collections::VecDeque;
use std::fmt::Write;
use std::rc::Rc;
use wit_bindgen::{StreamWriter, spawn_local};

use crate::bindings::exports::plakar::connector::rclone::{Listing, Selection, Trouble};
use crate::bindings::plakar::connector::types::Failure;
use crate::bindings::{wit_future, wit_stream};
use crate::remote::{self, Item};
use crate::world::{World, failure, sound, world};

/// Backends whose files' own times cost a look-up each.
const COSTLY_TIMES: [&str; 2] = ["s3", "swift"];

/// When the server took a file, where its own time wasn't asked for.
const SERVERS: Time = (1_800_000_000, 0);

/// How much is written at once.
const PIECE: usize = 64 << 10;

pub fn list(selection: Selection) -> Result<Listing, Failure> {
    let world = world();
    let number = world.count("list");
    let said = if selection.files.is_some() { "look-ups" } else { "list" };
    world.note(said, if selection.recursive { "all" } else { "one" });
    selection.excluded.iter().try_for_each(|path| sound(path))?;
    if !selection.directory.is_empty() {
        sound(&selection.directory)?;
    }
    if world.has(&Fault::NoListing) {
        let reason = Reason::ALL[number % Reason::ALL.len()];
        return Err(failure(reason, "rclone can't be started: look at what it says"));
    }
    let (text, troubles, end) = printed(&world, &selection);
    let (output, lines) = wit_stream::new();
    let (mut troubles_in, said) = wit_stream::new();
    let (ended, ending) = wit_future::new(|| Err(failure(Reason::Internal, "given up")));
    spawn_local(async move {
        let told = async {
            if !troubles.is_empty() {
                troubles_in.write_all(troubles).await;
            }
            drop(troubles_in);
        };
        let ((), wanted) = futures::join!(told, print(&world, number, text, output));
        if !wanted {
            world.note("listing-dropped", "");
        }
        let _ = ended.write(end).await;
    });
    Ok((lines, said, ending))
}

/// All that is printed, what could not be listed, and how it ends.
fn printed(world: &World, selection: &Selection) -> (Vec<u8>, Vec<Trouble>, Result<(), Failure>) {
    let (mut items, mut troubles) = (Vec::new(), Vec::new());
    let mut end = match &selection.files {
        Some(files) => look_up(world, files, &mut items),
        None => walk(world, selection, &mut items, &mut troubles),
    };
    let mut lines: Vec<_> =
        items.iter().map(|item| line(world, selection, item).into_bytes()).collect();
    let mut goes_on = false;
    for fault in &world.scenario.faults {
        match fault {
            Fault::Lines(more) if selection.files.is_none() => {
                lines.extend(more.iter().map(|line| line.to_vec()));
            }
            Fault::EndlessLine | Fault::EndlessListing | Fault::MadeUp(_) => goes_on = true,
            Fault::ListingEnds(reason) => {
                let number = world.counted("list") - 1;
                let reason = reason.unwrap_or(Reason::ALL[number % Reason::ALL.len()]);
                end = Err(failure(reason, "the listing failed: run it again"));
            }
            _ => {}
        }
    }
    // rclone ends a line only when there is another.
    let mut text = [b"[\n", lines.join(&b",\n"[..]).as_slice()].concat();
    if goes_on {
        text.extend(if lines.is_empty() { &b""[..] } else { b",\n" });
    } else if end.is_ok() && troubles.is_empty() && !world.has(&Fault::NoBracket) {
        text.extend(if lines.is_empty() { &b"]\n"[..] } else { b"\n]\n" });
    }
    for fault in &world.scenario.faults {
        match fault {
            Fault::After(more) => text.extend(more.bytes()),
            Fault::ListingBreaks(at) => text.truncate(*at),
            _ => {}
        }
    }
    (text, troubles, end)
}

/// Goes through the directories as rclone does: what lies in one comes together, and
/// then what lies in those below it.
fn walk(
    world: &World,
    selection: &Selection,
    items: &mut Vec<Item>,
    troubles: &mut Vec<Trouble>,
) -> Result<(), Failure> {
    let top = match selection.directory.as_str() {
        "" => String::new(),
        directory => format!("{directory}/"),
    };
    let mut left = VecDeque::from([selection.directory.clone()]);
    while let Some(directory) = left.pop_front() {
        let trouble = world.fault(|fault| match fault {
            Fault::Trouble(path, reason) if *path == directory => Some(*reason),
            _ => None,
        });
        if let Some(reason) = trouble {
            let failure = failure(reason, format!("`{directory}` can't be listed"));
            troubles.push(Trouble { path: directory, failure });
            continue;
        }
        for item in remote::entries(world, &directory)? {
            let path = item.path.strip_prefix(&top).unwrap_or(&item.path).to_owned();
            if item.directory && selection.excluded.contains(&path) {
                continue;
            }
            if item.directory && selection.recursive {
                left.push_back(item.path.clone());
            }
            items.push(Item { path, ..item });
        }
    }
    Ok(())
}

/// Looks single files up; those that aren't there are left out.
fn look_up(world: &World, files: &[String], items: &mut Vec<Item>) -> Result<(), Failure> {
    for path in files {
        sound(path)?;
        world.note("look-up", path);
        let refused = world.fault(|fault| match fault {
            Fault::NoLookUp(refused, reason) if refused == path => Some(*reason),
            _ => None,
        });
        if let Some(reason) = refused {
            return Err(failure(reason, format!("`{path}` can't be looked up")));
        }
        let removed = |fault: &Fault| matches!(fault, Fault::Removed(gone) if gone == path);
        if world.scenario.faults.iter().any(removed) {
            continue;
        }
        items.extend(remote::file(world, path));
    }
    Ok(())
}

/// One line, as Go prints it.
fn line(
    world: &World,
    selection: &Selection,
    Item { path, size, modified, directory, id }: &Item,
) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let costly = COSTLY_TIMES.contains(&world.scenario.backend);
    let servers = costly && selection.server_times && !directory;
    let modified = if servers { SERVERS } else { *modified };
    let mut line = format!(
        r#"{{"Path":{},"Name":{},"Size":{size},"ModTime":"{}","IsDir":{directory}"#,
        quoted(path),
        quoted(name),
        time(modified),
    );
    if selection.hashes && !directory {
        let hash = u64::try_from(*size).unwrap_or_default() ^ modified.0;
        let _ = write!(line, r#","Hashes":{{"md5":"{hash:032x}"}}"#);
    }
    if !id.is_empty() {
        let _ = write!(line, r#","ID":{}"#, quoted(id));
    }
    line + "}"
}

/// RFC 3339 with nanoseconds, in a time zone that isn't UTC.
fn time((seconds, nanoseconds): Time) -> String {
    let there = i64::try_from(seconds).unwrap_or_default() + 2 * 3600;
    let time = jiff::Timestamp::from_second(there).unwrap_or_default();
    format!("{}.{nanoseconds:09}+02:00", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// A text as Go's encoding/json writes it: what HTML and JavaScript could misread is
/// escaped, too.
fn quoted(text: &str) -> String {
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

/// Prints it in the pieces that the scenario wants; says whether all was taken.
async fn print(
    world: &Rc<World>,
    number: usize,
    text: Vec<u8>,
    mut output: StreamWriter<u8>,
) -> bool {
    let mut cuts = Vec::new();
    let mut endless = None;
    let mut made_up = 0;
    for fault in &world.scenario.faults {
        match fault {
            Fault::CutFurtherEachTime => cuts.push(number.min(text.len())),
            Fault::Pieces(size) => cuts.extend((0..text.len()).step_by(*size).skip(1)),
            Fault::MadeUp(count) => made_up = *count,
            Fault::EndlessLine => endless = Some(vec![b'x'; PIECE]),
            Fault::EndlessListing => made_up = usize::MAX,
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
    for from in (0..made_up).step_by(1000) {
        let lines = (from..made_up.min(from + 1000)).map(made_up_line).collect::<String>();
        if !output.write_all(lines.into_bytes()).await.is_empty() {
            return false;
        }
    }
    if made_up > 0 {
        output.write_all(b"]\n".to_vec()).await;
    }
    while let Some(piece) = &endless {
        if !output.write_all(piece.clone()).await.is_empty() {
            return false;
        }
    }
    true
}

fn made_up_line(number: usize) -> String {
    let name = format!("file-{number:09}");
    format!(
        "{{\"Path\":\"{name}\",\"Name\":\"{name}\",\"Size\":{},\"ModTime\":\"{}\",\"IsDir\":false}},\n",
        number % 1000,
        time((1_000_000_000 + number as u64, 0)),
    )
}
