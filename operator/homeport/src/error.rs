//! What a command can fail with: a message for a person, with the chain of what was behind it.

use std::fmt;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct CommandError {
    message: String,
}

impl CommandError {
    /// An error with a message that names what is wrong and how to mend it.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for CommandError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_message = cause.to_string();
            if !message.contains(&cause_message) {
                message = format!("{message}: {cause_message}");
            }
            source = cause.source();
        }
        Self { message }
    }
}

/// Says what was being done when something failed.
pub(crate) trait Doing<T> {
    /// Puts `what` before the error's message.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, CommandError>;
}

impl<T, E: Into<CommandError>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, CommandError> {
        self.map_err(|error| CommandError::new(format!("{}: {}", what(), error.into())))
    }
}
