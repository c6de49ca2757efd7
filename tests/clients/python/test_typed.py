"""The generated clients: what they send is understood, and answers have every field that they require."""

import base64
import datetime
import tempfile

from kubernetes import client, utils
from support import ClusterTest, eventually

POD_TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "nginx:1", "ports": [{"containerPort": 80}]}]},
}


class Core(ClusterTest):
    def test_config_maps_from_create_to_delete(self):
        body = client.V1ConfigMap(
            metadata=client.V1ObjectMeta(name="settings", labels={"app": "web"}),
            data={"a": "1"},
            binary_data={"b": base64.b64encode(b"\x00\xff").decode()},
        )
        created = self.core.create_namespaced_config_map(self.namespace, body, field_manager="tests")
        self.assertEqual(created.metadata.managed_fields[0].manager, "tests")
        self.assertIsInstance(created.metadata.creation_timestamp, datetime.datetime)
        self.refused(409, "AlreadyExists", self.core.create_namespaced_config_map, self.namespace, body)

        created.data["a"] = "2"
        replaced = self.core.replace_namespaced_config_map("settings", self.namespace, created)
        self.assertNotEqual(replaced.metadata.resource_version, created.metadata.resource_version)
        self.refused(
            409, "Conflict", self.core.replace_namespaced_config_map, "settings", self.namespace, created
        )

        read = self.core.read_namespaced_config_map("settings", self.namespace)
        self.assertEqual(read.data, {"a": "2"})
        self.assertEqual(read.binary_data, body.binary_data)

        deleted = self.core.delete_namespaced_config_map(
            "settings",
            self.namespace,
            body=client.V1DeleteOptions(
                preconditions=client.V1Preconditions(uid=read.metadata.uid), grace_period_seconds=0
            ),
        )
        self.assertEqual(deleted["status"], "Success")
        self.refused(404, "NotFound", self.core.read_namespaced_config_map, "settings", self.namespace)

    def test_deletion_with_the_uid_of_another_object_is_a_conflict(self):
        self.core.create_namespaced_config_map(self.namespace, {"metadata": {"name": "settings"}})
        options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
        self.refused(
            409,
            "Conflict",
            self.core.delete_namespaced_config_map,
            "settings",
            self.namespace,
            body=options,
        )

    def test_secrets_keep_bytes_and_take_strings(self):
        secret = self.core.create_namespaced_secret(
            self.namespace,
            client.V1Secret(metadata=client.V1ObjectMeta(generate_name="s-"), string_data={"k": "vålue"}),
        )
        self.assertTrue(secret.metadata.name.startswith("s-"))
        self.assertEqual(secret.type, "Opaque")
        self.assertEqual(base64.b64decode(secret.data["k"]).decode(), "vålue")
        self.assertIsNone(secret.string_data)

    def test_every_kind_of_patch(self):
        name = self.core.create_namespaced_config_map(
            self.namespace, {"metadata": {"name": "patched"}, "data": {"a": "1", "b": "2"}}
        ).metadata.name

        # A dictionary goes as strategic merge patch, a list as JSON patch.
        patched = self.core.patch_namespaced_config_map(name, self.namespace, {"data": {"a": None, "c": "3"}})
        self.assertEqual(patched.data, {"b": "2", "c": "3"})
        patched = self.core.patch_namespaced_config_map(
            name, self.namespace, [{"op": "replace", "path": "/data/b", "value": "4"}]
        )
        self.assertEqual(patched.data, {"b": "4", "c": "3"})
        patched = self.core.patch_namespaced_config_map(
            name, self.namespace, {"data": {"b": None}}, _content_type="application/merge-patch+json"
        )
        self.assertEqual(patched.data, {"c": "3"})
        patched = self.core.patch_namespaced_config_map(
            name,
            self.namespace,
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"d": "5"}},
            field_manager="applier",
            force=True,
            _content_type="application/apply-patch+yaml",
        )
        self.assertEqual(patched.data, {"c": "3", "d": "5"})
        self.assertIn("Apply", [entry.operation for entry in patched.metadata.managed_fields])

    def test_lists_in_pages_see_one_moment(self):
        for number in range(5):
            self.core.create_namespaced_config_map(
                self.namespace, {"metadata": {"name": f"page-{number}", "labels": {"page": "yes"}}}
            )
        seen, token, versions = [], None, set()
        while True:
            page = self.core.list_namespaced_config_map(
                self.namespace, label_selector="page=yes", limit=2, _continue=token
            )
            seen += [item.metadata.name for item in page.items]
            versions.add(page.metadata.resource_version)
            token = page.metadata._continue
            if not token:
                break
            self.core.create_namespaced_config_map(
                self.namespace, {"metadata": {"generateName": "page-", "labels": {"page": "yes"}}}
            )
        self.assertEqual(seen, [f"page-{number}" for number in range(5)])
        self.assertEqual(len(versions), 1)

        everywhere = self.core.list_config_map_for_all_namespaces(field_selector="metadata.name=page-3")
        self.assertEqual([item.metadata.namespace for item in everywhere.items], [self.namespace])

    def test_deletecollection_takes_selectors(self):
        for number in range(3):
            self.core.create_namespaced_config_map(
                self.namespace, {"metadata": {"name": f"c-{number}", "labels": {"odd": str(number % 2)}}}
            )
        self.core.delete_collection_namespaced_config_map(self.namespace, label_selector="odd=0")
        left = self.core.list_namespaced_config_map(self.namespace, label_selector="odd")
        self.assertEqual([item.metadata.name for item in left.items], ["c-1"])

    def test_a_dry_run_changes_nothing(self):
        dry = self.core.create_namespaced_config_map(
            self.namespace, {"metadata": {"name": "dry"}}, dry_run="All"
        )
        self.assertTrue(dry.metadata.uid)
        self.refused(404, "NotFound", self.core.read_namespaced_config_map, "dry", self.namespace)

    def test_unknown_fields_are_refused_when_asked(self):
        # The typed client refuses them by itself, so this goes around it.
        patch = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "strict"}, "dota": {}}
        self.core.create_namespaced_config_map(self.namespace, {"metadata": {"name": "strict"}})
        body = self.refused(
            422,
            "Invalid",
            self.core.patch_namespaced_config_map,
            "strict",
            self.namespace,
            patch,
            field_validation="Strict",
        )
        self.assertIn('unknown field \\"dota\\"', body)

    def test_namespaces_end_with_what_is_in_them(self):
        name = f"{self.namespace}-2"
        created = self.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
        self.assertEqual(created.status.phase, "Active")
        self.core.create_namespaced_config_map(name, {"metadata": {"name": "inside"}})
        self.core.delete_namespace(name)

        def gone():
            try:
                self.core.read_namespace(name)
            except client.ApiException as error:
                return error.status == 404

        eventually(gone)
        self.refused(404, "NotFound", self.core.read_namespaced_config_map, "inside", name)

    def test_events_of_both_groups(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        subject = client.V1ObjectReference(
            api_version="v1", kind="ConfigMap", name="subject", namespace=self.namespace
        )
        self.core.create_namespaced_event(
            self.namespace,
            client.CoreV1Event(
                metadata=client.V1ObjectMeta(name="old-form"),
                involved_object=subject,
                reason="Tested",
                message="by the old group",
                type="Normal",
                first_timestamp=now,
                last_timestamp=now,
                count=1,
            ),
        )
        events = client.EventsV1Api()
        events.create_namespaced_event(
            self.namespace,
            client.EventsV1Event(
                metadata=client.V1ObjectMeta(name="new-form"),
                regarding=subject,
                reason="Tested",
                note="by the new group",
                type="Warning",
                action="Test",
                event_time=now,
                reporting_controller="tests.dev/python",
                reporting_instance="one",
            ),
        )
        of_subject = self.core.list_namespaced_event(
            self.namespace, field_selector="involvedObject.name=subject,reason=Tested"
        )
        self.assertEqual({item.metadata.name for item in of_subject.items}, {"old-form", "new-form"})
        warnings = events.list_namespaced_event(self.namespace, field_selector="type=Warning")
        self.assertEqual([item.note for item in warnings.items], ["by the new group"])

    def test_service_accounts_services_claims_and_pods_are_records(self):
        self.core.create_namespaced_service_account(self.namespace, {"metadata": {"name": "robot"}})
        service = self.core.create_namespaced_service(
            self.namespace,
            client.V1Service(
                metadata=client.V1ObjectMeta(name="web"),
                spec=client.V1ServiceSpec(selector={"app": "web"}, ports=[client.V1ServicePort(port=80)]),
            ),
        )
        self.assertEqual(service.spec.type, "ClusterIP")
        self.assertEqual(service.spec.ports[0].protocol, "TCP")
        claim = self.core.create_namespaced_persistent_volume_claim(
            self.namespace,
            {
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            },
        )
        self.assertEqual(claim.spec.volume_mode, "Filesystem")
        pod = self.core.create_namespaced_pod(
            self.namespace, {"metadata": {"name": "web"}, "spec": POD_TEMPLATE["spec"]}
        )
        self.assertEqual(pod.spec.restart_policy, "Always")
        self.assertEqual(pod.status.phase, "Pending")
        pod = self.core.patch_namespaced_pod_status("web", self.namespace, {"status": {"phase": "Running"}})
        self.assertEqual(pod.status.phase, "Running")


class Workloads(ClusterTest):
    def test_deployments_scale_and_keep_their_defaults(self):
        apps = client.AppsV1Api()
        created = apps.create_namespaced_deployment(
            self.namespace,
            client.V1Deployment(
                metadata=client.V1ObjectMeta(name="web"),
                spec=client.V1DeploymentSpec(
                    selector=client.V1LabelSelector(match_labels={"app": "web"}), template=POD_TEMPLATE
                ),
            ),
        )
        self.assertEqual(created.spec.replicas, 1)
        self.assertEqual(created.spec.strategy.type, "RollingUpdate")
        self.assertEqual(created.metadata.generation, 1)

        scale = apps.read_namespaced_deployment_scale("web", self.namespace)
        self.assertEqual((scale.spec.replicas, scale.status.selector), (1, "app=web"))
        scale = apps.patch_namespaced_deployment_scale("web", self.namespace, {"spec": {"replicas": 3}})
        self.assertEqual(scale.spec.replicas, 3)
        scale.spec.replicas = 4
        apps.replace_namespaced_deployment_scale("web", self.namespace, scale)
        self.assertEqual(apps.read_namespaced_deployment("web", self.namespace).spec.replicas, 4)

        # Merged by container name, as the type's patch strategy says.
        patched = apps.patch_namespaced_deployment(
            "web",
            self.namespace,
            {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox"}]}}}},
        )
        self.assertEqual(
            {container.name for container in patched.spec.template.spec.containers}, {"web", "side"}
        )
        status = apps.patch_namespaced_deployment_status(
            "web", self.namespace, {"status": {"replicas": 4, "readyReplicas": 4, "availableReplicas": 4}}
        )
        self.assertEqual(status.status.available_replicas, 4)
        self.assertEqual(apps.list_namespaced_deployment(self.namespace).items[0].metadata.name, "web")

    def test_stateful_and_daemon_and_replica_sets(self):
        apps = client.AppsV1Api()
        selector = {"matchLabels": {"app": "web"}}
        stateful = apps.create_namespaced_stateful_set(
            self.namespace,
            {
                "metadata": {"name": "db"},
                "spec": {"serviceName": "db", "selector": selector, "template": POD_TEMPLATE},
            },
        )
        self.assertEqual(stateful.spec.pod_management_policy, "OrderedReady")
        daemon = apps.create_namespaced_daemon_set(
            self.namespace, {"metadata": {"name": "d"}, "spec": {"selector": selector, "template": POD_TEMPLATE}}
        )
        self.assertEqual(daemon.spec.update_strategy.type, "RollingUpdate")
        self.assertEqual(daemon.status.desired_number_scheduled, 0)
        replica = apps.create_namespaced_replica_set(
            self.namespace, {"metadata": {"name": "r"}, "spec": {"selector": selector, "template": POD_TEMPLATE}}
        )
        self.assertEqual(replica.status.replicas, 0)

    def test_jobs_and_cron_jobs(self):
        batch = client.BatchV1Api()
        template = {"spec": {**POD_TEMPLATE["spec"], "restartPolicy": "Never"}}
        job = batch.create_namespaced_job(
            self.namespace, {"metadata": {"name": "once"}, "spec": {"template": template}}
        )
        self.assertEqual(job.spec.backoff_limit, 6)
        # The selector and the labels of its Pods come from the server.
        self.assertEqual(
            job.spec.selector.match_labels, {"batch.kubernetes.io/controller-uid": job.metadata.uid}
        )
        self.assertEqual(job.spec.template.metadata.labels["job-name"], "once")
        job = batch.patch_namespaced_job_status("once", self.namespace, {"status": {"active": 1}})
        self.assertEqual(job.status.active, 1)
        cron = batch.create_namespaced_cron_job(
            self.namespace,
            {
                "metadata": {"name": "nightly"},
                "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": template}}},
            },
        )
        self.assertEqual(cron.spec.concurrency_policy, "Allow")
        batch.delete_namespaced_job("once", self.namespace, propagation_policy="Background")
        self.assertEqual(batch.list_namespaced_job(self.namespace).items, [])

    def test_roles_and_bindings(self):
        rbac = client.RbacAuthorizationV1Api()
        role = rbac.create_namespaced_role(
            self.namespace,
            client.V1Role(
                metadata=client.V1ObjectMeta(name="reader"),
                rules=[client.V1PolicyRule(api_groups=[""], resources=["pods"], verbs=["get"])],
            ),
        )
        self.assertEqual(role.rules[0].verbs, ["get"])
        binding = rbac.create_namespaced_role_binding(
            self.namespace,
            client.V1RoleBinding(
                metadata=client.V1ObjectMeta(name="reader"),
                role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="reader"),
                subjects=[client.RbacV1Subject(kind="ServiceAccount", name="default", namespace=self.namespace)],
            ),
        )
        self.assertEqual(binding.subjects[0].name, "default")
        self.assertTrue(rbac.read_cluster_role("cluster-admin").rules)

    def test_leases(self):
        leases = client.CoordinationV1Api()
        now = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc)
        created = leases.create_namespaced_lease(
            self.namespace,
            client.V1Lease(
                metadata=client.V1ObjectMeta(name="lock"),
                spec=client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=15, renew_time=now),
            ),
        )
        self.assertEqual(created.spec.renew_time, now)

    def test_files_of_manifests(self):
        manifests = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: from-file}}
data: {{a: "1"}}
---
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {{name: from-file}}
  spec:
    selector: {{matchLabels: {{app: web}}}}
    template:
      metadata: {{labels: {{app: web}}}}
      spec: {{containers: [{{name: web, image: nginx}}]}}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata: {{name: from-file}}
  rules: [{{apiGroups: [""], resources: [pods], verbs: [get]}}]
"""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(manifests)
            file.flush()
            utils.create_from_yaml(client.ApiClient(), file.name, namespace=self.namespace)
            with self.assertRaises(utils.FailToCreateError):
                utils.create_from_yaml(client.ApiClient(), file.name, namespace=self.namespace)
            utils.create_from_yaml(client.ApiClient(), file.name, namespace=self.namespace, apply=True)
        self.assertEqual(self.core.read_namespaced_config_map("from-file", self.namespace).data, {"a": "1"})


class Server(ClusterTest):
    def test_version_and_groups(self):
        version = client.VersionApi().get_code()
        self.assertEqual(version.major, "1")
        groups = {group.name for group in client.ApisApi().get_api_versions().groups}
        self.assertLessEqual({"apps", "batch", "apiextensions.k8s.io"}, groups)
        self.assertEqual(client.CoreApi().get_api_versions().versions, ["v1"])
        resources = {resource.name for resource in client.AppsV1Api().get_api_resources().resources}
        self.assertLessEqual({"deployments", "deployments/scale", "deployments/status"}, resources)

    def test_what_the_caller_may_do(self):
        review = client.AuthorizationV1Api().create_self_subject_access_review(
            client.V1SelfSubjectAccessReview(
                spec=client.V1SelfSubjectAccessReviewSpec(
                    resource_attributes=client.V1ResourceAttributes(verb="create", resource="pods")
                )
            )
        )
        self.assertTrue(review.status.allowed)
        who = client.AuthenticationV1Api().create_self_subject_review({})
        self.assertIn("system:masters", who.status.user_info.groups)
