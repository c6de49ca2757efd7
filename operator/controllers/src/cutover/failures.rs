//! What goes wrong on the way, as the driver takes it.

use homeport_cutover::{Error, Refusal};

use crate::runtime::Failure;

/// An error of a plan, a DNS server or a provider.
pub(super) fn of_dns(error: Error) -> Failure {
    let message = error.to_string();
    match &error {
        Error::WaitingForPerson { .. } => Failure::waiting("WaitingForPerson", message),
        _ if error.is_transient() => Failure::transient(reason(&error), message),
        _ => Failure::terminal(reason(&error), message),
    }
}

fn reason(error: &Error) -> &'static str {
    match error {
        Error::Invalid { .. } => "InvalidPlan",
        Error::Unreachable { .. } | Error::Timeout { .. } => "DnsUnreachable",
        Error::UnknownKey { .. } | Error::WrongSecret { .. } | Error::NotAuthentic { .. } => "TsigRefused",
        Error::ClockSkew { .. } => "ClockSkew",
        Error::NotPrimary { .. } => "NotPrimary",
        Error::Forbidden { .. } => "UpdateForbidden",
        Error::ConcurrentChange { .. } => "RecordsChanged",
        _ => "DnsFailed",
    }
}

/// Why a change is not made. A record of somebody else's waits for the spec; one that is not as expected, for whoever
/// mends it in DNS, where nothing tells that it was mended.
pub(super) fn of_refusals(refusals: &[Refusal]) -> Failure {
    let message = refusals
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    if refusals
        .iter()
        .any(|refusal| matches!(refusal, Refusal::NotOwned { .. }))
    {
        Failure::terminal("RecordNotOwned", message)
    } else {
        Failure::waiting("WaitingForRecords", message)
    }
}
