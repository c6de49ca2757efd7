"""Watches, the informer, and leader election."""

import logging
import threading

from kubernetes import watch
from kubernetes.informer import SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from support import ClusterTest, eventually


class Watches(ClusterTest):
    def create(self, name, **data):
        return self.core.create_namespaced_config_map(
            self.namespace, {"metadata": {"name": name, "labels": {"watched": "yes"}}, "data": data}
        )

    def events(self, **options):
        """What a watch of a second tells."""
        stream = watch.Watch().stream(
            self.core.list_namespaced_config_map,
            self.namespace,
            label_selector="watched=yes",
            timeout_seconds=1,
            **options,
        )
        return [(event["type"], event["object"].metadata.name) for event in stream]

    def test_from_a_version_only_what_came_after(self):
        self.create("before")
        version = self.core.list_namespaced_config_map(self.namespace).metadata.resource_version
        self.create("after")
        self.core.patch_namespaced_config_map("before", self.namespace, {"data": {"a": "1"}})
        self.core.delete_namespaced_config_map("after", self.namespace)
        self.assertEqual(
            self.events(resource_version=version),
            [("ADDED", "after"), ("MODIFIED", "before"), ("DELETED", "after")],
        )
        self.assertEqual(self.events(), [("ADDED", "before")])

    def test_objects_that_leave_the_selector_are_deleted_for_the_watcher(self):
        version = self.create("leaves").metadata.resource_version
        self.core.patch_namespaced_config_map(
            "leaves", self.namespace, {"metadata": {"labels": {"watched": "no"}}}
        )
        self.assertEqual(self.events(resource_version=version), [("DELETED", "leaves")])

    def test_a_watch_resumes_after_its_server_ended_it(self):
        watcher, seen = watch.Watch(), []

        def follow():
            # Without a time limit the client resumes until it is told to stop.
            for event in watcher.stream(self.core.list_namespaced_config_map, self.namespace):
                seen.append(event["object"].metadata.name)
                if event["object"].metadata.name == "second":
                    watcher.stop()

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        self.create("first")
        eventually(lambda: "first" in seen)
        self.create("second")
        thread.join(30)
        self.assertFalse(thread.is_alive())


class Informers(ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # It logs the end of the connection that stopping it cuts.
        logging.getLogger("kubernetes.informer").setLevel(logging.CRITICAL + 1)

    def test_the_cache_follows(self):
        informer = SharedInformer(self.core.list_namespaced_config_map, namespace=self.namespace)
        seen = []
        for kind in ("ADDED", "MODIFIED", "DELETED"):
            informer.add_event_handler(kind, lambda item, kind=kind: seen.append((kind, item.metadata.name)))
        informer.start()
        self.addCleanup(informer.stop)
        self.core.create_namespaced_config_map(self.namespace, {"metadata": {"name": "followed"}})
        eventually(lambda: informer.cache.get_by_key(f"{self.namespace}/followed"))
        self.core.patch_namespaced_config_map("followed", self.namespace, {"data": {"a": "1"}})
        eventually(lambda: informer.cache.get_by_key(f"{self.namespace}/followed").data == {"a": "1"})
        self.core.delete_namespaced_config_map("followed", self.namespace)
        eventually(lambda: ("DELETED", "followed") in seen)


class LeaderElection(ClusterTest):
    def elect(self, lock):
        """Runs for leader with `lock`; returns the event that tells of having won."""
        won = threading.Event()
        config = electionconfig.Config(
            lock,
            lease_duration=4,
            renew_deadline=3,
            retry_period=1,
            onstarted_leading=won.set,
            onstopped_leading=lambda: None,
        )
        threading.Thread(target=leaderelection.LeaderElection(config).run, daemon=True).start()
        return won

    def test_one_of_two_leads(self):
        for kind in (LeaseLock, ConfigMapLock):
            with self.subTest(kind.__name__):
                first = self.elect(kind(kind.__name__.lower(), self.namespace, "first"))
                self.assertTrue(first.wait(10))
                second = self.elect(kind(kind.__name__.lower(), self.namespace, "second"))
                self.assertFalse(second.wait(2), "the lease is held")
