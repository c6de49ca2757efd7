//! Label and field selectors.

use serde_json::{Value, json};

use crate::case::{Case, case};
use crate::expect::{any, containing};
use crate::objects::{WIDGETS, labelled, widget, widgets, widgets_as};

/// Label selectors, and what they find of four objects: `a` with x=1, `b` with x=2, `c` with x=1 and y=1, `d` without.
const LABELS: &[(&str, &[&str])] = &[
    ("x=1", &["a", "c"]),
    ("x==1", &["a", "c"]),
    ("x!=1", &["b", "d"]),
    ("x", &["a", "b", "c"]),
    ("!x", &["d"]),
    ("x in (1,2)", &["a", "b", "c"]),
    ("x in (2)", &["b"]),
    ("x notin (1)", &["b", "d"]),
    ("x,y", &["c"]),
    ("x=1,y!=1", &["a"]),
    ("x>1", &["b"]),
    ("x<2", &["a", "c"]),
    ("x in (1), y notin (2)", &["a", "c"]),
    ("x=", &[]),
    ("x notin ()", &["a", "b", "c", "d"]),
    ("nothing=1", &[]),
    ("", &["a", "b", "c", "d"]),
];

const BAD_LABELS: &[&str] = &[
    "x=1=2", "x in 1", "x in (1", "=1", "-x=1", "x=b c", "x>b", "x===1", "x,,y", "(x)", "a/b/c=1",
];

/// Field selectors, and what they find of the same.
const FIELDS: &[(&str, &[&str])] = &[
    ("metadata.name=a", &["a"]),
    ("metadata.name==a", &["a"]),
    ("metadata.name!=a", &["b", "c", "d"]),
    ("metadata.name=a,metadata.name=b", &[]),
    ("metadata.name!=a,metadata.name!=b", &["c", "d"]),
    ("metadata.namespace={namespace},metadata.name=c", &["c"]),
    ("metadata.namespace=other", &[]),
    ("metadata.name=none", &[]),
];

pub(crate) fn cases() -> Vec<Case> {
    let four = |name| {
        [
            ("a", json!({"of": "four", "x": "1"})),
            ("b", json!({"of": "four", "x": "2"})),
            ("c", json!({"of": "four", "x": "1", "y": "1"})),
            ("d", json!({"of": "four"})),
        ]
        .into_iter()
        .fold(case(name), |case, (name, labels)| {
            case.post("{ns}/configmaps", labelled(name, labels)).is(201)
        })
    };
    let names = |names: &[&str]| -> Value {
        let items: Vec<Value> = names
            .iter()
            .map(|name| json!({"metadata": {"name": name}}))
            .collect();
        json!({"items": items})
    };
    vec![
        LABELS
            .iter()
            .fold(four("each operator of label selectors"), |case, (selector, found)| {
                let selector = match *selector {
                    "" => "of=four".to_owned(),
                    selector => format!("of=four,{selector}"),
                };
                case.get(format!("{{ns}}/configmaps?labelSelector={}", encoded(&selector)))
                    .is(200)
                    .with(names(found))
            }),
        BAD_LABELS
            .iter()
            .fold(case("label selectors that are none"), |case, selector| {
                case.get(format!("{{ns}}/configmaps?labelSelector={}", encoded(selector)))
                    .refused(400, "BadRequest", any())
            }),
        FIELDS
            .iter()
            .fold(four("each operator of field selectors"), |case, (selector, found)| {
                case.get(format!(
                    "{{ns}}/configmaps?labelSelector=of=four&fieldSelector={}",
                    encoded(selector)
                ))
                .is(200)
                .with(names(found))
            }),
        case("a field that cannot be selected by")
            .get("{ns}/configmaps?fieldSelector=data.k=v")
            .refused(
                400,
                "BadRequest",
                "\"data.k\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
        case("a field selector that is none")
            .get("{ns}/configmaps?fieldSelector=nonsense")
            .refused(400, "BadRequest", containing("invalid selector: 'nonsense'; can't understand 'nonsense'")),
        case("secrets by their type")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}, "type": "x/y"}))
            .is(201)
            .post("{ns}/secrets", json!({"metadata": {"name": "b"}}))
            .is(201)
            .get("{ns}/secrets?fieldSelector=type=x/y")
            .is(200)
            .with(names(&["a"]))
            .get("{ns}/secrets?fieldSelector=type!=x/y")
            .is(200)
            .with(names(&["b"])),
        case("namespaces by their phase")
            .get("/api/v1/namespaces?fieldSelector=status.phase=Active,metadata.name={namespace}")
            .is(200)
            .with(names(&["{namespace}"]))
            .get("/api/v1/namespaces?fieldSelector=status.phase=Terminating,metadata.name={namespace}")
            .is(200)
            .with(names(&[])),
        case("custom objects by name and namespace alone")
            .define(widgets(json!({"type": "object", "properties": {"size": {"type": "integer"}}})))
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .post(WIDGETS, widget("b", json!({})))
            .is(201)
            .get(format!("{WIDGETS}?fieldSelector=metadata.name=a"))
            .is(200)
            .with(names(&["a"]))
            .get("/apis/{group}/v1/widgets?fieldSelector=metadata.namespace={namespace}")
            .is(200)
            .with(names(&["a", "b"]))
            .get(format!("{WIDGETS}?fieldSelector=spec.size=1"))
            .refused(400, "BadRequest", containing("field label not supported: spec.size")),
        case("custom objects by the fields that their definition names").define({
            let mut definition = widgets_as(json!({"type": "object", "properties": {"spec": {
                "type": "object", "properties": {"size": {"type": "integer"}, "color": {"type": "string"}},
            }}}));
            definition["spec"]["versions"][0]["selectableFields"] =
                json!([{"jsonPath": ".spec.size"}, {"jsonPath": ".spec.color"}]);
            definition
        })
        .post(WIDGETS, widget("a", json!({"size": 1, "color": "red"})))
        .is(201)
        .post(WIDGETS, widget("b", json!({"size": 2, "color": "red"})))
        .is(201)
        .get(format!("{WIDGETS}?fieldSelector=spec.size=1"))
        .is(200)
        .with(names(&["a"]))
        .get(format!("{WIDGETS}?fieldSelector=spec.color=red,spec.size!=1"))
        .is(200)
        .with(names(&["b"])),
        four("a deletion of a collection takes what is selected")
            .delete("{ns}/configmaps?labelSelector=of=four,x")
            .is(200)
            .with(json!({"kind": "ConfigMapList"}))
            .with(names(&["a", "b", "c"]))
            .get("{ns}/configmaps?labelSelector=of=four")
            .is(200)
            .with(names(&["d"])),
    ]
}

/// The selector as it goes into a query.
fn encoded(selector: &str) -> String {
    selector
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'{' | b'}' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
