//! A maker of Google Takeout exports: the model of an account, exports of it as Google makes them,
//! and the snapshot that they must give. That snapshot comes from the model, never from an export.
//!
//! - [`library`]: the model
//! - [`content`]: bytes of files
//! - [`languages`]: names that Google translates
//! - [`names`]: names of files within a folder
//! - [`sidecars`]: JSON files
//! - [`export`]: the files of an export, in order and in parts
//! - [`zip_writer`]: archives, with faults
//! - [`delivery`]: exports in a directory
//! - [`snapshot`]: the expected snapshot, and what was restored
//! - [`source`]: a directory of exports that Plakar backs up

pub mod content;
pub mod delivery;
pub mod export;
pub mod languages;
pub mod library;
pub mod names;
pub mod sidecars;
pub mod snapshot;
pub mod source;
pub mod zip_writer;

pub use content::Content;
pub use export::{Cut, Export};
pub use languages::Language;
pub use library::{Copy, Description, Library, Photo, Place, Sidecar};
pub use names::{NumberPlace, SidecarForm};
pub use snapshot::Union;
pub use source::Source;
pub use zip_writer::{EntryFault, ZipStyle};
