//! Steps of a session of a store.

use futures::FutureExt;
use futures::future::{LocalBoxFuture, join_all};
use scenarios::store::{CONFIGURATION, End, Kind, Object, Step};
use scenarios::tree;
use scenarios::{Check, Failure, Scenario};
use std::fs;
use std::path::{Path, PathBuf};

use crate::bindings::plakar::connector::store::{self, ObjectKind, Range};
use crate::bindings::wasi::clocks::monotonic_clock::wait_for;
use crate::contents::{content, read_all};

/// Interval between two reads of the calls, in nanoseconds.
const POLL_INTERVAL_NS: u64 = 2_000_000;

/// Session of a store.
struct Session<'a> {
    scenario: &'a Scenario,
    /// Directory of the store's root.
    root: PathBuf,
    /// File with the calls of the fake rclone.
    calls: PathBuf,
}

/// Runs steps, one after the other. A session that doesn't begin with it is opened first.
pub async fn run(scenario: &Scenario, steps: &[Step], place: &Path) -> Vec<Check> {
    let root = place.join("remote").join(scenario.root);
    let session = Session { scenario, root, calls: place.join("calls") };
    let mut checks = Vec::new();
    if !matches!(steps.first(), Some(Step::Open(_))) {
        checks.extend(session.step(&Step::Open(Ok(()))).await);
    }
    for step in steps {
        checks.extend(session.step(step).await);
    }
    checks
}

/// Checks how a call ended.
fn end<T>(what: &str, promised: &End, seen: Result<T, Failure>) -> Check {
    let seen = seen.map(drop);
    let check = Check::end(what, promised.map_err(|(reason, _)| reason), &seen);
    match (promised, &seen) {
        (Err((_, part)), Err(failure)) if !failure.text().contains(part) => {
            Check::that(format!("{what} says `{part}`"), false, failure.text())
        }
        _ => check,
    }
}

fn kind(kind: Kind) -> ObjectKind {
    match kind {
        Kind::Packfile => ObjectKind::Packfile,
        Kind::State => ObjectKind::State,
        Kind::Lock => ObjectKind::Lock,
    }
}

fn named(object: &Object) -> String {
    format!("{:?} {}", object.kind, object.number)
}

impl Session<'_> {
    fn step<'a>(&'a self, step: &'a Step) -> LocalBoxFuture<'a, Vec<Check>> {
        async move {
            match step {
                Step::AtOnce(steps) => join_all(steps.iter().map(|step| self.step(step)))
                    .await
                    .into_iter()
                    .flatten()
                    .collect(),
                Step::InTurn(steps) => {
                    let mut checks = Vec::new();
                    for step in steps {
                        checks.extend(self.step(step).await);
                    }
                    checks
                }
                Step::List(listed, expected) => self.list(*listed, expected).await,
                Step::Until(begin) => {
                    while !self.log().lines().any(|line| line.starts_with(begin)) {
                        wait_for(POLL_INTERVAL_NS).await;
                    }
                    Vec::new()
                }
                step => vec![self.one(step).await],
            }
        }
        .boxed_local()
    }

    /// Runs a step with one check.
    async fn one(&self, step: &Step) -> Check {
        match step {
            Step::Open(promised) => {
                let opened = store::open(self.scenario.granted_remote()).await;
                end("opening", promised, opened)
            }
            Step::Ping(promised) => end("a ping", promised, store::ping().await),
            Step::Create(promised) => {
                let created = store::create(CONFIGURATION.to_vec()).await;
                end("the creation", promised, created)
            }
            Step::Configuration(promised) => {
                let read = store::configuration().await;
                match read {
                    Ok(read) if read != CONFIGURATION => {
                        Check::that("the configuration is the store's", false, "it is another")
                    }
                    read => end("the configuration", promised, read),
                }
            }
            Step::Size(size) => {
                let seen = store::size().await;
                let same = seen.as_ref().is_ok_and(|seen| seen == size);
                Check::that(format!("the store has {size} bytes"), same, format!("{seen:?}"))
            }
            Step::ListFails(listed, reason, part) => {
                let seen = store::list(kind(*listed)).await;
                end("the listing", &Err((*reason, *part)), seen)
            }
            Step::Finish(promised) => end("the end", promised, store::finish().await),
            step => self.one_of_an_object(step).await,
        }
    }

    /// Runs a step that is about one object, or about the remote.
    async fn one_of_an_object(&self, step: &Step) -> Check {
        match step {
            Step::Put(object, promised) => {
                let bytes = object.bytes_to(object.size);
                let put = store::put(kind(object.kind), object.name(), content(bytes, false));
                let size = put.await;
                let what = format!("the upload of {}", named(object));
                match size {
                    Ok(size) if size != object.size as u64 => {
                        Check::that(what + " tells its size", false, size.to_string())
                    }
                    size => end(&what, promised, size),
                }
            }
            Step::PutBroken(object) => {
                let bytes = object.bytes_to(object.size / 2);
                let put = store::put(kind(object.kind), object.name(), content(bytes, true));
                let put = put.await;
                let promised = Err((scenarios::Reason::Cancelled, "plakar ended the stream"));
                end("an upload whose content fails", &promised, put)
            }
            Step::Get(object, promised) => self.get(object, None, promised).await,
            Step::GetRange(object, offset, length, promised) => {
                self.get(object, Some((*offset, *length)), promised).await
            }
            Step::Delete(object, promised) => {
                let deleted = store::delete(kind(object.kind), object.name()).await;
                end(&format!("the removal of {}", named(object)), promised, deleted)
            }
            step => self.remote_step(step),
        }
    }

    async fn get(&self, object: &Object, range: Option<(u64, u64)>, promised: &End) -> Check {
        let what = match range {
            Some((offset, length)) => format!("{} from {offset} on, {length}", named(object)),
            None => named(object),
        };
        let asked = range.map(|(offset, length)| Range { offset, length });
        let got = store::get(kind(object.kind), object.name(), asked).await;
        let read = read_all(got).await;
        let expected = |(offset, length): (u64, u64)| {
            let (from, to) = (offset, offset + length);
            object.bytes_to(usize::try_from(to).unwrap()).split_off(usize::try_from(from).unwrap())
        };
        match read {
            Ok(read) if promised.is_ok() => {
                let same = read == expected(range.unwrap_or((0, object.size as u64)));
                Check::that(format!("{what} has its bytes"), same, format!("{} bytes", read.len()))
            }
            read => end(&format!("the read of {what}"), promised, read),
        }
    }

    async fn list(&self, listed: Kind, expected: &[Object]) -> Vec<Check> {
        let seen = store::list(kind(listed)).await;
        let mut checks = vec![end("the listing", &Ok(()), seen.as_ref().map_err(Clone::clone))];
        if let Ok(mut seen) = seen {
            let mut names: Vec<_> = expected.iter().map(|object| object.name()).collect();
            names.sort_unstable();
            seen.sort_unstable();
            let error = format!("{} instead of {}", seen.len(), names.len());
            checks.push(Check::that(format!("each {listed:?} is listed"), seen == names, error));
        }
        checks
    }

    /// Runs a step that doesn't call the store.
    fn remote_step(&self, step: &Step) -> Check {
        match step {
            Step::Write(node) => {
                let written = tree::put(&self.root, node);
                Check::that("a file is written", written.is_ok(), format!("{written:?}"))
            }
            Step::Remove(path) => {
                let removed = fs::remove_file(self.root.join(path));
                Check::that("a file is removed", removed.is_ok(), format!("{removed:?}"))
            }
            Step::Has(path, size) => {
                let seen = tree::entry(&self.root, path).ok().and_then(|entry| entry.size);
                let same = seen == size.map(|size| size as u64);
                Check::that(format!("`{path}` has {size:?} bytes"), same, format!("{seen:?}"))
            }
            Step::Calls(begin, times) => {
                let count = self.log().lines().filter(|line| line.starts_with(begin)).count();
                let promise = format!("`{begin}` is called {times:?} times");
                Check::that(promise, times.contains(&count), format!("{count} times"))
            }
            Step::InOrder(first, second) => {
                let log = self.log();
                let position = |begin: &str| log.lines().position(|line| line.starts_with(begin));
                let same = position(first)
                    .zip(position(second))
                    .is_some_and(|(first, second)| first < second);
                Check::that(format!("`{first}` is before `{second}`"), same, "it isn't")
            }
            step => Check::that("the driver knows the step", false, format!("{step:?}")),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.calls).unwrap_or_default()
    }
}
