//! Where things are in the repository, and where the programs are that `make setup` installs.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the repository")
}

/// The program under test: `HOMEPORT_BIN`, or what cargo has built beside this test.
///
/// # Panics
/// If there is none.
pub fn homeport_binary() -> PathBuf {
    if let Some(path) = env::var_os("HOMEPORT_BIN") {
        return path.into();
    }
    // A test runs as target/<profile>/deps/<name>, a program as target/<profile>/<name>.
    let this = env::current_exe().expect("this process has a file");
    let found = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("homeport"))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "no homeport beside {}: run `cargo build --bin homeport` first",
            this.display()
        )
    })
}

/// `PATH` with the directory in front where `scripts/setup.sh` puts Compose and kubectl.
pub fn search_path() -> OsString {
    let tools = env::var_os("HOMEPORT_TOOLS").map_or_else(
        || {
            let cache = env::var_os("XDG_CACHE_HOME").map_or_else(
                || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache"),
                PathBuf::from,
            );
            cache.join("homeport/tools")
        },
        PathBuf::from,
    );
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(tools.join("bin"))
        .chain(env::split_paths(&path))
        // Debian keeps name servers here, and not in everybody's PATH.
        .chain(std::iter::once(PathBuf::from("/usr/sbin")));
    env::join_paths(directories).expect("no directory of PATH has a colon in its name")
}
