//! Which remote `plakbox doctor` looks at, and how Plakar would name it.

use std::io::{IsTerminal, Read, stdin};

use crate::connector::{Failure, Reason};
use crate::rclone::remote::ini::Section;
use crate::rclone::remote::user_config;
use crate::rclone::remote::{Remote, Said};

/// A configuration of one remote is never longer.
const LONGEST: u64 = 1 << 20;

/// What a person asks about.
pub enum Patient {
    /// A remote of the user's own rclone.conf.
    Users { name: String, path: String },
    /// A remote whose configuration came on stdin.
    Shown { name: String, section: Section },
}

impl Patient {
    pub fn of(argument: Option<String>) -> Result<Self, Failure> {
        let wrong = |message: &str| Failure::new(Reason::InvalidConfiguration, message);
        if let Some(argument) = argument {
            let Some((name, path)) = argument.split_once(':') else {
                return Err(wrong(&format!("`{argument}` names no remote: say NAME:path")));
            };
            return Ok(Self::Users { name: name.to_owned(), path: path.to_owned() });
        }
        if stdin().is_terminal() {
            return Err(wrong(
                "no remote is named: run `plakbox doctor NAME:` or `rclone config show NAME | plakbox doctor`",
            ));
        }
        let mut text = String::new();
        let read = stdin().take(LONGEST).read_to_string(&mut text);
        read.map_err(|error| wrong(&format!("stdin can't be read: {error}")))?;
        let (name, section) = user_config::shown(&text)?;
        Ok(Self::Shown { name, section })
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Users { name, .. } | Self::Shown { name, .. } => name,
        }
    }

    pub fn path(&self) -> &str {
        match self {
            Self::Users { path, .. } => path,
            Self::Shown { .. } => "",
        }
    }

    /// The remote at a path, as Plakar would name it.
    pub fn said(&self, path: &str) -> Said {
        let (location, options) = match self {
            Self::Users { name, .. } => (format!("rclone://{name}:{path}"), None),
            Self::Shown { section, .. } => (format!("rclone://{path}"), Some(section)),
        };
        let options = options.into_iter().flatten();
        let config = options
            .map(|(key, value)| (format!("rclone_{key}"), value.clone()))
            .chain([("location".to_owned(), location)])
            .collect();
        let directory = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
        Said { config, hostname: String::new(), directory }
    }

    pub fn remote(&self) -> Result<Remote, Failure> {
        Ok(Remote::from_plakar(self.said(self.path()))?.0)
    }
}
