//! From a bundle's source to its verified tree on disk.
//!
//! Trees are kept in `<state_dir>/bundles/<digest>/tree`. A tree is there only when everything in the archive was
//! verified: unpacking is done beside it and renamed, so that a run that was killed leaves nothing to trust.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use homeport_bundle::{Bundle, Limits, unpack};
use homeport_crds::bundle::BundleSource;
use homeport_secrets::Scanner;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;
use url::Url;

use crate::runtime::{Context, Failure};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Held while an archive is unpacked, by the thread that does it: whoever was interrupted meanwhile comes to a tree that
/// is whole, and two bundles of one archive unpack it once.
pub(super) type Unpacking = Arc<Mutex<()>>;

/// A bundle that was fetched and verified.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fetched {
    /// The SHA-256 of the archive, in hexadecimal.
    pub(super) digest: String,
    /// Where its files are.
    pub(super) tree: PathBuf,
    /// Its documents.
    pub(super) bundle: Bundle,
    /// How many files it holds, the manifest included.
    pub(super) files: u64,
    /// The size of its files, in bytes.
    pub(super) size: u64,
}

/// Where a tree of a digest is kept.
pub(crate) fn tree_of(state_dir: &Path, digest: &str) -> PathBuf {
    state_dir.join("bundles").join(digest).join("tree")
}

/// Tells one state of a source from another, cheaply: where this is the same, what was fetched is still right.
///
/// # Errors
/// When the file of `path` cannot be seen.
pub(super) async fn fingerprint(context: &Context, source: &BundleSource) -> Result<String, Failure> {
    let asked = format!("{source:?}");
    let Some(path) = &source.path else {
        return Ok(asked);
    };
    let path = context.resolve_path(path);
    let metadata = tokio::fs::metadata(&path)
        .await
        .map_err(|error| unreadable(&path, &error))?;
    Ok(format!(
        "{asked} {} {} {}.{}",
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    ))
}

/// Fetches and verifies what a source names.
pub(super) async fn fetch(
    context: Context,
    source: BundleSource,
    unpacking: Unpacking,
) -> Result<Fetched, Failure> {
    let wanted = source
        .sha256
        .as_deref()
        .map(|digest| digest.trim_start_matches("sha256:").to_owned());
    if let Some(path) = &source.path {
        let path = context.resolve_path(path);
        let digest = digest_of(&path).await?;
        expect_digest(&path.display().to_string(), wanted.as_deref(), &digest)?;
        return verified(&context, path, digest, unpacking).await;
    }
    if let (Some(url), Some(wanted)) = (&source.url, wanted) {
        if let Some(fetched) = already_verified(&context, &wanted).await? {
            return Ok(fetched);
        }
        let archive = download(&context, url, &wanted).await?;
        return verified(&context, archive.path().to_owned(), wanted, unpacking).await;
    }
    Err(Failure::terminal(
        "SourceNotSupported",
        "spec.source: this version of homeport fetches path and url; use one of them",
    ))
}

/// How long a tree is kept though no status names it: that of a bundle just fetched is named only when its pass ends.
pub(super) const GRACE: Duration = Duration::from_secs(3600);

/// Removes trees that no bundle is of any more, and what a killed run left.
pub(super) async fn prune(state_dir: &Path, keep: &[String], grace: Duration) -> io::Result<()> {
    let directory = state_dir.join("bundles");
    let mut entries = match tokio::fs::read_dir(&directory).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let metadata = entry.metadata().await?;
        let is_old = metadata.modified()?.elapsed().is_ok_and(|age| age >= grace);
        if keep.contains(&name) || !is_old {
            continue;
        }
        if metadata.is_dir() {
            // Set aside first: a tree that is found is whole, even if this is killed half way.
            let aside = directory.join(format!("removed-{name}"));
            tokio::fs::rename(entry.path(), &aside).await?;
            tokio::fs::remove_dir_all(aside).await?;
        } else {
            tokio::fs::remove_file(entry.path()).await?;
        }
    }
    Ok(())
}

async fn already_verified(context: &Context, digest: &str) -> Result<Option<Fetched>, Failure> {
    let tree = tree_of(&context.settings.state_dir, digest);
    if !tokio::fs::try_exists(&tree)
        .await
        .map_err(|error| unreadable(&tree, &error))?
    {
        return Ok(None);
    }
    let digest = digest.to_owned();
    let read = move || {
        let bundle = Bundle::load(&tree).map_err(|error| refused(&error))?;
        let (files, size) = count(&tree).map_err(|error| unreadable(&tree, &error))?;
        Ok(Some(Fetched {
            digest,
            tree,
            bundle,
            files,
            size,
        }))
    };
    blocking(read).await
}

/// The tree of an archive: unpacked and verified now, where it was not before.
async fn verified(
    context: &Context,
    archive: PathBuf,
    digest: String,
    unpacking: Unpacking,
) -> Result<Fetched, Failure> {
    let turn = unpacking.lock_owned().await;
    if let Some(fetched) = already_verified(context, &digest).await? {
        return Ok(fetched);
    }
    let tree = tree_of(&context.settings.state_dir, &digest);
    blocking(move || {
        let fetched = unpack_to(&archive, tree, digest);
        drop(turn);
        fetched
    })
    .await
}

/// Unpacks beside `tree`, and puts it there when it is known to be what the digest says.
fn unpack_to(archive: &Path, tree: PathBuf, digest: String) -> Result<Fetched, Failure> {
    let candidate = tree.with_file_name("candidate");
    match std::fs::remove_dir_all(&candidate) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(&candidate, &error)),
        _ => {}
    }
    let parent = tree.parent().unwrap_or(&tree);
    std::fs::create_dir_all(parent).map_err(|error| unwritable(parent, &error))?;
    let scanner = Scanner::new().map_err(|error| Failure::terminal("ScannerFailed", error.to_string()))?;
    let unpacked =
        unpack(archive, &candidate, &Limits::default(), Some(&scanner)).map_err(|error| refused(&error))?;
    if unpacked.archive.sha256.to_hex() != digest {
        let message = format!("{} changed while it was read", archive.display());
        return Err(Failure::transient("SourceChanged", message));
    }
    std::fs::rename(&candidate, &tree).map_err(|error| unwritable(&tree, &error))?;
    Ok(Fetched {
        digest,
        tree,
        files: unpacked.archive.files.len() as u64,
        size: unpacked.archive.content_size,
        bundle: unpacked.archive.bundle,
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(Failure::transient("Interrupted", error.to_string())))
}

/// How many files a directory holds, and their size in bytes.
pub(super) fn count(directory: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut size) = (0, 0);
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            let (below, below_size) = count(&entry.path())?;
            files += below;
            size += below_size;
        } else {
            files += 1;
            size += metadata.len();
        }
    }
    Ok((files, size))
}

async fn digest_of(path: &Path) -> Result<String, Failure> {
    let mut file = tokio::fs::File::open(path)
        .await
        .map_err(|error| unreadable(path, &error))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file
            .read(&mut buffer)
            .await
            .map_err(|error| unreadable(path, &error))?
        {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn expect_digest(what: &str, wanted: Option<&str>, found: &str) -> Result<(), Failure> {
    match wanted {
        Some(wanted) if wanted != found => Err(Failure::terminal(
            "ChecksumMismatch",
            format!(
                "{what} has sha256 {found}, but spec.source.sha256 is {wanted}; fetch it anew from who made it, or \
                 correct spec.source.sha256 if this is the bundle that you want"
            ),
        )),
        _ => Ok(()),
    }
}

/// Downloads into a file beside the trees, which goes when it is dropped.
async fn download(context: &Context, url: &str, wanted: &str) -> Result<NamedTempFile, Failure> {
    let directory = context.settings.state_dir.join("bundles");
    tokio::fs::create_dir_all(&directory)
        .await
        .map_err(|error| unwritable(&directory, &error))?;
    let file = tempfile::Builder::new()
        .prefix("download-")
        .tempfile_in(&directory);
    let file = file.map_err(|error| unwritable(&directory, &error))?;
    download_to(file.path(), url, wanted).await?;
    Ok(file)
}

async fn download_to(path: &Path, url: &str, wanted: &str) -> Result<(), Failure> {
    let shown = without_credentials(url);
    let failed = |error: reqwest::Error| {
        let error = error.without_url();
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        Failure::transient(
            "DownloadFailed",
            format!("{shown} could not be downloaded: {error}{cause}"),
        )
    };
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(IDLE_TIMEOUT);
    let client = client.build().map_err(failed)?;
    let response = client
        .get(url)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(failed)?;
    let limit = Limits::default().max_archive_size;
    let mut file = tokio::fs::File::create(path)
        .await
        .map_err(|error| unwritable(path, &error))?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(failed)?;
        size += chunk.len() as u64;
        if size > limit {
            let message = format!("{shown} is larger than the {limit} bytes that a bundle may have");
            return Err(Failure::terminal("BundleTooLarge", message));
        }
        hash.update(&chunk);
        file.write_all(&chunk)
            .await
            .map_err(|error| unwritable(path, &error))?;
    }
    file.flush().await.map_err(|error| unwritable(path, &error))?;
    expect_digest(&shown, Some(wanted), &hex::encode(hash.finalize()))
}

/// An address without what may be secret in it.
fn without_credentials(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return "the address of spec.source.url".to_owned();
    };
    // Fails only for addresses that cannot have a user, such as mailto:.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

fn refused(error: &homeport_bundle::Error) -> Failure {
    if error.is_transient() {
        Failure::transient("BundleUnreadable", error.to_string())
    } else {
        Failure::terminal("BundleRefused", error.to_string())
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::transient(
        "SourceUnreadable",
        format!(
            "{} cannot be read: {error}; it is tried again by itself",
            path.display()
        ),
    )
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::transient(
        "StateUnwritable",
        format!("{} cannot be written: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn pruning_keeps_what_is_in_use() {
        let state = tempfile::tempdir().unwrap();
        for digest in ["aa", "bb"] {
            std::fs::create_dir_all(tree_of(state.path(), digest)).unwrap();
        }
        prune(state.path(), &["bb".to_owned()], GRACE).await.unwrap();
        assert!(
            tree_of(state.path(), "aa").exists(),
            "it may have been fetched just now"
        );
        prune(state.path(), &["bb".to_owned()], Duration::ZERO)
            .await
            .unwrap();
        assert!(!tree_of(state.path(), "aa").exists());
        assert!(tree_of(state.path(), "bb").exists());
    }

    #[test]
    fn an_address_is_shown_without_credentials() {
        let shown = without_credentials("https://user:hunter2@example.org/a.hprt?X-Signature=abc");
        assert_eq!(shown, "https://example.org/a.hprt");
    }

    #[tokio::test]
    async fn a_digest_is_that_of_sha256sum() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        let digest = digest_of(&path).await.unwrap();
        assert_eq!(
            digest,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(expect_digest("f", Some(&digest), &digest).is_ok());
        assert!(matches!(
            expect_digest("f", Some("00"), &digest),
            Err(Failure::Terminal { .. })
        ));
    }
}
