//! Nothing is silently shorter: what rclone leaves out of a listing is an error of its path
//! or of the run, and nothing at a restore's destination is lost that isn't replaced by an
//! entry of exactly its name.

mod directories;
mod omissions;
mod restores;
mod servers;
mod table;
mod wrappers;

use plakbox_tests::Run;

/// The line of a run that says that this path failed.
#[track_caller]
fn failed<'a>(run: &'a Run, path: &str) -> &'a str {
    let line = run.text.lines().find(|line| line.contains("KO") && line.contains(path));
    line.unwrap_or_else(|| panic!("`{path}` didn't fail:\n{}", run.text))
}
