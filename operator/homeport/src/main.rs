//! The homeport binary.
fn main() {}
