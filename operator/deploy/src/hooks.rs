//! The scripts of a bundle that run around its deployment.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use crate::error::{Error, Result};
use crate::host::{Command, Host};
use crate::redact::Redactor;
use crate::release::Release;

/// Runs before the first stack is touched.
pub(crate) const PRE_DEPLOY: &str = "scripts/pre-deploy.sh";
/// Runs when the last stack is healthy.
pub(crate) const POST_DEPLOY: &str = "scripts/post-deploy.sh";

/// How many lines of a hook's output are shown.
const SHOWN_LINES: usize = 20;

/// Runs the hook `$1` unless the file `$0` says that it has succeeded before, and writes that file when it has.
///
/// The script writes it, not homeport, so that a hook that has ended counts even if homeport was killed meanwhile. The
/// lock makes a second homeport wait for a hook that the first, killed, left running.
const SCRIPT: &str = r#"
mkdir -p "${0%/*}" && exec 9>>"$0.lock" || exit 125
if command -v flock >/dev/null; then flock 9; fi
[ -e "$0" ] && exit 0
if [ -x "$1" ]; then "$1" 9>&-; else sh "$1" 9>&-; fi || exit
: >"$0.new" && sync "$0.new" && mv "$0.new" "$0"
"#;

/// Whether the bundle has the hook and it has not yet succeeded for this release.
pub(crate) async fn is_due(host: &dyn Host, release: &Release, hook: &str) -> Result<bool> {
    let has_run = host.read(&marker(release, hook)).await?.is_some();
    Ok(release.manifest().has_file(hook) && !has_run)
}

/// Runs a hook in the release's directory; the last of its output, redacted.
pub(crate) async fn run(
    host: &dyn Host,
    release: &Release,
    hook: &str,
    secrets: &BTreeMap<String, SecretString>,
    redactor: &Redactor,
    timeout: Duration,
) -> Result<String> {
    let marker = marker(release, hook).to_string_lossy().into_owned();
    let script = release.path_of(hook).to_string_lossy().into_owned();
    let mut command = Command::new("sh", ["-c".to_owned(), SCRIPT.to_owned(), marker, script])
        .directory(&release.directory())
        .secrets(secrets)
        .timeout(timeout);
    command.output_limit = 256 << 10;
    let facts = [
        ("HOMEPORT_BUNDLE", release.layout().bundle_name()),
        ("HOMEPORT_REVISION", release.revision().to_string()),
    ];
    let facts = facts.map(|(name, value)| (name.to_owned(), value));
    command.env.extend(facts);

    let output = host.run(&command).await?;
    let text = [output.stdout.as_str(), output.stderr.as_str()].concat();
    let log = redactor.tail(&text, SHOWN_LINES);
    if output.success() {
        return Ok(log);
    }
    Err(Error::HookFailed {
        hook: hook.to_owned(),
        ending: output.ending(),
        log,
    })
}

fn marker(release: &Release, hook: &str) -> std::path::PathBuf {
    let name = hook.trim_start_matches("scripts/").trim_end_matches(".sh");
    release.layout().hooks().join(release.name()).join(name)
}
