//! Options that policies set in remotes, whatever their configuration says.

use std::collections::BTreeMap;

use super::error::disagree;
use super::request::Section;
use crate::connector::Failure;

/// Options and their values, by the name of the remote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<String, Section>);

impl Pins {
    /// What one rule sets in one remote.
    pub fn of(name: &str, options: &Section) -> Self {
        match options.is_empty() {
            true => Self::default(),
            false => Self([(name.to_owned(), options.clone())].into()),
        }
    }

    /// Remotes, options and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0.iter().flat_map(|(name, options)| {
            options.iter().map(move |(option, value)| (&**name, &**option, &**value))
        })
    }

    /// These and the others. Fails where one option would have two values.
    pub fn and(mut self, others: Self) -> Result<Self, Failure> {
        for (name, options) in others.0 {
            let section = self.0.entry(name).or_default();
            for (option, value) in options {
                if section.get(&option).is_some_and(|pinned| *pinned != value) {
                    return Err(disagree(&format!("value of the option `{option}`")));
                }
                section.insert(option, value);
            }
        }
        Ok(self)
    }

    /// Sets them in the remotes of these sections.
    pub fn apply(&self, sections: &mut BTreeMap<String, Section>) {
        for (name, options) in &self.0 {
            if let Some(section) = sections.get_mut(name) {
                section.extend(options.clone());
            }
        }
    }

    /// Whether all of these are among the others.
    #[cfg(test)]
    pub fn are_among(&self, others: &Self) -> bool {
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
        Pins::of(name, &[(option.to_owned(), value.to_owned())].into())
    }

    #[test]
    fn pins_of_two_rules_add_up_and_disagree_about_one_option() {
        let both = pins("a", "region", "eu").and(pins("a", "acl", "private")).unwrap();
        assert!(pins("a", "region", "eu").are_among(&both));
        assert!(pins("a", "acl", "private").are_among(&both));
        assert!(!pins("b", "acl", "private").are_among(&both) && !both.are_among(&Pins::default()));
        let refusal = both.clone().and(pins("a", "region", "us")).unwrap_err();
        assert!(refusal.message.contains("value of the option `region`"), "{}", refusal.message);
        assert!(both.and(pins("b", "region", "us")).is_ok());
    }
}
