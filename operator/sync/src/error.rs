//! What can go wrong, whether trying again may help, and what to do if not.

use crate::Side;

/// Why a plan, copy or verification ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked to stop. What is finished stays on the target; the next call continues from there.
    #[error("the copy was suspended; what is finished is kept and the next run continues from there")]
    Cancelled,

    /// A field of the task is out of range.
    #[error("task {task:?}: {field} is {value:?}, expected {expected}")]
    InvalidTask {
        /// The task's id.
        task: String,
        /// The field.
        field: &'static str,
        /// The value it has.
        value: String,
        /// What it may be.
        expected: &'static str,
    },

    /// Another process works on the same task.
    #[error(
        "task {task:?} is being worked on by another process that holds its lock on {target}; waiting for it"
    )]
    Busy {
        /// The task's id.
        task: String,
        /// The target endpoint.
        target: String,
    },

    /// The network or the server is not there, or went away.
    #[error("{side} {endpoint}: {cause}; check that the server runs and that its address and port are right")]
    Unreachable {
        /// Which endpoint.
        side: Side,
        /// `host:port/database`.
        endpoint: String,
        /// What the system said.
        cause: String,
    },

    /// TLS could not be set up as asked.
    #[error("{side} {endpoint}: TLS: {cause}; {remedy}")]
    Tls {
        /// Which endpoint.
        side: Side,
        /// `host:port/database`.
        endpoint: String,
        /// What is wrong.
        cause: String,
        /// What to do.
        remedy: &'static str,
    },

    /// The server refused something.
    #[error("{side} {endpoint}: {action}: {message} (SQLSTATE {sqlstate}); {remedy}")]
    Database {
        /// Which endpoint.
        side: Side,
        /// `host:port/database`.
        endpoint: String,
        /// What was being done, naming the object.
        action: String,
        /// The server's primary message. Details are left out: they may quote rows.
        message: String,
        /// The SQLSTATE code.
        sqlstate: String,
        /// What to do.
        remedy: &'static str,
    },

    /// The target holds rows that no earlier run of this task put there.
    #[error(
        "{target} already holds rows that this task did not put there, in {}; nothing was deleted. \
         Empty or drop these tables yourself if the rows are not needed, or exclude them from the task",
        listed(.tables)
    )]
    TargetNotEmpty {
        /// The target endpoint.
        target: String,
        /// `schema.table`, sorted.
        tables: Vec<String>,
    },

    /// The target has a table of the same name and another shape.
    #[error(
        "{target}: table {table} exists and differs from the source: {difference}. \
         Drop or rename the target's table, or exclude it from the task"
    )]
    TargetDiffers {
        /// The target endpoint.
        target: String,
        /// `schema.table`.
        table: String,
        /// What differs.
        difference: String,
    },

    /// The source's schema is no longer what the unfinished copy began with.
    #[error(
        "the source's schema changed since the copy began ({}); drop what was copied from {target} \
         (the application's schemas and the schema homeport) and start again",
        listed(.objects)
    )]
    SchemaChanged {
        /// The target endpoint.
        target: String,
        /// What appeared or vanished.
        objects: Vec<String>,
    },

    /// Source and target are one database.
    #[error("source {endpoint} and target are the same database; point the target at another one")]
    SameDatabase {
        /// The endpoint.
        endpoint: String,
    },

    /// A server is of a version that is not supported.
    #[error("{side} {endpoint} runs PostgreSQL {version}; {remedy}")]
    UnsupportedVersion {
        /// Which endpoint.
        side: Side,
        /// `host:port/database`.
        endpoint: String,
        /// What it runs.
        version: String,
        /// What to do.
        remedy: &'static str,
    },

    /// The source uses extensions that the target's server does not have.
    #[error(
        "{target} lacks the extensions {}; install their packages on the target's server \
         (or use an image that has them)",
        listed(.extensions)
    )]
    ExtensionsMissing {
        /// The target endpoint.
        target: String,
        /// Their names.
        extensions: Vec<String>,
    },

    /// A client program is missing or failed.
    #[error("{program}: {cause}; {remedy}")]
    ClientProgram {
        /// Its name.
        program: &'static str,
        /// What happened.
        cause: String,
        /// What to do.
        remedy: String,
        /// Whether trying again may help.
        transient: bool,
    },

    /// Both sides were read and do not agree.
    #[error(
        "{target} does not hold what the source holds, in {}; see what else writes to the target, \
         empty these tables there and run the copy again",
        listed(.tables)
    )]
    Mismatch {
        /// The target endpoint.
        target: String,
        /// `schema.table`, sorted.
        tables: Vec<String>,
    },

    /// Something answered in a way that the protocol does not allow.
    #[error("{what}; this is a defect of homeport or of the server, please report it")]
    Protocol {
        /// What was seen.
        what: String,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Busy { .. } | Error::Unreachable { .. } => true,
            Error::ClientProgram { transient, .. } => *transient,
            Error::Database { sqlstate, .. } => sqlstate_is_transient(sqlstate),
            _ => false,
        }
    }

    /// A word in CamelCase for a condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Error::Cancelled => "Suspended",
            Error::InvalidTask { .. } => "InvalidTask",
            Error::Busy { .. } => "Busy",
            Error::Unreachable {
                side: Side::Source, ..
            } => "SourceUnreachable",
            Error::Unreachable {
                side: Side::Target, ..
            } => "TargetUnreachable",
            Error::Tls { .. } => "TLSFailed",
            Error::Database { sqlstate, .. } => sqlstate_reason(sqlstate),
            Error::TargetNotEmpty { .. } => "TargetNotEmpty",
            Error::TargetDiffers { .. } => "TargetDiffers",
            Error::SchemaChanged { .. } => "SchemaChanged",
            Error::SameDatabase { .. } => "SameDatabase",
            Error::UnsupportedVersion { .. } => "UnsupportedVersion",
            Error::ExtensionsMissing { .. } => "ExtensionsMissing",
            Error::ClientProgram { .. } => "ClientProgramFailed",
            Error::Mismatch { .. } => "ChecksumMismatch",
            Error::Protocol { .. } => "ProtocolError",
        }
    }
}

/// The first few of `names`, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Connection failures, shutdowns, full connection tables, deadlocks and lock timeouts pass by themselves
/// (PostgreSQL documentation, appendix A).
fn sqlstate_is_transient(code: &str) -> bool {
    code.starts_with("08")
        || code.starts_with("40")
        || matches!(
            code,
            "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "55P03" | "25P03" | "25P04"
        )
}

fn sqlstate_reason(code: &str) -> &'static str {
    match code {
        "28P01" | "28000" => "AuthenticationFailed",
        "42501" => "PermissionDenied",
        "53100" => "DiskFull",
        "53200" => "OutOfMemory",
        "53300" => "TooManyConnections",
        "3D000" => "DatabaseMissing",
        _ if sqlstate_is_transient(code) => "ServerUnavailable",
        _ => "DatabaseError",
    }
}

/// What a person can do about a refusal.
pub(crate) fn sqlstate_remedy(code: &str) -> &'static str {
    match code {
        "28P01" | "28000" => "check the user, its password and the server's pg_hba.conf",
        "3D000" => "create the database or correct its name",
        "42501" => {
            "grant the user what it lacks: to read every table on the source (and BYPASSRLS where tables have row \
             security), to create schemas, tables and extensions on the target"
        }
        "53100" => "free disk space on that server; the next run continues where this one stopped",
        "53200" => "raise max_locks_per_transaction or the memory of that server",
        "53300" => "lower the task's parallelism or raise max_connections",
        "57014" => "a statement_timeout or an administrator cancelled it; run it again",
        "55P03" => "another session holds a lock on the table; it is tried again",
        "0A000" => "this server cannot do that; see the message",
        "25006" => "that server is read-only (a standby?); point the target at a primary",
        _ if code.starts_with("23") => {
            "the rows violate a constraint of the target; see whether the target's tables were created by \
             something else, with other constraints"
        }
        _ if code.starts_with("28") => "check the user, its password and the server's pg_hba.conf",
        _ if code.starts_with("XX") || code.starts_with("58") => {
            "the server reports damage or an I/O failure; see its log"
        }
        _ if sqlstate_is_transient(code) => "it is tried again",
        _ => "see the message and the server's log",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn refused(sqlstate: &str) -> Error {
        Error::Database {
            side: Side::Target,
            endpoint: "db:5432/shop".into(),
            action: "copying public.orders".into(),
            message: "no".into(),
            sqlstate: sqlstate.into(),
            remedy: sqlstate_remedy(sqlstate),
        }
    }

    #[rstest]
    #[case("53100", false, "DiskFull", "free disk space")]
    #[case("42501", false, "PermissionDenied", "grant the user")]
    #[case("28P01", false, "AuthenticationFailed", "check the user")]
    #[case("53300", true, "TooManyConnections", "lower the task's parallelism")]
    #[case("57P01", true, "ServerUnavailable", "tried again")]
    #[case("40P01", true, "ServerUnavailable", "tried again")]
    #[case("08006", true, "ServerUnavailable", "tried again")]
    #[case("23505", false, "DatabaseError", "violate a constraint")]
    #[case("XX001", false, "DatabaseError", "damage")]
    fn refusals(#[case] code: &str, #[case] transient: bool, #[case] reason: &str, #[case] remedy: &str) {
        let error = refused(code);
        assert_eq!(error.is_transient(), transient);
        assert_eq!(error.reason(), reason);
        assert!(error.to_string().contains(remedy), "{error}");
        assert!(error.to_string().contains("public.orders"), "{error}");
    }

    #[test]
    fn long_lists_are_cut() {
        let tables = (1..=8).map(|n| format!("public.t{n}")).collect();
        let message = Error::Mismatch {
            target: "db:5432/shop".into(),
            tables,
        }
        .to_string();
        assert!(message.contains("public.t5 and 3 more"), "{message}");
        assert!(!message.contains("public.t6"), "{message}");
    }
}
