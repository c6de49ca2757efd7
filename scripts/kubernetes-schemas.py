#!/usr/bin/env python3
"""Writes the schemas of built-in kinds, as the API server of $KUBECONFIG describes them, to standard output.

operator/store/src/schema/kubernetes.json is made by this from a kube-apiserver of the release that homeport's API is a
part of (scripts/kube-apiserver.sh starts one): one schema a line, in the order of their names.
"""

import json
import subprocess

# Group versions, and those of their kinds that are served or may come to be.
KINDS = {
    "api/v1": "ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod PodTemplate"
    " ReplicationController ResourceQuota Secret Service ServiceAccount",
    "apis/apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "apis/apiregistration.k8s.io/v1": "APIService",
    "apis/apps/v1": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "apis/authentication.k8s.io/v1": "SelfSubjectReview TokenReview",
    "apis/authorization.k8s.io/v1": "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview"
    " SubjectAccessReview",
    "apis/autoscaling/v1": "Scale",
    "apis/autoscaling/v2": "HorizontalPodAutoscaler",
    "apis/batch/v1": "CronJob Job",
    "apis/certificates.k8s.io/v1": "CertificateSigningRequest",
    "apis/coordination.k8s.io/v1": "Lease",
    "apis/discovery.k8s.io/v1": "EndpointSlice",
    "apis/events.k8s.io/v1": "Event",
    "apis/networking.k8s.io/v1": "Ingress IngressClass NetworkPolicy",
    "apis/policy/v1": "PodDisruptionBudget",
    "apis/rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "apis/scheduling.k8s.io/v1": "PriorityClass",
    "apis/storage.k8s.io/v1": "StorageClass",
}
META = ["DeleteOptions", "ListMeta", "ObjectMeta", "Status"]


def get(path):
    return json.loads(subprocess.check_output(["kubectl", "get", "--raw", path]))


def references(value):
    """The names of all schemas that a schema refers to."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str):
                yield inner.rsplit("/", 1)[1]
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def main():
    paths = get("/openapi/v3")["paths"]
    kept = {}
    for group_version, kinds in KINDS.items():
        schemas = get(paths[group_version]["serverRelativeURL"])["components"]["schemas"]
        # A kind has its name in more than one package where a group version refers to another's.
        *_, group, version = ["", *group_version.split("/")]
        group = "" if group == "api" else group
        wanted = [f"io.k8s.apimachinery.pkg.apis.meta.v1.{kind}" for kind in META]
        for name, schema in schemas.items():
            for gvk in schema.get("x-kubernetes-group-version-kind", []):
                if gvk["kind"] in kinds.split() and (gvk["group"], gvk["version"]) == (group, version):
                    wanted.append(name)
        while wanted:
            name = wanted.pop()
            if name in kept:
                continue
            schema = kept[name] = schemas[name]
            # Every group version has options of its own: only those of the core group say anything.
            if name.endswith(".meta.v1.DeleteOptions"):
                schema["x-kubernetes-group-version-kind"] = [{"group": "", "kind": "DeleteOptions", "version": "v1"}]
            wanted.extend(references(schema))
    lines = [f"{json.dumps(name)}: {json.dumps(kept[name], sort_keys=True)}" for name in sorted(kept)]
    print("{\n" + ",\n".join(lines) + "\n}")


main()
