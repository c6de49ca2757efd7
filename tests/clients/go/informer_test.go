package clients

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/features"
	featurestesting "k8s.io/client-go/features/testing"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// withAndWithoutWatchList runs a test for both ways in which informers get their first state.
func withAndWithoutWatchList(t *testing.T, test func(t *testing.T)) {
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprintf("WatchList %v", on), func(t *testing.T) {
			featurestesting.SetFeatureDuringTest(t, features.WatchListClient, on)
			test(t)
		})
	}
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

// Three kinds of informers see the same objects come, change and go.
func TestInformersFollow(t *testing.T) {
	withAndWithoutWatchList(t, func(t *testing.T) {
		config := config(t)
		namespace := namespace(t, config)
		client := clientset(t, config)
		writer := client.CoreV1().ConfigMaps(namespace)
		for n := range 5 {
			_, err := writer.Create(t.Context(), configMap(fmt.Sprintf("early-%d", n), nil), metav1.CreateOptions{})
			must(t, err)
		}

		resource := corev1.SchemeGroupVersion.WithResource("configmaps")
		typed := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
		dynamicClient, err := dynamic.NewForConfig(config)
		must(t, err)
		untyped := dynamicinformer.NewFilteredDynamicSharedInformerFactory(dynamicClient, 0, namespace, nil)
		metadataClient, err := metadata.NewForConfig(config)
		must(t, err)
		partial := metadatainformer.NewFilteredSharedInformerFactory(metadataClient, 0, namespace, nil)
		followers := map[string]cache.SharedIndexInformer{
			"typed":    typed.Core().V1().ConfigMaps().Informer(),
			"dynamic":  untyped.ForResource(resource).Informer(),
			"metadata": partial.ForResource(resource).Informer(),
		}
		for _, follower := range followers {
			go follower.Run(t.Context().Done())
		}
		for name, follower := range followers {
			eventually(t, name+" is synced", follower.HasSynced)
		}

		_, err = writer.Create(t.Context(), configMap("late", nil), metav1.CreateOptions{})
		must(t, err)
		must(t, writer.Delete(t.Context(), "early-0", metav1.DeleteOptions{}))
		want := []string{"early-1", "early-2", "early-3", "early-4", "late"}
		if has, err := writer.Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{}); err == nil {
			want = append(want, has.Name)
			slices.Sort(want)
		}
		for name, follower := range followers {
			eventually(t, name+" has seen all", func() bool { return slices.Equal(keys(follower, namespace), want) })
		}
	})
}

// keys are the names of the objects that an informer holds.
func keys(informer cache.SharedIndexInformer, namespace string) []string {
	var names []string
	for _, key := range informer.GetStore().ListKeys() {
		space, name, err := cache.SplitMetaNamespaceKey(key)
		if err == nil && space == namespace {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// An informer outlives the server: after a crash and a restart it holds what the server holds, of kinds that the
// server keeps on disk and of those that it forgets.
func TestInformersRecoverFromACrash(t *testing.T) {
	withAndWithoutWatchList(t, func(t *testing.T) {
		server := startServer(t)
		config := configFrom(t, server.kubeconfig())
		client := clientset(t, config)
		factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace("default"))
		settings := factory.Core().V1().ConfigMaps().Informer()
		secrets := factory.Core().V1().Secrets().Informer()
		var deleted sync.Map
		for _, informer := range []cache.SharedIndexInformer{settings, secrets} {
			_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{DeleteFunc: func(object any) {
				if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
					deleted.Store(key, true)
				}
			}})
			must(t, err)
		}
		factory.Start(t.Context().Done())
		factory.WaitForCacheSync(t.Context().Done())

		create := func(name string) {
			t.Helper()
			_, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), configMap(name, nil), metav1.CreateOptions{})
			must(t, err)
		}
		create("kept")
		create("removed")
		_, err := client.CoreV1().Secrets("default").Create(t.Context(),
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "forgotten"}}, metav1.CreateOptions{})
		must(t, err)
		eventually(t, "the secret is seen", func() bool { return slices.Contains(keys(secrets, "default"), "forgotten") })

		for round := range 3 {
			server.kill()
			server.start()
			create(fmt.Sprintf("after-%d", round))
			if round == 0 {
				must(t, client.CoreV1().ConfigMaps("default").Delete(t.Context(), "removed", metav1.DeleteOptions{}))
			}
		}
		list, err := client.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
		must(t, err)
		want := map[string]string{}
		for _, item := range list.Items {
			want[item.Name] = item.ResourceVersion
		}
		eventually(t, "the informer holds what the server holds", func() bool {
			got := map[string]string{}
			items, err := factory.Core().V1().ConfigMaps().Lister().ConfigMaps("default").List(labels.Everything())
			must(t, err)
			for _, item := range items {
				got[item.Name] = item.ResourceVersion
			}
			return maps.Equal(got, want)
		})
		eventually(t, "the deletions were told", func() bool {
			_, removed := deleted.Load("default/removed")
			_, forgotten := deleted.Load("default/forgotten")
			return removed && forgotten && len(keys(secrets, "default")) == 0
		})
	})
}

// Two candidates: one leads, and when it lets go the other does.
func TestLeaderElection(t *testing.T) {
	config := config(t)
	namespace := namespace(t, config)
	leading := make(chan string)
	ended := make(chan string, 2)
	resign := map[string]context.CancelFunc{}
	for _, candidate := range []string{"a", "b"} {
		ctx, cancel := context.WithCancel(t.Context())
		resign[candidate] = cancel
		defer cancel()
		go func() {
			leaderelection.RunOrDie(ctx, electionFor(t, config, namespace, candidate, leading, ended))
		}()
	}
	first := <-leading
	resign[first]()
	equal(t, "the one that ended", <-ended, first)
	second := <-leading
	if second == first {
		t.Fatalf("%s leads after it resigned", first)
	}
	lease, err := clientset(t, config).CoordinationV1().Leases(namespace).Get(t.Context(), "lock", metav1.GetOptions{})
	must(t, err)
	equal(t, "holder", *lease.Spec.HolderIdentity, second)
	equal(t, "transitions", *lease.Spec.LeaseTransitions, 1)
}

func electionFor(t *testing.T, config *rest.Config, namespace, candidate string, leading, ended chan<- string) leaderelection.LeaderElectionConfig {
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, "lock",
		resourcelock.ResourceLockConfig{Identity: candidate}, config, 2*time.Second)
	must(t, err)
	return leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   4 * time.Second,
		RenewDeadline:   2 * time.Second,
		RetryPeriod:     200 * time.Millisecond,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				select {
				case leading <- candidate:
				case <-ctx.Done():
				}
			},
			OnStoppedLeading: func() { ended <- candidate },
		},
	}
}
