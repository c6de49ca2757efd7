//! Credentials whose form their issuer has published.
//!
//! The forms and their entropies follow the public rule set of gitleaks (MIT licence) and the issuers' own documentation.

use super::file_kind::FileKind;
use super::value;

/// How far a pattern reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    /// It stands on one line.
    Line,
    /// It may go over several.
    Lines,
}

/// One form of credential.
pub(super) struct Pattern {
    /// What a finding calls it.
    pub(super) rule: &'static str,
    /// One of these stands in every match, in any case.
    pub(super) keywords: &'static [&'static str],
    /// The form; the group that takes part, if it has any, is the secret.
    pub(super) regex: &'static str,
    /// The least Shannon entropy of the secret, in bits a byte: what tells a key from `xxxxxxxx` or a plain word.
    entropy: f64,
    pub(super) span: Span,
}

impl Pattern {
    /// Whether a match of the form is a secret.
    pub(super) fn accepts(&self, whole: &[u8], secret: &[u8], kind: FileKind) -> bool {
        let one_document = !whole.windows(5).any(|w| w == b"\n---\n");
        one_document && entropy(secret) >= self.entropy && value::is_password(secret, kind)
    }
}

/// Shannon entropy in bits a byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in bytes {
        counts[usize::from(byte)] += 1;
    }
    let total = bytes.len() as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / total)
        .map(|share| -share * share.log2())
        .sum()
}

const fn form(
    rule: &'static str,
    keywords: &'static [&'static str],
    regex: &'static str,
    entropy: f64,
) -> Pattern {
    Pattern {
        rule,
        keywords,
        regex,
        entropy,
        span: Span::Line,
    }
}

const fn block(rule: &'static str, keywords: &'static [&'static str], regex: &'static str) -> Pattern {
    Pattern {
        rule,
        keywords,
        regex,
        entropy: 0.0,
        span: Span::Lines,
    }
}

/// All forms. `(?-u)` keeps the classes to ASCII, which makes the automata small and fast.
pub(super) const PATTERNS: &[Pattern] = &[
    // Keys
    block(
        "private-key",
        &["-----begin"],
        r#"(?-u)-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----[^<{]{0,240}?([A-Za-z0-9+/]{16,})"#,
    ),
    block(
        "gcp-service-account",
        &["service_account"],
        r#"(?-u)"type"\s*:\s*"service_account"[\s\S]{0,2000}?"private_key"\s*:\s*"(-----BEGIN[^"]{20})"#,
    ),
    block(
        "putty-private-key",
        &["private-lines:"],
        r"(?-u)Private-Lines: *[0-9]+\s+([A-Za-z0-9+/=]{16,})",
    ),
    block(
        "kubernetes-secret",
        &["kind: secret", "kind: \"secret", "kind: 'secret"],
        r#"(?-u)kind: ["']?Secret["']?\s[\s\S]{0,2000}?\n(?:data|stringData):[ \t]*\r?\n[ \t]+[\w.-]+:[ \t]*["']?([A-Za-z0-9+/=_.@!-]{4,})"#,
    ),
    form(
        "age-secret-key",
        &["age-secret-key-1"],
        r"(?i-u)AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
        3.0,
    ),
    // Clouds
    form(
        "aws-access-key-id",
        &["akia", "asia", "abia", "acca", "a3t"],
        r"(?-u)\b((?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})\b",
        2.5,
    ),
    form(
        "aws-secret-access-key",
        &[
            "secret_access_key",
            "secretaccesskey",
            "secret-access-key",
            "aws_secret",
            "awssecret",
        ],
        r#"(?i-u)(?:secret_?-?access_?-?key|aws_?secret(?:_?key)?)["']?\s*(?:=>|:=|[:=,])\s*["']?([A-Za-z0-9/+=]{40})(?:[^A-Za-z0-9/+=]|$)"#,
        3.5,
    ),
    form(
        "aws-bedrock-key",
        &["absk"],
        r"(?-u)\b(ABSK[A-Za-z0-9+/]{109,269}={0,2})",
        3.0,
    ),
    form("gcp-api-key", &["aiza"], r"(?-u)\b(AIza[\w-]{35})", 3.5),
    form(
        "gcp-oauth-secret",
        &["gocspx-"],
        r"(?-u)\b(GOCSPX-[\w-]{28})",
        3.0,
    ),
    form("gcp-oauth-token", &["ya29."], r"(?-u)\b(ya29\.[\w-]{30,})", 3.5),
    form(
        "azure-client-secret",
        &["q~"],
        r#"(?-u)(?:^|[\s"'`=:>,(])([a-zA-Z0-9_~.]{3}\dQ~[a-zA-Z0-9_~.-]{31,34})"#,
        3.0,
    ),
    form(
        "azure-storage-key",
        &["accountkey=", "sharedaccesskey="],
        r"(?i-u)(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,90}={0,2})",
        3.5,
    ),
    form(
        "azure-sas-token",
        &["sig="],
        r"(?-u)[?&;]sig=([A-Za-z0-9%+/]{40,}={0,2})",
        3.5,
    ),
    form(
        "alibaba-access-key",
        &["ltai"],
        r"(?-u)\b(LTAI[A-Za-z0-9]{20})\b",
        3.0,
    ),
    form(
        "digitalocean-token",
        &["doo_v1_", "dop_v1_", "dor_v1_"],
        r"(?i-u)\b(do[opr]_v1_[a-f0-9]{64})",
        3.0,
    ),
    form(
        "hetzner-or-cloudflare-origin-key",
        &["v1.0-"],
        r"(?-u)\b(v1\.0-[a-f0-9]{24}-[a-f0-9]{146})",
        2.0,
    ),
    form("scaleway-key", &["scw"], r"(?-u)\b(SCW[A-Z0-9]{17})\b", 3.0),
    form(
        "heroku-key",
        &["hrku-aa"],
        r"(?-u)\b(HRKU-AA[0-9a-zA-Z_-]{58})",
        3.5,
    ),
    form(
        "flyio-token",
        &["fo1_", "fm1", "fm2_"],
        r"(?-u)\b(fo1_[\w-]{43}|fm1[ar]_[a-zA-Z0-9+/]{100,}|fm2_[a-zA-Z0-9+/]{100,})",
        3.5,
    ),
    form(
        "databricks-token",
        &["dapi"],
        r"(?-u)\b(dapi[a-f0-9]{32}(?:-\d)?)\b",
        3.0,
    ),
    form(
        "planetscale-secret",
        &["pscale_"],
        r"(?i-u)\b(pscale_(?:tkn|oauth|pw)_[\w=.-]{32,64})",
        3.0,
    ),
    form(
        "clickhouse-key",
        &["4b1d"],
        r"(?-u)\b(4b1d[A-Za-z0-9]{38})\b",
        3.0,
    ),
    form(
        "vault-token",
        &["hvs.", "hvb.", "hvr."],
        r"(?-u)\b(hv[sbr]\.[\w-]{24,300})",
        3.5,
    ),
    form(
        "terraform-token",
        &["atlasv1"],
        r"(?-u)\b([A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9=_-]{60,70})",
        3.5,
    ),
    form("pulumi-token", &["pul-"], r"(?-u)\b(pul-[a-f0-9]{40})\b", 3.0),
    form(
        "doppler-token",
        &["dp.pt.", "dp.st.", "dp.sa."],
        r"(?-u)\b(dp\.(?:pt|st|sa)\.[A-Za-z0-9._-]{40,})",
        3.0,
    ),
    form(
        "onepassword-token",
        &["ops_eyj"],
        r"(?-u)\b(ops_eyJ[a-zA-Z0-9+/]{250,})",
        3.5,
    ),
    form(
        "onepassword-secret-key",
        &["a3-"],
        r"(?-u)\b(A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5})\b",
        3.5,
    ),
    form("openshift-token", &["sha256~"], r"(?-u)\b(sha256~[\w-]{43})", 3.5),
    // Code and packages
    form(
        "github-token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        r"(?-u)\b(gh[pousr]_[0-9a-zA-Z]{36,255})",
        3.0,
    ),
    form(
        "github-fine-grained-token",
        &["github_pat_"],
        r"(?-u)\b(github_pat_\w{82})",
        3.0,
    ),
    form(
        "gitlab-token",
        &[
            "glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "gloas-", "glft-", "glsoat-", "glagent-",
            "glimt-", "glffct-",
        ],
        r"(?-u)\b(gl(?:pat|dt|rt|cbt|ptt|oas|ft|soat|agent|imt|ffct)-[\w.-]{20,300})",
        3.0,
    ),
    form(
        "gitlab-runner-token",
        &["gr1348941"],
        r"(?-u)\b(GR1348941[\w-]{20})",
        3.0,
    ),
    form(
        "bitbucket-token",
        &["atbb", "atctt3"],
        r"(?-u)\b(ATBB[A-Za-z0-9]{32}|ATCTT3[\w=-]{60,})",
        3.0,
    ),
    form("npm-token", &["npm_"], r"(?-u)\b(npm_[A-Za-z0-9]{36})\b", 3.0),
    form(
        "pypi-token",
        &["pypi-ageichlwas5vcmc"],
        r"(?-u)\b(pypi-AgEIcHlwaS5vcmc[\w-]{50,1000})",
        3.0,
    ),
    form(
        "rubygems-token",
        &["rubygems_"],
        r"(?-u)\b(rubygems_[a-f0-9]{48})",
        3.0,
    ),
    form("crates-token", &["cio"], r"(?-u)\b(cio[A-Za-z0-9]{32})\b", 3.5),
    form(
        "clojars-token",
        &["clojars_"],
        r"(?i-u)\b(CLOJARS_[a-z0-9]{60})",
        3.0,
    ),
    form(
        "docker-token",
        &["dckr_"],
        r"(?-u)\b(dckr_(?:pat|oat)_[\w-]{27,})",
        3.0,
    ),
    form(
        "docker-registry-auth",
        &["\"auth\""],
        r#"(?-u)"auth"\s*:\s*"([A-Za-z0-9+/]{8,}={0,2})""#,
        2.5,
    ),
    form(
        "artifactory-token",
        &["akcp", "cmvmd"],
        r"(?-u)\b(AKCp[A-Za-z0-9]{69}|cmVmd[A-Za-z0-9]{59})\b",
        4.0,
    ),
    form(
        "sonar-token",
        &["squ_", "sqp_", "sqa_"],
        r"(?-u)\b(sq[upa]_[a-f0-9]{40})\b",
        3.0,
    ),
    form(
        "postman-key",
        &["pmak-"],
        r"(?-u)\b(PMAK-[A-Fa-f0-9]{24}-[A-Fa-f0-9]{34})",
        3.0,
    ),
    form(
        "linear-key",
        &["lin_api_"],
        r"(?-u)\b(lin_api_[A-Za-z0-9]{40})",
        3.0,
    ),
    form(
        "atlassian-token",
        &["atatt3"],
        r"(?-u)\b(ATATT3[\w=-]{150,})",
        3.5,
    ),
    form(
        "notion-token",
        &["ntn_"],
        r"(?-u)\b(ntn_[0-9]{11}[A-Za-z0-9]{35})",
        3.5,
    ),
    form(
        "airtable-token",
        &["pat"],
        r"(?-u)\b(pat[A-Za-z0-9]{14}\.[a-f0-9]{64})\b",
        3.5,
    ),
    // Messages, mail, payment
    form(
        "slack-token",
        &[
            "xoxa-", "xoxb-", "xoxe-", "xoxe.", "xoxo-", "xoxp-", "xoxr-", "xoxs-",
        ],
        r"(?-u)\b(xox[abeoprs][.-][0-9A-Za-z.-]{24,255})",
        2.5,
    ),
    form(
        "slack-app-token",
        &["xapp-"],
        r"(?i-u)\b(xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]{8,})",
        2.5,
    ),
    form(
        "slack-webhook",
        &["hooks.slack.com"],
        r"(?-u)hooks\.slack\.com/((?:services|workflows|triggers)/[A-Za-z0-9+/]{40,60})",
        3.0,
    ),
    form(
        "teams-webhook",
        &["webhook.office.com"],
        r"(?-u)(webhook\.office\.com/webhookb2/[a-z0-9-]{36}@[a-z0-9-]{36}/IncomingWebhook/[a-z0-9]{32}/[a-z0-9-]{36})",
        3.0,
    ),
    form(
        "discord-webhook",
        &["discord.com/api/webhooks", "discordapp.com/api/webhooks"],
        r"(?-u)(discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60,})",
        3.0,
    ),
    form(
        "telegram-token",
        &[":aa"],
        r"(?-u)\b([0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?:[^A-Za-z0-9_-]|$)",
        3.5,
    ),
    form("twilio-key", &["sk"], r"(?-u)\b(SK[0-9a-f]{32})\b", 3.0),
    form(
        "sendgrid-key",
        &["sg."],
        r"(?-u)\b(SG\.[\w-]{22}\.[\w-]{43})",
        3.5,
    ),
    form(
        "mailgun-key",
        &["key-"],
        r"(?-u)\b((?:pub)?key-[a-f0-9]{32})\b",
        3.0,
    ),
    form(
        "mailchimp-key",
        &["-us"],
        r"(?-u)\b([a-f0-9]{32}-us\d{1,2})\b",
        3.0,
    ),
    form(
        "sendinblue-key",
        &["xkeysib-"],
        r"(?-u)\b(xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16})",
        3.0,
    ),
    form(
        "stripe-key",
        &[
            "sk_test_", "sk_live_", "rk_test_", "rk_live_", "sk_prod_", "rk_prod_", "whsec_",
        ],
        r"(?-u)\b((?:[sr]k_(?:test|live|prod)_|whsec_)[a-zA-Z0-9]{10,99})",
        3.0,
    ),
    form(
        "square-token",
        &["sq0atp-", "sq0csp-", "eaaa"],
        r"(?-u)\b(sq0(?:atp|csp)-[\w-]{22,60}|EAAA[\w-]{56,60})",
        3.0,
    ),
    form(
        "shopify-token",
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"(?-u)\b(shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})",
        3.0,
    ),
    form(
        "braintree-token",
        &["access_token$production$"],
        r"(?-u)(access_token\$production\$[0-9a-z]{16}\$[0-9a-f]{32})",
        3.0,
    ),
    form(
        "shippo-token",
        &["shippo_"],
        r"(?-u)\b(shippo_(?:live|test)_[a-fA-F0-9]{40})",
        3.0,
    ),
    form(
        "easypost-key",
        &["ezak", "eztk"],
        r"(?-u)\b(EZ[AT]K[A-Za-z0-9]{54})\b",
        3.0,
    ),
    // Watching and reckoning
    form(
        "grafana-token",
        &["glsa_", "glc_", "eyjrijoi"],
        r"(?-u)\b(glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/]{32,400}|eyJrIjoi[A-Za-z0-9]{70,400})",
        3.0,
    ),
    form(
        "newrelic-key",
        &["nrak-", "nrii-", "nrjs-"],
        r"(?-u)\b(NRAK-[A-Z0-9]{27}|NRII-[A-Za-z0-9-]{32}|NRJS-[a-f0-9]{19})",
        3.0,
    ),
    form(
        "sentry-token",
        &["sntrys_", "sntryu_"],
        r"(?-u)\b(sntryu_[a-f0-9]{64}|sntrys_eyJ[A-Za-z0-9+/=_-]{60,})",
        3.5,
    ),
    form(
        "dynatrace-token",
        &["dt0c01."],
        r"(?-u)\b(dt0c01\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{64})",
        3.5,
    ),
    form(
        "openai-key",
        &["t3blbkfj", "sk-proj-"],
        r"(?-u)\b(sk-(?:proj|svcacct|admin)-[\w-]{40,}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})",
        3.0,
    ),
    form(
        "anthropic-key",
        &["sk-ant-"],
        r"(?-u)\b(sk-ant-(?:api|admin)\d\d-[\w-]{80,})",
        3.5,
    ),
    form(
        "huggingface-token",
        &["hf_", "api_org_"],
        r"(?-u)\b((?:hf_|api_org_)[A-Za-z]{34})\b",
        3.0,
    ),
    form(
        "perplexity-key",
        &["pplx-"],
        r"(?-u)\b(pplx-[a-zA-Z0-9]{48})",
        3.5,
    ),
    // Forms that many issuers share
    form(
        "jwt",
        &["eyj"],
        r"(?-u)\b(eyJ[A-Za-z0-9_-]{14,}\.eyJ[A-Za-z0-9_-]{14,}\.[A-Za-z0-9_-]{10,})",
        3.0,
    ),
    form(
        "authorization-header",
        &["authorization"],
        r#"(?i-u)authorization\\?["']?\s*(?:[:=,]\s*\\?["']?|\s\\?["'])(?:Basic|Bearer|Token|ApiKey)\s+([A-Za-z0-9._~+/=-]{8,})"#,
        2.5,
    ),
    form(
        "api-key-header",
        &["x-api-key", "x-auth-token", "x-access-token"],
        r#"(?i-u)x-(?:api-key|auth-token|access-token)["']?\s*[:,]?\s+["']?([A-Za-z0-9._~+/=-]{16,})"#,
        3.0,
    ),
    form(
        "command-line-login",
        &["curl", "sshpass", "redis-cli", "mysql", "mariadb"],
        r#"(?-u)\bcurl\b[^\n]*?\s(?:-u|--user)[ =]?["']?[\w.@-]+:([^\s"']{3,})|\bsshpass\s+-p\s*["']?([^\s"']{3,})|\bredis-cli\b[^\n|;]*?\s-a\s+["']?([^\s"']{3,})|(?:^|[\s"'`(;&|]|/bin/)(?:mysql|mariadb)(?:-?dump|-?admin|import|show|check)?["']?[,\s][^\n|;]*?[\s"']-p([^\s"'-][^\s"']{2,})"#,
        1.5,
    ),
    form(
        "sql-identified-by",
        &["identified"],
        r#"(?i-u)\bIDENTIFIED\s+(?:WITH\s+["'`]?\w+["'`]?\s+)?(?:BY|AS)\s+(?:PASSWORD\s+)?["']([^"']+)["']"#,
        0.0,
    ),
    form(
        "password-hash",
        &["$apr1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$y$", "$argon2"],
        r"(?-u)(\$+(?:apr1|2[aby]|5|6|y|argon2id?)\$+[A-Za-z0-9./=,$+]{20,})",
        3.0,
    ),
    form(
        "scram-secret",
        &["scram-sha-256$"],
        r"(?-u)(SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]{16,}\$[A-Za-z0-9+/=]{40,}:[A-Za-z0-9+/=]{40,})",
        3.0,
    ),
];
