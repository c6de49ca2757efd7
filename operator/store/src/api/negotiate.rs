//! Content negotiation: which form of an answer the client asks for.

use http::{HeaderMap, header};

use super::route::Query;
use super::status::Failure;
use crate::openapi::{REQUESTED_V2_PROTOBUF, V2_PROTOBUF};

/// How an object or a list is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Whole,
    /// `meta.k8s.io/v1` Table, for people.
    Table(Include),
    /// `meta.k8s.io/v1` PartialObjectMetadata or its list.
    Metadata,
}

/// What a table's rows carry beside their cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    Nothing,
    Metadata,
    Object,
}

/// One media type of an `Accept` header.
struct Media<'a> {
    name: &'a str,
    params: Vec<(&'a str, &'a str)>,
}

impl<'a> Media<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or("");
        Media {
            name,
            params: parts.filter_map(|part| part.split_once('=')).collect(),
        }
    }

    fn param(&self, name: &str) -> Option<&'a str> {
        self.params
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }

    fn is_json(&self) -> bool {
        matches!(self.name, "application/json" | "application/*" | "*/*")
    }

    /// Whether an object may be answered in JSON. Who asks for protobuf alone gets it too: such clients are Go's, and
    /// decode an answer as its content type says.
    fn takes_json(&self) -> bool {
        self.is_json() || self.name == "application/vnd.kubernetes.protobuf"
    }
}

fn accepted(headers: &HeaderMap) -> impl Iterator<Item = Media<'_>> {
    let values = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(Media::parse)
        .filter(|media| !media.name.is_empty())
}

/// The first form that the client accepts and the server has; clients list them in order of preference.
///
/// # Errors
/// 406 if there is none.
pub(crate) fn object_format(headers: &HeaderMap, query: &Query) -> Result<Format, Failure> {
    let mut any = false;
    for media in accepted(headers) {
        any = true;
        if !media.takes_json() {
            continue;
        }
        let known =
            media.param("g").is_none_or(|group| group == "meta.k8s.io") && media.param("v") == Some("v1");
        match media.param("as") {
            None => return Ok(Format::Whole),
            Some("Table") if known => return include(query).map(Format::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if known => {
                return Ok(Format::Metadata);
            }
            Some(_) => {}
        }
    }
    if any {
        Err(Failure::not_acceptable("application/json"))
    } else {
        Ok(Format::Whole)
    }
}

fn include(query: &Query) -> Result<Include, Failure> {
    match query.get("includeObject") {
        None | Some("Metadata") => Ok(Include::Metadata),
        Some("None") => Ok(Include::Nothing),
        Some("Object") => Ok(Include::Object),
        Some(other) => Err(Failure::bad_request(format!(
            "includeObject: {other:?} is none of None, Metadata and Object"
        ))),
    }
}

/// Whether `/api` and `/apis` shall answer with all groups' resources at once, and in which version of that form.
pub(crate) fn aggregated_discovery(headers: &HeaderMap) -> Option<&'static str> {
    for media in accepted(headers).filter(Media::is_json) {
        match (media.param("as"), media.param("v")) {
            (Some("APIGroupDiscoveryList"), Some("v2")) => return Some("v2"),
            (Some("APIGroupDiscoveryList"), Some("v2beta1")) => return Some("v2beta1"),
            (None, _) => return None,
            _ => {}
        }
    }
    None
}

/// Whether the client prefers the OpenAPI v2 document in protobuf to JSON.
pub(crate) fn openapi_v2_protobuf(headers: &HeaderMap) -> bool {
    let is_protobuf = |media: &Media<'_>| [V2_PROTOBUF, REQUESTED_V2_PROTOBUF].contains(&media.name);
    accepted(headers)
        .find(|media| media.is_json() || is_protobuf(media))
        .is_some_and(|media| is_protobuf(&media))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Some(Format::Whole))]
    #[case("*/*", Some(Format::Whole))]
    #[case("application/vnd.kubernetes.protobuf,application/json", Some(Format::Whole))]
    #[case(
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
        Some(Format::Table(Include::Metadata))
    )]
    #[case(
        "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
        Some(Format::Whole)
    )]
    #[case(
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        Some(Format::Metadata)
    )]
    #[case("application/vnd.kubernetes.protobuf", Some(Format::Whole))]
    #[case(
        "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
        Some(Format::Metadata)
    )]
    #[case("text/html", None)]
    fn formats(#[case] accept: &str, #[case] format: Option<Format>) {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        assert_eq!(object_format(&headers, &Query::default()).ok(), format);
    }

    #[rstest]
    #[case(
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
        Some("v2")
    )]
    #[case("application/json", None)]
    #[case("*/*", None)]
    fn discovery(#[case] accept: &str, #[case] form: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        assert_eq!(aggregated_discovery(&headers), form);
    }
}
