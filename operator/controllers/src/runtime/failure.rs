//! Why a reconcile could not go on, and whether trying again can help.

use homeport_crds::conditions::Verdict;

/// Why a reconcile could not go on. The message names the object, what is wrong and how to mend it; it never holds
/// a secret value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Something else must come first: a person, or another resource. Not an error.
    #[error("{message}")]
    Waiting {
        /// CamelCase, for machines.
        reason: String,
        /// For people.
        message: String,
    },
    /// It may go well the next time: retried with backoff.
    #[error("{message}")]
    Transient {
        /// CamelCase, for machines.
        reason: String,
        /// For people.
        message: String,
    },
    /// Only a change of the spec, or of what it names, can help.
    #[error("{message}")]
    Terminal {
        /// CamelCase, for machines.
        reason: String,
        /// For people.
        message: String,
    },
}

impl Failure {
    /// Something else must come first.
    pub fn waiting(reason: &str, message: impl Into<String>) -> Self {
        Self::Waiting {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// It may go well the next time.
    pub fn transient(reason: &str, message: impl Into<String>) -> Self {
        Self::Transient {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// Only a change of the spec can help.
    pub fn terminal(reason: &str, message: impl Into<String>) -> Self {
        Self::Terminal {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// The reason, in CamelCase.
    pub fn reason(&self) -> &str {
        match self {
            Self::Waiting { reason, .. } | Self::Transient { reason, .. } | Self::Terminal { reason, .. } => {
                reason
            }
        }
    }

    /// The verdict that goes into the conditions.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.clone() {
            Self::Waiting { reason, message } => Verdict::InProgress { reason, message },
            Self::Transient { reason, message } => Verdict::Retrying { reason, message },
            Self::Terminal { reason, message } => Verdict::Stalled { reason, message },
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::transient(
            "ApiError",
            format!("the Kubernetes API refused a request: {error}"),
        )
    }
}
