//! The .hprt bundle format: manifest, archive, checksums, compatibility.
