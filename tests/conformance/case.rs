//! A case: requests in order, and what the answer to each must be. Data only; `run` puts it to a server.
//!
//! Paths, bodies and expectations may have names in braces. `{ns}` is the path of a namespace that the case has for
//! itself and `{namespace}` its name; `{group}` is an API group that nobody else uses, `{unique}` a word of that kind;
//! what [`Case::keep`] took from an answer is there by the name that it was given.

use serde_json::Value;

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// Requests in order. Each of the methods that make a request is followed by those that say what its answer must be.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
}

/// One request, or a look at a watch that is open.
pub(crate) struct Step {
    pub(crate) action: Action,
    /// The status of the answer; any below 300 if there is none.
    pub(crate) status: Option<u16>,
    /// What the answer must have in it, in the form of `expect`.
    pub(crate) parts: Vec<Value>,
    /// The same of the answer's headers.
    pub(crate) headers: Vec<(&'static str, Value)>,
    /// Names for values of the answer, by their JSON pointers.
    pub(crate) kept: Vec<(&'static str, &'static str)>,
}

pub(crate) enum Action {
    Request(Request),
    /// The request is repeated until its answer is what is expected.
    Until(Request),
    /// A watch that is read to its end, as a list of its events.
    WholeWatch(Request),
    /// A watch is opened and stays open under this name.
    Open(&'static str, Request),
    /// Events that come next on the watch of this name. Bookmarks between them do not count.
    Next(&'static str, Vec<Value>),
}

pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Empty,
    Json(Value),
    Text(String),
}

/// The start of a case with that name, which says what is true of a server that passes it.
pub(crate) fn case(name: &'static str) -> Case {
    Case {
        name,
        steps: Vec::new(),
    }
}

impl Case {
    pub(crate) fn get(self, path: impl Into<String>) -> Self {
        self.request("GET", path, None, Body::Empty)
    }

    pub(crate) fn post(self, path: impl Into<String>, body: Value) -> Self {
        self.request("POST", path, Some(JSON), Body::Json(body))
    }

    pub(crate) fn put(self, path: impl Into<String>, body: Value) -> Self {
        self.request("PUT", path, Some(JSON), Body::Json(body))
    }

    /// `form` is one of the four content types of patches.
    pub(crate) fn patch(self, form: &'static str, path: impl Into<String>, body: Value) -> Self {
        self.request("PATCH", path, Some(form), Body::Json(body))
    }

    /// A server-side apply for that manager; more of the query may follow the name, as `a&force=true`.
    pub(crate) fn apply(self, manager: &str, path: &str, body: Value) -> Self {
        self.patch(APPLY, format!("{path}?fieldManager={manager}"), body)
    }

    pub(crate) fn delete(self, path: impl Into<String>) -> Self {
        self.request("DELETE", path, None, Body::Empty)
    }

    /// A deletion with options in its body.
    pub(crate) fn delete_with(self, path: impl Into<String>, options: Value) -> Self {
        self.request("DELETE", path, Some(JSON), Body::Json(options))
    }

    /// Any request, its body as it is.
    pub(crate) fn send(
        self,
        method: &'static str,
        path: impl Into<String>,
        content_type: &'static str,
        text: impl Into<String>,
    ) -> Self {
        self.request(method, path, Some(content_type), Body::Text(text.into()))
    }

    /// Repeats a GET until the answer is what is expected. For what servers do in the background.
    pub(crate) fn until(self, path: impl Into<String>) -> Self {
        self.step(Action::Until(Request {
            method: "GET",
            path: path.into(),
            headers: Vec::new(),
            body: Body::Empty,
        }))
    }

    /// Repeats a request with a body until the answer is what is expected.
    pub(crate) fn repeat(self, method: &'static str, path: impl Into<String>, body: Value) -> Self {
        self.step(Action::Until(Request {
            method,
            path: path.into(),
            headers: vec![("content-type", JSON.to_owned())],
            body: Body::Json(body),
        }))
    }

    /// The whole of a watch, which must have `timeoutSeconds` in its query, as a list of events.
    pub(crate) fn watch(self, path: impl Into<String>) -> Self {
        self.step(Action::WholeWatch(Request {
            method: "GET",
            path: path.into(),
            headers: Vec::new(),
            body: Body::Empty,
        }))
    }

    /// Opens a watch, whose events [`Self::next`] looks at.
    pub(crate) fn open(self, name: &'static str, path: impl Into<String>) -> Self {
        self.step(Action::Open(
            name,
            Request {
                method: "GET",
                path: path.into(),
                headers: Vec::new(),
                body: Body::Empty,
            },
        ))
    }

    /// These events come next on the watch of that name.
    pub(crate) fn next(self, name: &'static str, events: impl IntoIterator<Item = Value>) -> Self {
        self.step(Action::Next(name, events.into_iter().collect()))
    }

    /// Defines a kind, and waits until it is served.
    pub(crate) fn define(self, definition: Value) -> Self {
        let text = |pointer: &str| {
            let value = definition.pointer(pointer).and_then(Value::as_str);
            value.expect("a definition is complete").to_owned()
        };
        let name = text("/metadata/name");
        let served = format!(
            "/apis/{}/{}/{}",
            text("/spec/group"),
            text("/spec/versions/0/name"),
            text("/spec/names/plural")
        );
        self.post(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            definition,
        )
        .is(201)
        .until(format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        ))
        .with(
            serde_json::json!({"status": {"conditions": crate::expect::with_item(
                serde_json::json!({"type": "Established", "status": "True"})
            )}}),
        )
        .until(served)
        .is(200)
    }

    /// A header of the last request.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let request = match &mut self.last().action {
            Action::Request(request)
            | Action::Until(request)
            | Action::WholeWatch(request)
            | Action::Open(_, request) => request,
            Action::Next(..) => panic!("events have no headers"),
        };
        request.headers.push((name, value.to_owned()));
        self
    }

    /// The status of the last answer.
    pub(crate) fn is(mut self, status: u16) -> Self {
        self.last().status = Some(status);
        self
    }

    /// What the last answer has in it.
    pub(crate) fn with(mut self, part: Value) -> Self {
        self.last().parts.push(part);
        self
    }

    /// What a header of the last answer is.
    pub(crate) fn with_header(mut self, name: &'static str, part: Value) -> Self {
        self.last().headers.push((name, part));
        self
    }

    /// Keeps what the last answer has at the JSON pointer, for later requests to name.
    pub(crate) fn keep(mut self, name: &'static str, pointer: &'static str) -> Self {
        self.last().kept.push((name, pointer));
        self
    }

    /// The last answer is a refusal with that status, reason and message.
    pub(crate) fn refused(self, status: u16, reason: &str, message: impl Into<Value>) -> Self {
        self.is(status).with(serde_json::json!({
            "apiVersion": "v1", "kind": "Status", "status": "Failure",
            "code": status, "reason": reason, "message": message.into(),
        }))
    }

    fn request(
        self,
        method: &'static str,
        path: impl Into<String>,
        content_type: Option<&'static str>,
        body: Body,
    ) -> Self {
        self.step(Action::Request(Request {
            method,
            path: path.into(),
            headers: content_type
                .map(|form| ("content-type", form.to_owned()))
                .into_iter()
                .collect(),
            body,
        }))
    }

    fn step(mut self, action: Action) -> Self {
        self.steps.push(Step {
            action,
            status: None,
            parts: Vec::new(),
            headers: Vec::new(),
            kept: Vec::new(),
        });
        self
    }

    fn last(&mut self) -> &mut Step {
        self.steps.last_mut().expect("a request comes first")
    }
}
