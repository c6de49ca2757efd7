//! From references to values.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use async_trait::async_trait;
use homeport_bundle::{SecretReference, SecretSource};
use homeport_secrets::{
    Binding, EnvSource, Error, FileSource, ManualSource, Resolution, Source, Why, resolve,
};
use rstest::rstest;
use secrecy::{ExposeSecret, SecretString};

fn reference(name: &str) -> SecretReference {
    SecretReference {
        name: name.to_owned(),
        source: SecretSource::Manual,
        key: None,
        description: None,
        required: true,
        extra: Default::default(),
    }
}

fn manual(values: &[(&str, &str)]) -> Box<dyn Source> {
    let values: BTreeMap<_, _> = values
        .iter()
        .map(|(n, v)| ((*n).to_owned(), SecretString::from(*v)))
        .collect();
    Box::new(ManualSource::new(values))
}

fn env(variables: &'static [(&'static str, &'static str)]) -> Box<dyn Source> {
    Box::new(EnvSource::with_lookup(move |wanted| {
        variables
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.into())
    }))
}

/// What was found: name, value and origin.
fn values(resolution: &Resolution) -> Vec<(&str, &str, &str)> {
    resolution
        .values
        .iter()
        .map(|(name, found)| (name.as_str(), found.value.expose_secret(), found.origin.as_str()))
        .collect()
}

struct Broken {
    transient: bool,
}

#[async_trait]
impl Source for Broken {
    fn name(&self) -> &str {
        "hashicorp-vault"
    }

    async fn fetch(&self, reference: &SecretReference) -> Result<Option<SecretString>, Error> {
        Err(Error::Source {
            source_name: self.name().to_owned(),
            secret: reference.name.clone(),
            message: "sealed".to_owned(),
            transient: self.transient,
        })
    }
}

#[tokio::test]
async fn sources_are_asked_in_their_order() {
    let sources = [
        manual(&[("A", "1")]),
        env(&[("HOMEPORT_SECRET_A", "2"), ("HOMEPORT_SECRET_DB_PASSWORD", "3")]),
    ];
    let resolution = resolve(&[reference("db-password"), reference("A")], &[], &sources).await;
    assert_eq!(
        values(&resolution),
        [("A", "1", "manual"), ("db-password", "3", "env")]
    );
    assert!(resolution.is_complete());
}

#[tokio::test]
async fn what_is_found_is_kept_when_something_is_missing() {
    let mut optional = reference("C");
    optional.required = false;
    let sources = [manual(&[("A", "1"), ("B", "")])];
    let resolution = resolve(&[optional, reference("B"), reference("A")], &[], &sources).await;
    assert_eq!(values(&resolution), [("A", "1", "manual")]);
    let missing: Vec<_> = resolution
        .missing
        .iter()
        .map(|m| (m.name.as_str(), m.required))
        .collect();
    assert_eq!(missing, [("B", true), ("C", false)]);
    assert_eq!(resolution.missing[0].why.to_string(), "not found in manual");
    assert!(!resolution.is_complete() && !resolution.is_transient());
}

#[tokio::test]
async fn a_bound_name_comes_from_its_source_and_no_other() {
    let sources = [manual(&[("A", "1"), ("B", "1")]), env(&[("OTHER", "2")])];
    let bind = |name: &str, source: &str, key: Option<&str>| Binding {
        name: name.to_owned(),
        source: source.to_owned(),
        key: key.map(str::to_owned),
    };
    let bindings = [
        bind("A", "env", Some("OTHER")),
        bind("B", "env", None),
        bind("C", "vault", None),
    ];
    let resolution = resolve(
        &[reference("A"), reference("B"), reference("C")],
        &bindings,
        &sources,
    )
    .await;
    assert_eq!(values(&resolution), [("A", "2", "env")]);
    assert_eq!(resolution.missing[0].why.to_string(), "not found in env");
    assert_eq!(
        resolution.missing[1].why.to_string(),
        "bound to source vault, but the sources are manual, env"
    );
}

#[tokio::test]
async fn a_key_is_shown_only_to_the_source_it_was_written_for() {
    let mut from_aws = reference("A");
    from_aws.source = SecretSource::AwsSecretsManager;
    from_aws.key = Some("prod/a".to_owned());
    let mut from_env = reference("B");
    from_env.source = SecretSource::Env;
    from_env.key = Some("B_VARIABLE".to_owned());
    let sources = [env(&[
        ("HOMEPORT_SECRET_A", "1"),
        ("prod/a", "wrong"),
        ("B_VARIABLE", "2"),
    ])];
    let resolution = resolve(&[from_aws, from_env], &[], &sources).await;
    assert_eq!(values(&resolution), [("A", "1", "env"), ("B", "2", "env")]);
}

#[rstest]
#[case(true)]
#[case(false)]
#[tokio::test]
async fn a_source_that_fails_is_not_passed_over(#[case] transient: bool) {
    let sources: [Box<dyn Source>; 2] = [Box::new(Broken { transient }), manual(&[("A", "1")])];
    let resolution = resolve(&[reference("A")], &[], &sources).await;
    assert!(resolution.values.is_empty());
    assert!(matches!(resolution.missing[0].why, Why::Failed(_)));
    assert_eq!(resolution.is_transient(), transient);
}

#[tokio::test]
async fn a_name_given_twice_is_required_if_either_is() {
    let mut optional = reference("A");
    optional.required = false;
    let resolution = resolve(&[optional, reference("A")], &[], &[]).await;
    assert_eq!(resolution.missing.len(), 1);
    assert!(resolution.missing[0].required);
    assert_eq!(resolution.missing[0].why.to_string(), "no source is configured");
}

#[tokio::test]
async fn files_are_read_and_their_mode_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    std::fs::write(&path, "DB_PASSWORD=hunter2\nexport other.name='x'\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let file = FileSource::load(&path).await.unwrap();
    assert!(
        file.warnings()[0].to_string().contains("0644"),
        "{:?}",
        file.warnings()
    );
    assert!(!format!("{file:?}").contains("hunter2"));

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = FileSource::load(&path).await.unwrap();
    assert_eq!(file.warnings(), []);
    let resolution = resolve(
        &[reference("db-password"), reference("other.name")],
        &[],
        &[Box::new(file)],
    )
    .await;
    assert_eq!(
        values(&resolution),
        [("db-password", "hunter2", "file"), ("other.name", "x", "file")]
    );
}

#[rstest]
#[case("A=1\nB=\"hunter2\n", "line 2")]
#[case("A=1\nA=hunter2\n", "line 2")]
#[tokio::test]
async fn a_wrong_file_is_refused_without_its_values(#[case] text: &str, #[case] says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.env");
    std::fs::write(&path, text).unwrap();
    let error = FileSource::load(&path).await.unwrap_err();
    assert!(!error.is_transient());
    assert!(error.to_string().contains(says), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_file_that_is_not_there_says_so() {
    let error = FileSource::load("/nonexistent/secrets.env".as_ref())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/nonexistent/secrets.env"), "{error}");
}

#[tokio::test]
async fn variables_must_be_text() {
    use std::os::unix::ffi::OsStringExt;
    let source = EnvSource::with_lookup(|_| Some(std::ffi::OsString::from_vec(vec![0xff])));
    let error = source.fetch(&reference("A")).await.unwrap_err();
    assert!(error.to_string().contains("HOMEPORT_SECRET_A"), "{error}");
}
