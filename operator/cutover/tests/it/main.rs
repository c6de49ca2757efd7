//! Cutovers on a real BIND, and checks of real services.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod bind;
mod checks;
mod manual;
mod rfc2136;
