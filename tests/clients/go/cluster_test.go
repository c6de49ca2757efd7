// Package clients tries client-go, controller-runtime, kstatus and Helm, as their users use them, on the API that
// KUBECONFIG leads to. With HOMEPORT_BIN set it also starts that program itself, where a test needs to kill it.
package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// patience is how long a test waits for what must come; only a failure takes that long.
const patience = 30 * time.Second

// config leads to the API under test. Its requests are not slowed down by the client.
func config(t testing.TB) *rest.Config {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Skip("skipped: KUBECONFIG is not set, so there is no API to test")
	}
	return configFrom(t, path)
}

func configFrom(t testing.TB, path string) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", path)
	must(t, err)
	config.QPS = -1
	return config
}

func clientset(t testing.TB, config *rest.Config) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	must(t, err)
	return client
}

// namespace makes a namespace for the test, and deletes it after the test.
func namespace(t testing.TB, config *rest.Config) string {
	t.Helper()
	namespaces := clientset(t, config).CoreV1().Namespaces()
	made, err := namespaces.Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "go-"}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		err := namespaces.Delete(context.Background(), made.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("namespace %s: %v", made.Name, err)
		}
	})
	return made.Name
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// eventually repeats condition until it is true.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not so within %v: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

var gadgets = schema.GroupVersionResource{Group: "clients.test.dev", Version: "v1", Resource: "gadgets"}

// defineGadgets makes the custom kind that the tests use, unless it is there, and waits until it is served.
func defineGadgets(t testing.TB, config *rest.Config) {
	t.Helper()
	client, err := apiextensionsclient.NewForConfig(config)
	must(t, err)
	definitions := client.ApiextensionsV1().CustomResourceDefinitions()
	_, err = definitions.Create(t.Context(), gadgetDefinition(), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	eventually(t, "the definition is established", func() bool {
		found, err := definitions.Get(t.Context(), "gadgets.clients.test.dev", metav1.GetOptions{})
		must(t, err)
		for _, condition := range found.Status.Conditions {
			if condition.Type == apiextensions.Established && condition.Status == apiextensions.ConditionTrue {
				return true
			}
		}
		return false
	})
}

// gadgetDefinition is the same as in the tests of the Python client.
func gadgetDefinition() *apiextensions.CustomResourceDefinition {
	ten := 10.0
	text := apiextensions.JSONSchemaProps{Type: "string"}
	integer := apiextensions.JSONSchemaProps{Type: "integer"}
	return &apiextensions.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "gadgets.clients.test.dev"},
		Spec: apiextensions.CustomResourceDefinitionSpec{
			Group: gadgets.Group,
			Scope: apiextensions.NamespaceScoped,
			Names: apiextensions.CustomResourceDefinitionNames{
				Kind: "Gadget", Plural: "gadgets", Singular: "gadget", ShortNames: []string{"gd"},
			},
			Versions: []apiextensions.CustomResourceDefinitionVersion{{
				Name: gadgets.Version, Served: true, Storage: true,
				Subresources: &apiextensions.CustomResourceSubresources{
					Status: &apiextensions.CustomResourceSubresourceStatus{},
					Scale: &apiextensions.CustomResourceSubresourceScale{
						SpecReplicasPath: ".spec.replicas", StatusReplicasPath: ".status.replicas",
					},
				},
				Schema: &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{
					Type: "object",
					Properties: map[string]apiextensions.JSONSchemaProps{
						"spec": {Type: "object", Properties: map[string]apiextensions.JSONSchemaProps{
							"size":     {Type: "integer", Maximum: &ten},
							"color":    {Type: "string", Default: &apiextensions.JSON{Raw: []byte(`"red"`)}},
							"replicas": integer,
							"tags": {Type: "array", Items: &apiextensions.JSONSchemaPropsOrArray{
								Schema: &text,
							}},
						}},
						"status": {Type: "object", Properties: map[string]apiextensions.JSONSchemaProps{
							"replicas": integer,
							"phase":    text,
						}},
					},
				}},
			}},
		},
	}
}

func gadget(name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "clients.test.dev/v1",
		"kind":       "Gadget",
		"metadata":   map[string]any{"name": name},
		"spec":       spec,
	}}
}

// server is a homeport of the test's own, that can be killed and started again on the same state and address.
type server struct {
	t       *testing.T
	program string
	dir     string
	address string
	running *exec.Cmd
	output  bytes.Buffer
}

// startServer starts HOMEPORT_BIN on a free port.
func startServer(t *testing.T) *server {
	t.Helper()
	program := os.Getenv("HOMEPORT_BIN")
	if program == "" {
		t.Skip("skipped: HOMEPORT_BIN is not set, so there is no server that may be killed")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	must(t, listener.Close())
	s := &server{t: t, program: program, dir: t.TempDir(), address: address}
	t.Cleanup(s.kill)
	s.start()
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.running = exec.Command(s.program, "up", "--listen", s.address, "--state-dir", s.dir, "--log", "warn")
	s.running.Stdout = &s.output
	s.running.Stderr = &s.output
	must(s.t, s.running.Start())
	deadline := time.Now().Add(patience)
	for s.ready() != nil {
		if time.Now().After(deadline) {
			s.t.Fatalf("homeport is not ready: %v\n%s", s.ready(), s.output.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *server) ready() error {
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig())
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return client.RESTClient().Get().AbsPath("/readyz").Do(context.Background()).Error()
}

func (s *server) kubeconfig() string { return filepath.Join(s.dir, "kubeconfig") }

// kill ends the server as a crash would.
func (s *server) kill() {
	if s.running == nil {
		return
	}
	_ = s.running.Process.Kill()
	var exit *exec.ExitError
	if err := s.running.Wait(); err != nil && !errors.As(err, &exit) {
		s.t.Errorf("waiting for homeport: %v", err)
	}
	s.running = nil
}

// run runs a program that must succeed, and returns what it prints.
func run(t testing.TB, dir string, name string, arguments ...string) string {
	t.Helper()
	output, err := try(dir, name, arguments...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, output)
	}
	return output
}

func try(dir string, name string, arguments ...string) (string, error) {
	command := exec.Command(name, arguments...)
	command.Dir = dir
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("%s: %w", name, err)
	}
	return string(output), nil
}
