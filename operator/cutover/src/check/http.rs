//! A check over HTTP: what a request is answered with.

use std::net::SocketAddr;
use std::time::Duration;

use homeport_bundle::validation::Check as BundleCheck;
use regex::Regex;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, Url};

use super::Seen;
use crate::error::{Error, Result};

/// How much of a body is read, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// A request, and what its answer must be.
#[derive(Debug, Clone)]
pub struct HttpProbe {
    /// The address. Redirects are not followed: they are an answer.
    pub url: String,
    /// The method.
    pub method: String,
    /// Headers to send.
    pub headers: Vec<(String, String)>,
    /// The least and the greatest status that pass.
    pub status: (u16, u16),
    /// A text that the body must contain.
    pub body_contains: Option<String>,
    /// A pattern that must be found in the body.
    pub body_matches: Option<Regex>,
    /// JSON pointers (RFC 6901) and the values that must be there.
    pub json_equals: Vec<(String, serde_json::Value)>,
    /// Headers that the answer must have, with these values.
    pub header_equals: Vec<(String, String)>,
    /// The address that the URL's host is taken to have, so that a new place can be checked before DNS points there.
    pub resolve: Option<SocketAddr>,
}

impl HttpProbe {
    /// A `GET` that must be answered with a status of 200 to 299.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: "GET".to_owned(),
            headers: Vec::new(),
            status: (200, 299),
            body_contains: None,
            body_matches: None,
            json_equals: Vec::new(),
            header_equals: Vec::new(),
            resolve: None,
        }
    }

    pub(super) fn from_bundle(check: &BundleCheck) -> Self {
        Self {
            method: check.method.clone().unwrap_or_else(|| "GET".to_owned()),
            status: check
                .expected_status
                .map_or((200, 399), |status| (status, status)),
            body_contains: check.body_contains.clone(),
            ..Self::get(check.url.clone().unwrap_or_default())
        }
    }

    /// Takes the URL's host to have this address; with port 0, the port is that of the URL.
    pub fn resolved_to(self, address: SocketAddr) -> Self {
        Self {
            resolve: Some(address),
            ..self
        }
    }

    /// Requires that a pattern is found in the body.
    pub fn matching(self, pattern: &str) -> Result<Self> {
        let regex = Regex::new(pattern).map_err(|error| {
            Error::invalid(
                "body pattern",
                pattern,
                format!("is no regular expression: {error}"),
            )
        })?;
        Ok(Self {
            body_matches: Some(regex),
            ..self
        })
    }

    pub(super) async fn ask(&self, timeout: Duration) -> Seen {
        match self.request(timeout).await {
            Ok(response) => self.judge(response).await,
            Err(fault) => Seen {
                observed: "no answer".to_owned(),
                fault: Some(fault),
            },
        }
    }

    async fn request(&self, timeout: Duration) -> std::result::Result<Response, String> {
        let url = Url::parse(&self.url).map_err(|error| format!("the check's url is no URL: {error}"))?;
        let method: Method = self
            .method
            .parse()
            .map_err(|_| format!("{:?} is no HTTP method", self.method))?;
        // A client of its own each time: a pooled connection would go on to the old place after the switch.
        let mut client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(timeout);
        if let (Some(address), Some(host)) = (self.resolve, url.host_str()) {
            client = client.resolve(host, address);
        }
        let client = client.build().map_err(|error| describe(&error))?;
        let mut request = client.request(method, url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.send().await.map_err(|error| describe(&error))
    }

    async fn judge(&self, response: Response) -> Seen {
        let status = response.status().as_u16();
        let observed = status.to_string();
        let fault = |text: String| Seen {
            observed: observed.clone(),
            fault: Some(text),
        };
        let (least, greatest) = self.status;
        if !(least..=greatest).contains(&status) {
            let expected = if least == greatest {
                least.to_string()
            } else {
                format!("{least} to {greatest}")
            };
            return fault(format!("status {status} instead of {expected}"));
        }
        for (name, expected) in &self.header_equals {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            if value != Some(expected) {
                return fault(format!(
                    "header {name} is {} instead of {expected:?}",
                    value.unwrap_or("absent")
                ));
            }
        }
        if self.body_contains.is_none() && self.body_matches.is_none() && self.json_equals.is_empty() {
            return Seen {
                observed,
                fault: None,
            };
        }
        match body(response).await {
            Ok(text) => Seen {
                fault: self.body_fault(&text),
                observed,
            },
            Err(error) => fault(error),
        }
    }

    fn body_fault(&self, body: &str) -> Option<String> {
        if let Some(text) = &self.body_contains
            && !body.contains(text)
        {
            return Some(format!("the body does not contain {text:?}"));
        }
        if let Some(pattern) = &self.body_matches
            && !pattern.is_match(body)
        {
            return Some(format!("nothing in the body matches {:?}", pattern.as_str()));
        }
        if self.json_equals.is_empty() {
            return None;
        }
        let Ok(json) = serde_json::from_str::<serde_json::Value>(body) else {
            return Some("the body is not JSON".to_owned());
        };
        self.json_equals
            .iter()
            .find_map(|(pointer, expected)| match json.pointer(pointer) {
                Some(found) if found == expected => None,
                Some(found) => Some(format!("{pointer} in the body is {found} instead of {expected}")),
                None => Some(format!("the body has no {pointer}")),
            })
    }
}

/// As much of the body as is looked at.
async fn body(mut response: Response) -> std::result::Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
        let room = BODY_LIMIT - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == BODY_LIMIT {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An error with its causes, without the URL: it may hold credentials.
fn describe(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        "no connection".to_owned()
    } else {
        "the request failed".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
