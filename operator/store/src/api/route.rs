//! What a request's path and query ask for.

use percent_encoding::percent_decode_str;

use super::status::Failure;

/// A path of the API, taken apart but not yet checked against what is served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/`: the list of paths.
    Index,
    Version,
    /// `/healthz`, `/livez`, `/readyz`, or one check of theirs.
    Health,
    Metrics,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/<group>`.
    Group(String),
    /// `/api/v1`, `/apis/<group>/<version>`.
    GroupVersion(String, String),
    OpenApiV2,
    /// `/openapi/v3`.
    OpenApiV3Index,
    /// `/openapi/v3/<group version path>`.
    OpenApiV3(String),
    Resource(ResourcePath),
}

/// `/apis/<group>/<version>[/namespaces/<namespace>]/<plural>[/<name>[/<subresource>]]`
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) plural: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// The old way to ask for a watch: `/apis/<group>/<version>/watch/...`.
    pub(crate) watch: bool,
}

impl Route {
    /// # Errors
    /// 404 for paths that lead nowhere in any API.
    pub(crate) fn parse(path: &str) -> Result<Self, Failure> {
        let mut segments = Vec::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let decoded = percent_decode_str(segment)
                .decode_utf8()
                .map_err(|_| Failure::no_such_path())?;
            segments.push(decoded.into_owned());
        }
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            [] => Ok(Route::Index),
            ["version"] => Ok(Route::Version),
            ["healthz" | "livez" | "readyz", ..] => Ok(Route::Health),
            ["metrics"] => Ok(Route::Metrics),
            ["api"] => Ok(Route::CoreVersions),
            ["apis"] => Ok(Route::Groups),
            ["apis", group] => Ok(Route::Group((*group).to_owned())),
            ["openapi", "v2"] => Ok(Route::OpenApiV2),
            ["openapi", "v3"] => Ok(Route::OpenApiV3Index),
            ["openapi", "v3", rest @ ..] => Ok(Route::OpenApiV3(rest.join("/"))),
            ["api", version] => Ok(Route::GroupVersion(String::new(), (*version).to_owned())),
            ["apis", group, version] => Ok(Route::GroupVersion((*group).to_owned(), (*version).to_owned())),
            ["api", version, rest @ ..] => ResourcePath::parse("", version, rest).map(Route::Resource),
            ["apis", group, version, rest @ ..] => {
                ResourcePath::parse(group, version, rest).map(Route::Resource)
            }
            _ => Err(Failure::page_not_found()),
        }
    }
}

impl ResourcePath {
    fn parse(group: &str, version: &str, rest: &[&str]) -> Result<Self, Failure> {
        let (watch, rest) = match rest {
            ["watch", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (namespace, rest) = match rest {
            // The namespace itself, not something in it.
            ["namespaces"] | ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
            _ => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(name), None),
            [plural, name, subresource] => (plural, Some(name), Some(subresource)),
            _ => return Err(Failure::no_such_path()),
        };
        Ok(ResourcePath {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace,
            plural: (*plural).to_owned(),
            name: name.map(|name| (*name).to_owned()),
            subresource: subresource.map(|subresource| (*subresource).to_owned()),
            watch,
        })
    }
}

/// The query of a request. A parameter given twice counts once, the first time.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        Query(
            url::form_urlencoded::parse(query.unwrap_or("").as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// A parameter's value; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// # Errors
    /// 400 unless the value is one of Go's spellings of a truth value.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Some(true)),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Some(false)),
            Some(other) => Err(Failure::bad_request(format!(
                "{name}: {other:?} is neither true nor false"
            ))),
        }
    }

    /// The state that is asked for.
    ///
    /// # Errors
    /// 500 unless the value is a number, as kube-apiserver has it.
    pub(crate) fn resource_version(&self) -> Result<Option<u64>, Failure> {
        let parse = |value: &str| {
            value.parse().map_err(|_| {
                Failure::unreasoned(format!(
                    "resourceVersion: Invalid value: {value:?}: strconv.ParseUint: parsing {value:?}: invalid syntax"
                ))
            })
        };
        self.get("resourceVersion").map(parse).transpose()
    }

    /// # Errors
    /// 400 unless the value is a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let parse = |value: &str| {
            value
                .parse()
                .map_err(|_| Failure::bad_request(number_error(name, value)))
        };
        self.get(name).map(parse).transpose()
    }
}

/// The words of kube-apiserver, which are those of Go.
fn number_error(name: &str, value: &str) -> String {
    match name {
        "resourceVersion" => format!(
            "invalid resource version: resourceVersion: Invalid value: {value:?}: strconv.ParseUint: parsing \
             {value:?}: invalid syntax"
        ),
        _ => format!("strconv.ParseInt: parsing {value:?}: invalid syntax"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;

    use super::*;

    fn resource(group: &str, namespace: &str, plural: &str, name: &str, subresource: &str) -> Route {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Route::Resource(ResourcePath {
            group: group.to_owned(),
            version: "v1".to_owned(),
            namespace: some(namespace),
            plural: plural.to_owned(),
            name: some(name),
            subresource: some(subresource),
            watch: false,
        })
    }

    #[rstest]
    #[case("/api/v1/namespaces", resource("", "", "namespaces", "", ""))]
    #[case("/api/v1/namespaces/a", resource("", "", "namespaces", "a", ""))]
    #[case(
        "/api/v1/namespaces/a/finalize",
        resource("", "", "namespaces", "a", "finalize")
    )]
    #[case("/api/v1/namespaces/a/secrets", resource("", "a", "secrets", "", ""))]
    #[case("/api/v1/namespaces/a/secrets/b", resource("", "a", "secrets", "b", ""))]
    #[case("/api/v1/secrets", resource("", "", "secrets", "", ""))]
    #[case(
        "/apis/x.io/v1/namespaces/a/things/b/status",
        resource("x.io", "a", "things", "b", "status")
    )]
    #[case(
        "/apis/x.io/v1/roles/system%3Aadmin",
        resource("x.io", "", "roles", "system:admin", "")
    )]
    #[case("/apis/x.io/v1", Route::GroupVersion("x.io".to_owned(), "v1".to_owned()))]
    #[case("/apis/x.io", Route::Group("x.io".to_owned()))]
    #[case("/openapi/v3/apis/x.io/v1", Route::OpenApiV3("apis/x.io/v1".to_owned()))]
    #[case("/livez/ping", Route::Health)]
    #[case("/metrics", Route::Metrics)]
    fn paths(#[case] path: &str, #[case] route: Route) {
        assert_eq!(Route::parse(path).unwrap(), route);
    }

    #[rstest]
    #[case("/nowhere")]
    #[case("/api/v1/namespaces/a/secrets/b/c/d")]
    #[case("/apis/x.io/v1/things/%ff")]
    fn paths_that_lead_nowhere(#[case] path: &str) {
        assert_eq!(Route::parse(path).unwrap_err().code(), 404);
    }
}
