//! What Plakar knows of sources and destinations, asked and changed by its own commands:
//! secrets pass through pipes, and its files are its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::connector::{Failure, Reason};

/// The options of a source or destination.
pub type Options = BTreeMap<String, String>;

/// What Plakar keeps apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Source,
    Destination,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// The Plakar in `PATH`.
pub struct Plakar {
    /// Its configuration, if not the usual one.
    pub config: Option<PathBuf>,
}

fn failed(what: String) -> Failure {
    Failure::new(Reason::InvalidConfiguration, what)
}

impl Plakar {
    /// The options of a source or destination, if there is one of this name.
    pub fn options(&self, kind: Kind, name: &str) -> Result<Option<Options>, Failure> {
        let output = self.run(&[kind.name(), "show", "-secrets", "-json"], &[])?;
        // One document for each.
        let shown = serde_json::Deserializer::from_slice(&output.stdout);
        for document in shown.into_iter::<BTreeMap<String, Options>>() {
            let mut document = document.map_err(|_| {
                failed(format!("`plakar {} show -json` printed what it doesn't as version 1.1: install plakar 1.1", kind.name()))
            })?;
            if let Some(options) = document.remove(name) {
                return Ok(Some(options));
            }
        }
        Ok(None)
    }

    /// Replaces the options of a source or destination.
    pub fn set(&self, kind: Kind, name: &str, options: &Options) -> Result<(), Failure> {
        // Plakar keeps no empty values.
        let mut options = options.clone();
        options.retain(|_, value| !value.is_empty());
        let text = serde_json::json!({ name: options });
        self.run(&[kind.name(), "import", "-overwrite"], text.to_string().as_bytes())?;
        if self.options(kind, name)? == Some(options) {
            return Ok(());
        }
        Err(failed(format!(
            "plakar took other options for the {0} `{name}` than it was given: look at `plakar {0} show {name}`",
            kind.name()
        )))
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Output, Failure> {
        let config = self.config.iter().flat_map(|it| [OsString::from("-config"), it.into()]);
        let mut command = Command::new("plakar");
        command.args(config).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ran = command.spawn().and_then(|mut child| {
            // It reads all of its input before it says anything; one that ends before says why.
            let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
            match written {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
                _ => child.wait_with_output(),
            }
        });
        let line = arguments.join(" ");
        let output = ran.map_err(|error| match error.kind() {
            ErrorKind::NotFound => failed("plakar was not found in PATH: put it there".to_owned()),
            _ => failed(format!("`plakar {line}` can't be run: {error}")),
        })?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().last().unwrap_or_default();
        Err(failed(format!("`plakar {line}` ended with {}: {said}", output.status)))
    }
}
