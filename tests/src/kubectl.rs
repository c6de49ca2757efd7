//! kubectl, as a person uses it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::command::{Finished, run, run_ok};

/// Resources of homeport, as kubectl names them.
pub const KINDS: [&str; 4] = ["hprtbundle", "secretbinding", "datasync", "cutover"];

/// kubectl against one API server.
#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: PathBuf,
}

impl Kubectl {
    pub(crate) fn new(kubeconfig: PathBuf) -> Self {
        Self { kubeconfig }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--request-timeout=30s")
            .args(arguments);
        command
    }

    /// Runs kubectl to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        run(&mut self.command(arguments))
    }

    /// Runs kubectl, which must succeed, and returns what it prints.
    ///
    /// # Panics
    /// If it fails.
    pub fn ok(&self, arguments: &[&str]) -> String {
        run_ok(&mut self.command(arguments))
    }

    /// Whether the API server answers.
    pub(crate) fn answers(&self) -> bool {
        self.kubeconfig.is_file() && self.run(&["get", "--raw", "/readyz"]).success
    }

    /// One object, or nothing if there is none.
    ///
    /// # Panics
    /// If kubectl fails, or prints no JSON.
    pub fn object(&self, kind: &str, name: &str) -> Option<Value> {
        let text = self.ok(&["get", kind, name, "--ignore-not-found", "--output=json"]);
        (!text.trim().is_empty()).then(|| serde_json::from_str(&text).expect("kubectl prints JSON"))
    }

    /// All that there is to see of the four resources and what happened to them: for messages and for secrecy checks.
    pub fn everything(&self) -> String {
        let mut text = self
            .run(&["get", "homeport", "--all-namespaces", "--output=yaml"])
            .output();
        text.push_str(
            &self
                .run(&["get", "events", "--all-namespaces", "--output=yaml"])
                .output(),
        );
        text
    }

    /// The status of a condition and its message, or nothing if there is no such condition.
    pub fn condition(&self, kind: &str, name: &str, condition: &str) -> Option<(String, String)> {
        let object = self.object(kind, name)?;
        let conditions = object.pointer("/status/conditions")?.as_array()?;
        let found = conditions.iter().find(|entry| entry["type"] == condition)?;
        Some((text_of(&found["status"]), text_of(&found["message"])))
    }

    /// Whether a condition is True for the object as it is specified now.
    pub fn holds(&self, kind: &str, name: &str, condition: &str) -> bool {
        self.condition(kind, name, condition)
            .is_some_and(|(status, _)| status == "True")
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
