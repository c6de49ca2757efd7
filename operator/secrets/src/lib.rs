//! Secret references, the sources that resolve them, and finding secrets where none may be.
//!
//! A bundle names the secrets that an application needs and never holds a value. This crate has the two halves of that
//! promise:
//!
//! - [`resolve`] asks an ordered list of [`Source`]s ([`EnvSource`], [`FileSource`], [`ManualSource`], or one that a
//!   caller brings) for each reference, and says for every name where its value came from or why there is none. Values
//!   are [`secrecy::SecretString`]s from the moment they are read.
//! - [`Scanner`] reads files as they stream by and reports the file, line and rule of anything that is a credential. It
//!   is the [`homeport_bundle::Screen`] that packing and unpacking refuse a bundle by. A finding never carries the value.

mod error;
mod resolve;
mod scan;
mod source;
mod sources;

pub use error::Error;
pub use resolve::{Binding, Missing, Resolution, Resolved, Why, resolve};
pub use scan::Scanner;
pub use source::{Source, source_name};
pub use sources::dotenv::{self, Dotenv};
pub use sources::env::{EnvSource, PREFIX, variable_of};
pub use sources::file::{FileSource, Warning};
pub use sources::manual::ManualSource;
