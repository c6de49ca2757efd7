//! What a deployment does, did, or would do.

use std::fmt;

use crate::snapshot::Snapshot;
use crate::state::StackState;

/// What happens while a release is deployed, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What runs has been recorded.
    SnapshotTaken {
        /// The revision that ran, if one did.
        revision: Option<i64>,
    },
    /// A hook begins.
    HookStarted {
        /// Its path in the bundle.
        hook: &'static str,
    },
    /// A hook has succeeded.
    HookFinished {
        /// Its path in the bundle.
        hook: &'static str,
        /// The last of its output, redacted.
        output: String,
    },
    /// A stack is brought up.
    StackStarted {
        /// The stack.
        stack: String,
        /// What is done with it.
        change: Change,
    },
    /// A stack is waited for. Sent whenever something has changed.
    StackWaiting {
        /// What runs of it.
        state: StackState,
    },
    /// A stack is up, and healthy if that is waited for.
    StackFinished {
        /// The stack.
        stack: String,
        /// Whether it was left untouched.
        unchanged: bool,
    },
    /// A stack that the release does not have is gone.
    StackRemoved {
        /// The stack.
        stack: String,
    },
}

/// What a deployment did.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The revision that now runs.
    pub revision: i64,
    /// What was done with each stack, in order; those last that were removed.
    pub stacks: Vec<StackChange>,
    /// Whether anything was done; if not, all was as it should be.
    pub changed: bool,
    /// What ran before, if it was recorded.
    pub snapshot: Option<Snapshot>,
    /// What runs now.
    pub states: Vec<StackState>,
}

/// What is, or would be, done with a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackChange {
    /// The stack.
    pub stack: String,
    /// What is done.
    pub change: Change,
    /// Why, in a few words; empty if there is nothing to say.
    pub reason: String,
}

/// What is done with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It is brought up for the first time.
    Create,
    /// It is brought up with another configuration, or again because not all of it runs.
    Update,
    /// It is left as it is.
    Unchanged,
    /// It is removed; its volumes stay.
    Remove,
}

impl fmt::Display for StackChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.change {
            Change::Create => "create",
            Change::Update => "update",
            Change::Unchanged => "unchanged",
            Change::Remove => "remove",
        };
        write!(f, "stack {}: {verb}", self.stack)?;
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        Ok(())
    }
}
