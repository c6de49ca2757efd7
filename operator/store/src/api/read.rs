//! Reading: one object, or lists with selectors, pages and demands on how recent they are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::kinds::Kind;
use super::negotiate::object_format;
use super::route::Query;
use super::selector::Selector;
use super::status::Failure;
use super::{Api, Call, ResponseBody, Target, json_bytes, table};
use crate::engine::{Key, Stored};
use crate::schema::FieldError;

pub(crate) fn get(api: &Api, target: &Target, call: &Call) -> Result<Response<ResponseBody>, Failure> {
    let format = object_format(&call.headers, &call.query)?;
    let name = target.name.as_deref().unwrap_or("");
    if let Some(asked) = call.query.resource_version()? {
        refuse_future(api, asked)?;
    }
    let stored = find(api, target, name)?;
    Ok(json_bytes(
        StatusCode::OK,
        table::present_stored(format, &target.kind, &stored, true),
    ))
}

/// The object as it is now.
///
/// # Errors
/// 404 if there is none.
pub(crate) fn find(api: &Api, target: &Target, name: &str) -> Result<Stored, Failure> {
    let key = target.key(name);
    let found = api.engine().read(|memory| memory.get(&key).cloned());
    found.ok_or_else(|| Failure::not_found(&target.kind, name))
}

fn refuse_future(api: &Api, asked: u64) -> Result<(), Failure> {
    let current = api.engine().read(|memory| memory.revision());
    if asked > current {
        Err(Failure::too_large_resource_version(asked, current))
    } else {
        Ok(())
    }
}

pub(crate) fn list(api: &Api, target: &Target, call: &Call) -> Result<Response<ResponseBody>, Failure> {
    let kind = &target.kind;
    let format = object_format(&call.headers, &call.query)?;
    let selector = Selector::parse(&call.query, kind)?;
    let page = Page::parse(&call.query)?;
    if let Some(asked) = page.at_least {
        refuse_future(api, asked)?;
    }
    let namespace = target.namespace.as_deref();
    let snapshot = api
        .engine()
        .read(|memory| memory.snapshot(&kind.storage, namespace, page.exactly, kind.memory_only()))
        .map_err(|expired| match &page.after {
            Some(after) => Failure::continue_expired(
                Token {
                    revision: None,
                    after: after.clone(),
                }
                .encode(),
            ),
            None => expired.into(),
        })?;
    let after = page.after.unwrap_or_default();
    let mut chosen: Vec<(Key, Stored)> = snapshot
        .objects
        .into_iter()
        .filter(|(key, stored)| {
            let position = (key.namespace.as_str(), key.name.as_str());
            position > (after.0.as_str(), after.1.as_str()) && selector.selects(stored)
        })
        .collect();
    let remaining = page.limit.map_or(0, |limit| chosen.len().saturating_sub(limit));
    chosen.truncate(chosen.len() - remaining);
    let mut metadata = json!({"resourceVersion": snapshot.revision.to_string()});
    if let Some((last, _)) = chosen.last().filter(|_| remaining > 0) {
        let after = (last.namespace.clone(), last.name.clone());
        metadata["continue"] = Token {
            revision: Some(snapshot.revision),
            after,
        }
        .encode()
        .into();
        if selector.selects_all() {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    let objects: Vec<Stored> = chosen.into_iter().map(|(_, stored)| stored).collect();
    let bytes = table::present_list(format, kind, &objects, metadata);
    Ok(json_bytes(StatusCode::OK, bytes))
}

/// The objects of a collection that a selector chooses, now.
pub(crate) fn selected(
    api: &Api,
    kind: &Kind,
    namespace: Option<&str>,
    selector: &Selector,
) -> Vec<(Key, Stored)> {
    let mut objects: Vec<(Key, Stored)> = api.engine().read(|memory| {
        let current = memory.current(&kind.storage, namespace);
        current
            .map(|(key, stored)| (key.clone(), stored.clone()))
            .collect()
    });
    objects.retain(|(_, stored)| selector.selects(stored));
    objects
}

/// Which part of a list, and as of when.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    limit: Option<usize>,
    /// Namespace and name of the last object of the page before.
    after: Option<(String, String)>,
    exactly: Option<u64>,
    at_least: Option<u64>,
}

impl Page {
    /// The rules of `resourceVersion` and `resourceVersionMatch` are those of the Kubernetes API concepts.
    fn parse(query: &Query) -> Result<Self, Failure> {
        let refuse = |error: FieldError| Err(Failure::invalid_options("ListOptions", error));
        if query.has("sendInitialEvents") {
            let why = "sendInitialEvents is forbidden for list";
            return refuse(FieldError::forbidden("sendInitialEvents", why));
        }
        let limit = query.number("limit")?.filter(|limit| *limit > 0);
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let version = query.number("resourceVersion")?;
        let matching = query.get("resourceVersionMatch");
        if let Some(token) = query.get("continue") {
            if matching.is_some() {
                let why = "resourceVersionMatch is forbidden when continue is provided";
                return refuse(FieldError::forbidden("resourceVersionMatch", why));
            }
            if version.is_some_and(|version| version != 0) {
                return Err(Failure::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let token = Token::decode(token)?;
            return Ok(Page {
                limit,
                after: Some(token.after),
                exactly: token.revision,
                at_least: None,
            });
        }
        let page = Page {
            limit,
            ..Page::default()
        };
        match (matching, version) {
            (Some(_), None) => {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                refuse(FieldError::forbidden("resourceVersionMatch", why))
            }
            (Some("Exact"), Some(0)) => {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                refuse(FieldError::forbidden("resourceVersionMatch", why))
            }
            (Some("Exact"), Some(at)) => Ok(Page {
                exactly: Some(at),
                at_least: Some(at),
                ..page
            }),
            (Some("NotOlderThan"), at) => Ok(Page { at_least: at, ..page }),
            (Some(other), _) => {
                let supported = ["Exact", "NotOlderThan", ""];
                refuse(FieldError::not_supported(
                    "resourceVersionMatch",
                    other,
                    supported,
                ))
            }
            (None, Some(at)) if at > 0 && limit.is_some() => Ok(Page {
                exactly: Some(at),
                at_least: Some(at),
                ..page
            }),
            (None, at) => Ok(Page { at_least: at, ..page }),
        }
    }
}

/// What a `continue` token holds: where to go on, and in which state; the present one if `None`.
#[derive(Debug, PartialEq, Eq)]
struct Token {
    revision: Option<u64>,
    after: (String, String),
}

impl Token {
    fn encode(&self) -> String {
        let revision = self.revision.map_or(-1, u64::cast_signed);
        let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": [self.after.0, self.after.1]});
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn decode(text: &str) -> Result<Self, Failure> {
        let decode = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let token: Value = serde_json::from_slice(&bytes).ok()?;
            let part = |index: usize| token["start"][index].as_str().map(str::to_owned);
            let revision = token["rv"].as_i64()?;
            Some(Token {
                revision: u64::try_from(revision).ok(),
                after: (part(0)?, part(1)?),
            })
        };
        decode().ok_or_else(|| {
            Failure::bad_request(
                "invalid continue token: continue key is not valid: it was not made by this server",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Some((None, None)))]
    #[case("resourceVersion=0", Some((None, Some(0))))]
    #[case("resourceVersion=7", Some((None, Some(7))))]
    #[case("resourceVersion=7&limit=2", Some((Some(7), Some(7))))]
    #[case("resourceVersion=7&resourceVersionMatch=Exact", Some((Some(7), Some(7))))]
    #[case("resourceVersion=7&resourceVersionMatch=NotOlderThan", Some((None, Some(7))))]
    #[case("resourceVersion=0&resourceVersionMatch=Exact", None)]
    #[case("resourceVersionMatch=Exact", None)]
    #[case("resourceVersion=7&resourceVersionMatch=Whatever", None)]
    #[case("resourceVersion=x", None)]
    #[case("continue=x", None)]
    fn versions(#[case] query: &str, #[case] expected: Option<(Option<u64>, Option<u64>)>) {
        let page = Page::parse(&Query::parse(Some(query)));
        assert_eq!(page.ok().map(|page| (page.exactly, page.at_least)), expected);
    }

    #[test]
    fn tokens_round_trip() {
        for revision in [None, Some(42)] {
            let token = Token {
                revision,
                after: ("ns".to_owned(), "name".to_owned()),
            };
            assert_eq!(Token::decode(&token.encode()).unwrap(), token);
        }
    }
}
