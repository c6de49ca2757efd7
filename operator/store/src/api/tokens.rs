//! Tokens of service accounts: signed statements of who holds them, for others to have reviewed by this API.
//!
//! This API itself lets nobody in by such a token: it has no authorization that would keep a service account from
//! anything. The key is made at each start, so that no token outlives the process.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::kinds::SERVICE_ACCOUNTS;
use super::negotiate::object_format;
use super::status::Failure;
use super::{Api, Call, ResponseBody, Target, body, meta, read};
use crate::engine::Key;
use crate::schema::FieldError;

/// Who issues the tokens, and whom they are for if nobody is named.
const ISSUER: &str = "https://kubernetes.default.svc";
const DEFAULT_SECONDS: i64 = 3600;
const SECONDS: std::ops::RangeInclusive<i64> = 600..=1 << 32;
/// What `{"alg":"HS256","typ":"JWT"}` is in base64.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// Bytes that SHA-256 takes at a time.
const BLOCK: usize = 64;

/// Signs tokens, and tells its own from others.
pub(crate) struct Tokens {
    key: [u8; 32],
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Tokens { key: rand::random() }
    }

    fn sign(&self, claims: &Value) -> String {
        let text = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(self.hmac(text.as_bytes()));
        format!("{text}.{signature}")
    }

    /// The claims of a token that was signed here and has not expired.
    fn open(&self, token: &str, now: Timestamp) -> Option<Value> {
        let (text, signature) = token.rsplit_once('.')?;
        let given = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let own = self.hmac(text.as_bytes());
        // Takes as long for any difference.
        let differs = given.iter().zip(own).fold(0, |differs, (a, b)| differs | (a ^ b));
        if given.len() != own.len() || differs != 0 {
            return None;
        }
        let claims = URL_SAFE_NO_PAD
            .decode(text.strip_prefix(HEADER)?.strip_prefix('.')?)
            .ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        (claims["exp"].as_i64()? > now.as_second()).then_some(claims)
    }

    /// HMAC-SHA-256 (RFC 2104).
    fn hmac(&self, message: &[u8]) -> [u8; 32] {
        let pad = |byte: u8| {
            let mut block = [byte; BLOCK];
            block.iter_mut().zip(self.key).for_each(|(pad, key)| *pad ^= key);
            block
        };
        let inner = Sha256::new()
            .chain_update(pad(0x36))
            .chain_update(message)
            .finalize();
        Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize()
            .into()
    }
}

/// Answers a TokenRequest for the service account of `target`.
///
/// # Errors
/// 404 if there is no such account, 422 for a time that is too short or too long.
pub(crate) fn issue(api: &Api, target: &Target, call: &Call) -> Result<Response<ResponseBody>, Failure> {
    object_format(&call.headers, &call.query)?;
    let request = body::decode(&call.headers, &call.body)?;
    let name = target.name.as_deref().unwrap_or("");
    let account = read::find(api, target, name)?.value();
    let seconds = match &request["spec"]["expirationSeconds"] {
        Value::Null => DEFAULT_SECONDS,
        given => given
            .as_i64()
            .filter(|seconds| SECONDS.contains(seconds))
            .ok_or_else(|| {
                let why = "may not specify a duration less than 10 minutes or more than 2^32 seconds";
                let error = FieldError::invalid("spec.expirationSeconds", given.clone(), why);
                Failure::invalid_kind("TokenRequest", "authentication.k8s.io", "", &[error])
            })?,
    };
    let audiences = match texts(&request["spec"]["audiences"]) {
        none if none.is_empty() => vec![ISSUER.to_owned()],
        named => named,
    };
    let now = Timestamp::now();
    let expires = now
        .checked_add(SignedDuration::from_secs(seconds))
        .map_err(|error| Failure::internal(format!("the time of expiry: {error}")))?;
    let namespace = meta::string(&account, "namespace");
    let claims = json!({
        "iss": ISSUER,
        "sub": format!("system:serviceaccount:{namespace}:{name}"),
        "aud": audiences,
        "iat": now.as_second(),
        "nbf": now.as_second(),
        "exp": expires.as_second(),
        "kubernetes.io": {
            "namespace": namespace,
            "serviceaccount": {"name": name, "uid": meta::string(&account, "uid")},
        },
    });
    let answer = json!({
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": meta::now()},
        "spec": {
            "audiences": audiences,
            "expirationSeconds": seconds,
            "boundObjectRef": request["spec"]["boundObjectRef"],
        },
        "status": {
            "token": api.tokens().sign(&claims),
            "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        },
    });
    Ok(super::json(StatusCode::CREATED, &answer))
}

/// The status of a TokenReview: whose token it is, if it is one of a service account that is still there.
pub(crate) fn review(api: &Api, spec: &Value) -> Value {
    let refused = |why: &str| json!({"user": {}, "error": why});
    let Some(claims) = api
        .tokens()
        .open(spec["token"].as_str().unwrap_or(""), Timestamp::now())
    else {
        return refused("invalid bearer token");
    };
    let bound = &claims["kubernetes.io"];
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let (namespace, account) = (text(&bound["namespace"]), &bound["serviceaccount"]);
    let key = Key::new(&SERVICE_ACCOUNTS.into(), &namespace, &text(&account["name"]));
    let lives = api.engine().read(|memory| {
        let stored = memory.get(&key);
        stored.is_some_and(|stored| meta::string(&stored.value(), "uid") == account["uid"])
    });
    if !lives {
        return refused("the service account of the token has been deleted");
    }
    let wanted = match texts(&spec["audiences"]) {
        none if none.is_empty() => vec![ISSUER.to_owned()],
        named => named,
    };
    let meant_for = texts(&claims["aud"]);
    let audiences: Vec<String> = wanted.into_iter().filter(|one| meant_for.contains(one)).collect();
    if audiences.is_empty() {
        return refused("the token is for other audiences");
    }
    json!({
        "authenticated": true,
        "user": {
            "username": claims["sub"],
            "uid": account["uid"],
            "groups": [
                "system:serviceaccounts",
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated",
            ],
        },
        "audiences": audiences,
    })
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    // RFC 4231, test case 1, with its key filled up by zeros as HMAC does.
    #[test]
    fn hmac_is_that_of_the_standard() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let tokens = Tokens { key };
        assert_eq!(
            hex::encode(tokens.hmac(b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn the_header_says_how_tokens_are_signed() {
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(HEADER).unwrap()).unwrap();
        assert_eq!(header, json!({"alg": "HS256", "typ": "JWT"}));
    }

    #[test]
    fn only_own_tokens_that_have_not_expired_are_opened() {
        let (tokens, now) = (Tokens::new(), Timestamp::now());
        let claims = json!({"sub": "me", "exp": now.as_second() + 10});
        let token = tokens.sign(&claims);
        assert_eq!(tokens.open(&token, now), Some(claims));
        assert_eq!(tokens.open(&token, now + SignedDuration::from_secs(10)), None);
        assert_eq!(Tokens::new().open(&token, now), None);
        let (text, signature) = token.rsplit_once('.').unwrap();
        let forged = json!({"sub": "you", "exp": now.as_second() + 10}).to_string();
        let forged = format!("{HEADER}.{}.{signature}", URL_SAFE_NO_PAD.encode(forged));
        for wrong in [
            &forged,
            text,
            "",
            "..",
            &format!("{text}."),
            &format!("{text}.AAAA"),
        ] {
            assert_eq!(tokens.open(wrong, now), None, "{wrong}");
        }
    }
}
