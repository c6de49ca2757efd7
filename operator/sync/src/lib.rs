//! Copying data between systems: one engine a data system, each planned, resumable and verified.
