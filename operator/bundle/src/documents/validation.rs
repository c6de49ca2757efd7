//! `validation/*.json`: what a healthy deployment answers, and what must undo a cutover.

use serde::{Deserialize, Serialize};

use super::Extra;
use crate::duration::HumanDuration;
use crate::problem::{Problem, Problems};

/// A question to a running service, asked by health checks and by a cutover's gates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Unique in its list.
    pub name: String,
    /// How to ask.
    #[serde(rename = "type")]
    pub kind: CheckKind,
    /// The stack that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// What an HTTP check requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Method of an HTTP check; without it, `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Status that an HTTP check must see; without it, any of 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_status: Option<u16>,
    /// Text that must be in the body of an HTTP answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// What a TCP check connects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// And on which port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How long one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// Time between attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<HumanDuration>,
    /// How many further attempts may follow a failed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How a check asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// An HTTP or HTTPS request to `url`.
    Http,
    /// A TCP connection to `host` and `port`.
    Tcp,
}

/// `validation/endpoints.json`: endpoints to health-check.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Endpoints {
    /// The checks.
    #[serde(default)]
    pub endpoints: Vec<Check>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// `validation/expected-responses.json`: what endpoints must answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExpectedResponses {
    /// At most one an endpoint.
    #[serde(default)]
    pub responses: Vec<ExpectedResponse>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What one endpoint must answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExpectedResponse {
    /// Name of the endpoint.
    pub endpoint: String,
    /// HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Headers that must be there, with these values.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub headers: std::collections::BTreeMap<String, String>,
    /// Text that must be in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// Longest time that the answer may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency: Option<HumanDuration>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// `validation/rollback-triggers.json`: conditions that undo a cutover.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RollbackTriggers {
    /// Any one of them is enough.
    #[serde(default)]
    pub triggers: Vec<RollbackTrigger>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One condition that undoes a cutover.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollbackTrigger {
    /// Unique in the list.
    pub name: String,
    /// What is measured.
    #[serde(rename = "type")]
    pub kind: TriggerKind,
    /// Name of the check that is measured; without it, all post-checks together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Where the trigger fires: failures in a row, a share of failed requests (0 to 1), or seconds.
    pub threshold: f64,
    /// Over which time it is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<HumanDuration>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a rollback trigger measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerKind {
    /// Failures of the check in a row.
    ConsecutiveFailures,
    /// Share of failed attempts in the window, 0 to 1.
    ErrorRate,
    /// Mean time to answer in the window, in seconds.
    Latency,
}

impl Check {
    /// What is wrong with the check, told of `field`.
    pub(super) fn add_problems(&self, field: &str, problems: &mut Problems) {
        match self.kind {
            CheckKind::Http => {
                let url = self.url.as_deref().unwrap_or_default();
                if !url.starts_with("http://") && !url.starts_with("https://") {
                    problems.add(
                        format!("{field}.url"),
                        url,
                        "an http check needs a URL of http:// or https://",
                    );
                }
                if let Some(status) = self.expected_status {
                    check_status(problems, &format!("{field}.expected_status"), status);
                }
            }
            CheckKind::Tcp => {
                if self.host.as_deref().unwrap_or_default().is_empty() {
                    problems.add(format!("{field}.host"), "", "a tcp check needs a host");
                }
                if self.port.unwrap_or_default() == 0 {
                    problems.add(
                        format!("{field}.port"),
                        self.port.unwrap_or_default(),
                        "a tcp check needs a port",
                    );
                }
            }
        }
    }

    /// What is wrong with a list of checks.
    pub(super) fn add_list_problems(list: &str, checks: &[Check], problems: &mut Problems) {
        problems.unique_names(list, checks.iter().map(|check| check.name.as_str()));
        for (i, check) in checks.iter().enumerate() {
            check.add_problems(&format!("{list}[{i}]"), problems);
        }
    }
}

fn check_status(problems: &mut Problems, field: &str, status: u16) {
    if !(100..=599).contains(&status) {
        problems.add(field, status, "an HTTP status is 100 to 599");
    }
}

impl Endpoints {
    /// Where it is in a bundle.
    pub const PATH: &str = "validation/endpoints.json";

    /// What is wrong with the endpoints.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of(Self::PATH);
        Check::add_list_problems("endpoints", &self.endpoints, &mut problems);
        problems.into_vec()
    }
}

impl ExpectedResponses {
    /// Where it is in a bundle.
    pub const PATH: &str = "validation/expected-responses.json";

    /// The answer expected of the endpoint of that name.
    pub fn of(&self, endpoint: &str) -> Option<&ExpectedResponse> {
        self.responses
            .iter()
            .find(|response| response.endpoint == endpoint)
    }

    /// What is wrong with the expectations on their own.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of(Self::PATH);
        let mut seen = std::collections::HashSet::new();
        for (i, response) in self.responses.iter().enumerate() {
            if !seen.insert(response.endpoint.as_str()) {
                let remedy = "another response is for this endpoint: merge the two";
                problems.add(format!("responses[{i}].endpoint"), &response.endpoint, remedy);
            }
            if let Some(status) = response.status {
                check_status(&mut problems, &format!("responses[{i}].status"), status);
            }
        }
        problems.into_vec()
    }
}

impl RollbackTriggers {
    /// Where it is in a bundle.
    pub const PATH: &str = "validation/rollback-triggers.json";

    /// What is wrong with the triggers.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of(Self::PATH);
        problems.unique_names(
            "triggers",
            self.triggers.iter().map(|trigger| trigger.name.as_str()),
        );
        for (i, trigger) in self.triggers.iter().enumerate() {
            let (fits, remedy) = match trigger.kind {
                TriggerKind::ConsecutiveFailures => (trigger.threshold >= 1.0, "write 1 failure or more"),
                TriggerKind::ErrorRate => (
                    trigger.threshold > 0.0 && trigger.threshold <= 1.0,
                    "write a share above 0 and up to 1",
                ),
                TriggerKind::Latency => (trigger.threshold > 0.0, "write a number of seconds above 0"),
            };
            if !fits {
                problems.add(format!("triggers[{i}].threshold"), trigger.threshold, remedy);
            }
        }
        problems.into_vec()
    }
}
