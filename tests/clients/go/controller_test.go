package clients

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const finalizer = "clients.test.dev/finalizer"

// Gadget is the custom kind as a controller's author writes it.
type Gadget struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              GadgetSpec   `json:"spec,omitempty"`
	Status            GadgetStatus `json:"status,omitempty"`
}

type GadgetSpec struct {
	Size  int64  `json:"size,omitempty"`
	Color string `json:"color,omitempty"`
}

type GadgetStatus struct {
	Phase    string `json:"phase,omitempty"`
	Replicas int64  `json:"replicas,omitempty"`
}

type GadgetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Gadget `json:"items"`
}

func (g *Gadget) DeepCopyObject() runtime.Object {
	copied := *g
	g.DeepCopyInto(&copied.ObjectMeta)
	return &copied
}

func (l *GadgetList) DeepCopyObject() runtime.Object {
	copied := *l
	copied.Items = make([]Gadget, len(l.Items))
	for n := range l.Items {
		copied.Items[n] = *l.Items[n].DeepCopyObject().(*Gadget)
	}
	return &copied
}

// reconciler keeps a config map for each gadget, says so in the status, and cleans up before the gadget goes.
type reconciler struct {
	client.Client
	cleaned chan string
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var gadget Gadget
	if err := r.Get(ctx, request.NamespacedName, &gadget); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !gadget.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(&gadget, finalizer) {
			if err := r.Update(ctx, &gadget); err != nil {
				return ctrl.Result{}, client.IgnoreNotFound(err)
			}
			r.cleaned <- gadget.Name
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(&gadget, finalizer) {
		return ctrl.Result{}, r.Update(ctx, &gadget)
	}
	child := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: gadget.Name, Namespace: gadget.Namespace}}
	_, err := controllerutil.CreateOrUpdate(ctx, r.Client, child, func() error {
		child.Labels = map[string]string{"made-by": "reconciler"}
		child.Data = map[string]string{"size": fmt.Sprint(gadget.Spec.Size)}
		return controllerutil.SetControllerReference(&gadget, child, r.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	before := gadget.DeepCopyObject().(*Gadget)
	gadget.Status = GadgetStatus{Phase: "Ready", Replicas: gadget.Spec.Size}
	return ctrl.Result{}, r.Status().Patch(ctx, &gadget, client.MergeFrom(before))
}

func gadgetScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	version := schema.GroupVersion{Group: gadgets.Group, Version: gadgets.Version}
	scheme.AddKnownTypes(version, &Gadget{}, &GadgetList{})
	metav1.AddToGroupVersion(scheme, version)
	return scheme
}

// startManager runs the reconciler in a namespace until the test ends.
func startManager(t *testing.T, config *rest.Config, namespace string) (ctrl.Manager, *reconciler) {
	t.Helper()
	log.SetLogger(logr.Discard())
	patient := 5 * time.Second
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  gadgetScheme(t),
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		LeaderElection:          true,
		LeaderElectionID:        "gadgets",
		LeaderElectionNamespace: namespace,
		GracefulShutdownTimeout: &patient,
		Cache: cache.Options{
			DefaultNamespaces: map[string]cache.Config{namespace: {}},
			ByObject: map[client.Object]cache.ByObject{
				&corev1.ConfigMap{}: {Label: labels.SelectorFromSet(labels.Set{"made-by": "reconciler"})},
			},
		},
	})
	must(t, err)
	must(t, manager.GetFieldIndexer().IndexField(t.Context(), &Gadget{}, "spec.color",
		func(object client.Object) []string { return []string{object.(*Gadget).Spec.Color} }))
	r := &reconciler{Client: manager.GetClient(), cleaned: make(chan string, 10)}
	again := true
	must(t, ctrl.NewControllerManagedBy(manager).
		Named("gadgets").
		For(&Gadget{}).
		Owns(&corev1.ConfigMap{}).
		WithOptions(controller.Options{SkipNameValidation: &again}).
		Complete(r))

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- manager.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("manager: %v", err)
		}
	})
	return manager, r
}

func TestControllerRuntime(t *testing.T) {
	withAndWithoutWatchList(t, func(t *testing.T) {
		config := config(t)
		defineGadgets(t, config)
		namespace := namespace(t, config)
		manager, reconciler := startManager(t, config, namespace)
		direct, err := client.New(config, client.Options{Scheme: manager.GetScheme()})
		must(t, err)
		at := client.ObjectKey{Namespace: namespace, Name: "a"}

		gadget := &Gadget{
			ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: namespace},
			Spec:       GadgetSpec{Size: 3, Color: "green"},
		}
		must(t, direct.Create(t.Context(), gadget))
		equal(t, "status at creation", gadget.Status.Phase, "")
		eventually(t, "the status is written", func() bool {
			must(t, direct.Get(t.Context(), at, gadget))
			return gadget.Status.Phase == "Ready"
		})
		equal(t, "generation", gadget.Generation, 1)

		var child corev1.ConfigMap
		must(t, direct.Get(t.Context(), at, &child))
		if !metav1.IsControlledBy(&child, gadget) {
			t.Fatalf("owners: %v", child.OwnerReferences)
		}
		// What somebody else deletes or changes is made good, as the reconciler watches what it owns.
		must(t, direct.Delete(t.Context(), &child))
		eventually(t, "the config map is there again", func() bool {
			return direct.Get(t.Context(), at, &corev1.ConfigMap{}) == nil
		})

		var green GadgetList
		eventually(t, "the index finds it", func() bool {
			must(t, manager.GetClient().List(t.Context(), &green, client.MatchingFields{"spec.color": "green"}))
			return len(green.Items) == 1
		})
		must(t, direct.Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "unlabelled", Namespace: namespace}}))
		err = manager.GetClient().Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "unlabelled"}, &child)
		if !apierrors.IsNotFound(err) {
			t.Fatalf("what the cache does not select: %v", err)
		}

		must(t, direct.Patch(t.Context(), gadget, client.RawPatch("application/merge-patch+json", []byte(`{"spec": {"size": 4}}`))))
		eventually(t, "the change is followed", func() bool {
			must(t, direct.Get(t.Context(), at, &child))
			return child.Data["size"] == "4"
		})

		must(t, direct.Delete(t.Context(), gadget, client.PropagationPolicy(metav1.DeletePropagationForeground)))
		equal(t, "cleaned up", <-reconciler.cleaned, "a")
		eventually(t, "both are gone", func() bool {
			return apierrors.IsNotFound(direct.Get(t.Context(), at, gadget)) &&
				apierrors.IsNotFound(direct.Get(t.Context(), at, &child))
		})
	})
}

// The way in which operators' own suites set themselves up, on a cluster that is there.
func TestEnvtest(t *testing.T) {
	existing := true
	environment := envtest.Environment{
		Config:             config(t),
		UseExistingCluster: &existing,
		CRDs:               []*apiextensions.CustomResourceDefinition{gadgetDefinition()},
	}
	config, err := environment.Start()
	must(t, err)
	direct, err := client.New(config, client.Options{Scheme: gadgetScheme(t)})
	must(t, err)
	must(t, direct.List(t.Context(), &GadgetList{}))
	must(t, environment.Stop())
}
