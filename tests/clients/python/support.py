"""What the tests share: a namespace for each test, a custom kind, and waiting for a condition."""

import time
import unittest
import uuid

from kubernetes import client, config

GROUP = "clients.test.dev"
PLURAL = "gadgets"

GADGET = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Gadget", "plural": PLURAL, "singular": "gadget", "shortNames": ["gd"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                    },
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {"type": "integer", "maximum": 10},
                                    "color": {"type": "string", "default": "red"},
                                    "replicas": {"type": "integer"},
                                    "tags": {"type": "array", "items": {"type": "string"}},
                                },
                            },
                            "status": {
                                "type": "object",
                                "properties": {
                                    "replicas": {"type": "integer"},
                                    "phase": {"type": "string"},
                                },
                            },
                        },
                    }
                },
            }
        ],
    },
}


def gadget(name, **spec):
    return {"apiVersion": f"{GROUP}/v1", "kind": "Gadget", "metadata": {"name": name}, "spec": spec}


def eventually(condition, seconds=30):
    """Repeats `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {seconds} s: {condition}")
        time.sleep(0.1)


def define_gadgets():
    """Creates the definition unless it is there, and waits until it is served."""
    definitions = client.ApiextensionsV1Api()
    try:
        definitions.create_custom_resource_definition(GADGET)
    except client.ApiException as error:
        if error.status != 409:
            raise

    def established():
        conditions = definitions.read_custom_resource_definition(GADGET["metadata"]["name"]).status.conditions
        return any(c.type == "Established" and c.status == "True" for c in conditions or [])

    eventually(established)


class ClusterTest(unittest.TestCase):
    """A test with a namespace of its own, that is deleted after it."""

    @classmethod
    def setUpClass(cls):
        config.load_kube_config()
        cls.core = client.CoreV1Api()

    def setUp(self):
        self.namespace = f"python-{uuid.uuid4().hex[:8]}"
        self.core.create_namespace({"metadata": {"name": self.namespace}})
        self.addCleanup(self.core.delete_namespace, self.namespace)

    def refused(self, status, reason, function, *arguments, **options):
        """Calls `function`, which must be refused with `status` and `reason`; returns the body."""
        with self.assertRaises(client.ApiException) as caught:
            function(*arguments, **options)
        self.assertEqual(caught.exception.status, status, caught.exception.body)
        self.assertIn(f'"reason":"{reason}"', caught.exception.body.replace('": "', '":"'))
        return caught.exception.body
