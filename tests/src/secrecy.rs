//! Looking for secrets where none may be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A secret found where none may be. Names the secret, and does not show it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// The secret.
    pub name: String,
    /// Where it was found.
    pub place: String,
}

/// Looks for the secrets in a text: as they are, and in base64 as Kubernetes writes them.
pub fn find_in_text(secrets: &[(String, String)], place: &str, text: &[u8]) -> Vec<Leak> {
    let holds = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    secrets
        .iter()
        .filter(|(_, value)| holds(value.as_bytes()) || holds(base64(value.as_bytes()).as_bytes()))
        .map(|(name, _)| Leak {
            name: name.clone(),
            place: place.to_owned(),
        })
        .collect()
}

/// Looks for the secrets in all files under a path, and in their names.
///
/// # Panics
/// If the path cannot be read at all.
pub fn find_in_files(secrets: &[(String, String)], path: &Path) -> Vec<Leak> {
    let mut leaks = Vec::new();
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        let place = path.display().to_string();
        leaks.extend(find_in_text(
            secrets,
            &format!("the name {place}"),
            place.as_bytes(),
        ));
        let kind = fs::symlink_metadata(&path)
            .expect("the path is there")
            .file_type();
        if kind.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .expect("a directory")
                    .map(|entry| entry.expect("readable").path()),
            );
        } else if kind.is_file() {
            leaks.extend(find_in_text(secrets, &place, &fs::read(&path).expect("readable")));
        }
    }
    leaks
}

/// Standard base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * position) & 63) as usize];
            text.push(if position > chunk.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    text
}

/// Watches the command lines of all processes of this machine, which anybody on it can see, for secrets.
#[derive(Debug)]
pub struct CommandLines {
    stop: Arc<AtomicBool>,
    found: Arc<Mutex<BTreeSet<Leak>>>,
    watcher: Option<JoinHandle<()>>,
}

impl CommandLines {
    /// Begins to watch.
    pub fn watch(secrets: Vec<(String, String)>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let found = Arc::new(Mutex::new(BTreeSet::new()));
        let (stopped, leaks) = (Arc::clone(&stop), Arc::clone(&found));
        let watcher = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                leaks
                    .lock()
                    .expect("no thread has panicked")
                    .extend(look_at_processes(&secrets));
                thread::sleep(Duration::from_millis(5));
            }
        });
        Self {
            stop,
            found,
            watcher: Some(watcher),
        }
    }

    /// Ends watching, and tells what was seen.
    ///
    /// # Panics
    /// If the watching thread has panicked.
    pub fn leaks(mut self) -> Vec<Leak> {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher
            .take()
            .expect("watching")
            .join()
            .expect("the watcher does not panic");
        self.found
            .lock()
            .expect("no thread has panicked")
            .iter()
            .cloned()
            .collect()
    }
}

fn look_at_processes(secrets: &[(String, String)]) -> Vec<Leak> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let command_lines = entries
        .flatten()
        .map(|entry| entry.path().join("cmdline"))
        .filter_map(readable);
    command_lines
        .flat_map(|(path, text)| find_in_text(secrets, &path.display().to_string(), &text))
        .collect()
}

fn readable(path: PathBuf) -> Option<(PathBuf, Vec<u8>)> {
    fs::read(&path).ok().map(|text| (path, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_plain_and_in_base64() {
        let secrets = vec![("PASSWORD".to_owned(), "any carnal pleas".to_owned())];
        assert_eq!(find_in_text(&secrets, "here", b"x any carnal pleas y").len(), 1);
        assert_eq!(
            find_in_text(&secrets, "here", b"data: YW55IGNhcm5hbCBwbGVhcw==").len(),
            1
        );
        assert!(find_in_text(&secrets, "here", b"any other pleas").is_empty());
    }
}
