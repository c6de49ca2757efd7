//! Who serves the records, and which name servers are asked what they show.

use std::net::SocketAddr;

use homeport_crds::Cutover;
use homeport_crds::cutover::{
    CutoverMode, CutoverSpec, Rfc2136Provider as Rfc2136Spec, TsigAlgorithm as AlgorithmSpec,
};
use homeport_cutover::{DnsProvider, ManualProvider, Rfc2136Provider, TsigAlgorithm, TsigKey, dns};
use kube::ResourceExt;

use super::failures::of_dns;
use crate::runtime::{Context, Failure};
use crate::secret_binding::values;

/// The provider of a cutover. With mode Manual it is a person, whoever serves the records.
///
/// # Errors
/// [`Failure::Terminal`] for a provider that is not supported; [`Failure::Waiting`] until its credentials are there.
pub(super) async fn of(context: &Context, cutover: &Cutover) -> Result<Box<dyn DnsProvider>, Failure> {
    let spec = &cutover.spec;
    match &spec.provider.rfc2136 {
        Some(rfc2136) if spec.mode != CutoverMode::Manual => {
            let namespace = cutover.namespace().unwrap_or_default();
            let tsig = &rfc2136.tsig;
            let key = TsigKey {
                name: tsig.key_name.clone(),
                algorithm: algorithm(tsig.algorithm),
                secret: values::of_key(&context.client, &namespace, &tsig.secret_ref).await?,
            };
            let provider = Rfc2136Provider::new(address(&rfc2136.server).await?, &key).map_err(of_dns)?;
            Ok(Box::new(provider))
        }
        _ => {
            let provider = ManualProvider::new(servers(spec).await?).map_err(of_dns)?;
            Ok(Box::new(provider))
        }
    }
}

/// Whether the provider is one that this version can do.
pub(super) fn check_supported(spec: &CutoverSpec) -> Result<(), Failure> {
    let provider = &spec.provider;
    let unsupported = [
        ("cloudflare", provider.cloudflare.is_some()),
        ("route53", provider.route53.is_some()),
        ("powerdns", provider.powerdns.is_some()),
    ];
    match unsupported.iter().find(|(_, is_set)| *is_set) {
        Some((name, _)) if spec.mode != CutoverMode::Manual => Err(Failure::terminal(
            "ProviderNotSupported",
            format!(
                "spec.provider.{name} is not supported yet: use rfc2136 where the server takes dynamic updates, or \
                 mode Manual to make the change yourself by homeport's instructions"
            ),
        )),
        _ => Ok(()),
    }
}

const fn algorithm(algorithm: AlgorithmSpec) -> TsigAlgorithm {
    match algorithm {
        AlgorithmSpec::HmacSha256 => TsigAlgorithm::HmacSha256,
        AlgorithmSpec::HmacSha384 => TsigAlgorithm::HmacSha384,
        AlgorithmSpec::HmacSha512 => TsigAlgorithm::HmacSha512,
    }
}

/// The name servers that must show a change: those of the spec, else the provider's own, else the system's.
pub(super) async fn servers(spec: &CutoverSpec) -> Result<Vec<SocketAddr>, Failure> {
    let own = |rfc2136: &Rfc2136Spec| rfc2136.server.clone();
    let manual = spec
        .provider
        .manual
        .as_ref()
        .and_then(|manual| manual.resolver.clone());
    let provider = manual.or_else(|| spec.provider.rfc2136.as_ref().map(own));
    let named: Vec<&String> = if spec.resolvers.is_empty() {
        provider.iter().collect()
    } else {
        spec.resolvers.iter().collect()
    };
    if named.is_empty() {
        return dns::system_servers().map_err(of_dns);
    }
    let mut servers = Vec::new();
    for server in named {
        servers.push(address(server).await?);
    }
    Ok(servers)
}

/// A name may have no address for a while only.
async fn address(server: &str) -> Result<SocketAddr, Failure> {
    dns::server_address(server)
        .await
        .map_err(|error| Failure::transient("DnsServerUnknown", error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn spec(spec: Value) -> CutoverSpec {
        serde_json::from_value(spec).unwrap()
    }

    #[rstest]
    #[case::cloudflare(json!({ "cloudflare": { "tokenSecretRef": { "name": "a", "key": "b" } } }))]
    #[case::route53(json!({ "route53": {} }))]
    #[case::powerdns(json!({ "powerdns": { "url": "http://a", "apiKeySecretRef": { "name": "a", "key": "b" } } }))]
    fn what_is_not_supported_is_told_with_ways_out(#[case] provider: Value) {
        let failure = check_supported(&spec(json!({ "provider": provider }))).unwrap_err();
        assert_eq!(failure.reason(), "ProviderNotSupported");
        assert!(failure.to_string().contains("rfc2136"), "{failure}");
        let by_hand = spec(json!({ "provider": provider, "mode": "Manual" }));
        assert_eq!(check_supported(&by_hand), Ok(()));
    }

    #[rstest]
    #[case::of_the_spec(
        json!({ "provider": { "manual": { "resolver": "192.0.2.1" } }, "resolvers": ["192.0.2.2:5353"] }),
        "192.0.2.2:5353"
    )]
    #[case::of_the_person(json!({ "provider": { "manual": { "resolver": "192.0.2.1" } } }), "192.0.2.1:53")]
    #[case::of_the_server(
        json!({ "provider": { "rfc2136": {
            "server": "192.0.2.3:54", "tsig": { "keyName": "k", "secretRef": { "name": "a", "key": "b" } }
        } } }),
        "192.0.2.3:54"
    )]
    #[tokio::test]
    async fn servers_that_are_asked(#[case] given: Value, #[case] expected: &str) {
        assert_eq!(servers(&spec(given)).await.unwrap(), [expected.parse().unwrap()]);
    }
}
