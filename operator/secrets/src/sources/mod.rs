//! The sources that need nothing but this process and its files.

pub mod dotenv;
pub(crate) mod env;
pub(crate) mod file;
pub(crate) mod manual;
