//! Plakar's sources and destinations, read and changed by Plakar's own commands. Secrets pass
//! through pipes, and Plakar's files are left to Plakar.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::connector::Failure;

/// The options of a source or destination.
pub type Options = BTreeMap<String, String>;

/// The two kinds of configuration that Plakar has for a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Source,
    Destination,
}

impl Kind {
    /// Returns the word for it in Plakar's commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// The Plakar in `PATH`.
pub struct Plakar {
    /// The configuration directory, if not the default one.
    pub config: Option<PathBuf>,
}

impl Plakar {
    /// Returns the options of a source or destination, if there is one of this name.
    ///
    /// # Errors
    ///
    /// Fails if Plakar can't be run, or prints something unexpected.
    pub fn options(&self, kind: Kind, name: &str) -> Result<Option<Options>, Failure> {
        let output = self.run(&[kind.name(), "show", "-secrets", "-json"], &[])?;
        // One document for each.
        let documents = serde_json::Deserializer::from_slice(&output.stdout);
        for document in documents.into_iter::<BTreeMap<String, Options>>() {
            let mut document = document.map_err(|_| {
                Failure::invalid_config(format!(
                    "`plakar {} show -json` printed something that version 1.1 doesn't",
                    kind.name()
                ))
                .with_help("install plakar 1.1")
            })?;
            if let Some(options) = document.remove(name) {
                return Ok(Some(options));
            }
        }
        Ok(None)
    }

    /// Replaces the options of a source or destination.
    ///
    /// # Errors
    ///
    /// Fails if Plakar can't be run, or keeps other options than it was given.
    pub fn set(&self, kind: Kind, name: &str, options: &Options) -> Result<(), Failure> {
        // Plakar keeps no empty values.
        let mut options = options.clone();
        options.retain(|_, value| !value.is_empty());
        let text = serde_json::json!({ name: options });
        self.run(&[kind.name(), "import", "-overwrite"], text.to_string().as_bytes())?;
        if self.options(kind, name)? == Some(options) {
            return Ok(());
        }
        Err(Failure::invalid_config(format!(
            "plakar took other options for the {} `{name}` than it was given",
            kind.name()
        ))
        .with_help(format!("look at `plakar {} show {name}`", kind.name())))
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Output, Failure> {
        let config = self.config.iter().flat_map(|it| [OsString::from("-config"), it.into()]);
        let mut command = Command::new("plakar");
        command.args(config).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ran = command.spawn().and_then(|mut child| {
            // Plakar reads all of its input before it prints anything; if it exits before, stderr
            // has the reason.
            let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
            match written {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
                _ => child.wait_with_output(),
            }
        });
        let line = arguments.join(" ");
        let output = ran.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Failure::invalid_config("plakar was not found in PATH").with_help("put it there")
            }
            _ => Failure::invalid_config(format!("`plakar {line}` can't be run: {error}")),
        })?;
        if output.status.success() {
            return Ok(output);
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let reason = stderr.lines().last().unwrap_or_default();
        Err(Failure::invalid_config(format!(
            "`plakar {line}` ended with {}: {reason}",
            output.status
        )))
    }
}
