//! Label and field selectors: `app=web,tier in (a,b),!old` and `metadata.name=x,type!=Opaque`.

use serde_json::Value;

use super::convert::stored_path;
use super::kinds::Kind;
use super::meta;
use super::route::Query;
use super::status::Failure;
use crate::engine::Stored;

/// Fields of built-in kinds that hold truth values.
const FLAGS: [&str; 1] = ["spec.unschedulable"];

/// Which objects a list, a watch or a collection's deletion is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<LabelRequirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelRequirement {
    key: String,
    demand: Demand,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Demand {
    Exists,
    Absent,
    In(Vec<String>),
    /// Also fulfilled by objects without the label.
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

/// A `LabelSelector` in the form that queries have, as Go writes it: by key, values in order.
pub(crate) fn text_of(selector: &Value) -> String {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let equal = equal.map(|(key, value)| (key.as_str(), format!("{key}={}", value.as_str().unwrap_or(""))));
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    let expressions = expressions.map(|expression| {
        let key = expression["key"].as_str().unwrap_or("");
        let values = expression["values"].as_array().into_iter().flatten();
        let mut values: Vec<&str> = values.filter_map(Value::as_str).collect();
        values.sort_unstable();
        let text = match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        };
        (key, text)
    });
    let mut requirements: Vec<(&str, String)> = equal.chain(expressions).collect();
    requirements.sort();
    let texts: Vec<String> = requirements.into_iter().map(|(_, text)| text).collect();
    texts.join(",")
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldRequirement {
    path: String,
    value: String,
    equal: bool,
    /// A truth value, which is false where it is absent.
    flag: bool,
}

impl Selector {
    /// # Errors
    /// 400 for text that is no selector, and for fields that objects of this kind are not selected by.
    pub(crate) fn parse(query: &Query, kind: &Kind) -> Result<Self, Failure> {
        let labels = parse_labels(query.get("labelSelector").unwrap_or(""))
            .map_err(|error| Failure::bad_request(format!("unable to parse requirement: {error}")))?;
        let fields = parse_fields(query.get("fieldSelector").unwrap_or("")).map_err(Failure::bad_request)?;
        if let Some(unknown) = fields.iter().find(|field| !kind.selects_by(&field.path)) {
            let path = &unknown.path;
            // Kinds with fields of their own have a word of their own for others.
            return Err(Failure::bad_request(
                if kind.custom || !kind.selectable.is_empty() {
                    format!("field label not supported: {path}")
                } else {
                    format!(
                        "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    )
                },
            ));
        }
        let stored = |field: FieldRequirement| FieldRequirement {
            path: stored_path(kind, &field.path),
            flag: !kind.custom && FLAGS.contains(&field.path.as_str()),
            ..field
        };
        Ok(Selector {
            labels,
            fields: fields.into_iter().map(stored).collect(),
        })
    }

    /// Selects the one object of that name.
    #[must_use]
    pub(crate) fn with_name(mut self, name: &str) -> Self {
        let path = "metadata.name".to_owned();
        self.fields.push(FieldRequirement {
            path,
            value: name.to_owned(),
            equal: true,
            flag: false,
        });
        self
    }

    pub(crate) fn selects_all(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether it chooses the object.
    pub(crate) fn selects(&self, stored: &Stored) -> bool {
        if self.selects_all() {
            return true;
        }
        let by_name =
            |field: &FieldRequirement| matches!(&*field.path, "metadata.name" | "metadata.namespace");
        if self.fields.iter().all(by_name) {
            self.matches(&stored.names_and_labels())
        } else {
            self.matches(&stored.value())
        }
    }

    fn matches(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        self.labels
            .iter()
            .all(|requirement| requirement.demand.accepts(label(&requirement.key)))
            && self.fields.iter().all(|requirement| {
                let mut value = field(object, &requirement.path);
                if requirement.flag && value.is_empty() {
                    "false".clone_into(&mut value);
                }
                (value == requirement.value) == requirement.equal
            })
    }
}

impl Demand {
    fn accepts(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Demand::Exists => value.is_some(),
            Demand::Absent => value.is_none(),
            Demand::In(values) => value.is_some_and(|value| values.iter().any(|other| other == value)),
            Demand::NotIn(values) => value.is_none_or(|value| values.iter().all(|other| other != value)),
            Demand::Greater(bound) => number().is_some_and(|value| value > *bound),
            Demand::Less(bound) => number().is_some_and(|value| value < *bound),
        }
    }
}

/// A field by its dotted path; absent ones are the empty string, as Kubernetes has it.
fn field(object: &Value, path: &str) -> String {
    let found = path.split('.').try_fold(object, |value, name| value.get(name));
    match found {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

fn parse_labels(text: &str) -> Result<Vec<LabelRequirement>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let parts = split_outside_parentheses(text);
    parts.into_iter().map(str::trim).map(parse_label).collect()
}

fn parse_label(text: &str) -> Result<LabelRequirement, String> {
    let requirement = |key: &str, demand: Demand| {
        let key = key.trim();
        if let Some(wrong) = meta::wrong_qualified(key).first() {
            return Err(format!("key: Invalid value: {key:?}: {wrong}"));
        }
        Ok(LabelRequirement {
            key: key.to_owned(),
            demand,
        })
    };
    let value = |value: &str| {
        let value = value.trim();
        if meta::is_label_value(value) {
            Ok(value.to_owned())
        } else {
            Err(format!("invalid label value: {value:?}"))
        }
    };
    let bound = |value: &str| {
        value
            .trim()
            .parse::<i64>()
            .map_err(|_| format!("for 'Gt', 'Lt' operators, the value must be an integer: {text:?}"))
    };
    if let Some(open) = text.find('(') {
        let list = text[open + 1..]
            .trim_end()
            .strip_suffix(')')
            .ok_or(format!("found {text:?}, expected: ')'"))?;
        let values = list.split(',').map(value).collect::<Result<Vec<_>, _>>()?;
        let mut words = text[..open].split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => requirement(key, Demand::In(values)),
            (Some(key), Some("notin"), None) => requirement(key, Demand::NotIn(values)),
            _ => Err(format!("found {text:?}, expected: in, notin")),
        };
    }
    if let Some((key, wanted)) = text.split_once("!=") {
        return requirement(key, Demand::NotIn(vec![value(wanted)?]));
    }
    if let Some((key, wanted)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return requirement(key, Demand::In(vec![value(wanted)?]));
    }
    if let Some((key, wanted)) = text.split_once('>') {
        return requirement(key, Demand::Greater(bound(wanted)?));
    }
    if let Some((key, wanted)) = text.split_once('<') {
        return requirement(key, Demand::Less(bound(wanted)?));
    }
    match text.strip_prefix('!') {
        Some(key) => requirement(key, Demand::Absent),
        None => requirement(text, Demand::Exists),
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

/// Field selectors escape `,`, `=` and `\` in values with a backslash.
fn parse_fields(text: &str) -> Result<Vec<FieldRequirement>, String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let last = parts.len() - 1;
        match c {
            '\\' => {
                parts[last].push(c);
                parts[last].extend(characters.next());
            }
            ',' => parts.push(String::new()),
            _ => parts[last].push(c),
        }
    }
    parts
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| parse_field(part))
        .collect()
}

fn parse_field(text: &str) -> Result<FieldRequirement, String> {
    let split = text
        .split_once("!=")
        .map(|(path, value)| (path, value, false))
        .or_else(|| text.split_once("==").map(|(path, value)| (path, value, true)))
        .or_else(|| text.split_once('=').map(|(path, value)| (path, value, true)));
    let Some((path, value, equal)) = split else {
        return Err(format!("invalid selector: '{text}'; can't understand '{text}'"));
    };
    let mut unescaped = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        unescaped.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    Ok(FieldRequirement {
        path: path.trim().to_owned(),
        value: unescaped,
        equal,
        flag: false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    // What kube-apiserver shows in the scale of a ReplicaSet.
    #[rstest]
    #[case(json!({"matchLabels": {"app": "web"}}), "app=web")]
    #[case(
        json!({
            "matchLabels": {"zed": "b", "app": "web"},
            "matchExpressions": [
                {"key": "a", "operator": "NotIn", "values": ["c", "b"]},
                {"key": "x", "operator": "Exists"},
                {"key": "y", "operator": "DoesNotExist"},
                {"key": "q", "operator": "In", "values": ["z"]},
            ],
        }),
        "a notin (b,c),app=web,q in (z),x,!y,zed=b"
    )]
    #[case(json!(null), "")]
    fn label_selectors_as_text(#[case] selector: Value, #[case] text: &str) {
        assert_eq!(text_of(&selector), text);
    }

    #[rstest]
    #[case("app=web", true)]
    #[case("app==web,size=3", true)]
    #[case("app!=web", false)]
    #[case("missing!=web", true)]
    #[case("app in (web, api)", true)]
    #[case("app notin (web,api),size", false)]
    #[case("missing notin (web)", true)]
    #[case("app", true)]
    #[case("!app", false)]
    #[case("!missing", true)]
    #[case("size>2", true)]
    #[case("size<3", false)]
    #[case("app>2", false)]
    #[case("", true)]
    #[case("empty=", true)]
    fn labels(#[case] text: &str, #[case] matched: bool) {
        let object = json!({"metadata": {"labels": {"app": "web", "size": "3", "empty": ""}}});
        let selector = Selector {
            labels: parse_labels(text).unwrap(),
            fields: Vec::new(),
        };
        assert_eq!(selector.matches(&object), matched, "{text}");
    }

    #[rstest]
    #[case("app in web")]
    #[case("app in (web")]
    #[case("=web")]
    #[case("app is (web)")]
    #[case("size>x")]
    #[case("app=a b")]
    #[case("app,,size")]
    #[case("-app=a")]
    fn no_labels(#[case] text: &str) {
        parse_labels(text).unwrap_err();
    }

    #[rstest]
    #[case("metadata.name=a", true)]
    #[case("metadata.name!=a,type=", false)]
    #[case("metadata.name=a,type=", true)]
    #[case("reason=x\\,y", true)]
    #[case("count=3", true)]
    fn fields(#[case] text: &str, #[case] matched: bool) {
        let object = json!({"metadata": {"name": "a"}, "reason": "x,y", "count": 3});
        let selector = Selector {
            labels: Vec::new(),
            fields: parse_fields(text).unwrap(),
        };
        assert_eq!(selector.matches(&object), matched, "{text}");
    }

    #[test]
    fn no_field_operator() {
        parse_fields("metadata.name").unwrap_err();
    }
}
