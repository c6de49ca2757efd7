//! How much a bundle may ask for, as options.

use clap::Args;
use homeport_bundle::{ByteSize, Limits};

/// Bounds past which a bundle is refused.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitOptions {
    /// The most files and directories.
    #[arg(long, value_name = "N")]
    max_entries: Option<u64>,
    /// The largest file, such as 500MB.
    #[arg(long, value_name = "SIZE")]
    max_file_size: Option<ByteSize>,
    /// The size of all files together, such as 4GB.
    #[arg(long, value_name = "SIZE")]
    max_total_size: Option<ByteSize>,
    /// How many times larger than the bundle its files may be.
    #[arg(long, value_name = "N")]
    max_ratio: Option<u32>,
}

impl LimitOptions {
    /// The limits: those that were given, and the defaults.
    pub(super) fn limits(&self) -> Limits {
        let defaults = Limits::default();
        Limits {
            max_entries: self.max_entries.unwrap_or(defaults.max_entries),
            max_file_size: self.max_file_size.map_or(defaults.max_file_size, |size| size.0),
            max_total_size: self.max_total_size.map_or(defaults.max_total_size, |size| size.0),
            max_ratio: self.max_ratio.unwrap_or(defaults.max_ratio),
            ..defaults
        }
    }
}
