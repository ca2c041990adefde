//! The command line: a file for each subcommand, with its arguments and its execution.
//!
//! - [`ls`], [`cat`]: list and print a remote of the user's rclone.conf through the connector
//! - [`doctor`]: checks a remote
//! - [`renew`]: brings a reconnected remote into Plakar
//! - [`inspect`], [`compile`]: look into a component, compile it ahead
//! - [`policy`], [`audit`]: check and explain policy files, show audit logs
//! - [`client`]: Plakar's plugins, and their relay to a service
//! - [`serve`], [`sessions`]: run a service, look into one
//! - [`help`]: explains commands
//! - [`remote`]: sessions on remotes of the user's rclone.conf

mod audit;
mod cat;
mod client;
mod compile;
mod doctor;
mod help;
mod inspect;
mod ls;
mod policy;
mod remote;
mod renew;
mod serve;
mod sessions;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::direction::Direction;
use crate::invocation;
use crate::logging;
use crate::session::SessionContext;
use crate::terminal::escape;

/// Backs up and restores every rclone remote with Plakar, from inside a sandbox.
///
/// plakbox is a plugin of the backup tool Plakar: `plakar pkg add` installs it, and
/// Plakar starts it by itself. The connector is a WebAssembly component that can
/// run rclone on one remote and do nothing else. The commands `ls` and `cat` try
/// it by hand, on the remotes of your rclone.conf; `doctor` says what is wrong with one,
/// and `renew` brings a reconnected one into Plakar.
#[derive(Parser)]
#[command(version, about, long_about, after_help = ENVIRONMENT, disable_help_subcommand = true)]
struct Arguments {
    /// The connector, if not PROTOCOL.wasm next to this program (rclone.wasm by hand).
    #[arg(long, global = true, value_name = "FILE")]
    component: Option<PathBuf>,
    /// A policy in addition to those in force, which it can only narrow.
    #[arg(long, global = true, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const ENVIRONMENT: &str = "Environment:
  PLAKBOX_RCLONE  the rclone to run, if not the one in PATH (1.70 or later)
  PLAKBOX_STATE   where refreshed tokens are kept, if not in ~/.local/state/plakbox
  PLAKBOX_POLICY  a policy of your own, if not ~/.config/plakbox/policy.toml
  PLAKBOX_CONNECT the file that names a service, if not /etc/plakbox/connect.toml
  PLAKBOX_LOG     what to log on stderr: error, warn, info, debug (warn)";

#[derive(Subcommand)]
enum Command {
    Ls(ls::Args),
    Cat(cat::Args),
    Doctor(doctor::Args),
    Renew(renew::Args),
    Help(help::Args),
    /// Checks a policy file, and explains what it allows
    #[command(subcommand)]
    Policy(policy::Command),
    /// Shows what sessions did
    #[command(subcommand)]
    Audit(audit::Command),
    Inspect(inspect::Args),
    Compile(compile::Args),
    /// Plakar's source connector: started by Plakar, speaks on stdin and stdout
    Importer,
    /// Plakar's destination connector: started by Plakar, speaks on stdin and stdout
    Exporter,
    /// Plakar's storage connector: started by Plakar, speaks on stdin and stdout
    Storage,
    Serve(serve::Args),
    Client(client::Args),
    Sessions(sessions::Args),
}

impl Command {
    fn is_service(&self) -> bool {
        matches!(self, Self::Serve(_))
    }

    fn is_plugin(&self) -> bool {
        matches!(self, Self::Importer | Self::Exporter | Self::Storage)
    }

    fn exec(self, context: SessionContext) -> anyhow::Result<()> {
        match self {
            Self::Ls(args) => block_on(args.exec(&context)),
            Self::Cat(args) => block_on(args.exec(&context)),
            Self::Doctor(args) => block_on(args.exec(&context)),
            Self::Renew(args) => block_on(async { args.exec() }),
            Self::Help(args) => args.exec(Arguments::command()),
            Self::Policy(command) => command.exec(),
            Self::Audit(command) => command.exec(),
            Self::Inspect(args) => args.exec(),
            Self::Compile(args) => args.exec(),
            Self::Importer => {
                block_on(client::plugin(Direction::Backup, context, CancellationToken::new()))
            }
            Self::Exporter => {
                block_on(client::plugin(Direction::Restore, context, CancellationToken::new()))
            }
            Self::Storage => {
                block_on_finish(|stop| client::plugin(Direction::Store, context, stop))
            }
            Self::Serve(args) => args.exec(),
            Self::Client(args) => block_on(args.exec()),
            Self::Sessions(args) => block_on(args.exec()),
        }
    }
}

/// Runs the command line of this process, and returns its exit code.
pub fn run() -> ExitCode {
    let Arguments { component, policy, command } = Arguments::parse();
    let (is_service, is_plugin) = (command.is_service(), command.is_plugin());
    if is_service {
        invocation::use_plain_name();
    }
    logging::start(is_service);
    match command.exec(SessionContext { component, policy, client: None }) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output has enough of it, as `head` has.
        Err(error) if logging::is_broken_pipe(&error) => ExitCode::SUCCESS,
        // Plakar itself has ended, or was stopped, and reports that.
        Err(error) if is_plugin && error.is::<Stopped>() => ExitCode::FAILURE,
        Err(error) => {
            let message = format!("{error:#}");
            eprintln!("plakbox: {}", escape(&invocation::with_command(&message)));
            ExitCode::FAILURE
        }
    }
}

/// Runs a command on a runtime of its own until it is done or a signal stops it.
fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    // Dropping the runtime ends every process and removes every private file.
    runtime()?.block_on(async {
        tokio::select! {
            result = command => result,
            result = shutdown_signal() => result,
        }
    })
}

/// Runs a command on a runtime of its own until it is done. A signal asks it to end, which may
/// take it some time.
fn block_on_finish<F: Future<Output = anyhow::Result<()>>>(
    command: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let mut command = pin!(command(stop.clone()));
        tokio::select! {
            result = &mut command => result,
            stopped = shutdown_signal() => {
                stop.cancel();
                // A connection that is cut ends with an error.
                let _ = command.await;
                stopped
            }
        }
    })
}

/// Starts a runtime of one thread: the work is passing bytes on, and waking another thread
/// for each chunk costs more than it gains next to Plakar and rclone, which have theirs.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime doesn't start")
}

/// Waits for a signal that asks this program to end.
async fn shutdown_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
    Err(Stopped.into())
}

/// The error of a command that a signal stopped.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stopped;

/// Prints lines that may contain text from elsewhere.
fn print_lines(lines: &[String]) -> anyhow::Result<()> {
    let mut output = stdout().lock();
    for line in lines {
        writeln!(output, "{}", escape(line))?;
    }
    Ok(())
}
