//! Lists in chunks: `limit` and `continue`.

use serde_json::json;

use crate::case::{Case, MERGE, case};
use crate::expect::{absent, any, containing};
use crate::objects::labelled;

fn four(name: &'static str) -> Case {
    ["a", "b", "c", "d"].into_iter().fold(case(name), |case, each| {
        case.post("{ns}/configmaps", labelled(each, json!({"of": "four"})))
            .is(201)
    })
}

pub(crate) fn cases() -> Vec<Case> {
    let unselected = "{ns}/secrets?limit=2";
    vec![
        ["a", "b", "c", "d"]
            .into_iter()
            .fold(case("a list in chunks is all of it, in order"), |case, each| {
                case.post("{ns}/secrets", json!({"metadata": {"name": each}})).is(201)
            })
            .get(unselected)
            .is(200)
            .with(json!({
                "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}],
                "metadata": {"continue": any(), "remainingItemCount": 2},
            }))
            .keep("continue", "/metadata/continue")
            .keep("version", "/metadata/resourceVersion")
            .get(format!("{unselected}&continue={{continue}}"))
            .is(200)
            .with(json!({
                "items": [{"metadata": {"name": "c"}}, {"metadata": {"name": "d"}}],
                "metadata": {"continue": absent(), "remainingItemCount": absent(), "resourceVersion": "{version}"},
            })),
        four("a list with a selector does not say how much is left")
            .get("{ns}/configmaps?limit=3&labelSelector=of=four")
            .is(200)
            .with(json!({
                "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, {"metadata": {"name": "c"}}],
                "metadata": {"continue": any(), "remainingItemCount": absent()},
            }))
            .keep("continue", "/metadata/continue")
            .get("{ns}/configmaps?limit=3&labelSelector=of=four&continue={continue}")
            .is(200)
            .with(json!({"items": [{"metadata": {"name": "d"}}], "metadata": {"continue": absent()}})),
        four("chunks that follow are of the state of the first")
            .get("{ns}/configmaps?limit=2&labelSelector=of=four")
            .is(200)
            .keep("continue", "/metadata/continue")
            .keep("version", "/metadata/resourceVersion")
            .delete("{ns}/configmaps/c")
            .is(200)
            .patch(MERGE, "{ns}/configmaps/d", json!({"data": {"k": "2"}}))
            .is(200)
            .post("{ns}/configmaps", labelled("e", json!({"of": "four"})))
            .is(201)
            .get("{ns}/configmaps?limit=5&labelSelector=of=four&continue={continue}")
            .is(200)
            .with(json!({
                "items": [{"metadata": {"name": "c"}}, {"metadata": {"name": "d"}, "data": absent()}],
                "metadata": {"resourceVersion": "{version}", "continue": absent()},
            })),
        four("chunks go on through namespaces in their order")
            .post("/api/v1/namespaces", json!({"metadata": {"name": "{namespace}0"}}))
            .is(201)
            .post("/api/v1/namespaces/{namespace}0/configmaps", labelled("a", json!({"of": "{unique}"})))
            .is(201)
            .post("{ns}/configmaps", labelled("z", json!({"of": "{unique}"})))
            .is(201)
            .get("/api/v1/configmaps?limit=1&labelSelector=of={unique}")
            .is(200)
            .with(json!({"items": [{"metadata": {"name": "z", "namespace": "{namespace}"}}]}))
            .keep("continue", "/metadata/continue")
            .get("/api/v1/configmaps?limit=1&labelSelector=of={unique}&continue={continue}")
            .is(200)
            .with(json!({"items": [{"metadata": {"name": "a", "namespace": "{namespace}0"}}]}))
            .delete("/api/v1/namespaces/{namespace}0")
            .is(200),
        four("a limit that all fit in makes no chunks")
            .get("{ns}/configmaps?limit=4&labelSelector=of=four")
            .is(200)
            .with(json!({"items": [any(), any(), any(), any()], "metadata": {"continue": absent()}})),
        case("a chunk that follows nothing is refused")
            .get("{ns}/configmaps?limit=2&continue=nonsense")
            .refused(400, "BadRequest", containing("continue key is not valid: ")),
        four("a chunk that follows has no version of its own")
            .get("{ns}/configmaps?limit=2&labelSelector=of=four")
            .is(200)
            .keep("continue", "/metadata/continue")
            .get("{ns}/configmaps?limit=2&continue={continue}&resourceVersion=1")
            .refused(
                400,
                "BadRequest",
                "specifying resource version is not allowed when using continue",
            ),
    ]
}
