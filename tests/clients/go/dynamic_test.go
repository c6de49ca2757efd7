package clients

import (
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/kube-openapi/pkg/util/proto"
)

func TestDynamicClient(t *testing.T) {
	config := config(t)
	defineGadgets(t, config)
	namespace := namespace(t, config)
	client, err := dynamic.NewForConfig(config)
	must(t, err)
	objects := client.Resource(gadgets).Namespace(namespace)

	created, err := objects.Create(t.Context(), gadget("a", map[string]any{"size": int64(1)}), metav1.CreateOptions{})
	must(t, err)
	color, _, _ := unstructured.NestedString(created.Object, "spec", "color")
	equal(t, "default", color, "red")
	_, err = objects.Create(t.Context(), gadget("b", map[string]any{"size": int64(11)}), metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) {
		t.Fatalf("a size over the maximum: %v", err)
	}
	causes := err.(apierrors.APIStatus).Status().Details.Causes
	equal(t, "field", causes[0].Field, "spec.size")

	must(t, unstructured.SetNestedField(created.Object, "Fine", "status", "phase"))
	created, err = objects.UpdateStatus(t.Context(), created, metav1.UpdateOptions{})
	must(t, err)
	equal(t, "generation", created.GetGeneration(), 1)
	_, err = objects.Patch(t.Context(), "a", types.MergePatchType, []byte(`{"status": {"phase": "Bad"}}`),
		metav1.PatchOptions{}, "status")
	must(t, err)

	applied := gadget("a", map[string]any{"size": int64(2)})
	_, err = objects.Apply(t.Context(), "a", applied, metav1.ApplyOptions{FieldManager: "applier"})
	if !apierrors.IsConflict(err) {
		t.Fatalf("an apply of a field that a create set: %v", err)
	}
	_, err = objects.Apply(t.Context(), "a", applied, metav1.ApplyOptions{FieldManager: "applier", Force: true})
	must(t, err)
	status := gadget("a", nil)
	delete(status.Object, "spec")
	must(t, unstructured.SetNestedField(status.Object, "Applied", "status", "phase"))
	written, err := objects.ApplyStatus(t.Context(), "a", status,
		metav1.ApplyOptions{FieldManager: "applier", Force: true})
	must(t, err)
	phase, _, _ := unstructured.NestedString(written.Object, "status", "phase")
	equal(t, "phase", phase, "Applied")

	list, err := client.Resource(gadgets).List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.namespace=" + namespace})
	must(t, err)
	equal(t, "items", len(list.Items), 1)
	must(t, objects.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
}

func TestMetadataClient(t *testing.T) {
	config := config(t)
	defineGadgets(t, config)
	namespace := namespace(t, config)
	client, err := dynamic.NewForConfig(config)
	must(t, err)
	partial, err := metadata.NewForConfig(config)
	must(t, err)
	for _, kind := range []struct {
		resource schema.GroupVersionResource
		object   *unstructured.Unstructured
	}{
		{gadgets, gadget("a", map[string]any{"size": int64(1)})},
		{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, &unstructured.Unstructured{
			Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}},
		}},
	} {
		t.Run(kind.resource.Resource, func(t *testing.T) {
			objects := partial.Resource(kind.resource).Namespace(namespace)
			list, err := objects.List(t.Context(), metav1.ListOptions{LabelSelector: "app=a"})
			must(t, err)
			equal(t, "items", len(list.Items), 0)

			kind.object.SetLabels(map[string]string{"app": "a"})
			created, err := client.Resource(kind.resource).Namespace(namespace).
				Create(t.Context(), kind.object, metav1.CreateOptions{})
			must(t, err)
			found, err := objects.Get(t.Context(), "a", metav1.GetOptions{})
			must(t, err)
			equal(t, "uid", found.UID, created.GetUID())
			patched, err := objects.Patch(t.Context(), "a", types.MergePatchType,
				[]byte(`{"metadata": {"annotations": {"patched": "yes"}}}`), metav1.PatchOptions{})
			must(t, err)
			equal(t, "annotation", patched.Annotations["patched"], "yes")

			watcher, err := objects.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion,
				LabelSelector: "app=a"})
			must(t, err)
			defer watcher.Stop()
			must(t, objects.Delete(t.Context(), "a", metav1.DeleteOptions{}))
			for _, want := range []string{"ADDED", "MODIFIED", "DELETED"} {
				event := <-watcher.ResultChan()
				equal(t, "event", string(event.Type), want)
				equal(t, "name", event.Object.(*metav1.PartialObjectMetadata).Name, "a")
			}
		})
	}
}

// Both forms of discovery, and what is built on them.
func TestDiscovery(t *testing.T) {
	config := config(t)
	defineGadgets(t, config)
	for name, legacy := range map[string]bool{"aggregated": false, "legacy": true} {
		t.Run(name, func(t *testing.T) {
			client, err := discovery.NewDiscoveryClientForConfig(config)
			must(t, err)
			client.UseLegacyDiscovery = legacy
			groups, lists, err := client.ServerGroupsAndResources()
			must(t, err)
			if len(groups) < 8 || len(lists) < 8 {
				t.Fatalf("%d groups, %d lists", len(groups), len(lists))
			}
			preferred, err := client.ServerPreferredNamespacedResources()
			must(t, err)
			deletable := discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "delete"}}, preferred)
			if len(deletable) == 0 {
				t.Fatal("nothing can be listed and deleted")
			}
			mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))
			mapping, err := mapper.RESTMapping(schema.GroupKind{Group: gadgets.Group, Kind: "Gadget"})
			must(t, err)
			equal(t, "resource", mapping.Resource, gadgets)
			equal(t, "scope", mapping.Scope.Name(), meta.RESTScopeNameNamespace)
			found, err := restmapper.NewShortcutExpander(mapper, client, nil).
				ResourceFor(schema.GroupVersionResource{Resource: "gd"})
			must(t, err)
			equal(t, "short name", found, gadgets)
		})
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	must(t, err)
	version, err := client.ServerVersion()
	must(t, err)
	equal(t, "major", version.Major, "1")
	document, err := client.OpenAPISchema()
	must(t, err)
	models, err := proto.NewOpenAPIData(document)
	must(t, err)
	for _, name := range []string{"io.k8s.api.apps.v1.Deployment", "dev.test.clients.v1.Gadget"} {
		if models.LookupModel(name) == nil {
			t.Errorf("OpenAPI v2 has no model %s among %d", name, len(models.ListModels()))
		}
	}
	paths, err := client.OpenAPIV3().Paths()
	must(t, err)
	for _, path := range []string{"api/v1", "apis/apps/v1", "apis/clients.test.dev/v1"} {
		document, ok := paths[path]
		if !ok {
			t.Fatalf("OpenAPI v3 has no %s", path)
		}
		if _, err := document.Schema("application/json"); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
}

func TestScaleClient(t *testing.T) {
	config := config(t)
	defineGadgets(t, config)
	namespace := namespace(t, config)
	objects, err := dynamic.NewForConfig(config)
	must(t, err)
	_, err = objects.Resource(gadgets).Namespace(namespace).
		Create(t.Context(), gadget("a", map[string]any{"replicas": int64(2)}), metav1.CreateOptions{})
	must(t, err)

	found, err := discovery.NewDiscoveryClientForConfig(config)
	must(t, err)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	resolver := scale.NewDiscoveryScaleKindResolver(found)
	client, err := scale.NewForConfig(config, mapper, dynamic.LegacyAPIPathResolverFunc, resolver)
	must(t, err)
	scales := client.Scales(namespace)
	got, err := scales.Get(t.Context(), gadgets.GroupResource(), "a", metav1.GetOptions{})
	must(t, err)
	equal(t, "replicas", got.Spec.Replicas, 2)
	got.Spec = autoscalingv1.ScaleSpec{Replicas: 5}
	got, err = scales.Update(t.Context(), gadgets.GroupResource(), got, metav1.UpdateOptions{})
	must(t, err)
	equal(t, "replicas", got.Spec.Replicas, 5)
	got, err = scales.Patch(t.Context(), gadgets, "a", types.MergePatchType, []byte(`{"spec": {"replicas": 6}}`),
		metav1.PatchOptions{})
	must(t, err)
	equal(t, "replicas", got.Spec.Replicas, 6)
}
