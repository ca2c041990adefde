//! Validation of a configuration: refuses what no policy ever allows, and what rclone would read
//! differently than this program does.

use std::collections::BTreeMap;

use super::ini::{self, Sections};
use crate::connector::{Failure, Reason};
use crate::invocation::quoted;
use crate::policy;

/// The options that stay the same when a token is refreshed.
pub fn stable_options(sections: &Sections) -> BTreeMap<(&str, &str), &str> {
    let all = sections.iter().flat_map(|(name, section)| {
        section.iter().map(move |(key, value)| ((name.as_str(), key.as_str()), value.as_str()))
    });
    all.filter(|((_, key), _)| !policy::is_secret(key)).collect()
}

/// Checks the sections of a configuration.
///
/// # Errors
///
/// A section is never allowed, or rclone would read it differently than this program does.
pub fn check(sections: &Sections) -> Result<(), Failure> {
    for (name, section) in sections {
        if let Some((parent, _)) = name.rsplit_once('.') {
            return Err(Failure::new(
                Reason::Denied,
                format!(
                    "the name of the remote `{name}` has a dot, for which rclone gives it the \
                     options of a remote `{parent}` as well"
                ),
            )
            .with_help(format!(
                "import it with `rclone config dump | plakar source import -rclone {}`, or rename \
                 it in rclone.conf",
                quoted(name)
            )));
        }
        policy::check_section(name, section)?;
        if let Some((key, _)) = section.iter().find(|(_, value)| ini::has_variables(value)) {
            return Err(Failure::new(
                Reason::Denied,
                format!(
                    "the option `{key}` of the remote has `%(...)s` in its value, which rclone \
                     would replace by another option"
                ),
            )
            .with_help("write out what is meant"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rclone::remote::ini::Section;

    #[test]
    fn a_remote_that_rclone_gives_another_one_s_options_is_refused() {
        let section = |backend: &str| Section::from([("type".to_owned(), backend.to_owned())]);
        let sections =
            Sections::from([("a".to_owned(), section("sftp")), ("a.b".to_owned(), section("s3"))]);
        let refusal = check(&sections).unwrap_err();
        assert_eq!(refusal.reason, Reason::Denied);
        assert!(refusal.message.contains("the options of a remote `a`"), "{}", refusal.message);
    }
}
