//! ScanEvent of policy files: the system's, and those that the user names.

use std::env;
use std::path::{Path, PathBuf};

use super::file::PolicyFile;
use crate::connector::Failure;
use crate::user_dirs;

/// Path of the operator's policy. It can be changed when plakbox is built.
const SYSTEM_POLICY: &str = match option_env!("PLAKBOX_SYSTEM_POLICY") {
    Some(path) => path,
    None => "/etc/plakbox/policy.toml",
};

/// Environment variable with the path of the user's own policy.
const POLICY_ENV: &str = "PLAKBOX_POLICY";

/// Paths of policy files.
struct PolicySources {
    /// The operator's policy, which may be missing.
    system: PathBuf,
    /// The user's own policy at its default path, which may be missing.
    own: Option<PathBuf>,
    /// Policies that were named explicitly; these must exist.
    named: Vec<PathBuf>,
    /// A tenant's policy, which must exist.
    tenant: Option<PathBuf>,
}

impl PolicySources {
    fn for_user(argument: Option<&Path>) -> Self {
        let default = user_dirs::config().map(|configs| configs.join("plakbox/policy.toml"));
        let variable = env::var_os(POLICY_ENV).map(PathBuf::from);
        let own = if variable.is_some() { None } else { default };
        let named = argument.map(Path::to_owned).into_iter().chain(variable).collect();
        Self { system: SYSTEM_POLICY.into(), own, named, tenant: None }
    }

    fn for_tenant(policy: &Path) -> Self {
        let tenant = Some(policy.to_owned());
        Self { system: SYSTEM_POLICY.into(), own: None, named: vec![], tenant }
    }

    /// Reads the files that exist. A file that can't be read is an error.
    fn read(&self) -> Result<Vec<PolicyFile>, Failure> {
        let mut files = Vec::new();
        files.extend(read_if_present(&self.system)?);
        for path in &self.named {
            files.push(PolicyFile::read(path)?);
        }
        if let Some(path) = &self.tenant {
            files.push(PolicyFile::read(path)?.for_tenant());
        }
        if let Some(path) = &self.own {
            files.extend(read_if_present(path)?);
        }
        Ok(files)
    }
}

/// Reads the operator's policy, the one that the command line names, and the user's own.
///
/// # Errors
///
/// A file is invalid, or can't be read.
pub fn discover(argument: Option<&Path>) -> Result<Vec<PolicyFile>, Failure> {
    PolicySources::for_user(argument).read()
}

/// Reads the operator's policy and a tenant's.
///
/// # Errors
///
/// A file is invalid, or can't be read.
pub fn discover_for_tenant(policy: &Path) -> Result<Vec<PolicyFile>, Failure> {
    PolicySources::for_tenant(policy).read()
}

/// Reads a policy file that may be missing.
fn read_if_present(path: &Path) -> Result<Option<PolicyFile>, Failure> {
    // A file that exists but can't be inspected counts as present.
    let is_missing =
        path.symlink_metadata().is_err_and(|it| it.kind() == std::io::ErrorKind::NotFound);
    if is_missing { Ok(None) } else { PolicyFile::read(path).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Names of the files that are in force when these exist.
    fn found(existing: &[(&str, &str)], named: &[&str]) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for (name, text) in existing {
            fs::write(path(name), text).unwrap();
        }
        let named = named.iter().map(|name| path(name)).collect();
        let sources =
            PolicySources { system: path("system"), own: Some(path("own")), named, tenant: None };
        let read = sources.read().map_err(|failure| failure.message)?;
        let name = |it: &PolicyFile| it.path.file_name().unwrap().to_string_lossy().into_owned();
        Ok(read.iter().map(name).collect())
    }

    const VALID: &str = "version = 1\n";

    #[test]
    fn the_system_s_policy_is_in_force_whatever_else_is() {
        assert_eq!(found(&[], &[]).unwrap(), Vec::<String>::new());
        assert_eq!(found(&[("own", VALID)], &[]).unwrap(), ["own"]);
        assert_eq!(found(&[("system", VALID)], &[]).unwrap(), ["system"]);
        let all = [("own", VALID), ("system", VALID), ("named", VALID)];
        assert_eq!(found(&all, &["named"]).unwrap(), ["system", "named", "own"]);
    }

    #[test]
    fn a_policy_that_is_there_and_can_t_be_read_allows_nothing() {
        for (existing, named, message) in [
            (&[("system", "nonsense")][..], &[][..], "system`:1:"),
            (&[("own", "version = 3\n")], &[], "own`:1:11"),
            (&[], &["named"], "named` can't be read"),
        ] {
            let why = found(existing, named).unwrap_err();
            assert!(why.contains(message), "{why}");
        }
        let directory = tempfile::tempdir().unwrap();
        let system = directory.path().join("system");
        std::os::unix::fs::symlink("nowhere", &system).unwrap();
        let sources = PolicySources { system, own: None, named: Vec::new(), tenant: None };
        assert!(sources.read().unwrap_err().message.contains("can't be read"));
    }
}
