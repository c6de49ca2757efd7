package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// chart is one with everything that charts have: values, hooks, a definition, a lookup, notes.
var chart = map[string]string{
	"Chart.yaml":  "apiVersion: v2\nname: shop\nversion: 1.0.0\nappVersion: \"1\"\n",
	"values.yaml": "image: nginx:1\nreplicas: 1\nfail: false\n",
	"crds/parcel.yaml": `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: parcels.helm.test.dev}
spec:
  group: helm.test.dev
  scope: Namespaced
  names: {kind: Parcel, plural: parcels}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {weight: {type: integer, maximum: 30}}}
`,
	"templates/workload.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}, labels: {release: {{ .Release.Name }}}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: {{ .Values.image }}}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {selector: {app: shop}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ .Release.Name }}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: {{ .Release.Name }}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: helm.test.dev/v1
kind: Parcel
metadata: {name: {{ .Release.Name }}}
spec: {weight: {{ if .Values.fail }}100{{ else }}3{{ end }}}
`,
	"templates/lookup.yaml": `
{{- $account := lookup "v1" "ServiceAccount" .Release.Namespace "default" }}
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-lookup}
data:
  found: {{ if $account }}{{ $account.metadata.name | quote }}{{ else }}""{{ end }}
  version: {{ .Capabilities.KubeVersion.Version | quote }}
  hasParcels: {{ .Capabilities.APIVersions.Has "helm.test.dev/v1" | quote }}
`,
	"templates/hook.yaml": `
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-hook
  annotations:
    helm.sh/hook: pre-install,pre-upgrade,post-delete
    helm.sh/hook-delete-policy: before-hook-creation
data: {revision: {{ .Release.Revision | quote }}}
`,
	"templates/NOTES.txt": "Installed {{ .Release.Name }}.\n",
}

var helm = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "helm")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "helm")
	if output, err := try(".", "go", "build", "-o", program, "helm.sh/helm/v3/cmd/helm"); err != nil {
		return output, err
	}
	return program, nil
})

// helmIn gives a function that runs Helm in a namespace of the test's own. Each test has its own cache, as two
// servers may have had the same address.
func helmIn(t *testing.T) (namespaceName, chartDir string, run func(arguments ...string) (string, error)) {
	t.Helper()
	config := config(t)
	program, err := helm()
	if err != nil {
		t.Fatalf("building Helm: %v\n%s", err, program)
	}
	chartDir = t.TempDir()
	for name, content := range chart {
		path := filepath.Join(chartDir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), 0o644))
	}
	home := t.TempDir()
	namespaceName = namespace(t, config)
	return namespaceName, chartDir, func(arguments ...string) (string, error) {
		arguments = append(arguments, "--namespace", namespaceName)
		return try(chartDir, "env", append([]string{
			"HOME=" + home, "HELM_DRIVER=" + os.Getenv("HELM_DRIVER"), program}, arguments...)...)
	}
}

func TestHelmFromInstallToUninstall(t *testing.T) {
	for _, driver := range []string{"secret", "configmap"} {
		t.Run(driver, func(t *testing.T) {
			t.Setenv("HELM_DRIVER", driver)
			namespace, chartDir, helm := helmIn(t)
			ok := func(arguments ...string) string {
				t.Helper()
				output, err := helm(arguments...)
				if err != nil {
					t.Fatalf("helm %s: %v\n%s", strings.Join(arguments, " "), err, output)
				}
				return output
			}
			client := clientset(t, config(t))
			image := func() string {
				deployment, err := client.AppsV1().Deployments(namespace).Get(t.Context(), "shop", metav1.GetOptions{})
				must(t, err)
				return deployment.Spec.Template.Spec.Containers[0].Image
			}

			output := ok("install", "shop", chartDir)
			if !strings.Contains(output, "Installed shop.") {
				t.Fatalf("no notes: %s", output)
			}
			looked, err := client.CoreV1().ConfigMaps(namespace).Get(t.Context(), "shop-lookup", metav1.GetOptions{})
			must(t, err)
			equal(t, "lookup", looked.Data["found"], "default")
			equal(t, "capabilities", looked.Data["hasParcels"], "true")
			if !strings.HasPrefix(looked.Data["version"], "v1.") {
				t.Fatalf("version %q", looked.Data["version"])
			}
			equal(t, "managed by", looked.Labels["app.kubernetes.io/managed-by"], "Helm")

			ok("upgrade", "shop", chartDir, "--set", "image=nginx:2")
			equal(t, "image", image(), "nginx:2")
			hook, err := client.CoreV1().ConfigMaps(namespace).Get(t.Context(), "shop-hook", metav1.GetOptions{})
			must(t, err)
			equal(t, "hook of the upgrade", hook.Data["revision"], "2")

			// One that the API refuses is rolled back.
			if output, err := helm("upgrade", "shop", chartDir, "--atomic", "--no-hooks", "--timeout", "3s",
				"--set", "fail=true,image=nginx:3"); err == nil {
				t.Fatalf("a parcel that is too heavy was taken: %s", output)
			}
			ok("rollback", "shop", "1", "--no-hooks")
			equal(t, "image", image(), "nginx:1")

			var history []struct {
				Revision int
				Status   string
			}
			must(t, json.Unmarshal([]byte(ok("history", "shop", "--output", "json")), &history))
			equal(t, "last of the history", history[len(history)-1].Status, "deployed")
			equal(t, "revisions that are deployed", count(history, "deployed"), 1)
			if !strings.Contains(ok("list"), "shop-1.0.0") {
				t.Fatal("the list does not have the release")
			}
			ok("get", "all", "shop")
			ok("status", "shop", "--show-resources")

			ok("uninstall", "shop")
			deployments, err := client.AppsV1().Deployments(namespace).List(t.Context(), metav1.ListOptions{})
			must(t, err)
			equal(t, "deployments left", len(deployments.Items), 0)
			if output, err := helm("status", "shop"); err == nil {
				t.Fatalf("the release is still there: %s", output)
			}
		})
	}
}

func count(history []struct {
	Revision int
	Status   string
}, status string) int {
	n := 0
	for _, revision := range history {
		if revision.Status == status {
			n++
		}
	}
	return n
}

// Helm asks the API before it installs: for the kinds that it serves, for what its schemas say, and for a dry run.
func TestHelmAsksBeforeItInstalls(t *testing.T) {
	_, chartDir, helm := helmIn(t)
	for _, arguments := range [][]string{
		{"template", "shop", chartDir, "--validate"},
		{"install", "shop", chartDir, "--dry-run=server"},
		{"upgrade", "--install", "shop", chartDir},
		{"upgrade", "--install", "shop", chartDir, "--force"},
		{"upgrade", "shop", chartDir, "--reuse-values", "--set", "replicas=2", "--dry-run=server"},
		{"uninstall", "shop", "--cascade", "foreground", "--no-hooks"},
	} {
		if output, err := helm(arguments...); err != nil {
			t.Errorf("helm %s: %v\n%s", strings.Join(arguments, " "), err, output)
		}
	}
	// The schema says no before anything is made.
	must(t, os.WriteFile(filepath.Join(chartDir, "templates", "wrong.yaml"),
		[]byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: wrong}\ndata: [1]\n"), 0o644))
	output, err := helm("install", "wrong", chartDir)
	if err == nil || !strings.Contains(output, "data") {
		t.Errorf("a config map with a list for data: %v\n%s", err, output)
	}
}

// --wait looks at what Deployments say of themselves; a record without controllers never becomes ready.
func TestHelmWaits(t *testing.T) {
	_, chartDir, helm := helmIn(t)
	output, err := helm("install", "shop", chartDir, "--wait", "--timeout", "2s")
	if err == nil || !strings.Contains(output, "deadline") {
		t.Errorf("a workload that nothing runs: %v\n%s", err, output)
	}
}
