//! Starts processes from one thread that lives as long as this program.
//!
//! On Linux a child is killed when the *thread* that started it ends
//! (`PR_SET_PDEATHSIG`, see prctl(2)), so a thread of a pool won't do.

use std::io;
use std::sync::{OnceLock, mpsc};
use std::thread;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::confinement::{Confinement, Standing};

struct Order {
    command: Command,
    runtime: Handle,
    started: oneshot::Sender<io::Result<Child>>,
}

/// Starts `command`, confined, in a process group of its own, as others let it stand. It is
/// killed when this program ends, however it ends.
pub async fn spawn(
    mut command: Command,
    confinement: &Confinement,
    standing: Standing<'_>,
) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let orders = SPAWNER.get_or_init(|| {
        let (orders, received) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for Order { mut command, runtime, started } in received {
                let _entered = runtime.enter();
                // A caller that went away drops the child, which kills it.
                let _ = started.send(command.spawn());
            }
        });
        orders
    });
    command.process_group(0).kill_on_drop(true);
    die_with_us(&mut command);
    // After that: who is confined can't change it any more.
    confinement.confine(command.as_std_mut(), standing)?;
    let (started, child) = oneshot::channel();
    let order = Order { command, runtime: Handle::current(), started };
    orders.send(order).map_err(io::Error::other)?;
    child.await.map_err(io::Error::other)?
}

#[cfg(target_os = "linux")]
fn die_with_us(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
    let us = getpid();
    let confine = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // We may have died before that.
        if getppid() == Some(us) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    };
    // SAFETY: the closure only makes two system calls that are safe between fork
    // and exec (signal-safety(7)) and allocates nothing.
    unsafe { command.pre_exec(confine) };
}

#[cfg(not(target_os = "linux"))]
fn die_with_us(_: &mut Command) {}
