//! The `.hprt` bundle: everything that a migration needs, in one file that holds no secrets.
//!
//! A bundle is a gzip-compressed tar archive whose first entry, `manifest.json`, says what the bundle is and lists the
//! SHA-256 of every file. `docs/hprt-format.md` specifies it.
//!
//! - [`documents`]: the manifest and the other JSON documents as types, with validation. [`Bundle`] is all of them.
//! - [`archive`]: [`pack`] a tree, [`unpack`], [`verify`] or [`inspect`] an archive. Hostile archives are refused with
//!   nothing written; [`Limits`] say how much an archive may ask for.
//! - [`Screen`]: what looks for secrets in every file on the way; implemented elsewhere.
//! - [`check_compatibility`] and [`unmet_dependencies`]: whether a bundle can be read here, and run there.

pub mod archive;
pub mod documents;
pub mod layout;

mod checksum;
mod compatibility;
mod duration;
mod entry_path;
mod error;
mod limits;
mod order;
mod problem;
mod screen;
mod size;
mod strict_json;

pub use archive::{
    ArchiveReport, FileReport, PackOptions, PackReport, Unpacked, inspect, pack, unpack, verify, verify_tree,
};
pub use checksum::Checksum;
pub use compatibility::{FORMAT_VERSION, UnmetDependency, check_compatibility, unmet_dependencies};
pub use documents::manifest::{Manifest, Stack};
pub use documents::secrets::{SecretReference, SecretSource, SecretsManifest};
pub use documents::{Bundle, cutover, dns, manifest, secrets, sync, validation};
pub use duration::HumanDuration;
pub use entry_path::PathFault;
pub use error::{Error, Result};
pub use limits::Limits;
pub use problem::Problem;
pub use screen::{Finding, Screen, ScreenFile};
pub use size::ByteSize;
