package clients

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	applyapps "k8s.io/client-go/applyconfigurations/apps/v1"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	applymeta "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/features"
	featurestesting "k8s.io/client-go/features/testing"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
)

// encodings are the ways in which typed clients may be set up to speak.
var encodings = map[string]func(*rest.Config){
	"json":     func(config *rest.Config) { config.ContentType = runtime.ContentTypeJSON },
	"protobuf": func(config *rest.Config) { config.ContentType = runtime.ContentTypeProtobuf },
	"protobuf and json": func(config *rest.Config) {
		config.ContentType = runtime.ContentTypeProtobuf
		config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	},
	"protobuf only": func(config *rest.Config) {
		config.ContentType = runtime.ContentTypeProtobuf
		config.AcceptContentTypes = runtime.ContentTypeProtobuf
	},
}

// inEachEncoding runs a test with a typed client that speaks as config says, for each way of speaking.
func inEachEncoding(t *testing.T, test func(t *testing.T, client kubernetes.Interface, namespace string)) {
	for name, configure := range encodings {
		t.Run(name, func(t *testing.T) {
			config := config(t)
			namespace := namespace(t, config)
			configure(config)
			test(t, clientset(t, config), namespace)
		})
	}
}

func template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "web", Image: "nginx:1",
			Env:   []corev1.EnvVar{{Name: "A", Value: "1"}},
			Ports: []corev1.ContainerPort{{ContainerPort: 80}},
			LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
				HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(80)},
			}},
		}}},
	}
}

func TestConfigMapsFromCreateToDelete(t *testing.T) {
	inEachEncoding(t, func(t *testing.T, client kubernetes.Interface, namespace string) {
		maps := client.CoreV1().ConfigMaps(namespace)
		created, err := maps.Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "settings-", Labels: map[string]string{"a": "b"}},
			Data:       map[string]string{"k": "vålue"},
			BinaryData: map[string][]byte{"b": {0, 255}},
		}, metav1.CreateOptions{FieldManager: "tests"})
		must(t, err)
		equal(t, "manager", created.ManagedFields[0].Manager, "tests")
		equal(t, "bytes", string(created.BinaryData["b"]), "\x00\xff")

		stale := created.DeepCopy()
		created.Data["k"] = "2"
		updated, err := maps.Update(t.Context(), created, metav1.UpdateOptions{})
		must(t, err)
		equal(t, "data", updated.Data["k"], "2")
		_, err = maps.Update(t.Context(), stale, metav1.UpdateOptions{})
		if !apierrors.IsConflict(err) {
			t.Fatalf("an update of an older version: %v", err)
		}
		for kind, patch := range map[types.PatchType]string{
			types.JSONPatchType:           `[{"op": "add", "path": "/data/json", "value": "1"}]`,
			types.MergePatchType:          `{"data": {"merge": "1"}}`,
			types.StrategicMergePatchType: `{"data": {"strategic": "1"}}`,
		} {
			_, err = maps.Patch(t.Context(), created.Name, kind, []byte(patch), metav1.PatchOptions{})
			must(t, err)
		}
		read, err := maps.Get(t.Context(), created.Name, metav1.GetOptions{})
		must(t, err)
		equal(t, "entries", len(read.Data), 4)

		list, err := maps.List(t.Context(), metav1.ListOptions{LabelSelector: "a in (b, c)", Limit: 1})
		must(t, err)
		equal(t, "items", len(list.Items), 1)
		err = maps.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "a"})
		must(t, err)
		_, err = maps.Get(t.Context(), created.Name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			t.Fatalf("a deleted object: %v", err)
		}
	})
}

func TestEveryBuiltInKind(t *testing.T) {
	inEachEncoding(t, func(t *testing.T, client kubernetes.Interface, namespace string) {
		ctx, create := t.Context(), metav1.CreateOptions{}
		named := metav1.ObjectMeta{Name: "web"}
		selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}

		secret, err := client.CoreV1().Secrets(namespace).Create(ctx,
			&corev1.Secret{ObjectMeta: named, StringData: map[string]string{"k": "v"}}, create)
		must(t, err)
		equal(t, "secret", string(secret.Data["k"]), "v")

		_, err = client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: named}, create)
		must(t, err)
		service, err := client.CoreV1().Services(namespace).Create(ctx, &corev1.Service{
			ObjectMeta: named,
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("http")}}},
		}, create)
		must(t, err)
		equal(t, "target port", service.Spec.Ports[0].TargetPort.String(), "http")

		pod, err := client.CoreV1().Pods(namespace).Create(ctx,
			&corev1.Pod{ObjectMeta: named, Spec: template().Spec}, create)
		must(t, err)
		equal(t, "phase", pod.Status.Phase, corev1.PodPending)
		pod.Status.Phase = corev1.PodRunning
		_, err = client.CoreV1().Pods(namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		must(t, err)

		deployment, err := client.AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
			ObjectMeta: named, Spec: appsv1.DeploymentSpec{Selector: selector, Template: template()},
		}, create)
		must(t, err)
		equal(t, "surge", deployment.Spec.Strategy.RollingUpdate.MaxSurge.String(), "25%")
		_, err = client.AppsV1().StatefulSets(namespace).Create(ctx, &appsv1.StatefulSet{
			ObjectMeta: named, Spec: appsv1.StatefulSetSpec{Selector: selector, Template: template()},
		}, create)
		must(t, err)
		_, err = client.AppsV1().DaemonSets(namespace).Create(ctx, &appsv1.DaemonSet{
			ObjectMeta: named, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template()},
		}, create)
		must(t, err)
		_, err = client.AppsV1().ReplicaSets(namespace).Create(ctx, &appsv1.ReplicaSet{
			ObjectMeta: named, Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: template()},
		}, create)
		must(t, err)

		once := template()
		once.Spec.RestartPolicy = corev1.RestartPolicyNever
		job, err := client.BatchV1().Jobs(namespace).Create(ctx,
			&batchv1.Job{ObjectMeta: named, Spec: batchv1.JobSpec{Template: once}}, create)
		must(t, err)
		equal(t, "selector", job.Spec.Selector.MatchLabels["batch.kubernetes.io/controller-uid"], string(job.UID))
		now := metav1.Now()
		job.Status = batchv1.JobStatus{StartTime: &now, Active: 1}
		job, err = client.BatchV1().Jobs(namespace).UpdateStatus(ctx, job, metav1.UpdateOptions{})
		must(t, err)
		equal(t, "active", job.Status.Active, 1)
		_, err = client.BatchV1().CronJobs(namespace).Create(ctx, &batchv1.CronJob{
			ObjectMeta: named,
			Spec: batchv1.CronJobSpec{
				Schedule:    "@daily",
				JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: once}},
			},
		}, create)
		must(t, err)

		renewed := metav1.NewMicroTime(time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC))
		lease, err := client.CoordinationV1().Leases(namespace).Create(ctx,
			&coordinationv1.Lease{ObjectMeta: named, Spec: coordinationv1.LeaseSpec{RenewTime: &renewed}}, create)
		must(t, err)
		equal(t, "renewed", lease.Spec.RenewTime.UnixMicro(), renewed.UnixMicro())

		_, err = client.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{
			ObjectMeta: named,
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}},
		}, create)
		must(t, err)
		_, err = client.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: named,
			RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: "web"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "default", Namespace: namespace}},
		}, create)
		must(t, err)
		_, err = client.EventsV1().Events(namespace).Create(ctx, &eventsv1.Event{
			ObjectMeta: named, EventTime: metav1.NowMicro(), Type: "Normal", Reason: "Tested", Action: "Test",
			ReportingController: "tests.dev/go", ReportingInstance: "one",
			Regarding: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Name: "web", Namespace: namespace},
		}, create)
		must(t, err)
		old, err := client.CoreV1().Events(namespace).Get(ctx, "web", metav1.GetOptions{})
		must(t, err)
		equal(t, "the event in its older form", old.InvolvedObject.Name, "web")
	})
}

func TestWatchesOfTypedClients(t *testing.T) {
	inEachEncoding(t, func(t *testing.T, client kubernetes.Interface, namespace string) {
		maps := client.CoreV1().ConfigMaps(namespace)
		list, err := maps.List(t.Context(), metav1.ListOptions{})
		must(t, err)
		_, err = maps.Create(t.Context(),
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{})
		must(t, err)
		must(t, maps.Delete(t.Context(), "a", metav1.DeleteOptions{}))
		// The namespace's own config map comes when it likes.
		watcher, err := maps.Watch(t.Context(), metav1.ListOptions{
			ResourceVersion: list.ResourceVersion, FieldSelector: "metadata.name=a",
		})
		must(t, err)
		defer watcher.Stop()
		for _, want := range []string{"ADDED", "DELETED"} {
			event, open := <-watcher.ResultChan()
			if !open || string(event.Type) != want {
				t.Fatalf("got %v, want %s", event, want)
			}
			equal(t, "name", event.Object.(*corev1.ConfigMap).Name, "a")
		}
	})
}

func TestScaleOfDeployments(t *testing.T) {
	inEachEncoding(t, func(t *testing.T, client kubernetes.Interface, namespace string) {
		deployments := client.AppsV1().Deployments(namespace)
		_, err := deployments.Create(t.Context(), &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "web"},
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, Template: template(),
			},
		}, metav1.CreateOptions{})
		must(t, err)
		scale, err := deployments.GetScale(t.Context(), "web", metav1.GetOptions{})
		must(t, err)
		equal(t, "selector", scale.Status.Selector, "app=web")
		scale.Spec.Replicas = 3
		scale, err = deployments.UpdateScale(t.Context(), "web", scale, metav1.UpdateOptions{})
		must(t, err)
		equal(t, "replicas", scale.Spec.Replicas, 3)
	})
}

func TestApplyConfigurations(t *testing.T) {
	inEachEncoding(t, func(t *testing.T, client kubernetes.Interface, namespace string) {
		deployments := client.AppsV1().Deployments(namespace)
		apply := func(image string) *applyapps.DeploymentApplyConfiguration {
			container := applycore.Container().WithName("web").WithImage(image)
			return applyapps.Deployment("web", namespace).WithSpec(applyapps.DeploymentSpec().
				WithSelector(applymeta.LabelSelector().WithMatchLabels(map[string]string{"app": "web"})).
				WithTemplate(applycore.PodTemplateSpec().WithLabels(map[string]string{"app": "web"}).
					WithSpec(applycore.PodSpec().WithContainers(container))))
		}
		_, err := deployments.Apply(t.Context(), apply("nginx:1"), metav1.ApplyOptions{FieldManager: "one"})
		must(t, err)
		_, err = deployments.Apply(t.Context(), apply("nginx:2"), metav1.ApplyOptions{FieldManager: "two"})
		if !apierrors.IsConflict(err) {
			t.Fatalf("an apply of another's field: %v", err)
		}
		forced, err := deployments.Apply(t.Context(), apply("nginx:2"),
			metav1.ApplyOptions{FieldManager: "two", Force: true})
		must(t, err)
		equal(t, "image", forced.Spec.Template.Spec.Containers[0].Image, "nginx:2")

		// What a manager owns, as it would apply it again.
		extracted, err := applyapps.ExtractDeployment(forced, "two")
		must(t, err)
		equal(t, "own image", *extracted.Spec.Template.Spec.Containers[0].Image, "nginx:2")
		if extracted.Spec.Replicas != nil {
			t.Fatal("a default belongs to nobody")
		}
	})
}

func TestRetryOnConflict(t *testing.T) {
	config := config(t)
	maps := clientset(t, config).CoreV1().ConfigMaps(namespace(t, config))
	_, err := maps.Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "counter"}}, metav1.CreateOptions{})
	must(t, err)
	const writers, rounds = 4, 5
	persistent := wait.Backoff{Steps: 1000, Duration: time.Millisecond}
	failures := make(chan error)
	for range writers {
		go func() {
			for range rounds {
				err := retry.RetryOnConflict(persistent, func() error {
					found, err := maps.Get(t.Context(), "counter", metav1.GetOptions{})
					if err != nil {
						return err
					}
					if found.Data == nil {
						found.Data = map[string]string{}
					}
					found.Data["count"] += "x"
					_, err = maps.Update(t.Context(), found, metav1.UpdateOptions{})
					return err
				})
				if err != nil {
					failures <- err
					return
				}
			}
			failures <- nil
		}()
	}
	for range writers {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	found, err := maps.Get(t.Context(), "counter", metav1.GetOptions{})
	must(t, err)
	equal(t, "increments", len(found.Data["count"]), writers*rounds)
}

// CBOR is not spoken here; a client that prefers it must be able to find out, and go on in JSON.
func TestClientsThatPreferCBOR(t *testing.T) {
	featurestesting.SetFeatureDuringTest(t, features.ClientsAllowCBOR, true)
	featurestesting.SetFeatureDuringTest(t, features.ClientsPreferCBOR, true)
	config := config(t)
	maps := clientset(t, config).CoreV1().ConfigMaps(namespace(t, config))
	create := func() error {
		_, err := maps.Create(t.Context(),
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{})
		return err
	}
	if err := create(); err != nil {
		if !apierrors.IsUnsupportedMediaType(err) {
			t.Fatalf("the first request: %v", err)
		}
		must(t, create())
	}
	_, err := maps.Get(t.Context(), "a", metav1.GetOptions{})
	must(t, err)
}
