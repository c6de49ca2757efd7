//! Deployments, sets of pods, jobs.

use serde_json::{Map, Value};

use super::{Errors, list, pod, text};
use crate::schema::FieldError;

pub(super) fn deployment(errors: &mut Errors, deployment: &Value, old: Option<&Value>) {
    let spec = &deployment["spec"];
    errors.non_negative(spec, "spec", &["replicas"]);
    selected_template(errors, spec, "deployment");
    strategy(errors, &spec["strategy"]);
    let numbers = [
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ];
    errors.non_negative(spec, "spec", &numbers);
    let deadline = &spec["progressDeadlineSeconds"];
    let ready = spec["minReadySeconds"].as_i64().unwrap_or(0);
    if deadline.as_i64().is_some_and(|deadline| deadline <= ready) {
        let why = "must be greater than minReadySeconds";
        errors.invalid("spec.progressDeadlineSeconds", deadline, why);
    }
    if let Some(old) = old {
        errors.immutable("spec.selector", &spec["selector"], &old["spec"]["selector"]);
    }
}

pub(super) fn deployment_status(errors: &mut Errors, deployment: &Value) {
    let status = &deployment["status"];
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    let fields = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
    ];
    errors.non_negative(status, "status", &fields);
    errors.non_negative(status, "status", &["availableReplicas", "unavailableReplicas"]);
    for field in ["updatedReplicas", "readyReplicas", "availableReplicas"] {
        if count(field) > count("replicas") {
            let why = "cannot be greater than status.replicas";
            errors.invalid(format!("status.{field}"), &status[field], why);
        }
    }
    if count("availableReplicas") > count("readyReplicas") {
        let why = "cannot be greater than readyReplicas";
        errors.invalid("status.availableReplicas", &status["availableReplicas"], why);
    }
}

pub(super) fn replica_set(errors: &mut Errors, set: &Value, old: Option<&Value>) {
    let spec = &set["spec"];
    errors.non_negative(spec, "spec", &["replicas", "minReadySeconds"]);
    selected_template(errors, spec, "deployment");
    if let Some(old) = old {
        errors.immutable("spec.selector", &spec["selector"], &old["spec"]["selector"]);
    }
}

pub(super) fn stateful_set(errors: &mut Errors, set: &Value, old: Option<&Value>) {
    let spec = &set["spec"];
    let management = &spec["podManagementPolicy"];
    if !matches!(text(management), "OrderedReady" | "Parallel") {
        let why = "must be 'OrderedReady' or 'Parallel'";
        errors.invalid("spec.podManagementPolicy", management, why);
    }
    let strategy = &spec["updateStrategy"];
    if !matches!(text(&strategy["type"]), "RollingUpdate" | "OnDelete") {
        errors.invalid(
            "spec.updateStrategy",
            strategy,
            "must be 'RollingUpdate' or 'OnDelete'",
        );
    }
    errors.non_negative(spec, "spec", &["replicas", "minReadySeconds"]);
    // The volumes that its claims become are mounted, and named nowhere else.
    let mut with_claims = spec.clone();
    let claims = list(&spec["volumeClaimTemplates"]).iter();
    let volumes = claims.map(|claim| serde_json::json!({"name": claim["metadata"]["name"], "emptyDir": {}}));
    let known = list(&spec["template"]["spec"]["volumes"]).iter().cloned();
    let all: Vec<Value> = volumes.chain(known).collect();
    if !all.is_empty() {
        with_claims["template"]["spec"]["volumes"] = all.into();
    }
    selected_template(errors, &with_claims, "statefulset");
    let may_change = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
        "revisionHistoryLimit",
    ];
    let fixed = |spec: &Value| -> Map<String, Value> {
        let fields = spec.as_object().cloned().unwrap_or_default();
        let is_fixed = |(name, _): &(String, Value)| !may_change.contains(&name.as_str());
        fields.into_iter().filter(is_fixed).collect()
    };
    if old.is_some_and(|old| fixed(&old["spec"]) != fixed(spec)) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                   'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                   'minReadySeconds' are forbidden";
        errors.forbidden("spec", why);
    }
}

pub(super) fn daemon_set(errors: &mut Errors, set: &Value, old: Option<&Value>) {
    let spec = &set["spec"];
    let labels = &spec["template"]["metadata"]["labels"];
    if !selects(&spec["selector"], labels) {
        errors.invalid("spec.template.metadata.labels", labels, NO_MATCH);
    }
    if is_empty(&spec["selector"]) {
        let why = "empty selector is invalid for daemonset";
        errors.invalid("spec.selector", &spec["selector"], why);
    }
    pod::template(errors, &spec["template"], "spec.template");
    always_restarts(errors, spec);
    errors.non_negative(spec, "spec", &["minReadySeconds", "revisionHistoryLimit"]);
    let strategies = ["RollingUpdate", "OnDelete"];
    let strategy = &spec["updateStrategy"]["type"];
    if !strategies.contains(&text(strategy)) {
        errors.not_supported("spec.updateStrategy.type", strategy, &strategies);
    }
    if let Some(old) = old {
        errors.immutable("spec.selector", &spec["selector"], &old["spec"]["selector"]);
    }
}

pub(super) fn job(errors: &mut Errors, job: &Value, old: Option<&Value>) {
    let spec = &job["spec"];
    job_spec(errors, spec, "spec");
    let labels = &spec["template"]["metadata"]["labels"];
    if spec["selector"].is_null() {
        errors.required("spec.selector", "");
    }
    if !selects(&spec["selector"], labels) {
        errors.invalid("spec.template.metadata.labels", labels, NO_MATCH);
    }
    let Some(old) = old.map(|old| &old["spec"]) else {
        return;
    };
    // Jobs whose pods are numbered may grow and shrink with their parallelism.
    let moves_together = spec["completionMode"] == "Indexed" && spec["completions"] == spec["parallelism"];
    if !moves_together {
        errors.immutable("spec.completions", &spec["completions"], &old["completions"]);
    }
    errors.immutable("spec.selector", &spec["selector"], &old["selector"]);
    // Where its pods go may still be changed while a job waits to be started.
    if old["suspend"] != true {
        errors.immutable("spec.template", &spec["template"], &old["template"]);
    }
    for field in [
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
    ] {
        errors.immutable(&format!("spec.{field}"), &spec[field], &old[field]);
    }
}

fn job_spec(errors: &mut Errors, spec: &Value, path: &str) {
    let numbers = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
    ];
    errors.non_negative(spec, path, &numbers);
    errors.non_negative(spec, path, &["ttlSecondsAfterFinished"]);
    let modes = ["NonIndexed", "Indexed"];
    let mode = &spec["completionMode"];
    if !mode.is_null() && !modes.contains(&text(mode)) {
        errors.not_supported(format!("{path}.completionMode"), mode, &modes);
    }
    let at = format!("{path}.template");
    pod::template(errors, &spec["template"], &at);
    let policy = &spec["template"]["spec"]["restartPolicy"];
    let at = format!("{at}.spec.restartPolicy");
    match text(policy) {
        "OnFailure" | "Never" => {}
        "Always" | "" => errors.required(at, "valid values: \"OnFailure\", \"Never\""),
        _ => errors.not_supported(at, policy, &["OnFailure", "Never"]),
    }
}

pub(super) fn cron_job(errors: &mut Errors, cron_job: &Value, old: Option<&Value>) {
    let spec = &cron_job["spec"];
    if text(&spec["schedule"]).is_empty() {
        errors.required("spec.schedule", "");
    } else if let Some(why) = wrong_schedule(text(&spec["schedule"])) {
        errors.invalid("spec.schedule", &spec["schedule"], why);
    }
    errors.non_negative(spec, "spec", &["startingDeadlineSeconds"]);
    let zone = &spec["timeZone"];
    let is_new = old.is_none_or(|old| old["spec"]["timeZone"] != *zone);
    if is_new && !zone.is_null() && jiff::tz::TimeZone::get(text(zone)).is_err() {
        let why = format!("unknown time zone {}", text(zone));
        errors.invalid("spec.timeZone", zone, why);
    }
    let policies = ["Allow", "Forbid", "Replace"];
    let policy = &spec["concurrencyPolicy"];
    if !policies.contains(&text(policy)) {
        errors.not_supported("spec.concurrencyPolicy", policy, &policies);
    }
    job_spec(errors, &spec["jobTemplate"]["spec"], "spec.jobTemplate.spec");
    errors.non_negative(
        spec,
        "spec",
        &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"],
    );
}

/// What is wrong with a schedule: five fields, or one of the names that stand for some.
fn wrong_schedule(schedule: &str) -> Option<String> {
    if let Some(name) = schedule.strip_prefix('@') {
        let known = [
            "yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly",
        ];
        let is_known = known.contains(&name) || name.starts_with("every ");
        return (!is_known).then(|| format!("unrecognized descriptor: {schedule}"));
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() == 5 {
        return None;
    }
    let (found, fields) = (fields.len(), fields.join(" "));
    Some(format!("expected exactly 5 fields, found {found}: [{fields}]"))
}

const NO_MATCH: &str = "`selector` does not match template `labels`";

fn is_empty(selector: &Value) -> bool {
    let labels = selector["matchLabels"].as_object().is_none_or(Map::is_empty);
    selector.is_object() && labels && list(&selector["matchExpressions"]).is_empty()
}

/// Whether a label selector chooses what has these labels; one that is absent chooses nothing.
fn selects(selector: &Value, labels: &Value) -> bool {
    if !selector.is_object() {
        return false;
    }
    let wanted = selector["matchLabels"].as_object().into_iter().flatten();
    let has_all = wanted
        .into_iter()
        .all(|(name, value)| labels.get(name) == Some(value));
    has_all
        && list(&selector["matchExpressions"]).iter().all(|expression| {
            let found = labels.get(text(&expression["key"]));
            let is_listed = found.is_some_and(|found| list(&expression["values"]).contains(found));
            match text(&expression["operator"]) {
                "In" => is_listed,
                "NotIn" => !is_listed,
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

/// A selector and the template of the pods that it must choose.
fn selected_template(errors: &mut Errors, spec: &Value, kind: &str) {
    if spec["selector"].is_null() {
        errors.required("spec.selector", "");
    } else if is_empty(&spec["selector"]) {
        let why = format!("empty selector is invalid for {kind}");
        errors.invalid("spec.selector", &spec["selector"], why);
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if !selects(&spec["selector"], labels) {
        errors.invalid("spec.template.metadata.labels", labels, NO_MATCH);
    }
    pod::template(errors, &spec["template"], "spec.template");
    always_restarts(errors, spec);
}

fn always_restarts(errors: &mut Errors, spec: &Value) {
    let policy = &spec["template"]["spec"]["restartPolicy"];
    if matches!(text(policy), "Never" | "OnFailure") {
        let at = "spec.template.spec.restartPolicy";
        errors
            .0
            .push(FieldError::not_supported(at, policy.clone(), ["Always"]));
    }
}

fn strategy(errors: &mut Errors, strategy: &Value) {
    let rolling = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "Recreate" if rolling.is_object() => errors.forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        ),
        "Recreate" => {}
        "RollingUpdate" => {
            let is_zero = |value: &Value| matches!(text(value), "0%") || value.as_i64() == Some(0);
            errors.non_negative(
                rolling,
                "spec.strategy.rollingUpdate",
                &["maxUnavailable", "maxSurge"],
            );
            if is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
                let why = "may not be 0 when `maxSurge` is 0";
                let at = "spec.strategy.rollingUpdate.maxUnavailable";
                errors.invalid(at, &rolling["maxUnavailable"], why);
            }
        }
        _ => errors.not_supported("spec.strategy", strategy, &["Recreate", "RollingUpdate"]),
    }
}
