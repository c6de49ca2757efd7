"""Custom resources: the definition, every verb of CustomObjectsApi, and the dynamic client."""

from kubernetes import client, dynamic
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError
from support import GADGET, GROUP, PLURAL, ClusterTest, define_gadgets, gadget


class Custom(ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        define_gadgets()

    def setUp(self):
        super().setUp()
        self.objects = client.CustomObjectsApi()
        self.at = (GROUP, "v1", self.namespace, PLURAL)


class Definitions(Custom):
    def test_what_the_server_adds(self):
        definition = client.ApiextensionsV1Api().read_custom_resource_definition(GADGET["metadata"]["name"])
        self.assertEqual(definition.spec.names.list_kind, "GadgetList")
        self.assertEqual(definition.spec.conversion.strategy, "None")
        self.assertEqual(definition.status.stored_versions, ["v1"])
        self.assertEqual(definition.status.accepted_names.plural, PLURAL)

    def test_a_definition_of_another_name_is_refused(self):
        wrong = {**GADGET, "metadata": {"name": f"others.{GROUP}"}}
        self.refused(
            422, "Invalid", client.ApiextensionsV1Api().create_custom_resource_definition, wrong
        )


class Objects(Custom):
    def test_every_verb(self):
        created = self.objects.create_namespaced_custom_object(*self.at, gadget("a", size=1))
        self.assertEqual(created["spec"], {"size": 1, "color": "red"})
        self.refused(
            422, "Invalid", self.objects.create_namespaced_custom_object, *self.at, gadget("b", size=11)
        )

        created["spec"]["size"] = 2
        replaced = self.objects.replace_namespaced_custom_object(*self.at, "a", created)
        self.assertEqual(replaced["metadata"]["generation"], 2)
        # A dictionary goes as merge patch here.
        patched = self.objects.patch_namespaced_custom_object(*self.at, "a", {"spec": {"size": 3}})
        self.assertEqual(patched["spec"]["size"], 3)
        patched = self.objects.patch_namespaced_custom_object(
            *self.at,
            "a",
            [{"op": "add", "path": "/spec/tags", "value": ["x"]}],
            _content_type="application/json-patch+json",
        )
        self.assertEqual(patched["spec"]["tags"], ["x"])

        status = self.objects.patch_namespaced_custom_object_status(
            *self.at, "a", {"status": {"phase": "Fine"}, "spec": {"size": 9}}
        )
        self.assertEqual((status["status"]["phase"], status["spec"]["size"]), ("Fine", 3))
        status["status"]["phase"] = "Finer"
        self.objects.replace_namespaced_custom_object_status(*self.at, "a", status)
        read = self.objects.get_namespaced_custom_object_status(*self.at, "a")
        self.assertEqual(read["status"]["phase"], "Finer")

        self.objects.patch_namespaced_custom_object_scale(*self.at, "a", {"spec": {"replicas": 5}})
        scale = self.objects.get_namespaced_custom_object_scale(*self.at, "a")
        self.assertEqual(scale["spec"]["replicas"], 5)
        scale["spec"]["replicas"] = 6
        self.objects.replace_namespaced_custom_object_scale(*self.at, "a", scale)
        self.assertEqual(self.objects.get_namespaced_custom_object(*self.at, "a")["spec"]["replicas"], 6)

        listed = self.objects.list_namespaced_custom_object(*self.at)
        self.assertEqual(listed["kind"], "GadgetList")
        everywhere = self.objects.list_cluster_custom_object(GROUP, "v1", PLURAL)
        self.assertIn(self.namespace, {item["metadata"]["namespace"] for item in everywhere["items"]})
        found = self.objects.list_custom_object_for_all_namespaces(GROUP, "v1", PLURAL)
        self.assertEqual(found["metadata"]["resourceVersion"] >= listed["metadata"]["resourceVersion"], True)

        deleted = self.objects.delete_namespaced_custom_object(*self.at, "a")
        self.assertEqual((deleted["kind"], deleted["status"]), ("Status", "Success"))
        self.objects.create_namespaced_custom_object(*self.at, gadget("c"))
        self.objects.delete_collection_namespaced_custom_object(*self.at)
        self.assertEqual(self.objects.list_namespaced_custom_object(*self.at)["items"], [])

    def test_a_finalizer_keeps_the_object_until_it_is_removed(self):
        held = gadget("held")
        held["metadata"]["finalizers"] = ["tests.dev/hold"]
        self.objects.create_namespaced_custom_object(*self.at, held)
        answered = self.objects.delete_namespaced_custom_object(*self.at, "held")
        self.assertEqual(answered["metadata"]["deletionGracePeriodSeconds"], 0)
        self.assertTrue(self.objects.get_namespaced_custom_object(*self.at, "held")["metadata"]["deletionTimestamp"])
        self.objects.patch_namespaced_custom_object(*self.at, "held", {"metadata": {"finalizers": None}})
        self.refused(404, "NotFound", self.objects.get_namespaced_custom_object, *self.at, "held")


class Dynamic(Custom):
    def setUp(self):
        super().setUp()
        self.dynamic = dynamic.DynamicClient(client.ApiClient())

    def test_discovery_finds_kinds_by_any_of_their_names(self):
        by_kind = self.dynamic.resources.get(api_version=f"{GROUP}/v1", kind="Gadget")
        self.assertEqual((by_kind.name, by_kind.namespaced), (PLURAL, True))
        self.assertEqual(self.dynamic.resources.get(short_names=["gd"]).kind, "Gadget")
        self.assertIn("scale", by_kind.subresources)
        self.assertTrue(self.dynamic.resources.get(api_version="v1", kind="ConfigMap").namespaced)
        self.assertTrue(self.dynamic.version["kubernetes"]["gitVersion"].startswith("v1."))

    def test_from_apply_to_delete(self):
        gadgets = self.dynamic.resources.get(api_version=f"{GROUP}/v1", kind="Gadget")
        applied = gadgets.server_side_apply(
            namespace=self.namespace, body=gadget("a", size=1), field_manager="one"
        )
        self.assertEqual(applied.spec.size, 1)
        with self.assertRaises(ConflictError):
            gadgets.server_side_apply(namespace=self.namespace, body=gadget("a", size=2), field_manager="two")
        forced = gadgets.server_side_apply(
            namespace=self.namespace, body=gadget("a", size=2), field_manager="two", force_conflicts=True
        )
        self.assertEqual(forced.spec.size, 2)
        patched = gadgets.patch(
            namespace=self.namespace, body=gadget("a", size=3), content_type="application/merge-patch+json"
        )
        self.assertEqual(patched.spec.size, 3)
        gadgets.status.patch(
            namespace=self.namespace,
            name="a",
            body={"status": {"phase": "Fine"}},
            content_type="application/merge-patch+json",
        )
        self.assertEqual(gadgets.get(name="a", namespace=self.namespace).status.phase, "Fine")
        self.assertEqual(len(gadgets.get(namespace=self.namespace).items), 1)
        gadgets.delete(name="a", namespace=self.namespace)
        with self.assertRaises(NotFoundError):
            gadgets.get(name="a", namespace=self.namespace)

    def test_watches_begin_with_what_is_there(self):
        gadgets = self.dynamic.resources.get(api_version=f"{GROUP}/v1", kind="Gadget")
        gadgets.create(namespace=self.namespace, body=gadget("seen"))
        events = [
            (event["type"], event["object"].metadata.name)
            for event in gadgets.watch(namespace=self.namespace, timeout=1)
        ]
        self.assertEqual(events, [("ADDED", "seen")])
        streamed = [
            event["type"]
            for event in gadgets.watch(
                namespace=self.namespace,
                timeout=1,
                send_initial_events=True,
                allow_watch_bookmarks=True,
                resource_version_match="NotOlderThan",
            )
        ]
        self.assertEqual(streamed[:2], ["ADDED", "BOOKMARK"])
