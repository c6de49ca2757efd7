//! The four custom resources as Rust types, and the conditions they share.
