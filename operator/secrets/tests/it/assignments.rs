//! Passwords given to names, in the spellings of the files that bundles hold.

use rstest::rstest;

use crate::findings;

#[rstest]
// Compose and YAML
#[case("compose.yml", "    environment:\n      POSTGRES_PASSWORD: hunter2\n", 2)]
#[case("compose.yml", "    environment:\n      - POSTGRES_PASSWORD=hunter2\n", 2)]
#[case("compose.yml", "      - \"POSTGRES_PASSWORD=hunter2\"\n", 1)]
#[case("compose.yml", "      - 'POSTGRES_PASSWORD=hunter2'\n", 1)]
#[case("compose.yml", "      POSTGRES_PASSWORD: \"hunter2\"\n", 1)]
#[case("compose.yml", "      \"POSTGRES_PASSWORD\": 'hunter2'\n", 1)]
#[case("compose.yml", "      POSTGRES_PASSWORD: postgres\n", 1)]
#[case("compose.yml", "      POSTGRES_PASSWORD: changeme\n", 1)]
#[case("compose.yml", "      POSTGRES_PASSWORD: 123456\n", 1)]
#[case("compose.yml", "      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:-hunter2}\n", 1)]
#[case("compose.yml", "      URL: x${DB_PASSWORD:-hunter2}\n", 1)]
#[case("compose.yml", "      environment: {POSTGRES_PASSWORD: hunter2, A: b}\n", 1)]
#[case("compose.yml", "      POSTGRES_PASSWORD: correct horse battery\n", 1)]
#[case("compose.yml", "      POSTGRES_PASSWORD: &pw hunter2\n", 1)]
#[case("compose.yml", "      POSTGRES_PASSWORD: !!str hunter2\n", 1)]
#[case("compose.yml", "      POSTGRES_PASSWORD: |\n        hunter2\n", 1)]
#[case("compose.yml", "      JWT_SECRET: supersecret\n", 1)]
#[case("compose.yml", "      JWT_SECRET: my-jwt-secret\n", 1)]
#[case("compose.yml", "      SECRET: mysecretvalue\n", 1)]
#[case("compose.yml", "      LDAP_BIND_PW: hunter2\n", 1)]
#[case("compose.yml", "      RABBITMQ_DEFAULT_PASS: guest\n", 1)]
#[case("compose.yml", "      APP_KEY: base64:c29tZXRoaW5n\n", 1)]
#[case("compose.yml", "      N8N_ENCRYPTION_KEY: abcd1234\n", 1)]
#[case("compose.yml", "      SECRET_KEY_BASE: 0f9e8d7c6b5a\n", 1)]
#[case("compose.yml", "      STRIPE_API_KEY: abcdefgh\n", 1)]
#[case("compose.yml", "      MINIO_SECRET_KEY: minioadmin\n", 1)]
#[case("compose.yml", "    command: redis-server --requirepass hunter2\n", 1)]
#[case(
    "compose.yml",
    "    command: [\"redis-server\", \"--requirepass\", \"hunter2\"]\n",
    1
)]
#[case("compose.yml", "    command: server --password=hunter2\n", 1)]
#[case("compose.yml", "# POSTGRES_PASSWORD: hunter2\n", 1)]
#[case("deploy.yaml", "        - name: DB_PASSWORD\n          value: hunter2\n", 1)]
#[case(
    "deploy.yaml",
    "        - name: DB_PASSWORD\n          value: \"hunter2\"\n",
    1
)]
#[case("task.json", r#"{"name": "DB_PASSWORD", "value": "hunter2"}"#, 1)]
#[case("app.yml", "spring:\n  datasource:\n    password: hunter2\n", 3)]
#[case("values.yaml", "auth:\n  secret: hunter2x\n", 2)]
// JSON, env, ini, properties, XML
#[case("a.json", r#"{"db": {"password": "hunter2"}}"#, 1)]
#[case("a.json", r#"{"config": "{\"password\":\"hunter2\"}"}"#, 1)]
#[case("a.json", r#"{"apiKey": "k3yk3yk3y"}"#, 1)]
#[case(".env", "DB_PASSWORD=hunter2\n", 1)]
#[case(".env", "export DB_PASSWORD='hunter2'\n", 1)]
#[case(".env.template", "DB_PASSWORD=hunter2\n", 1)]
#[case("my.ini", "[client]\npassword = hunter2\n", 2)]
#[case("app.properties", "spring.datasource.password=hunter2\n", 1)]
#[case(
    "app.properties",
    "jdbc.url=jdbc:mysql://db/x?user=a&password=hunter2&ssl=true\n",
    1
)]
#[case(
    "web.config",
    "<add name=\"x\" connectionString=\"Server=db;Password=hunter2;\"/>\n",
    1
)]
#[case("web.config", "<add key=\"DbPassword\" value=\"hunter2\"/>\n", 1)]
#[case("settings.xml", "<server><password>hunter2</password></server>\n", 1)]
#[case("redis.conf", "requirepass hunter2\n", 1)]
#[case("redis.conf", "masterauth \"hunter2\"\n", 1)]
#[case("rabbitmq.conf", "default_pass = hunter2\n", 1)]
#[case("site.conf", "fastcgi_param DB_PASSWORD hunter2;\n", 1)]
#[case("site.conf", "SetEnv DB_PASSWORD \"hunter2\"\n", 1)]
#[case(".netrc", "machine x login y password hunter2\n", 1)]
#[case("Dockerfile", "ENV DB_PASSWORD hunter2\n", 1)]
#[case("Dockerfile", "ARG DB_PASSWORD=hunter2\n", 1)]
// SQL
#[case("schema.sql", "CREATE ROLE app LOGIN PASSWORD 'hunter2';\n", 1)]
#[case("schema.sql", "ALTER USER app WITH ENCRYPTED PASSWORD 'hunter2';\n", 1)]
#[case("schema.sql", "SELECT dblink('host=a password=hunter2');\n", 1)]
// Scripts and source code
#[case("backup.sh", "PGPASSWORD=hunter2 pg_dump shop\n", 1)]
#[case("backup.sh", "export PGPASSWORD=\"hunter2\"\n", 1)]
#[case("main.tf", "  password = \"hunter2\"\n", 1)]
#[case("main.py", "db = connect(password=\"hunter2\")\n", 1)]
#[case("main.py", "os.environ['DB_PASSWORD'] = 'hunter2'\n", 1)]
#[case("main.js", "const cfg = { password: 'hunter2' };\n", 1)]
#[case("config.php", "define('DB_PASSWORD', 'hunter2');\n", 1)]
#[case("config.php", "'password' => 'hunter2',\n", 1)]
#[case("README.md", "Run with `DB_PASSWORD=hunter2`.\n", 1)]
fn found(#[case] path: &str, #[case] text: &str, #[case] line: u64) {
    let found = findings(path, text);
    assert!(
        found
            .iter()
            .any(|(at, rule)| *at == line && rule.ends_with("-assignment")),
        "{path}: {text}: {found:?}"
    );
}

#[rstest]
#[case("compose.yml", "      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}\n")]
#[case("compose.yml", "      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it}\n")]
#[case(
    "compose.yml",
    "      - POSTGRES_PASSWORD=${POSTGRES_PASSWORD}\n      - A=b\n"
)]
#[case("compose.yml", "      - POSTGRES_PASSWORD\n      - API_KEY\n")]
#[case("compose.yml", "      POSTGRES_PASSWORD:\n      A: b\n")]
#[case("compose.yml", "      POSTGRES_PASSWORD_FILE: /run/secrets/db_password\n")]
#[case("compose.yml", "      POSTGRES_PASSWORD: *password\n")]
#[case(
    "compose.yml",
    "      TOKEN_VARIABLE: GITHUB_TOKEN\n      JWT_SECRET: /run/secrets/jwt\n"
)]
#[case("compose.yml", "      POSTGRES_PASSWORD: \"\"\n")]
#[case(
    "compose.yml",
    "    secrets:\n      - db_password\nsecrets:\n  db_password:\n    file: ./db_password.txt\n"
)]
#[case("compose.yml", "    secrets: [db_password, api_key]\n")]
#[case(
    "compose.yml",
    "      - source: db_password\n        target: /run/secrets/db_password\n"
)]
#[case(
    "compose.yml",
    "secrets:\n  db_password:\n    external: true\n    name: shop-db-password\n"
)]
#[case("compose.yml", "    command: redis-server --requirepass ${REDIS_PASSWORD}\n")]
#[case(
    "compose.yml",
    "    command: server --password-file /run/secrets/x --token-ttl 3600\n"
)]
#[case("compose.yml", "      PASSWORD: {{ db_password }}\n")]
#[case(
    "compose.yml",
    "    test: [\"CMD-SHELL\", \"PGPASSWORD=$$POSTGRES_PASSWORD pg_isready\"]\n"
)]
#[case(
    "deploy.yaml",
    "  tls:\n    secretName: shop-tls\n  imagePullSecrets:\n    - name: registry\n"
)]
#[case(
    "deploy.yaml",
    "  - name: DB_PASSWORD\n    valueFrom:\n      secretKeyRef:\n        name: db\n        key: password\n"
)]
#[case(
    "values.yaml",
    "auth:\n  existingSecret: shop-db\n  secretKeys:\n    adminPasswordKey: password\n  token: my-token\n  secret: db-credentials\n"
)]
#[case("secrets-manifest.json", r#"{"secrets": [{"name": "DATABASE_PASSWORD", "source": "aws-secrets-manager", "key": "prod/myapp/db-password", "required": true}, {"name": "API_KEY", "source": "manual", "description": "Third-party API key"}]}"#)]
#[case(
    "a.json",
    r#"{"password": {"type": "string", "minLength": 8}, "token": null, "secret": true}"#
)]
#[case(
    "a.json",
    r#"{"password": "Enter your password", "forgotPassword": "Forgotten?"}"#
)]
#[case(
    ".env.template",
    "DB_PASSWORD=\nAPI_KEY=<api key>\nTOKEN=changeme\nSECRET_KEY=your-secret-key\n"
)]
#[case(".env.example", "DB_PASSWORD=password\nDB_PASS=xxx\n")]
#[case(
    "README.md",
    "Set `DB_PASSWORD=changeme`; the password: see the wiki. Token: what the API gives you.\n"
)]
#[case(
    "schema.sql",
    "CREATE TABLE users (id int, password varchar(60) NOT NULL, token text, secret bytea);\n"
)]
#[case(
    "schema.sql",
    "CREATE ROLE app LOGIN PASSWORD NULL; ALTER ROLE app PASSWORD '${APP_PASSWORD}';\n"
)]
#[case(
    "backup.sh",
    "PGPASSWORD=\"$DB_PASSWORD\" pg_dump; PASSWORD=$(cat /run/secrets/db); TOKEN=`get`; PWD=/srv\n"
)]
#[case(
    "backup.sh",
    "PASSWORD=\"$1\"; [ \"$PASSWORD\" == x ]; echo \"Password: type it now\"; read -s PASSWORD\n"
)]
#[case(
    "main.tf",
    "  password = var.db_password\n  secret_key = random_password.key.result\n  api_key = \"${var.api_key}\"\n"
)]
#[case(
    "main.py",
    "password = os.environ['DB_PASSWORD']\nconnect(password=password, token=get_token())\n"
)]
#[case(
    "main.js",
    "const { password, token } = req.body; const x = { password: process.env.DB_PASSWORD };\n"
)]
#[case(
    "main.rs",
    "let secret = Secret::new(token); fn token(key: &str) -> Token {}\n"
)]
#[case(
    "postgresql.conf",
    "password_encryption = scram-sha-256\nssl_key_file = '/etc/ssl/private/server.key'\n#ssl_passphrase_command = ''\n"
)]
#[case(
    "policy.json",
    r#"{"Resource": "arn:aws:secretsmanager:eu-west-1:1:secret:ProdDb-a1b2c3", "inputToken": "nextPage1"}"#
)]
#[case("package.json", r#"{"dependencies": {"minipass": "^7.1.3"}}"#)]
#[case(
    "login.defs",
    "# Max number of login retries if password is bad. The authorization token expires then.\n"
)]
#[case(
    "app.yml",
    "max_tokens: 4096\ntoken_ttl: 3600\nprimary_key: id\nsort_key: name\ncache_key: v1\n"
)]
#[case(
    "app.yml",
    "password_min_length: 12\nrequire_password: true\ncsrf_token: form\ntoken_url: https://x/y\n"
)]
fn not_found(#[case] path: &str, #[case] text: &str) {
    assert_eq!(findings(path, text), [], "{path}: {text}");
}
