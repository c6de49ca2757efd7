//! Which field number of which message is which JSON field, from the `generated.proto` files of Kubernetes.

/// The media type of the messages themselves.
pub(super) const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The fields of a message.
pub(super) type Message = [Field];

/// A field of a message.
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) name: &'static str,
    pub(super) ty: Type,
    /// A pointer in Go: an empty value was set on purpose.
    pub(super) keeps_empty: bool,
    /// Its fields stand in the outer object in JSON.
    pub(super) is_inline: bool,
}

/// What a field holds.
pub(super) enum Type {
    String,
    Strings,
    Bytes,
    Int,
    Ints,
    Bool,
    Message(&'static Message),
    Messages(&'static Message),
    Map(&'static Type),
    Time,
    MicroTime,
    Json,
    IntOrString,
    Quantity,
    StringList,
}

impl Type {
    pub(super) fn is_repeated(&self) -> bool {
        matches!(self, Self::Strings | Self::Ints | Self::Messages(_))
    }
}

/// The message of a kind.
pub(super) fn message(api_version: &str, kind: &str) -> Option<&'static Message> {
    let _ = (api_version, kind);
    None
}
