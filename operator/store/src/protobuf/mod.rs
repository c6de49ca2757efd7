//! Reading request bodies in Kubernetes' protobuf form: `k8s\0`, then a `runtime.Unknown` that names the type
//! and holds its message.
//!
//! Clients of built-in kinds send them unasked (kubectl creates config maps so), but accept JSON in answer,
//! so there is no encoder. A table says for each message which field number is which JSON field ([`tables`]);
//! one walk over wire format and table makes JSON ([`decode`]).

mod tables;
mod wire;

use serde_json::Value;

/// What a protobuf body starts with.
pub(crate) const MAGIC: &[u8] = b"k8s\0";

/// Why a body was not decoded.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ProtobufError {
    /// A kind or an encoding that this server takes as JSON only: 415.
    #[error(
        "{api_version} {kind} is not accepted as application/vnd.kubernetes.protobuf here: send application/json"
    )]
    Unsupported {
        /// As the envelope names it.
        api_version: String,
        /// As the envelope names it.
        kind: String,
    },
    /// The bytes are not what they should be: 400.
    #[error("the protobuf body is malformed: {0}")]
    Malformed(String),
}

/// Decodes a body to the JSON that it stands for, `apiVersion` and `kind` included.
pub(crate) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let message = body
        .strip_prefix(MAGIC)
        .ok_or_else(|| ProtobufError::Malformed("it does not start with \"k8s\\0\"".to_owned()))?;
    wire::unknown(message)
}

#[cfg(test)]
mod tests;
