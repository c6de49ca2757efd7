package clients

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/cli-utils/pkg/kstatus/polling/event"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/cli-utils/pkg/kstatus/watcher"
	"sigs.k8s.io/cli-utils/pkg/object"
	"sigs.k8s.io/yaml"
)

// What deployment tools make of objects: Flux and Argo CD wait for Current, and give up at Failed.
const judged = `
- object: {apiVersion: v1, kind: ConfigMap, metadata: {name: plain}}
  status: Current
- object: {apiVersion: clients.test.dev/v1, kind: Gadget, metadata: {name: plain}, spec: {size: 1}}
  status: Current
- object:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: recorded}
    spec:
      selector: {matchLabels: {app: web}}
      template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: nginx}]}}
  status: InProgress
- object:
    apiVersion: homeport.dev/v1alpha1
    kind: HprtBundle
    metadata: {name: missing}
    spec: {source: {path: /nonexistent/bundle.hprt}, target: {local: {}}}
  status: InProgress
- object:
    apiVersion: homeport.dev/v1alpha1
    kind: SecretBinding
    metadata: {name: waiting}
    spec: {bundleRef: {name: nobody}, sources: [{env: {}}]}
  status: InProgress
- object:
    apiVersion: homeport.dev/v1alpha1
    kind: DataSync
    metadata: {name: waiting}
    spec: {bundleRef: {name: nobody}}
  status: InProgress
- object:
    apiVersion: homeport.dev/v1alpha1
    kind: Cutover
    metadata: {name: waiting}
    spec: {bundleRef: {name: nobody}, provider: {manual: {}}, mode: Manual}
  status: InProgress
`

func TestStatusAsDeploymentToolsReadIt(t *testing.T) {
	config := config(t)
	defineGadgets(t, config)
	namespace := namespace(t, config)
	client, err := dynamic.NewForConfig(config)
	must(t, err)
	found, err := discovery.NewDiscoveryClientForConfig(config)
	must(t, err)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))

	var cases []struct {
		Object map[string]any `json:"object"`
		Status status.Status  `json:"status"`
	}
	must(t, yaml.UnmarshalStrict([]byte(judged), &cases))
	wanted := map[object.ObjMetadata]status.Status{}
	var ids object.ObjMetadataSet
	for _, c := range cases {
		manifest := &unstructured.Unstructured{Object: c.Object}
		manifest.SetNamespace(namespace)
		mapping, err := mapper.RESTMapping(manifest.GroupVersionKind().GroupKind())
		if meta.IsNoMatchError(err) && manifest.GroupVersionKind().Group == "homeport.dev" {
			t.Logf("skipped: %s is not served here", manifest.GetKind())
			continue
		}
		must(t, err)
		_, err = client.Resource(mapping.Resource).Namespace(namespace).
			Apply(t.Context(), manifest.GetName(), manifest, metav1.ApplyOptions{FieldManager: "tool"})
		must(t, err)
		id := object.UnstructuredToObjMetadata(manifest)
		wanted[id] = c.Status
		ids = append(ids, id)
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	events := watcher.NewDefaultStatusWatcher(client, mapper).Watch(ctx, ids, watcher.Options{})
	seen := map[object.ObjMetadata]status.Status{}
	for update := range events {
		switch update.Type {
		case event.ErrorEvent:
			t.Fatal(update.Error)
		case event.ResourceUpdateEvent:
			seen[update.Resource.Identifier] = update.Resource.Status
		}
		if reached(wanted, seen) {
			return
		}
	}
	t.Fatalf("within %v: want %v, have %v", patience, wanted, seen)
}

func reached(wanted, seen map[object.ObjMetadata]status.Status) bool {
	for id, status := range wanted {
		if seen[id] != status {
			return false
		}
	}
	return true
}
