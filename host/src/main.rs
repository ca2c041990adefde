//! `plakbox`: runs a sandboxed connector for Plakar.
//!
//! The rooms, each of which imports only from those above it:
//! - [`connector`]: the contract between a connector and its host
//! - [`kernel`], [`terminal`]: what the kernel counts and lets us do, text that is safe to show
//! - [`direction`]: backup or restore
//! - [`policy`]: what is allowed
//! - [`audit`]: the log of decisions, processes and sessions
//! - [`quota`]: limits that sessions share
//! - [`confinement`]: one process that has only what it was granted
//! - [`rclone`]: starts rclone, speaks to its pipes, keeps its secrets
//! - [`sandbox`]: runs the component that decides what is listed, read and written
//! - [`session`]: from a configuration to a running component
//! - [`mod@plugin`]: Plakar's plugin protocol
//! - [`service`]: the sessions of many tenants
//! - [`cli`]: the command line

mod audit;
mod cli;
mod confinement;
mod connector;
mod direction;
#[cfg(test)]
mod fuzzing;
mod kernel;
mod logging;
mod plugin;
mod policy;
mod quota;
mod rclone;
mod sandbox;
mod service;
mod session;
mod terminal;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use cli::{invocation, sessions};
use direction::Direction;
use service::client;
use session::open::Setting;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Each file costs some dozens of small allocations, which the system's makes slower.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// The connector, if not PROTOCOL.wasm beside this program (rclone.wasm by hand).
    #[arg(long, global = true, value_name = "FILE")]
    component: Option<PathBuf>,
    /// A policy beside those in force, which can only narrow them.
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
    /// Lists a remote of your rclone.conf through the connector
    Ls {
        /// NAME:path
        remote: String,
    },
    /// Prints a file of a remote of your rclone.conf through the connector
    Cat {
        /// NAME:path/file
        file: String,
    },
    /// Checks a remote and says what is wrong with it and how to mend that
    ///
    /// Looks at rclone, the remote's configuration and its token, and reaches the
    /// remote once. Ends with 1 if something is wrong. No secret is printed.
    ///
    /// It doesn't look at backups: `plakar backup` ends with 0 though paths have failed, and
    /// says `completed without errors` if none has.
    Doctor {
        /// NAME:path of your rclone.conf; without it, the configuration comes on stdin:
        /// rclone config show NAME | plakbox doctor
        remote: Option<String>,
    },
    /// Brings a remote that was reconnected in rclone into Plakar's source and destination
    ///
    /// Takes the token, and whatever else your rclone.conf says of the remote, into the source
    /// and the destination that were imported from it. Their `location` and all other options
    /// stay. No secret is printed.
    Renew {
        /// The remote's name in your rclone.conf
        name: String,
        /// What Plakar calls the source and the destination, if otherwise
        #[arg(long = "as", value_name = "NAME")]
        known_as: Option<String>,
        /// Takes what `rclone config dump` or `rclone config show NAME` prints, on stdin, in the
        /// place of rclone.conf
        #[arg(long)]
        stdin: bool,
        /// Where Plakar has its configuration, if not in ~/.config/plakar
        #[arg(long, value_name = "DIRECTORY")]
        config: Option<PathBuf>,
    },
    /// Explains a command, or Google Photos from `rclone config` to a restore (`google-photos`)
    Help { topic: Vec<String> },
    /// Checks a policy file, and explains what it allows
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Shows what sessions did
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Lists what a component imports and exports, and whether it would be run
    Inspect { component: PathBuf },
    /// Compiles a component ahead, so that it starts at once
    Compile {
        component: PathBuf,
        /// Where the code goes
        output: PathBuf,
    },
    /// Plakar's source connector: started by Plakar, speaks on stdin and stdout
    Importer,
    /// Plakar's destination connector: started by Plakar, speaks on stdin and stdout
    Exporter,
    /// Runs the sessions of many tenants, for clients that connect to it
    Serve {
        /// What the operator sets
        #[arg(default_value = "/etc/plakbox/service.toml")]
        file: PathBuf,
    },
    /// Lets a service be Plakar's plugin, as `importer` and `exporter` do by themselves where
    /// /etc/plakbox/connect.toml names one
    Connect {
        role: Direction,
        /// The file that names the service
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Lists the sessions of a service, or ends one
    Sessions {
        /// The socket that its file names for operations
        #[arg(long, default_value = "/run/plakbox/operations.sock")]
        socket: PathBuf,
        #[command(subcommand)]
        command: Option<SessionsCommand>,
    },
}

#[derive(Subcommand)]
enum SessionsCommand {
    /// A line for each session
    List,
    /// Ends a session
    Cancel { session: String },
}

#[derive(Subcommand)]
enum PolicyCommand {
    /// Says whether a policy file is sound, and names the place that isn't
    Check { file: PathBuf },
    /// Says what a policy file allows, or what one remote may do under it, and which lines say so
    Explain {
        file: PathBuf,
        /// NAME:path of your rclone.conf
        remote: Option<String>,
    },
    /// Prints the JSON schema of policy files
    Schema,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// A line for each decision in an audit log, and what came of it
    Show { file: PathBuf },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is_service = matches!(arguments.command, Command::Serve { .. });
    let is_plugin = matches!(arguments.command, Command::Importer | Command::Exporter);
    if is_service {
        invocation::is_a_service();
    }
    logging::start(is_service);
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whatever reads our output has enough of it, as `head` has.
        Err(error) if logging::is_broken_pipe(&error) => ExitCode::SUCCESS,
        // Plakar itself has ended, or was stopped, and says so.
        Err(error) if is_plugin && error.is::<Stopped>() => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("plakbox: {}", terminal::escape(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let setting =
        Setting { component: arguments.component, policy: arguments.policy, client: None };
    // Threads have rights of their own: there is only this one as yet.
    let prepared = match &arguments.command {
        Command::Serve { file } => Some((file.clone(), service::prepare(file)?)),
        _ => None,
    };
    // One thread: the work is passing bytes on, and waking another thread for each
    // piece costs more than it gains beside Plakar and rclone, which have theirs.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime doesn't start")?;
    // Dropping the runtime ends every process and removes every private file.
    runtime.block_on(async {
        if let Some((file, start)) = prepared {
            return service::serve(&file, start).await;
        }
        tokio::select! {
            result = command(arguments.command, &setting) => result,
            result = told_to_stop() => result,
        }
    })
}

async fn command(command: Command, setting: &Setting) -> anyhow::Result<()> {
    match command {
        Command::Ls { remote } => cli::list(&remote, setting).await,
        Command::Cat { file } => cli::print(&file, setting).await,
        Command::Doctor { remote } => cli::doctor::examine(remote, setting).await,
        Command::Renew { name, known_as, stdin, config } => {
            cli::renew::renew(&name, known_as.as_deref(), stdin, config)
        }
        Command::Help { topic } => cli::help::explain(&topic, Arguments::command()),
        Command::Policy(PolicyCommand::Check { file }) => cli::policy::check(&file),
        Command::Policy(PolicyCommand::Explain { file, remote }) => {
            cli::policy::explain(&file, remote.as_deref())
        }
        Command::Policy(PolicyCommand::Schema) => cli::policy::print_schema(),
        Command::Audit(AuditCommand::Show { file }) => cli::audit::show(&file),
        Command::Inspect { component } => cli::inspect(&component),
        Command::Compile { component, output } => cli::compile(&component, &output),
        Command::Importer => plugin(Direction::Backup, setting).await,
        Command::Exporter => plugin(Direction::Restore, setting).await,
        Command::Connect { role, to: Some(file) } => {
            client::relay(role, client::Target::read(&file)).await
        }
        Command::Connect { role, to: None } => match client::named().transpose() {
            Some(target) => client::relay(role, target).await,
            None => anyhow::bail!("no service is named: use --to FILE"),
        },
        Command::Sessions { socket, command: None | Some(SessionsCommand::List) } => {
            sessions::list(&socket).await
        }
        Command::Sessions { socket, command: Some(SessionsCommand::Cancel { session }) } => {
            sessions::cancel(&socket, &session).await
        }
        // It has its own way to be told to stop.
        Command::Serve { .. } => Ok(()),
    }
}

/// Is Plakar's plugin, or lets the service be it that the operator has named.
async fn plugin(role: Direction, setting: &Setting) -> anyhow::Result<()> {
    match client::named().transpose() {
        Some(target) => client::relay(role, target).await,
        None => plugin::serve_stdio(role, setting.clone()).await,
    }
}

/// Returns when somebody wants this program to end.
async fn told_to_stop() -> anyhow::Result<()> {
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

/// A signal asked this program to end.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stopped;
