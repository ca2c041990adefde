//! Layouts: the two ways to arrange objects in directories, and which of them a store uses.
//!
//! The official package is flat (`packfiles/<name>`); Plakar's own connectors for S3, SFTP and
//! disks are nested (`packfiles/<first two digits>/<name>`). Both are read, whatever is written.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use tokio::sync::Mutex;

use super::names::{ObjectName, from_hex, is_hex_digit, to_hex};
use super::retry::{LIST_RETRY_MS, is_final, retry};
use crate::bindings::exports::plakar::connector::store::{Mac, ObjectKind};
use crate::bindings::plakar::connector::rclone::ListOptions;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::lsjson::{Item, run};

/// Arrangement of packfiles and states. Locks are always directly in their directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    Flat,
    Nested,
}

impl Layout {
    /// Returns the path of an object.
    pub fn path(self, (kind, name): ObjectName) -> String {
        let (directory, hex) = (kind.directory(), to_hex(name));
        match self {
            Self::Nested if kind != ObjectKind::Lock => format!("{directory}/{}/{hex}", &hex[..2]),
            _ => format!("{directory}/{hex}"),
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Flat => Self::Nested,
            Self::Nested => Self::Flat,
        }
    }
}

/// Parses the path of an object relative to the directory of its kind. Returns `None` for
/// anything else.
pub fn parse(kind: ObjectKind, path: &str) -> Option<(Mac, Layout)> {
    match path.split_once('/') {
        None => Some((from_hex(path)?, Layout::Flat)),
        Some((prefix, hex)) if kind != ObjectKind::Lock && prefix.len() == 2 => {
            let name = from_hex(hex)?;
            hex.starts_with(prefix).then_some((name, Layout::Nested))
        }
        Some(_) => None,
    }
}

/// Returns the layout that a child of a kind's directory shows, if it shows any.
fn shown_by(kind: ObjectKind, child: &Item) -> Option<Layout> {
    let is_prefix = child.is_dir && child.path.len() == 2 && child.path.bytes().all(is_hex_digit);
    if child.is_dir {
        return is_prefix.then_some(Layout::Nested);
    }
    parse(kind, &child.path).map(|(_, layout)| layout)
}

/// Layouts of one store, as far as they are known.
pub struct Layouts {
    /// Layout of a store without objects.
    default: Layout,
    /// Layout of the last object that was found.
    known: Cell<Option<Layout>>,
    /// Layout of new objects, once there was one.
    written: Cell<Option<Layout>>,
    /// Lock of the search, so that it is made once.
    search: Mutex<()>,
    /// Layouts in which a complete listing found objects of a kind, or this session put some.
    listed: RefCell<BTreeMap<ObjectKind, Vec<Layout>>>,
}

impl Layouts {
    /// Creates the layouts of a store of which nothing is known yet.
    pub fn new(default: Layout) -> Self {
        Self {
            default,
            known: Cell::default(),
            written: Cell::default(),
            search: Mutex::default(),
            listed: RefCell::default(),
        }
    }

    /// Notes that an object was found in a layout.
    pub fn learn(&self, kind: ObjectKind, layout: Layout) {
        if kind != ObjectKind::Lock {
            self.known.set(Some(layout));
        }
    }

    /// Notes the layouts of all objects of a kind, after a complete listing.
    pub fn learn_all(&self, kind: ObjectKind, layouts: Vec<Layout>) {
        if let [only] = layouts[..] {
            self.learn(kind, only);
        } else if let (None, Some(first)) = (self.known.get(), layouts.first()) {
            self.learn(kind, *first);
        }
        self.listed.borrow_mut().insert(kind, layouts);
    }

    /// Returns the layouts in which an object may be, the more probable first.
    pub fn candidates(&self, kind: ObjectKind) -> Vec<Layout> {
        if kind == ObjectKind::Lock {
            return vec![Layout::Flat];
        }
        let first = self.known.get().unwrap_or(Layout::Flat);
        vec![first, first.other()]
    }

    /// Returns the layouts in which an object that is to be removed may be: those of
    /// [`Self::candidates`] but for one in which a complete listing found nothing.
    pub fn occupied(&self, kind: ObjectKind) -> Vec<Layout> {
        let mut candidates = self.candidates(kind);
        if let Some(listed) = self.listed.borrow().get(&kind)
            && !listed.is_empty()
        {
            candidates.retain(|layout| listed.contains(layout));
        }
        candidates
    }

    /// Returns the path for a new object.
    ///
    /// # Errors
    ///
    /// The store's layout isn't known, and its directories can't be listed.
    pub async fn new_path(&self, object: ObjectName) -> Result<String, Failure> {
        let (kind, _) = object;
        if kind == ObjectKind::Lock {
            return Ok(Layout::Flat.path(object));
        }
        let layout = self.find().await?;
        if let Some(listed) = self.listed.borrow_mut().get_mut(&kind)
            && !listed.contains(&layout)
        {
            listed.push(layout);
        }
        Ok(layout.path(object))
    }

    /// Returns the layout of new objects. Looks at the directories if nothing has shown it.
    async fn find(&self) -> Result<Layout, Failure> {
        let _search = self.search.lock().await;
        if let Some(written) = self.written.get() {
            return Ok(written);
        }
        for kind in [ObjectKind::State, ObjectKind::Packfile] {
            if self.known.get().is_none() {
                self.known.set(look_at(kind).await?);
            }
        }
        let layout = self.known.get().unwrap_or(self.default);
        self.known.set(Some(layout));
        self.written.set(Some(layout));
        Ok(layout)
    }

    /// Calls `action` with the path of an object in each layout in which it may be, until it is
    /// found.
    ///
    /// # Errors
    ///
    /// The action failed. It is `not-found` only if it was so in each layout.
    pub async fn locate<T>(
        &self,
        object: ObjectName,
        action: impl AsyncFn(String) -> Result<T, Failure>,
    ) -> Result<(Layout, T), Failure> {
        let mut missing = None;
        for layout in self.candidates(object.0) {
            match action(layout.path(object)).await {
                Ok(found) => {
                    self.learn(object.0, layout);
                    return Ok((layout, found));
                }
                Err(failure) if failure.reason == Reason::NotFound => {
                    missing.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(missing.unwrap_or_else(|| Failure::internal("an object has no layout")))
    }
}

/// Returns the layout that the children of a kind's directory show, if there are any.
async fn look_at(kind: ObjectKind) -> Result<Option<Layout>, Failure> {
    retry(LIST_RETRY_MS, is_final, async || {
        let mut shown = None;
        let end = run::for_each(ListOptions::children(kind.directory()), |item| {
            shown = shown.or(shown_by(kind, &item));
        });
        match end.await.complete() {
            Err(failure) if failure.reason == Reason::NotFound => Ok(None),
            Err(failure) => Err(failure),
            Ok(()) => Ok(shown),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "ab112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210";

    #[test]
    fn paths_are_those_of_the_official_package_and_of_plakar() {
        let name = from_hex(HEX).unwrap();
        let object = (ObjectKind::Packfile, name);
        assert_eq!(Layout::Flat.path(object), format!("packfiles/{HEX}"));
        assert_eq!(Layout::Nested.path(object), format!("packfiles/ab/{HEX}"));
        assert_eq!(Layout::Nested.path((ObjectKind::Lock, name)), format!("locks/{HEX}"));
    }

    #[test]
    fn paths_of_other_files_are_no_objects() {
        let name = from_hex(HEX).unwrap();
        let (state, lock) = (ObjectKind::State, ObjectKind::Lock);
        assert_eq!(parse(state, HEX), Some((name, Layout::Flat)));
        assert_eq!(parse(state, &format!("ab/{HEX}")), Some((name, Layout::Nested)));
        assert_eq!(parse(lock, HEX), Some((name, Layout::Flat)));
        assert_eq!(parse(lock, &format!("ab/{HEX}")), None);
        for path in [
            format!("cd/{HEX}"),
            format!("abc/{HEX}"),
            format!("ab/ab/{HEX}"),
            format!("{HEX}.partial"),
            HEX.to_uppercase(),
            ".DS_Store".to_owned(),
        ] {
            assert_eq!(parse(state, &path), None, "{path}");
        }
    }

    #[test]
    fn an_object_is_first_looked_for_where_the_last_one_was() {
        let layouts = Layouts::new(Layout::Nested);
        assert_eq!(layouts.candidates(ObjectKind::State), [Layout::Flat, Layout::Nested]);
        layouts.learn(ObjectKind::State, Layout::Nested);
        assert_eq!(layouts.candidates(ObjectKind::Packfile), [Layout::Nested, Layout::Flat]);
        assert_eq!(layouts.candidates(ObjectKind::Lock), [Layout::Flat]);
    }

    #[test]
    fn an_object_is_removed_where_a_listing_has_some() {
        let layouts = Layouts::new(Layout::Flat);
        assert_eq!(layouts.occupied(ObjectKind::Packfile).len(), 2);
        layouts.learn_all(ObjectKind::Packfile, vec![Layout::Nested]);
        assert_eq!(layouts.occupied(ObjectKind::Packfile), [Layout::Nested]);
        layouts.learn_all(ObjectKind::Packfile, vec![Layout::Nested, Layout::Flat]);
        assert_eq!(layouts.occupied(ObjectKind::Packfile).len(), 2);
    }
}
