//! What can go wrong, and whether it goes away by itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use homeport_bundle::UnmetDependency;

/// The result of what this crate does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// When to try again after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// With the usual backoff: it is likely to go away by itself.
    Soon,
    /// With long pauses: somebody must do something on the host, and nothing tells when that is done.
    Slowly,
    /// Not before something else is asked for.
    Never,
}

/// Why something could not be done. Texts of programs in it are redacted: they hold no secret value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The container engine does not answer.
    #[error(
        "the container engine of the host {host:?} does not answer: {detail}; start it, or correct the target"
    )]
    TargetUnreachable {
        /// The host.
        host: String,
        /// What the client says.
        detail: String,
    },
    /// A program that is needed is not on the host.
    #[error("the host {host:?} has no program {program:?}: {remedy}")]
    ProgramMissing {
        /// The host.
        host: String,
        /// The program.
        program: String,
        /// What to install.
        remedy: &'static str,
    },
    /// Compose is there, but a version that is not maintained since 2023.
    #[error(
        "the host {host:?} has only Compose {version}, and 2.0 or later is needed: install the plugin \
         docker-compose-plugin, or a newer docker-compose"
    )]
    ComposeTooOld {
        /// The host.
        host: String,
        /// The version found.
        version: String,
    },
    /// The host lacks programs that the bundle's manifest asks for.
    #[error("the host {host:?} does not meet the bundle's requirements: {}", unmet.iter()
        .map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    UnmetDependencies {
        /// The host.
        host: String,
        /// What is missing.
        unmet: Vec<UnmetDependency>,
    },
    /// An image is neither on the host nor can it be pulled.
    #[error(
        "stack {stack:?}: the image {image:?} of service {service:?} is not on the host{}: load it there with \
         `docker load`, or build it, or give the host access to its registry",
        detail.as_ref().map(|detail| format!(" and could not be pulled ({detail})")).unwrap_or_default()
    )]
    ImageMissing {
        /// The stack.
        stack: String,
        /// The service.
        service: String,
        /// The image.
        image: String,
        /// What the attempt to pull it said.
        detail: Option<String>,
    },
    /// Another deployment of the bundle is under way.
    #[error(
        "the bundle {bundle} is locked by {owner} since {since} ({reason}): wait for it, or remove {path:?} if it is gone"
    )]
    Locked {
        /// Namespace and name.
        bundle: String,
        /// Who holds the lock.
        owner: String,
        /// Why.
        reason: String,
        /// Since when.
        since: String,
        /// The lock.
        path: PathBuf,
    },
    /// The file of a stack is not what Compose takes.
    #[error("stack {stack:?}: Compose does not accept {file}: {detail}")]
    InvalidCompose {
        /// The stack.
        stack: String,
        /// Its file, by its path in the bundle.
        file: String,
        /// What Compose says.
        detail: String,
    },
    /// A service could write into the release, where what it writes is lost.
    #[error(
        "stack {stack:?}: {file}: service {service:?} mounts {} to write there; it lies in the release, so the next \
         revision begins without what was written, and it is removed with the release: use a named volume, or an \
         absolute path outside the release, or mount it read-only",
        place_in_release(path)
    )]
    MountInRelease {
        /// The stack.
        stack: String,
        /// Its file, by its path in the bundle.
        file: String,
        /// The service.
        service: String,
        /// What it mounts, by its path in the release; empty if that is all of the release.
        path: PathBuf,
    },
    /// The file of a stack needs a variable that no secret gives.
    #[error(
        "stack {stack:?}: {file} needs the variable {variable}, and no secret of that name is given: declare it in \
         secrets/secrets-manifest.json and bind it with a SecretBinding"
    )]
    VariableMissing {
        /// The stack.
        stack: String,
        /// Its file, by its path in the bundle.
        file: String,
        /// The variable.
        variable: String,
    },
    /// A secret has the name of a variable that programs on the host depend on.
    #[error("the secret {name:?} would change how programs on the host work: give it another name")]
    ReservedSecretName {
        /// The secret.
        name: String,
    },
    /// A stack that is asked for is not in the bundle.
    #[error("the bundle has no stack {stack:?}; it has: {known}")]
    NoSuchStack {
        /// The stack.
        stack: String,
        /// Those that it has.
        known: String,
    },
    /// A stack names a service that its file has not.
    #[error("stack {stack:?}: {file} has no service {service:?}; it has: {known}")]
    NoSuchService {
        /// The stack.
        stack: String,
        /// Its file, by its path in the bundle.
        file: String,
        /// The service.
        service: String,
        /// Those that it has.
        known: String,
    },
    /// A revision that is asked for is not kept.
    #[error("the host keeps no revision {revision} of the bundle {bundle}; it keeps: {known}")]
    NoSuchRevision {
        /// Namespace and name.
        bundle: String,
        /// The revision.
        revision: i64,
        /// Those that are kept.
        known: String,
    },
    /// Stacks depend on each other in a circle.
    #[error("the stacks {} depend on each other in a circle: correct depends_on in the manifest", stacks.join(", "))]
    DependencyCycle {
        /// The stacks that no order can be found for.
        stacks: Vec<String>,
    },
    /// Compose could not bring a stack up.
    #[error("stack {stack:?}: Compose could not bring it up: {detail}")]
    UpFailed {
        /// The stack.
        stack: String,
        /// What Compose says.
        detail: String,
        /// Whether what is in the way is likely to go away.
        transient: bool,
    },
    /// A stack did not become healthy in time.
    #[error(
        "stack {stack:?}: service {service:?} is not healthy after {}s: {state}{}",
        waited.as_secs(), indented("its last lines", log)
    )]
    Unhealthy {
        /// The stack.
        stack: String,
        /// The first of its services that is not healthy.
        service: String,
        /// What the engine says of it.
        state: String,
        /// How long it had.
        waited: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// A service ended and will not be started again.
    #[error(
        "stack {stack:?}: service {service:?} ended with exit status {code}{}",
        indented("its last lines", log)
    )]
    ServiceFailed {
        /// The stack.
        stack: String,
        /// The service.
        service: String,
        /// Its exit status.
        code: i64,
        /// The last lines of its log.
        log: String,
    },
    /// A stack could not be removed.
    #[error("stack {stack:?}: Compose could not remove it: {detail}")]
    DownFailed {
        /// The stack.
        stack: String,
        /// What Compose says.
        detail: String,
    },
    /// A hook failed.
    #[error(
        "the hook {hook} {ending}: mend it in the bundle, or what it complains of{}",
        indented("its last lines", log)
    )]
    HookFailed {
        /// Its path in the bundle.
        hook: String,
        /// How it ended.
        ending: String,
        /// Its last lines.
        log: String,
    },
    /// A program took too long.
    #[error("{command} on the host {host:?} was stopped after {}s", timeout.as_secs())]
    TimedOut {
        /// The host.
        host: String,
        /// The program.
        command: String,
        /// How long it had.
        timeout: Duration,
    },
    /// A program failed in a way that says nothing about the deployment.
    #[error("{command} on the host {host:?} failed: {detail}")]
    CommandFailed {
        /// The host.
        host: String,
        /// The program.
        command: String,
        /// What it says.
        detail: String,
    },
    /// A program answered something that cannot be read.
    #[error("cannot read what {command} on the host {host:?} answered: {reason}")]
    UnexpectedOutput {
        /// The host.
        host: String,
        /// The program.
        command: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of ours on the host cannot be read.
    #[error("{path:?} is damaged: {reason}; restore it from a backup, or remove it to begin anew")]
    DamagedFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A release is not a bundle any more.
    #[error("the release {path:?} is damaged: {source}")]
    DamagedRelease {
        /// Its directory.
        path: PathBuf,
        /// What is wrong with it.
        source: homeport_bundle::Error,
    },
    /// The name of a namespace or bundle cannot be that of a directory.
    #[error("{name:?} cannot be the name of a directory: use lower-case letters, digits, - and .")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The directory for deployments is not absolute.
    #[error("{path:?} is a relative path: give an absolute one")]
    RelativeRoot {
        /// The directory.
        path: PathBuf,
    },
    /// A file or directory could not be read or written.
    #[error("cannot {action} {path:?}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Error {
    /// When to try again.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::TargetUnreachable { .. }
            | Self::Locked { .. }
            | Self::TimedOut { .. }
            | Self::CommandFailed { .. }
            | Self::UnexpectedOutput { .. }
            | Self::DownFailed { .. }
            | Self::Io { .. }
            | Self::UpFailed { transient: true, .. } => Retry::Soon,
            Self::ProgramMissing { .. }
            | Self::ComposeTooOld { .. }
            | Self::UnmetDependencies { .. }
            | Self::ImageMissing { .. }
            | Self::Unhealthy { .. } => Retry::Slowly,
            Self::InvalidCompose { .. }
            | Self::MountInRelease { .. }
            | Self::VariableMissing { .. }
            | Self::ReservedSecretName { .. }
            | Self::NoSuchStack { .. }
            | Self::NoSuchService { .. }
            | Self::NoSuchRevision { .. }
            | Self::DependencyCycle { .. }
            | Self::UpFailed { transient: false, .. }
            | Self::ServiceFailed { .. }
            | Self::HookFailed { .. }
            | Self::DamagedFile { .. }
            | Self::DamagedRelease { .. }
            | Self::InvalidName { .. }
            | Self::RelativeRoot { .. } => Retry::Never,
        }
    }

    /// Whether it may go away without something else being asked for.
    pub fn is_transient(&self) -> bool {
        self.retry() != Retry::Never
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}

/// A path in a release, for messages.
fn place_in_release(path: &Path) -> String {
    if path.as_os_str().is_empty() {
        return "the whole bundle".to_owned();
    }
    format!("{path:?}")
}

/// Text of a program at the end of a message.
fn indented(title: &str, text: &str) -> String {
    let text = text.trim_end();
    if text.is_empty() {
        return String::new();
    }
    format!("\n{title}:\n  {}", text.replace('\n', "\n  "))
}
