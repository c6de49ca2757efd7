//! Custom resource definitions: what makes one valid, and the kinds that it brings.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::columns::{self, Cell, Column};
use super::jsonpath::JsonPath;
use super::kinds::{Kind, Scale, ScaleSelector, Schema, api_version};
use super::meta;
use super::registry::Served;
use super::registry::version_rank;
use crate::schema::{FieldError, Structural};

/// Keeps a definition until its objects are gone.
pub(crate) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Completes a definition that is about to be stored; `old` is the one that it takes the place of.
pub(crate) fn complete(definition: &mut Value, old: Option<&Value>, now: &str) {
    let kind = definition["spec"]["names"]["kind"]
        .as_str()
        .unwrap_or("")
        .to_owned();
    if let Some(names) = definition
        .pointer_mut("/spec/names")
        .and_then(Value::as_object_mut)
    {
        let absent = |names: &Map<String, Value>, name: &str| names.get(name).is_none_or(|value| value == "");
        if absent(names, "singular") {
            names.insert("singular".to_owned(), kind.to_lowercase().into());
        }
        if absent(names, "listKind") {
            names.insert("listKind".to_owned(), format!("{kind}List").into());
        }
    }
    if let Some(spec) = definition.pointer_mut("/spec").and_then(Value::as_object_mut) {
        spec.entry("conversion")
            .or_insert_with(|| json!({"strategy": "None"}));
    }
    let storage_version = versions(definition).find(|version| version["storage"] == true);
    let storage_version = storage_version.map(|version| version["name"].clone());
    // On the path of the status others may say that nothing is stored in a version any more.
    let mut stored: Vec<Value> = list(&definition["status"]["storedVersions"]).cloned().collect();
    stored.extend(storage_version.filter(|version| !stored.contains(version)));
    let condition = |kind: &str, reason: &str, message: &str| {
        let since = old
            .and_then(|old| condition_since(old, kind))
            .unwrap_or_else(|| now.into());
        json!({
            "type": kind, "status": "True", "lastTransitionTime": since, "reason": reason, "message": message,
        })
    };
    let mut conditions = vec![
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition(
            "Established",
            "InitialNamesAccepted",
            "the initial names have been accepted",
        ),
    ];
    if meta::is_deleting(definition) {
        let message = "CustomResource deletion is in progress";
        conditions.push(condition("Terminating", "InstanceDeletionInProgress", message));
    }
    let of_others = |condition: &&Value| {
        !matches!(
            string(&condition["type"]),
            "NamesAccepted" | "Established" | "Terminating"
        )
    };
    conditions.extend(
        list(&definition["status"]["conditions"])
            .filter(of_others)
            .cloned(),
    );
    definition["status"] = json!({
        "conditions": conditions,
        "acceptedNames": definition["spec"]["names"],
        "storedVersions": stored,
    });
    let ends = meta::is_deleting(definition) && old.is_some_and(|old| !meta::is_deleting(old));
    meta::add_finalizer(definition, CLEANUP_FINALIZER, ends);
}

fn condition_since(definition: &Value, kind: &str) -> Option<Value> {
    let conditions = definition["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|found| found["type"] == kind)
        .map(|found| found["lastTransitionTime"].clone())
}

fn versions(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["spec"]["versions"].as_array().into_iter().flatten()
}

/// What kube-apiserver says of a deprecated version that has no words of its own for it.
fn default_deprecation(definition: &Value, group: &str, version: &str, kind: &str) -> String {
    let better = versions(definition)
        .filter(|known| known["served"] == true && known["deprecated"] != true)
        .map(|known| string(&known["name"]))
        .filter(|known| version_rank(known) > version_rank(version))
        .max_by_key(|known| version_rank(known));
    let advice = better.map(|better| format!("; use {group}/{better} {kind}"));
    format!(
        "{group}/{version} {kind} is deprecated{}",
        advice.unwrap_or_default()
    )
}

/// What is wrong with a definition beyond its shape, which its schema has checked.
pub(crate) fn validate(definition: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let spec = &definition["spec"];
    let (group, plural) = (string(&spec["group"]), string(&spec["names"]["plural"]));
    let name = string(&definition["metadata"]["name"]);
    // Of what is there already, neither the name nor what it is made of changes.
    if old.is_none() && name != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid("metadata.name", name, detail));
    }
    if !group.contains('.') || !meta::is_subdomain(group) {
        errors.push(FieldError::invalid(
            "spec.group",
            group,
            "should be a domain with at least one dot",
        ));
    }
    match string(&spec["names"]["kind"]) {
        "" => errors.push(FieldError::required("spec.names.kind", "")),
        kind if !meta::is_label(&kind.to_lowercase()) => {
            let detail = format!(
                "may have mixed case, but should otherwise match: {}",
                meta::LABEL_RULE
            );
            errors.push(FieldError::invalid("spec.names.kind", kind, detail));
        }
        _ => {}
    }
    for field in ["plural", "singular"] {
        let value = string(&spec["names"][field]);
        if !meta::is_label(value) {
            errors.push(FieldError::invalid(
                format!("spec.names.{field}"),
                value,
                meta::LABEL_RULE,
            ));
        }
    }
    if !matches!(string(&spec["scope"]), "Cluster" | "Namespaced") {
        let path = "spec.scope";
        errors.push(FieldError::not_supported(
            path,
            spec["scope"].clone(),
            ["Cluster", "Namespaced"],
        ));
    }
    if string(&spec["conversion"]["strategy"]) != "None" {
        let strategy = spec["conversion"]["strategy"].clone();
        errors.push(FieldError::not_supported(
            "spec.conversion.strategy",
            strategy,
            ["None"],
        ));
    }
    errors.extend(validate_versions(definition));
    if old.is_none() {
        errors.extend(unapproved(definition));
    }
    if let Some(old) = old {
        errors.extend(lost_versions(definition));
        for path in [
            ["scope", ""],
            ["names", "kind"],
            ["names", "plural"],
            ["group", ""],
        ] {
            let at = |definition: &Value| {
                let value = &definition["spec"][path[0]];
                if path[1].is_empty() {
                    value.clone()
                } else {
                    value[path[1]].clone()
                }
            };
            if at(old) != at(definition) {
                let path = format!("spec.{}", path.join("."))
                    .trim_end_matches('.')
                    .to_owned();
                errors.push(FieldError::invalid(path, at(definition), "field is immutable"));
            }
        }
    }
    errors
}

/// Names that other kinds of the group have already. A cluster would accept the definition and never serve it; here
/// it is refused, so that whoever applies it learns of it.
pub(crate) fn taken_names(definition: &Value, served: &Served) -> Vec<FieldError> {
    let names = &definition["spec"]["names"];
    let own = format!(
        "{}/{}",
        string(&definition["spec"]["group"]),
        string(&names["plural"])
    );
    let others: Vec<&Arc<Kind>> = served
        .kinds()
        .filter(|kind| kind.group == string(&definition["spec"]["group"]) && !(kind.custom && kind.is(&own)))
        .collect();
    let mut errors = Vec::new();
    let mut check = |path: String, name: &str, taken: &dyn Fn(&Kind) -> bool| {
        if !name.is_empty() && others.iter().any(|kind| taken(kind)) {
            errors.push(FieldError::invalid(path, name, "is already in use in this group"));
        }
    };
    for field in ["kind", "listKind"] {
        let name = string(&names[field]);
        check(format!("spec.names.{field}"), name, &|kind| {
            kind.kind == name || kind.list_kind == name
        });
    }
    let resource = |kind: &Kind, name: &str| {
        kind.plural == name || kind.singular == name || kind.short_names.iter().any(|short| short == name)
    };
    for field in ["plural", "singular"] {
        let name = string(&names[field]);
        check(format!("spec.names.{field}"), name, &|kind| resource(kind, name));
    }
    for (index, name) in list(&names["shortNames"]).enumerate() {
        let name = string(name);
        check(format!("spec.names.shortNames[{index}]"), name, &|kind| {
            resource(kind, name)
        });
    }
    errors
}

/// Groups of Kubernetes' own are for what its project has approved.
fn unapproved(definition: &Value) -> Option<FieldError> {
    const ANNOTATION: &str = "api-approved.kubernetes.io";
    let group = string(&definition["spec"]["group"]);
    let protected = ["k8s.io", "kubernetes.io"].into_iter().any(|domain| {
        let prefix = group.strip_suffix(domain);
        prefix.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('.'))
    });
    let approval = string(&definition["metadata"]["annotations"][ANNOTATION]);
    let approved = approval.starts_with("unapproved") || url::Url::parse(approval).is_ok();
    if !protected || approved {
        return None;
    }
    let path = format!("metadata.annotations[{ANNOTATION}]");
    let page = "see https://github.com/kubernetes/enhancements/pull/1111";
    Some(if approval.is_empty() {
        let detail = format!("protected groups must have approval annotation {ANNOTATION:?}, {page}");
        FieldError::required(path, detail)
    } else {
        let detail = format!(
            "protected groups must have approval annotation {ANNOTATION:?} with either a URL or a reason starting \
             with \"unapproved\", {page}"
        );
        FieldError::invalid(path, approval, detail)
    })
}

/// Versions that objects may be stored in, and that the definition has no longer.
fn lost_versions(definition: &Value) -> Vec<FieldError> {
    let lost = |(index, version): (usize, &Value)| {
        let name = string(version);
        (!versions(definition).any(|version| version["name"] == name)).then(|| {
            let detail = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in \
                 spec.versions until a storage migration ensures no data remains persisted in {name} and removes \
                 {name} from status.storedVersions"
            );
            FieldError::invalid(format!("status.storedVersions[{index}]"), name, detail)
        })
    };
    list(&definition["status"]["storedVersions"])
        .enumerate()
        .filter_map(lost)
        .collect()
}

/// The values of a field of the versions, each with the path that errors in it have: kube-apiserver looks at what
/// all versions have the same as at one field of the definition, `common`.
fn by_version<'a>(definition: &'a Value, field: &str, common: &str) -> Vec<(String, &'a Value)> {
    let values: Vec<&Value> = versions(definition).map(|version| &version[field]).collect();
    match values.split_first() {
        Some((first, rest)) if rest.iter().all(|value| value == first) => {
            vec![(format!("spec.{common}"), first)]
        }
        _ => (0..)
            .zip(values)
            .map(|(index, value)| (format!("spec.versions[{index}].{field}"), value))
            .collect(),
    }
}

fn validate_column(path: &str, column: &Value) -> Vec<FieldError> {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    let mut errors = Vec::new();
    let one_of = |field: &str, known: &[&str]| {
        let value = string(&column[field]);
        (!known.contains(&value)).then(|| {
            let detail = format!("must be one of {}", known.join(","));
            FieldError::invalid(format!("{path}.{field}"), value, detail)
        })
    };
    if string(&column["name"]).is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    }
    match string(&column["type"]) {
        "" => errors.push(FieldError::required(
            format!("{path}.type"),
            format!("must be one of {}", TYPES.join(",")),
        )),
        _ => errors.extend(one_of("type", &TYPES)),
    }
    let json_path = string(&column["jsonPath"]);
    let at = format!("{path}.JSONPath");
    if json_path.is_empty() {
        errors.push(FieldError::required(at, ""));
    } else if !json_path.starts_with('.') {
        let detail = "must be a simple json path starting with .";
        errors.push(FieldError::invalid(at, json_path, detail));
    } else if let Err(error) = JsonPath::parse(json_path) {
        errors.push(FieldError::invalid(at, json_path, error));
    }
    errors
}

fn validate_scale(path: &str, scale: &Map<String, Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, part) in [("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")] {
        let text = scale.get(field).map_or("", string);
        let path = format!("{path}.{field}");
        if text.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else if text.contains('[') {
            let detail = "should be a json path without the array notation";
            errors.push(FieldError::invalid(path, text, detail));
        } else if !text.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')) {
            errors.push(FieldError::invalid(
                path,
                text,
                format!("should be a json path under {part}"),
            ));
        }
    }
    errors
}

fn validate_versions(definition: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut names = BTreeSet::new();
    for (index, version) in versions(definition).enumerate() {
        let path = format!("spec.versions[{index}]");
        let name = string(&version["name"]);
        if !names.insert(name) {
            let detail = "must contain unique version names";
            errors.push(FieldError::invalid(
                "spec.versions",
                definition["spec"]["versions"].clone(),
                detail,
            ));
        }
        if !meta::is_label(name) {
            errors.push(FieldError::invalid(
                format!("{path}.name"),
                name,
                meta::LABEL_RULE,
            ));
        }
        if version["schema"]["openAPIV3Schema"].is_null() {
            errors.push(FieldError::required(format!("{path}.schema.openAPIV3Schema"), ""));
        }
    }
    for (path, schema) in by_version(definition, "schema", "validation") {
        let schema = &schema["openAPIV3Schema"];
        if let (false, Err(wrong)) = (schema.is_null(), Structural::compile(schema)) {
            let path = format!("{path}.openAPIV3Schema");
            errors.extend(wrong.into_iter().map(|error| error.within(&path)));
        }
    }
    let columns = "additionalPrinterColumns";
    for (path, columns) in by_version(definition, columns, columns) {
        for (index, column) in list(columns).enumerate() {
            errors.extend(validate_column(&format!("{path}[{index}]"), column));
        }
    }
    for (path, subresources) in by_version(definition, "subresources", "subresources") {
        if let Value::Object(scale) = &subresources["scale"] {
            errors.extend(validate_scale(&format!("{path}.scale"), scale));
        }
    }
    if versions(definition)
        .filter(|version| version["storage"] == true)
        .count()
        != 1
    {
        let detail = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid(
            "spec.versions",
            definition["spec"]["versions"].clone(),
            detail,
        ));
    }
    errors
}

/// The kinds that a stored definition brings, one a version that is served or stored. A version whose schema an
/// earlier release of this program accepted and this one does not is left out, with a word in the log.
pub(crate) fn kinds(definition: &Value) -> Vec<Kind> {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let group = string(&spec["group"]);
    let plural = string(&names["plural"]);
    let stored_version = versions(definition).find(|version| version["storage"] == true);
    let stored_as = api_version(
        group,
        stored_version.map_or("", |version| string(&version["name"])),
    );
    let texts = |value: &Value| {
        list(value)
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut kinds: Vec<Kind> = versions(definition)
        .filter(|version| version["served"] == true || version["storage"] == true)
        .filter_map(|version| {
            let source = &version["schema"]["openAPIV3Schema"];
            let compiled = match Structural::compile(source) {
                Ok(compiled) => compiled,
                Err(errors) => {
                    let error = errors.first().map(ToString::to_string);
                    tracing::error!(%plural, group, ?error, "a stored definition cannot be served");
                    return None;
                }
            };
            let subresources = &version["subresources"];
            let defaults_since = match compiled.has_defaults() {
                false => 0,
                // An object may have come in a version that has other defaults.
                true if versions(definition).count() > 1 => u64::MAX,
                true => meta::string(definition, "resourceVersion").parse().unwrap_or(0),
            };
            let version_name = string(&version["name"]);
            let kind = string(&names["kind"]);
            let deprecation = (version["deprecated"] == true).then(|| {
                let default = || default_deprecation(definition, group, version_name, kind);
                version["deprecationWarning"]
                    .as_str()
                    .map_or_else(default, str::to_owned)
            });
            Some(Kind {
                group: group.to_owned(),
                version: version_name.to_owned(),
                kind: kind.to_owned(),
                list_kind: string(&names["listKind"]).to_owned(),
                plural: plural.to_owned(),
                singular: string(&names["singular"]).to_owned(),
                short_names: texts(&names["shortNames"]),
                categories: texts(&names["categories"]),
                namespaced: spec["scope"] == "Namespaced",
                storage: format!("{group}/{plural}").into(),
                stored_as: stored_as.clone(),
                stored_schema: None,
                review: false,
                status: subresources["status"].is_object(),
                scale: scale(&subresources["scale"]),
                generation: true,
                schema: Schema::Custom {
                    compiled: Arc::new(compiled),
                    source: Arc::new(source.clone()),
                },
                columns: printer_columns(&version["additionalPrinterColumns"]),
                selectable: list(&version["selectableFields"])
                    .filter_map(|field| field["jsonPath"].as_str())
                    .map(|path| path.trim_start_matches('.').to_owned())
                    .collect(),
                custom: true,
                served: version["served"] == true,
                terminating: meta::is_deleting(definition),
                deprecation,
                defaults_since,
            })
        })
        .collect();
    let stored_schema = kinds.iter().find_map(|kind| match &kind.schema {
        Schema::Custom { compiled, .. } if kind.api_version() == stored_as => Some(Arc::clone(compiled)),
        _ => None,
    });
    for kind in &mut kinds {
        if kind.api_version() != stored_as {
            kind.stored_schema = stored_schema.clone();
        }
    }
    kinds
}

fn scale(declared: &Value) -> Option<Scale> {
    let path = declared["specReplicasPath"].as_str()?;
    Some(Scale {
        spec_replicas: path
            .trim_start_matches('.')
            .split('.')
            .map(str::to_owned)
            .collect(),
        status_replicas: JsonPath::parse(declared["statusReplicasPath"].as_str()?).ok()?,
        selector: declared["labelSelectorPath"]
            .as_str()
            .and_then(|path| JsonPath::parse(path).ok())
            .map(ScaleSelector::Text),
    })
}

fn printer_columns(declared: &Value) -> Vec<Column> {
    let mut columns = vec![columns::name_column()];
    for column in list(declared) {
        let Ok(path) = JsonPath::parse(string(&column["jsonPath"])) else {
            continue;
        };
        columns.push(Column {
            name: string(&column["name"]).to_owned(),
            kind: string(&column["type"]).to_owned(),
            format: string(&column["format"]).to_owned(),
            description: string(&column["description"]).to_owned(),
            priority: column["priority"].as_i64().unwrap_or(0),
            cell: Cell::Path(path),
        });
    }
    if columns.len() == 1 {
        // Unlike built-in kinds' column of that name, it is a date.
        columns.push(Column {
            kind: "date".to_owned(),
            ..columns::age_column()
        });
    }
    columns
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
