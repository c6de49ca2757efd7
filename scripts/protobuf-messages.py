#!/usr/bin/env python3
"""Writes operator/store/src/protobuf/messages.txt, from the Go modules of Kubernetes, to standard output.

The modules are looked for where Go keeps them; `go mod download k8s.io/api@VERSION` (and k8s.io/apimachinery,
k8s.io/apiextensions-apiserver, k8s.io/kube-aggregator) brings them there.
"""

import pathlib
import re
import subprocess

VERSION = "v0.36.3"

# Kinds whose bodies are read, by package.
KINDS = {
    "apiextensions.v1": "CustomResourceDefinition",
    "apiregistration.v1": "APIService",
    "apps.v1": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "authentication.v1": "SelfSubjectReview TokenRequest TokenReview",
    "authorization.v1": "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
    "autoscaling.v1": "HorizontalPodAutoscaler Scale",
    "autoscaling.v2": "HorizontalPodAutoscaler",
    "batch.v1": "CronJob Job",
    "certificates.v1": "CertificateSigningRequest",
    "coordination.v1": "Lease",
    "core.v1": "ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod PodTemplate"
    " ReplicationController ResourceQuota Secret Service ServiceAccount",
    "discovery.v1": "EndpointSlice",
    "events.v1": "Event",
    "meta.v1": "DeleteOptions",
    "networking.v1": "Ingress IngressClass NetworkPolicy",
    "policy.v1": "Eviction PodDisruptionBudget",
    "rbac.v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "scheduling.v1": "PriorityClass",
    "storage.v1": "StorageClass",
}
# Where packages are that are not in k8s.io/api.
ELSEWHERE = {
    "apiextensions.v1": ("apiextensions-apiserver", "pkg/apis/apiextensions/v1"),
    "apiregistration.v1": ("kube-aggregator", "pkg/apis/apiregistration/v1"),
    "meta.v1": ("apimachinery", "pkg/apis/meta/v1"),
}
SCALARS = {"string": "string", "bytes": "bytes", "int32": "int", "int64": "int", "bool": "bool", "double": "number"}
# Messages whose JSON is no object of their fields.
SPECIAL = {
    "meta.v1.Time": "time",
    "meta.v1.MicroTime": "microtime",
    "meta.v1.FieldsV1": "json",
    "runtime.RawExtension": "json",
    "intstr.IntOrString": "intorstring",
    "resource.Quantity": "quantity",
    "apiextensions.v1.JSON": "json",
}
# Messages whose JSON is the value of one of their fields.
EITHER = re.compile(r"apiextensions\.v1\.JSONSchemaPropsOr(Array|Bool|StringArray)$")
HEADER = f"""\
# The messages of Kubernetes' protobuf encoding that bodies of built-in kinds are made of, from the generated.proto
# and types.go files of its Go modules {VERSION} (Apache-2.0). Made by scripts/protobuf-messages.py.
#
# A message is its name and its fields: number, JSON name, type. `[]` is a list, `{{}}` a map from strings, `!` a
# field that JSON has even when it is empty, `|` a message of which JSON has the value of the one field that is set,
# `inline` a message whose fields stand in the outer object."""


def short(full):
    """`.k8s.io.api.core.v1.Pod` -> `core.v1.Pod`."""
    *_, package, version, name = full.split(".")
    return f"{package}.{version}.{name}" if re.fullmatch(r"v\d\w*", version) else f"{version}.{name}"


class Package:
    """The messages of a package, and how Go's JSON names and omits their fields."""

    def __init__(self, name, cache):
        module, path = ELSEWHERE.get(name, ("api", name.replace(".", "/")))
        folder = cache / "k8s.io" / f"{module}@{VERSION}" / path
        self.name = name
        self.messages = {}
        proto = re.sub(r"//.*", "", (folder / "generated.proto").read_text())
        for message in re.finditer(r"message (\w+) \{(.*?)\n\}", proto, re.S):
            fields = re.finditer(
                r"(?:(optional|repeated) ([\w.]+)|map<string, ([\w.]+)>) (\w+) = (\d+);", message[2]
            )
            self.messages[message[1]] = [(int(f[5]), f[4], f[1] or "map", f[2] or f[3]) for f in fields]
        self.tags = {}
        # JSONSchemaProps has a file of its own.
        for file in sorted(folder.glob("types*.go")):
            for struct in re.finditer(r"^type (\w+) struct \{(.*?)\n\}", file.read_text(), re.S | re.M):
                self.tags.update(self.read_tags(struct[1], struct[2]))

    @staticmethod
    def read_tags(struct, body):
        for line in body.split("\n"):
            field = re.match(r"\s*(\w+)?\s*([\w.*\[\]]+)?\s*`(.*)`", line)
            json = field and re.search(r'json:"([^"]*)"', field[3])
            protobuf = field and re.search(r'protobuf:"\w+,(\d+)', field[3])
            if json and protobuf:
                is_pointer = (field[2] or field[1]).startswith("*")
                name, *options = json[1].split(",")
                yield (struct, int(protobuf[1])), (name, is_pointer, "omitempty" in options, "inline" in options)

    def type_of(self, name):
        """A field's type as the table has it, and the message that it refers to."""
        if name in SCALARS:
            return SCALARS[name], None
        message = short(name) if name.startswith(".") else f"{self.name}.{name}"
        return SPECIAL.get(message, message), None if message in SPECIAL else message


def lines_of(packages, message):
    """The lines of a message, and the messages that they refer to."""
    package, name = message.rsplit(".", 1)
    lines, referred = [], []
    for number, field, label, of in packages[package].messages[name]:
        kind, target = packages[package].type_of(of)
        if target:
            inner_package, inner = target.rsplit(".", 1)
            if packages[inner_package].messages[inner] == [(1, "items", "repeated", "string")]:
                kind, target = "strings", None
        if target:
            referred.append(target)
        json, is_pointer, may_be_omitted, is_inline = packages[package].tags.get(
            (name, number), (field, False, True, False)
        )
        mark = {"optional": "", "repeated": "[]", "map": "{}"}[label]
        if target and EITHER.search(target):
            mark += "|"
        has_zero = not target and kind not in ("time", "microtime")
        keeps_empty = label == "optional" and (
            is_pointer or (not may_be_omitted and has_zero) or EITHER.search(message) is not None
        )
        lines.append(
            f"  {number} {json or field} {mark}{kind}{'!' if keeps_empty else ''}{' inline' if is_inline else ''}"
        )
    return lines, referred


def main():
    cache = pathlib.Path(subprocess.check_output(["go", "env", "GOMODCACHE"], text=True).strip())
    packages = {name: Package(name, cache) for name in KINDS}
    wanted = [f"{package}.{kind}" for package, kinds in KINDS.items() for kind in kinds.split()]
    written = {}
    while wanted:
        message = wanted.pop()
        if message not in written:
            written[message], referred = lines_of(packages, message)
            wanted += referred
    print(HEADER)
    for message, lines in sorted(written.items()):
        print("", message, *lines, sep="\n")


main()
