//! One thing that is wrong with a bundle's contents, told so that its author can mend it.

use std::collections::HashSet;
use std::fmt;

/// A wrong value in one of the bundle's documents. Never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the document inside the bundle.
    pub file: String,
    /// The field, in the form `stacks[2].compose_file`.
    pub field: String,
    /// The value that is wrong.
    pub value: String,
    /// What is wrong with it and how to mend it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} is {:?}: {}",
            self.file, self.field, self.value, self.remedy
        )
    }
}

/// Collects the problems of one document.
pub(crate) struct Problems {
    file: &'static str,
    found: Vec<Problem>,
}

impl Problems {
    pub(crate) fn of(file: &'static str) -> Self {
        Self {
            file,
            found: Vec::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        field: impl Into<String>,
        value: impl fmt::Display,
        remedy: impl Into<String>,
    ) {
        self.found.push(Problem {
            file: self.file.to_owned(),
            field: field.into(),
            value: value.to_string(),
            remedy: remedy.into(),
        });
    }

    /// Each name must be filled in and used once.
    pub(crate) fn unique_names<'a>(&mut self, list: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = HashSet::new();
        for (i, name) in names.enumerate() {
            if name.trim().is_empty() {
                self.add(format!("{list}[{i}].name"), name, "give it a name");
            } else if !seen.insert(name) {
                self.add(
                    format!("{list}[{i}].name"),
                    name,
                    "another one has this name: rename one of them",
                );
            }
        }
    }

    /// Each dependency must be one of `names`, and none may lead back to itself.
    pub(crate) fn dependencies(&mut self, list: &str, nodes: &[(&str, &[String])]) {
        let names: HashSet<&str> = nodes.iter().map(|(name, _)| *name).collect();
        for (i, (_, depends_on)) in nodes.iter().enumerate() {
            for (j, dependency) in depends_on.iter().enumerate() {
                if !names.contains(dependency.as_str()) {
                    let field = format!("{list}[{i}].depends_on[{j}]");
                    self.add(
                        field,
                        dependency,
                        format!("{list} has none of this name: correct or remove it"),
                    );
                }
            }
        }
        if let Err(cycle) = crate::order::dependency_order(nodes) {
            self.add(
                format!("{list}[].depends_on"),
                cycle.join(" -> "),
                "these depend on each other in a circle: remove one of the dependencies",
            );
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.found
    }
}
