//! The remote that `plakbox doctor` checks, and how Plakar would describe it.

use std::io::{IsTerminal, Read, stdin};

use crate::cli::remote;
use crate::connector::Failure;
use crate::rclone::remote::Remote;
use crate::rclone::remote::ini::Section;
use crate::rclone::remote::user_config;
use crate::session::RemoteSpec;

/// The largest configuration that is read from stdin, in bytes.
const MAX_STDIN_BYTES: u64 = 1 << 20;

/// The remote that is checked.
pub enum Target {
    /// A remote of the user's own rclone.conf.
    UserConfig { name: String, path: String },
    /// A remote whose configuration came on stdin.
    Stdin { name: String, section: Section },
}

impl Target {
    /// Makes the target of the command's argument, or of the configuration on stdin.
    ///
    /// # Errors
    ///
    /// Fails if neither names a remote.
    pub fn new(argument: Option<String>) -> Result<Self, Failure> {
        if let Some(argument) = argument {
            let Some((name, path)) = argument.split_once(':') else {
                return Err(Failure::invalid_config(format!("`{argument}` names no remote"))
                    .with_help("use NAME:path"));
            };
            return Ok(Self::UserConfig { name: name.to_owned(), path: path.to_owned() });
        }
        if stdin().is_terminal() {
            return Err(Failure::invalid_config("no remote is named").with_help(
                "run `plakbox doctor NAME:` or `rclone config show NAME | plakbox doctor`",
            ));
        }
        let mut text = String::new();
        let read = stdin().take(MAX_STDIN_BYTES).read_to_string(&mut text);
        read.map_err(|error| Failure::invalid_config(format!("stdin can't be read: {error}")))?;
        let (name, section) = user_config::parse_shown(&text)?;
        Ok(Self::Stdin { name, section })
    }

    /// Returns the remote's name.
    pub fn name(&self) -> &str {
        match self {
            Self::UserConfig { name, .. } | Self::Stdin { name, .. } => name,
        }
    }

    /// Returns the path inside the remote.
    pub fn path(&self) -> &str {
        match self {
            Self::UserConfig { path, .. } => path,
            Self::Stdin { .. } => "",
        }
    }

    /// Returns whether the configuration came on stdin.
    pub fn is_stdin(&self) -> bool {
        matches!(self, Self::Stdin { .. })
    }

    /// Describes the remote at a path as Plakar would.
    pub fn spec(&self, path: &str) -> RemoteSpec {
        match self {
            Self::UserConfig { name, .. } => remote::spec(format!("rclone://{name}:{path}")),
            Self::Stdin { section, .. } => {
                let options = section.iter();
                let options = options.map(|(key, value)| (format!("rclone_{key}"), value.clone()));
                let location = ("location".to_owned(), format!("rclone://{path}"));
                remote::with_options(options.chain([location]).collect())
            }
        }
    }

    /// Reads the remote's configuration.
    ///
    /// # Errors
    ///
    /// Fails if the remote is not configured, or its configuration is invalid.
    pub fn remote(&self) -> Result<Remote, Failure> {
        Ok(Remote::from_plakar(self.spec(self.path()))?.0)
    }
}
