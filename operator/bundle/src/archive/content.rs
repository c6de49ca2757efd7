//! What is done with every file's content as it streams past: hashed, screened for secrets, and kept if it is one of
//! the bundle's documents.

use sha2::{Digest, Sha256};

use crate::checksum::Checksum;
use crate::documents::Bundle;
use crate::documents::manifest::Manifest;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::screen::{Finding, Screen, ScreenFile};

/// One file on its way past.
pub(super) struct Content<'a> {
    path: &'a str,
    hasher: Option<Sha256>,
    screening: Option<Box<dyn ScreenFile>>,
    /// Content of a document, and the most that it may have.
    document: Option<(Vec<u8>, u64)>,
}

/// What became known of a file.
pub(super) struct Seen {
    /// Its digest, unless nobody asked for it.
    pub(super) checksum: Option<Checksum>,
    pub(super) findings: Vec<Finding>,
    pub(super) document: Option<Vec<u8>>,
}

impl<'a> Content<'a> {
    pub(super) fn begin(path: &'a str, hashed: bool, screen: Option<&dyn Screen>, limits: &Limits) -> Self {
        Self {
            path,
            hasher: hashed.then(Sha256::new),
            screening: screen.map(|screen| screen.open(path)),
            document: Bundle::is_document(path).then(|| (Vec::new(), limits.max_manifest_size)),
        }
    }

    pub(super) fn write(&mut self, chunk: &[u8]) -> Result<()> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(chunk);
        }
        if let Some(screening) = &mut self.screening {
            screening.write(chunk);
        }
        if let Some((document, limit)) = &mut self.document {
            if (document.len() + chunk.len()) as u64 > *limit {
                return Err(Error::DocumentTooLarge {
                    path: self.path.to_owned(),
                    limit: *limit,
                });
            }
            document.extend_from_slice(chunk);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Seen {
        Seen {
            checksum: self.hasher.map(Checksum::finish),
            findings: self.screening.map(ScreenFile::finish).unwrap_or_default(),
            document: self.document.map(|(document, _)| document),
        }
    }
}

/// Findings and documents of all files.
pub(super) struct Collected {
    pub(super) bundle: Bundle,
    findings: Vec<Finding>,
}

/// Begins a digest in JSON.
const DIGEST: &[u8] = b"\"sha256:";

/// As many findings as a person wants to read; more only cost memory.
const MAX_FINDINGS: usize = 100;

impl Collected {
    pub(super) fn new(bundle: Bundle) -> Self {
        Self {
            bundle,
            findings: Vec::new(),
        }
    }

    /// Shows a manifest to the screen, with zeros in the place of digests: they look as random as secrets do.
    pub(super) fn screen_manifest(&mut self, content: &[u8], screen: Option<&dyn Screen>) {
        let Some(screen) = screen else { return };
        let mut blank = content.to_vec();
        let places = content
            .windows(DIGEST.len())
            .enumerate()
            .filter(|(_, part)| *part == DIGEST);
        for (start, _) in places {
            let digits = blank[start + DIGEST.len()..]
                .iter_mut()
                .take_while(|byte| byte.is_ascii_hexdigit());
            digits.take(64).for_each(|digit| *digit = b'0');
        }
        let mut file = screen.open(Manifest::PATH);
        file.write(&blank);
        self.findings.extend(file.finish().into_iter().take(MAX_FINDINGS));
    }

    /// Takes what is to be kept of a file, and returns its digest.
    pub(super) fn add(&mut self, path: &str, seen: Seen) -> Result<Option<Checksum>> {
        let room = MAX_FINDINGS - self.findings.len();
        self.findings.extend(seen.findings.into_iter().take(room));
        if let Some(document) = seen.document {
            self.bundle.read_document(path, &document)?;
        }
        Ok(seen.checksum)
    }

    /// The documents, if nothing is wrong with them and no secret was found anywhere.
    pub(super) fn finish(self) -> Result<Bundle> {
        if !self.findings.is_empty() {
            return Err(Error::SecretFound {
                findings: self.findings,
            });
        }
        self.bundle.validated()
    }
}
