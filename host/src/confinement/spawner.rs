//! Starts processes from one thread that lives as long as this program.
//!
//! On Linux a child is killed when the *thread* that started it ends (`PR_SET_PDEATHSIG`, see
//! prctl(2)), so a thread of a pool doesn't work.

use std::io;
use std::sync::{OnceLock, mpsc};
use std::thread;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{Confinement, Scheduling};

struct SpawnRequest {
    command: Command,
    runtime: Handle,
    started: oneshot::Sender<io::Result<Child>>,
}

/// Starts `command`, confined, in a process group of its own. It is killed when this program ends,
/// for whatever reason.
///
/// # Errors
///
/// The program can't be started or confined.
pub async fn spawn(
    mut command: Command,
    confinement: &Confinement,
    scheduling: Scheduling<'_>,
) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<SpawnRequest>> = OnceLock::new();
    let requests = SPAWNER.get_or_init(|| {
        let (requests, received) = mpsc::channel::<SpawnRequest>();
        thread::spawn(move || {
            for SpawnRequest { mut command, runtime, started } in received {
                let _entered = runtime.enter();
                // If the caller is gone, this drops the child, which kills it.
                let _ = started.send(command.spawn());
            }
        });
        requests
    });
    command.process_group(0).kill_on_drop(true);
    kill_with_parent(&mut command);
    // A confined process couldn't set this any more.
    confinement.confine(command.as_std_mut(), scheduling)?;
    let (started, child) = oneshot::channel();
    let request = SpawnRequest { command, runtime: Handle::current(), started };
    requests.send(request).map_err(io::Error::other)?;
    child.await.map_err(io::Error::other)?
}

#[cfg(target_os = "linux")]
fn kill_with_parent(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
    let us = getpid();
    let confine = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // This program may have ended before.
        if getppid() == Some(us) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    };
    // SAFETY: the closure only makes two system calls that are safe between fork
    // and exec (signal-safety(7)) and allocates nothing.
    unsafe { command.pre_exec(confine) };
}

#[cfg(not(target_os = "linux"))]
fn kill_with_parent(_: &mut Command) {}
