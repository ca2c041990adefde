//! Which policy files are in force: the system's always, and what whoever started this
//! program says beside it.

use std::env;
use std::path::{Path, PathBuf};

use super::file::Written;
use crate::connector::Failure;

/// The policy of whoever runs this machine. Another place is chosen when plakbox is built.
const SYSTEM: &str = match option_env!("PLAKBOX_SYSTEM_POLICY") {
    Some(path) => path,
    None => "/etc/plakbox/policy.toml",
};

/// Where a user's own policy is, if not below the directory of configurations.
const VARIABLE: &str = "PLAKBOX_POLICY";

/// Where policies may be.
struct Places {
    /// These are in force if they are there: the system's, and the user's own.
    system: PathBuf,
    own: Option<PathBuf>,
    /// Those that somebody named must be there.
    named: Vec<PathBuf>,
    /// The same of a tenant's.
    tenant: Option<PathBuf>,
}

impl Places {
    fn of_user(argument: Option<&Path>) -> Self {
        let configs = env::var_os("XDG_CONFIG_HOME")
            .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".config").into()));
        let usual = configs.map(|configs| Path::new(&configs).join("plakbox/policy.toml"));
        let variable = env::var_os(VARIABLE).map(PathBuf::from);
        let own = if variable.is_some() { None } else { usual };
        let named = argument.map(Path::to_owned).into_iter().chain(variable).collect();
        Self { system: SYSTEM.into(), own, named, tenant: None }
    }

    fn of_tenant(policy: &Path) -> Self {
        Self { system: SYSTEM.into(), own: None, named: vec![], tenant: Some(policy.to_owned()) }
    }

    /// Reads what is there. What can't be read allows nothing.
    fn read(&self) -> Result<Vec<Written>, Failure> {
        let system = if_there(&self.system)?;
        let named = self.named.iter().map(|path| Written::read(path));
        let named = named.collect::<Result<Vec<_>, _>>()?;
        let tenant = self.tenant.as_deref().map(Written::read).transpose()?;
        let tenant = tenant.map(Written::of_tenant);
        let own = self.own.as_deref().map(if_there).transpose()?.flatten();
        Ok(system.into_iter().chain(named).chain(tenant).chain(own).collect())
    }
}

/// The system's policy, one that this program was started with, and the user's own.
pub fn in_force(argument: Option<&Path>) -> Result<Vec<Written>, Failure> {
    Places::of_user(argument).read()
}

/// The system's policy and this one, of a tenant.
pub fn of_tenant(policy: &Path) -> Result<Vec<Written>, Failure> {
    Places::of_tenant(policy).read()
}

/// A policy that needn't be there.
fn if_there(path: &Path) -> Result<Option<Written>, Failure> {
    // Whatever is there but can't be looked at counts as being there.
    let missing =
        path.symlink_metadata().is_err_and(|it| it.kind() == std::io::ErrorKind::NotFound);
    if missing { Ok(None) } else { Written::read(path).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Which files are in force, by their names, when these are there.
    fn found(there: &[(&str, &str)], named: &[&str]) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for (name, text) in there {
            fs::write(path(name), text).unwrap();
        }
        let named = named.iter().map(|name| path(name)).collect();
        let places = Places { system: path("system"), own: Some(path("own")), named, tenant: None };
        let read = places.read().map_err(|failure| failure.message)?;
        let name = |it: &Written| it.file.file_name().unwrap().to_string_lossy().into_owned();
        Ok(read.iter().map(name).collect())
    }

    const SOUND: &str = "version = 1\n";

    #[test]
    fn the_system_s_policy_is_in_force_whatever_else_is() {
        assert_eq!(found(&[], &[]).unwrap(), Vec::<String>::new());
        assert_eq!(found(&[("own", SOUND)], &[]).unwrap(), ["own"]);
        assert_eq!(found(&[("system", SOUND)], &[]).unwrap(), ["system"]);
        let all = [("own", SOUND), ("system", SOUND), ("named", SOUND)];
        assert_eq!(found(&all, &["named"]).unwrap(), ["system", "named", "own"]);
    }

    #[test]
    fn a_policy_that_is_there_and_can_t_be_read_allows_nothing() {
        for (there, named, said) in [
            (&[("system", "nonsense")][..], &[][..], "system`:1:"),
            (&[("own", "version = 3\n")], &[], "own`:1:11"),
            (&[], &["named"], "named` can't be read"),
        ] {
            let why = found(there, named).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
        let directory = tempfile::tempdir().unwrap();
        let system = directory.path().join("system");
        std::os::unix::fs::symlink("nowhere", &system).unwrap();
        let places = Places { system, own: None, named: Vec::new(), tenant: None };
        assert!(places.read().unwrap_err().message.contains("can't be read"));
    }
}
