//! Whole files as they are found on servers: nothing in them is a secret.

use rstest::rstest;

use crate::{SCANNER, findings};

const NGINX: &str = r#"
user  nginx;
worker_processes  auto;
error_log  /var/log/nginx/error.log notice;
events { worker_connections  1024; }
http {
    include       /etc/nginx/mime.types;
    log_format  main  '$remote_addr - $remote_user [$time_local] "$request" $status "$http_x_forwarded_for"';
    server_tokens off;
    keepalive_timeout  65;
    ssl_session_tickets off;
    limit_req_zone $binary_remote_addr zone=login:10m rate=10r/s;
    upstream backend { server app:8080 max_fails=3; keepalive 32; }
    map $http_authorization $has_auth { default 1; "" 0; }
    server {
        listen 443 ssl http2;
        ssl_certificate     /etc/nginx/tls/tls.crt;
        ssl_certificate_key /etc/nginx/tls/tls.key;
        ssl_password_file   /run/secrets/tls_password;
        auth_basic           "Restricted: password needed";
        auth_basic_user_file /etc/nginx/.htpasswd;
        location / {
            proxy_pass http://backend;
            proxy_set_header Host $host;
            proxy_set_header Authorization $http_authorization;
            proxy_set_header X-API-Key $http_x_api_key;
            proxy_pass_header Set-Cookie;
            proxy_cache_key "$scheme$request_method$host$request_uri";
        }
        location ~ \.php$ { fastcgi_pass unix:/run/php.sock; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; }
        # password reset pages must not be cached: see the token in the query
        location ~* /(password|token)-reset { add_header Cache-Control "no-store"; }
    }
}
"#;

const POSTGRES: &str = r#"
listen_addresses = '*'
password_encryption = scram-sha-256	# scram-sha-256 or md5
#krb_server_keyfile = 'FILE:${sysconfdir}/krb5.keytab'
ssl = on
ssl_cert_file = '/etc/ssl/certs/server.crt'
ssl_key_file = '/etc/ssl/private/server.key'
#ssl_passphrase_command = ''
#ssl_passphrase_command_supports_reload = off
#primary_conninfo = ''			# connection string to sending server
tcp_keepalives_idle = 60
# host    all    all    127.0.0.1/32    password
host    replication     all             ::1/128                 scram-sha-256
"#;

const COMPOSE: &str = r#"
name: webshop
services:
  db:
    image: postgres:15@sha256:4f0b1a3f5e6d7c8b9a0f1e2d3c4b5a69788796a5b4c3d2e1f0a9b8c7d6e5f403
    environment:
      POSTGRES_USER: app
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD}
      POSTGRES_INITDB_ARGS: --auth-host=scram-sha-256 --pwfile=/run/secrets/pw
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U app -d shop"]
    secrets: [db_password]
    volumes: ["db-data:/var/lib/postgresql/data"]
  app:
    image: shop:1.4.2
    environment:
      - DATABASE_URL=postgres://app:${POSTGRES_PASSWORD}@db:5432/shop
      - REDIS_URL=redis://cache:6379/0
      - JWT_SECRET_FILE=/run/secrets/jwt
      - SMTP_PASSWORD
      - TOKEN_TTL=3600
      - AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID}
      - AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY}
    labels:
      - "traefik.http.middlewares.auth.basicauth.users=${BASIC_AUTH_USERS}"
      - "com.example.key-id=main"
    depends_on: { db: { condition: service_healthy } }
secrets:
  db_password:
    environment: POSTGRES_PASSWORD
  jwt:
    file: ./secrets/jwt.txt
volumes:
  db-data:
"#;

const SCRIPT: &str = r#"#!/bin/sh
set -eu
: "${POSTGRES_PASSWORD:?}"
PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
export PGPASSWORD="$PASSWORD"
TOKEN="$(curl -fsS -H "Authorization: Bearer $TOKEN" https://vault/v1/x | jq -r .token)"
psql -v password="$PASSWORD" <<'SQL'
ALTER ROLE app PASSWORD :'password';
SQL
mysql --defaults-extra-file=/run/secrets/my.cnf -e 'select 1'
redis-cli -a "$REDIS_PASSWORD" ping
curl -u "$USER:$PASSWORD" https://example.com
echo "No password given: set POSTGRES_PASSWORD" >&2
"#;

const MANIFEST: &str = r#"{
  "version": "1.0.0", "format": "hprt",
  "checksums": {
    "compose/docker-compose.yml": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "secrets/.env.template": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
  },
  "dependencies": {"docker": ">=20.10"},
  "data_sync": {"databases": ["postgres:main"], "storage": ["s3:assets"]}
}"#;

const SQL: &str = r#"
CREATE TABLE account (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  password text NOT NULL, -- the password: hashed by the application
  password_hash text, api_key uuid, reset_token text DEFAULT NULL,
  FOREIGN KEY (owner) REFERENCES person (id)
);
COMMENT ON COLUMN account.password IS 'never the password itself';
CREATE ROLE app LOGIN;
GRANT SELECT ON account TO app;
"#;

const REDIS: &str = r#"
# requirepass foobared is what the manual shows; ours comes from the environment.
bind 127.0.0.1 ::1
# masterauth <master-password>
tls-key-file /etc/redis/redis.key
# tls-key-file-pass secret
save 900 1
notify-keyspace-events ""
"#;

const TRAEFIK: &str = r#"
entryPoints:
  web: { address: ":80", http: { redirections: { entryPoint: { to: websecure } } } }
certificatesResolvers:
  le: { acme: { email: ops@example.com, storage: /acme.json, keyType: EC256, httpChallenge: { entryPoint: web } } }
providers: { docker: { endpoint: "unix:///var/run/docker.sock", exposedByDefault: false } }
"#;

#[rstest]
#[case::nginx("configs/nginx/nginx.conf", NGINX)]
#[case::postgres("configs/postgres/postgresql.conf", POSTGRES)]
#[case::compose("compose/docker-compose.yml", COMPOSE)]
#[case::script("scripts/pre-deploy.sh", SCRIPT)]
#[case::manifest("manifest.json", MANIFEST)]
#[case::sql("migrations/postgres/schema.sql", SQL)]
#[case::redis("configs/redis/redis.conf", REDIS)]
#[case::traefik("configs/traefik/traefik.yml", TRAEFIK)]
#[case::lock_file("Cargo.lock", include_str!("../../../../Cargo.lock"))]
#[case::source_code("lib.rs", include_str!("../../src/scan/key.rs"))]
fn hold_no_secret(#[case] path: &str, #[case] text: &str) {
    assert_eq!(findings(path, text), []);
}

/// Bytes of a small generator: what an image, an archive or a font looks like to the scanner.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(length)
    .collect()
}

#[test]
fn binary_data_that_reads_like_an_assignment_is_none() {
    let mut bytes = noise(8 << 20);
    // The keyword that noise has soonest, with what noise has around it.
    for at in (0..bytes.len() - 64).step_by(64 << 10) {
        bytes[at..at + 12].copy_from_slice(b"\x91pw=\xc3\x28q9\x02Z\xffx");
    }
    assert_eq!(SCANNER.scan("configs/logo.bin", &bytes), []);
}

#[test]
fn a_published_credential_is_found_in_binary_data_too() {
    let mut bytes = noise(1 << 16);
    let token = format!("\nghp_{}\n", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    bytes.splice(1000..1000, token.into_bytes());
    let rules: Vec<String> = SCANNER
        .scan("configs/store.bin", &bytes)
        .into_iter()
        .map(|found| found.rule)
        .collect();
    assert_eq!(rules.len(), 1, "{rules:?}");
}

#[test]
fn text_in_other_languages_is_text() {
    let found = SCANNER.scan(
        "configs/app.yml",
        "# Schlüssel für größere Bestände\npassword: Zaubertür-9\n".as_bytes(),
    );
    assert_eq!(found.len(), 1);
}
