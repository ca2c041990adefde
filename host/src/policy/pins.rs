//! Pinned options: options that policies set in remotes regardless of their configuration.

use std::collections::BTreeMap;

use super::error::conflict;
use super::request::Section;
use crate::connector::Failure;

/// Options and their values, by the name of the remote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<String, Section>);

impl Pins {
    /// Creates the pins of one rule for one remote.
    pub fn for_remote(name: &str, options: &Section) -> Self {
        if options.is_empty() {
            return Self::default();
        }
        Self([(name.to_owned(), options.clone())].into())
    }

    /// Iterates over remotes, options and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0.iter().flat_map(|(name, options)| {
            options.iter().map(move |(option, value)| (&**name, &**option, &**value))
        })
    }

    /// Returns the union of both.
    ///
    /// # Errors
    ///
    /// Both pin an option to different values.
    pub fn merge(mut self, others: Self) -> Result<Self, Failure> {
        for (name, options) in others.0 {
            let section = self.0.entry(name).or_default();
            for (option, value) in options {
                if section.get(&option).is_some_and(|pinned| *pinned != value) {
                    return Err(conflict(&format!("value of the option `{option}`")));
                }
                section.insert(option, value);
            }
        }
        Ok(self)
    }

    /// Sets the pinned options in these sections.
    pub fn apply(&self, sections: &mut BTreeMap<String, Section>) {
        for (name, options) in &self.0 {
            if let Some(section) = sections.get_mut(name) {
                section.extend(options.clone());
            }
        }
    }

    /// Whether all of these pins are among the others.
    #[cfg(test)]
    pub fn is_subset(&self, others: &Self) -> bool {
        self.0.iter().all(|(name, options)| {
            let others = others.0.get(name);
            options.iter().all(|(option, value)| {
                others.and_then(|others| others.get(option)).is_some_and(|other| other == value)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins(name: &str, option: &str, value: &str) -> Pins {
        Pins::for_remote(name, &[(option.to_owned(), value.to_owned())].into())
    }

    #[test]
    fn pins_of_two_rules_add_up_and_disagree_about_one_option() {
        let both = pins("a", "region", "eu").merge(pins("a", "acl", "private")).unwrap();
        assert!(pins("a", "region", "eu").is_subset(&both));
        assert!(pins("a", "acl", "private").is_subset(&both));
        assert!(!pins("b", "acl", "private").is_subset(&both) && !both.is_subset(&Pins::default()));
        let refusal = both.clone().merge(pins("a", "region", "us")).unwrap_err();
        assert!(refusal.message.contains("value of the option `region`"), "{}", refusal.message);
        assert!(both.merge(pins("b", "region", "us")).is_ok());
    }
}
