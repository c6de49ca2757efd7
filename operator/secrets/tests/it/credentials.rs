//! One row for each kind of credential: a made-up one is found, one that is too short or no more than filler is not.
//!
//! Values are put together at run time, so that this file holds nothing that looks like a credential.

use rstest::rstest;

use crate::findings;

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const HEX: &str = "0123456789abcdef";
const DIGITS: &str = "0123456789";
const BECH32: &str = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";

/// Characters of an alphabet that follow no pattern, the same in every run.
fn noise(alphabet: &str, length: usize) -> String {
    noise_from(0, alphabet, length)
}

fn noise_from(seed: u64, alphabet: &str, length: usize) -> String {
    let alphabet = alphabet.as_bytes();
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ (length as u64) ^ seed;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            alphabet[(state >> 33) as usize % alphabet.len()] as char
        })
        .collect()
}

/// Fills a form: `{L8}` is eight characters of the alphabet that the letter names.
fn filled(form: &str, mut body: impl FnMut(&str, usize) -> String) -> String {
    let mut filled = String::new();
    let mut rest = form;
    while let Some((before, after)) = rest.split_once('{') {
        let (field, after) = after.split_once('}').unwrap();
        let (letter, length) = field.split_at(1);
        let alphabet = match letter {
            "A" => ALNUM,
            "U" => UPPER,
            "L" => LOWER,
            "T" => LETTERS,
            "H" => HEX,
            "D" => DIGITS,
            "B" => BECH32,
            other => panic!("no alphabet {other}"),
        };
        filled.push_str(before);
        filled.push_str(&body(alphabet, length.parse().unwrap()));
        rest = after;
    }
    filled + rest
}

fn genuine(form: &str) -> String {
    let mut field = 0;
    filled(form, |alphabet, length| {
        field += 1;
        noise_from(field, alphabet, length)
    })
}

/// The same form, filled with one character over and over.
fn filler(form: &str) -> String {
    filled(form, |alphabet, length| {
        alphabet.chars().next().unwrap().to_string().repeat(length)
    })
}

/// The same form, cut short.
fn cut(form: &str) -> String {
    filled(form, |alphabet, length| noise(alphabet, length.min(5)))
}

#[rstest]
#[case("aws-access-key-id", "AKIA{U16}")]
#[case("aws-access-key-id", "ASIA{U16}")]
#[case("aws-bedrock-key", "ABSK{A112}")]
#[case("gcp-api-key", "AIza{A35}")]
#[case("gcp-oauth-secret", "GOCSPX-{A28}")]
#[case("gcp-oauth-token", "ya29.{A60}")]
#[case("azure-client-secret", "{A3}8Q~{A34}")]
#[case(
    "azure-storage-key",
    "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={A86}=="
)]
#[case("azure-sas-token", "?sv=2024&sr=c&sig={A43}%3D")]
#[case("alibaba-access-key", "LTAI{A20}")]
#[case("digitalocean-token", "dop_v1_{H64}")]
#[case("hetzner-or-cloudflare-origin-key", "v1.0-{H24}-{H146}")]
#[case("scaleway-key", "SCW{U17}")]
#[case("heroku-key", "HRKU-AA{A58}")]
#[case("flyio-token", "fo1_{A43}")]
#[case("databricks-token", "dapi{H32}")]
#[case("planetscale-secret", "pscale_pw_{A43}")]
#[case("clickhouse-key", "4b1d{A38}")]
#[case("vault-token", "hvs.{A95}")]
#[case("terraform-token", "{A14}.atlasv1.{A66}")]
#[case("pulumi-token", "pul-{H40}")]
#[case("doppler-token", "dp.pt.{A43}")]
#[case("onepassword-token", "ops_eyJ{A260}")]
#[case("onepassword-secret-key", "A3-{U6}-{U6}-{U5}-{U5}-{U5}-{U5}")]
#[case("openshift-token", "sha256~{A43}")]
#[case("github-token", "ghp_{A36}")]
#[case("github-token", "ghs_{A36}")]
#[case("github-fine-grained-token", "github_pat_{A82}")]
#[case("gitlab-token", "glpat-{A20}")]
#[case("gitlab-token", "gldt-{A20}")]
#[case("gitlab-runner-token", "GR1348941{A20}")]
#[case("bitbucket-token", "ATBB{A32}")]
#[case("npm-token", "npm_{A36}")]
#[case("pypi-token", "pypi-AgEIcHlwaS5vcmc{A80}")]
#[case("rubygems-token", "rubygems_{H48}")]
#[case("crates-token", "cio{A32}")]
#[case("clojars-token", "CLOJARS_{L60}")]
#[case("docker-token", "dckr_pat_{A27}")]
#[case("artifactory-token", "AKCp{A69}")]
#[case("sonar-token", "squ_{H40}")]
#[case("postman-key", "PMAK-{H24}-{H34}")]
#[case("linear-key", "lin_api_{A40}")]
#[case("atlassian-token", "ATATT3{A186}")]
#[case("notion-token", "ntn_{D11}{A35}")]
#[case("airtable-token", "pat{A14}.{H64}")]
#[case("slack-token", "xoxb-{D12}-{D12}-{A24}")]
#[case("slack-token", "xoxp-{D12}-{D12}-{D12}-{A32}")]
#[case("slack-app-token", "xapp-1-{U11}-{D13}-{H64}")]
#[case("slack-webhook", "https://hooks.slack.com/services/T{U10}/B{U10}/{A24}")]
#[case("discord-webhook", "https://discord.com/api/webhooks/{D18}/{A68}")]
#[case("telegram-token", "{D9}:AA{A33}")]
#[case("twilio-key", "SK{H32}")]
#[case("sendgrid-key", "SG.{A22}.{A43}")]
#[case("mailgun-key", "key-{H32}")]
#[case("mailchimp-key", "{H32}-us12")]
#[case("sendinblue-key", "xkeysib-{H64}-{A16}")]
#[case("stripe-key", "sk_live_{A24}")]
#[case("stripe-key", "rk_test_{A24}")]
#[case("stripe-key", "whsec_{A32}")]
#[case("square-token", "sq0atp-{A22}")]
#[case("shopify-token", "shpat_{H32}")]
#[case("braintree-token", "access_token$production${L16}${H32}")]
#[case("shippo-token", "shippo_live_{H40}")]
#[case("easypost-key", "EZAK{A54}")]
#[case("grafana-token", "glsa_{A32}_{H8}")]
#[case("newrelic-key", "NRAK-{U27}")]
#[case("sentry-token", "sntryu_{H64}")]
#[case("dynatrace-token", "dt0c01.{A24}.{A64}")]
#[case("openai-key", "sk-{A20}T3BlbkFJ{A20}")]
#[case("openai-key", "sk-proj-{A74}T3BlbkFJ{A74}")]
#[case("anthropic-key", "sk-ant-api03-{A93}AA")]
#[case("huggingface-token", "hf_{T34}")]
#[case("perplexity-key", "pplx-{A48}")]
#[case("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJ{A40}.{A43}")]
#[case("age-secret-key", "AGE-SECRET-KEY-1{B58}")]
fn published_forms(#[case] rule: &str, #[case] form: &str) {
    let line = |credential: &str| format!("# a file\nupstream: {credential}\n# its end\n");
    let found = findings("app.conf", &line(&genuine(form)));
    assert!(found.contains(&(2, rule.to_owned())), "{form}: found {found:?}");
    for harmless in [filler(form), cut(form)] {
        let found = findings("app.conf", &line(&harmless));
        assert!(
            !found.iter().any(|(_, broken)| broken == rule),
            "{harmless}: found {found:?}"
        );
    }
}

#[rstest]
#[case(
    "aws-secret-access-key",
    "aws_secret_access_key = {A40}",
    "aws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}"
)]
#[case(
    "docker-registry-auth",
    r#"{"auths": {"registry": {"auth": "{A24}"}}}"#,
    r#"{"auth": "${REGISTRY_AUTH}"}"#
)]
#[case(
    "authorization-header",
    r#"proxy_set_header Authorization "Basic {A24}";"#,
    "proxy_set_header Authorization $http_authorization;"
)]
#[case(
    "authorization-header",
    "Authorization: Bearer {A40}",
    "Authorization: Bearer ${TOKEN}"
)]
#[case(
    "authorization-header",
    r#"-H "Authorization: Token {A40}""#,
    r#"-H "Authorization: Token $TOKEN""#
)]
#[case("api-key-header", "X-API-Key: {A32}", "X-API-Key: $API_KEY")]
#[case(
    "command-line-login",
    "curl -sf -u admin:{A12} https://x",
    "curl -sf -u \"$USER:$PASS\" https://x"
)]
#[case(
    "command-line-login",
    "sshpass -p {A12} ssh host",
    "sshpass -p \"$PASS\" ssh host"
)]
#[case(
    "command-line-login",
    "redis-cli -h cache -a {A12} ping",
    "redis-cli -h cache -a \"$PASS\" ping"
)]
#[case(
    "command-line-login",
    "mysql -u root -p{A12} shop",
    "mysql -u root -p\"$PASS\" shop"
)]
#[case(
    "command-line-login",
    r#"["CMD", "mysqladmin", "ping", "-u", "root", "-phunter2"]"#,
    "mysqld --pid-file=/run/mysqld/mysqld.pid"
)]
#[case(
    "command-line-login",
    "mysqladmin ping -proot1",
    "find /var/lib/mysql -print -perm 600; mysql -p shop"
)]
#[case(
    "sql-identified-by",
    "CREATE USER 'a'@'%' IDENTIFIED BY 'hunter2';",
    "CREATE USER 'a'@'%' IDENTIFIED BY '${PASS}';"
)]
#[case(
    "sql-identified-by",
    "ALTER USER a IDENTIFIED WITH mysql_native_password BY 'hunter2';",
    "the user is identified by 'name'"
)]
#[case("password-hash", "admin:$apr1$abcdefgh${A22}", "log_format x $6$7;")]
#[case(
    "password-hash",
    "- traefik.users=admin:$$2y$$05$${A53}",
    "- traefik.users=${USERS}"
)]
#[case(
    "scram-secret",
    "'SCRAM-SHA-256$4096:{A24}${A43}=:{A43}='",
    "password_encryption = scram-sha-256"
)]
fn forms_with_a_context(#[case] rule: &str, #[case] form: &str, #[case] harmless: &str) {
    // Braces of JSON and of shell references are no fields of the form.
    let credential = form
        .replace("{A12}", &noise(ALNUM, 12))
        .replace("{A22}", &noise(ALNUM, 22))
        .replace("{A24}", &noise(ALNUM, 24))
        .replace("{A32}", &noise(ALNUM, 32))
        .replace("{A40}", &noise(ALNUM, 40))
        .replace("{A43}", &noise(ALNUM, 43))
        .replace("{A53}", &noise(ALNUM, 53));
    let found = findings("app.conf", &credential);
    assert!(
        found.contains(&(1, rule.to_owned())),
        "{credential}: found {found:?}"
    );
    if !harmless.contains("identified by 'name'") {
        assert_eq!(findings("app.conf", harmless), [], "{harmless}");
    }
}

#[rstest]
#[case::pkcs8("PRIVATE KEY")]
#[case::rsa("RSA PRIVATE KEY")]
#[case::ec("EC PRIVATE KEY")]
#[case::openssh("OPENSSH PRIVATE KEY")]
#[case::pgp("PGP PRIVATE KEY BLOCK")]
fn private_keys(#[case] kind: &str) {
    let pem = |body: &str| format!("x\n-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n");
    let key = noise(ALNUM, 64);
    assert_eq!(findings("tls.pem", &pem(&key)), [(3, "private-key".to_owned())]);
    let encrypted = format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0011\n\n{key}");
    assert_eq!(findings("tls.pem", &pem(&encrypted))[0].1, "private-key");
    let in_json = format!(r#"{{"key": "-----BEGIN {kind}-----\n{key}\n"}}"#);
    assert!(findings("a.json", &in_json).contains(&(1, "private-key".to_owned())));
    for harmless in ["<your key here>", "${TLS_KEY}", "..."] {
        assert_eq!(findings("tls.pem", &pem(harmless)), []);
    }
    assert_eq!(
        findings(
            "ca.crt",
            &format!("-----BEGIN CERTIFICATE-----\n{key}\n-----END CERTIFICATE-----\n")
        ),
        []
    );
}

#[test]
fn service_account_of_google_cloud() {
    let text = format!(
        "{{\n\"type\": \"service_account\",\n\"project_id\": \"p\",\n\"private_key\": \"-----BEGIN PRIVATE KEY-----\\n{}\"}}",
        noise(ALNUM, 64)
    );
    assert!(findings("sa.json", &text).contains(&(4, "gcp-service-account".to_owned())));
}

#[test]
fn kubernetes_secrets() {
    let manifest = |kind: &str, value: &str| {
        format!("apiVersion: v1\nkind: {kind}\nmetadata:\n  name: db\ndata:\n  dsn: {value}\n")
    };
    assert_eq!(
        findings("s.yaml", &manifest("Secret", "aHVudGVyMg==")),
        [(6, "kubernetes-secret".to_owned())]
    );
    assert_eq!(findings("s.yaml", &manifest("Secret", "${DSN}")), []);
    assert_eq!(findings("s.yaml", &manifest("ConfigMap", "aHVudGVyMg==")), []);
    let two = "kind: Secret\nmetadata: {}\n---\nkind: ConfigMap\ndata:\n  a: abcdef\n";
    assert_eq!(findings("s.yaml", two), []);
}

#[test]
fn stores_of_keys_by_their_name() {
    assert_eq!(
        findings("certs/server.p12", "\0\0"),
        [(1, "key-store-file".to_owned())]
    );
    assert_eq!(findings("certs/p12.txt", "nothing"), []);
}

#[rstest]
#[case("postgres://app:hunter2@db:5432/shop", true)]
#[case("url=redis://:hunter2@cache:6379/0", true)]
#[case("amqps://guest:guest@mq/%2f", true)]
#[case("mongodb+srv://u:p%40ss@cluster.example.net/db?x=y", true)]
#[case("postgres://app:p@ss@db/shop", true)]
#[case("postgres://${DB_USER:-app}:${DB_PASSWORD:-hunter2}@db/shop", true)]
#[case("postgres://app:${DB_PASSWORD}@db/shop", false)]
#[case("postgres://${DB_USER:-app}:${DB_PASSWORD}@db/shop", false)]
#[case("postgres://${DB_USER}:${DB_PASSWORD:?set it}@db/shop", false)]
#[case("postgres://app:<password>@db/shop", false)]
#[case("postgres://app:****@db/shop", false)]
#[case("postgres://app@db:5432/shop", false)]
#[case("http://backend:8080/path@2x.png", false)]
#[case("http://backend:8080/?mail=a@b", false)]
#[case("see https://example.com: mail me@example.com", false)]
fn urls(#[case] text: &str, #[case] is_secret: bool) {
    let found = findings("app.conf", text);
    assert_eq!(
        found.contains(&(1, "url-with-password".to_owned())),
        is_secret,
        "{found:?}"
    );
}

#[rstest]
#[case("x-aws: AKIA{U16}", "aws-access-key-id")]
#[case("POSTGRES_PASSWORD=hunter2", "password-assignment")]
#[case("{\"db\": {\"password\": \"hunter2\"}}", "password-assignment")]
#[case("postgres://app:hunter2@db/shop", "url-with-password")]
#[case("token: ghp_{A36}", "github-token")]
fn wrapped_in_base64(#[case] form: &str, #[case] rule: &str) {
    use base64::Engine;
    let secret = form
        .replace("{U16}", &noise(UPPER, 16))
        .replace("{A36}", &noise(ALNUM, 36));
    for before in ["", "a", "ab", "abc"] {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{before}\n{secret}\nx"));
        let found = findings("values.yaml", &format!("first\ncontent: {encoded}\n"));
        assert!(found.contains(&(2, rule.to_owned())), "{encoded}: {found:?}");
    }
    let harmless = base64::engine::general_purpose::STANDARD.encode("POSTGRES_PASSWORD=${POSTGRES_PASSWORD}");
    assert_eq!(findings("values.yaml", &format!("content: {harmless}\n")), []);
}
