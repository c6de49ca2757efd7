# shellcheck shell=bash
# Bad input, and what is said about it.

new() {
	printf '\n# %s\n' "$1"
	shift
	k create -f - "$@"
}
quietly create namespace "$NS-dying"

new 'an unknown field' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: a, labelz: {a: b}}
datum: {a: "1"}
YAML
new 'an unknown field, warned of' --validate=warn <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: warned, labelz: {a: b}}
datum: {a: "1"}
YAML
new 'an unknown field, ignored' --validate=ignore <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: ignored, labelz: {a: b}}
datum: {a: "1"}
YAML
new 'an unknown field, not checked' --validate=false <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: unchecked}
datum: {a: "1"}
YAML
new 'a field that occurs twice' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: twice}
data: {a: "1"}
data: {b: "1"}
YAML
new 'a field that occurs twice, in JSON' <<'YAML'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "twice"}, "data": {"a": "1", "a": "2"}}
YAML
new 'a field that occurs twice, warned of' --validate=warn <<'YAML'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "twice"}, "data": {"a": "1"}, "data": {"a": "2"}}
YAML
new 'unknown fields of a deployment' <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  replica: 1
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers: [{name: a, image: b, imag: c, ports: [{port: 1}]}]
YAML
new 'a wrong type' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {a: 1}
YAML
new 'another wrong type' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: text
YAML
new 'a list for a map' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: a, labels: [a]}
YAML
new 'a number for a name' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: 5}
YAML
new 'wrong types in a deployment' <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  replicas: "1"
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: {name: a}}
YAML
new 'a wrong type unchecked' --validate=ignore <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec: {replicas: "1"}
YAML
new 'a name with capitals' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: Bad_Name}
YAML
new 'a name that is too long' <<YAML
apiVersion: v1
kind: ConfigMap
metadata: {name: $(printf 'a%.0s' $(seq 260))}
YAML
new 'bad labels' <<YAML
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  labels: {"bad key": x, ok: "bad value", "a/b/c": x, "$(printf 'a%.0s' $(seq 70))": x, long: "$(printf 'a%.0s' $(seq 70))", "-x": y, "Bad.Prefix/x": y, "/x": y}
  annotations: {"bad key": x}
YAML
new 'an unknown kind' <<'YAML'
apiVersion: v1
kind: Nonsense
metadata: {name: a}
YAML
new 'an unknown version' <<'YAML'
apiVersion: apps/v1beta1
kind: Deployment
metadata: {name: a}
YAML
new 'no kind' <<'YAML'
apiVersion: v1
metadata: {name: a}
YAML
new 'no apiVersion' <<'YAML'
kind: ConfigMap
metadata: {name: a}
YAML
new 'no metadata' <<'YAML'
apiVersion: v1
kind: ConfigMap
YAML
new 'broken YAML' <<'YAML'
apiVersion: v1
  kind: ConfigMap
YAML
new 'another namespace' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: absent-namespace}
YAML
new 'a resource version' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: a, resourceVersion: "1"}
YAML
new 'an owner without a uid' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: a, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: x}]}
YAML
new 'a bad config map key' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {"a b": x, "..": y, both: z}
binaryData: {both: eA==}
YAML
new 'no base64' <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
binaryData: {a: "not base64!"}
YAML
new 'a secret without base64' <<'YAML'
apiVersion: v1
kind: Secret
metadata: {name: a}
data: {a: "not base64!"}
YAML
new 'a secret with bad keys' <<'YAML'
apiVersion: v1
kind: Secret
metadata: {name: a}
stringData: {"a b": x}
YAML

quietly create deployment web --image=nginx
new 'an empty deployment' <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
YAML
new 'a deployment with an empty spec' <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec: {}
YAML
new 'a deployment whose selector does not match' <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: c}}
    spec: {containers: [{name: a, image: b}]}
YAML
new 'a deployment full of mistakes' <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  replicas: -1
  minReadySeconds: -1
  strategy: {type: Nonsense}
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      restartPolicy: Never
      dnsPolicy: Nonsense
      containers:
      - name: A_b
        imagePullPolicy: Nonsense
        ports: [{containerPort: 0}, {containerPort: 70000}, {containerPort: 80, protocol: ICMP}]
        env: [{name: ""}, {name: "a=b"}, {name: x, value: y, valueFrom: {fieldRef: {fieldPath: a}}}]
        resources: {limits: {cpu: 100m}, requests: {cpu: 200m, memory: "-1"}}
        volumeMounts: [{name: absent, mountPath: /x}]
      - name: twice
        image: x
      - name: twice
        image: x
      volumes: [{name: v}, {name: v, emptyDir: {}, hostPath: {path: /x}}]
YAML
k patch deploy web --type=merge -p '{"spec":{"selector":{"matchLabels":{"x":"y"}}}}'
k patch deploy web --type=merge -p '{"spec":{"selector":{"matchLabels":{"x":"y"}},"template":{"metadata":{"labels":{"x":"y"}}}}}'
quietly create job once --image=busybox
k patch job once --type=merge -p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":5}}}}'
k patch job once --type=merge -p '{"spec":{"completions":5}}'
k patch job once --type=merge -p '{"spec":{"parallelism":5}}'
k patch job once --type=merge -p '{"spec":{"suspend":true}}'
k patch job once --type=merge -p '{"spec":{"backoffLimit":-1}}'
new 'a job with a wrong restart policy' <<'YAML'
apiVersion: batch/v1
kind: Job
metadata: {name: a}
spec:
  template:
    spec: {containers: [{name: a, image: b}]}
YAML
new 'a job with nothing in it' <<'YAML'
apiVersion: batch/v1
kind: Job
metadata: {name: a}
spec: {template: {spec: {restartPolicy: Never}}}
YAML
new 'a cron job with a wrong schedule' <<'YAML'
apiVersion: batch/v1
kind: CronJob
metadata: {name: a}
spec:
  schedule: "* * *"
  timeZone: Nowhere/Nothing
  concurrencyPolicy: Nonsense
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}}
YAML
quietly create service clusterip web --tcp=80
k patch svc web --type=merge -p '{"spec":{"clusterIP":"10.0.0.9"}}'
k patch svc web --type=merge -p '{"spec":{"type":"Nonsense"}}'
k patch svc web --type=merge -p '{"spec":{"ports":[]}}'
k patch svc web --type=merge -p '{"spec":{"ports":[{"port":80},{"port":81}]}}'
k patch svc web --type=merge -p '{"spec":{"ports":[{"port":0,"name":"A_b","protocol":"X"}]}}'
k patch svc web --type=merge -p '{"spec":{"type":"NodePort"}}'
k get svc web -o jsonpath='{.spec.type}'
k patch svc web --type=merge -p '{"spec":{"type":"ExternalName","externalName":"bad name"}}'
new 'a service whose name is no label' <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: 1.a}
spec: {ports: [{port: 80}]}
YAML
new 'a service without ports' <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {selector: {a: b}}
YAML
quietly create secret generic s --from-literal=p=x
k patch secret s --type=merge -p '{"type":"example.com/other"}'
k patch secret s --type=merge -p '{"immutable":true}'
k patch secret s --type=merge -p '{"data":{"p":"eQ=="}}'
k patch secret s --type=merge -p '{"immutable":false}'
k patch secret s --type=merge -p '{"metadata":{"labels":{"a":"b"}}}'
quietly create configmap c --from-literal=p=x
k patch cm c --type=merge -p '{"immutable":true}'
k patch cm c --type=merge -p '{"data":{"p":"y"}}'
k patch cm c --type=merge -p '{"immutable":null}'
quietly create role r --verb=get --resource=configmaps
new 'a role with an empty rule' <<'YAML'
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: a}
rules: [{}, {verbs: [get], resources: [x]}, {verbs: [get], nonResourceURLs: [/x]}]
YAML
new 'a role binding to nothing' <<'YAML'
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: a}
subjects: [{kind: User, name: me, namespace: x}, {kind: ServiceAccount, name: Bad_}, {kind: Nonsense, name: x}, {kind: User}]
roleRef: {kind: Nonsense, name: "", apiGroup: x}
YAML
quietly create rolebinding b --role=r --user=me
k patch rolebinding b --type=merge -p '{"roleRef":{"name":"other"}}'
new 'a lease with a bad duration' <<'YAML'
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: a}
spec: {leaseDurationSeconds: -1, leaseTransitions: -1, acquireTime: yesterday}
YAML
new 'a lease with a bad duration of the right type' <<'YAML'
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: a}
spec: {leaseDurationSeconds: -1, leaseTransitions: -1}
YAML
new 'a namespace with a long name' <<YAML
apiVersion: v1
kind: Namespace
metadata: {name: $(printf 'a%.0s' $(seq 70))}
YAML
new 'a namespace with a dot' <<'YAML'
apiVersion: v1
kind: Namespace
metadata: {name: a.b}
YAML
new 'a claim without anything' <<'YAML'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: a}
YAML
new 'a claim that cannot be' <<'YAML'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: a}
spec: {accessModes: [Nonsense], resources: {requests: {storage: "0"}}}
YAML
new 'a quantity that is none' <<'YAML'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: a}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: much}}}
YAML
new 'a time that is none' <<'YAML'
apiVersion: v1
kind: Event
metadata: {name: a}
firstTimestamp: yesterday
involvedObject: {}
YAML
new 'a stateful set without anything' <<'YAML'
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: a}
spec: {}
YAML
new 'a daemon set without anything' <<'YAML'
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: a}
spec: {}
YAML
new 'a pod without anything' <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: a}
YAML
k create -f - --raw "/api/v1/namespaces/$NS/configmaps" <<'JSON'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "default"}}
JSON
k create -f - --raw "/api/v1/namespaces/$NS/configmaps" <<'JSON'
{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
JSON
k create -f - --raw "/api/v1/namespaces/$NS/configmaps" <<'JSON'
nonsense
JSON
k create -f - --raw "/api/v1/namespaces/$NS/configmaps?fieldManager=$(printf 'a%.0s' $(seq 130))" <<'JSON'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
JSON
k create -f - --raw "/api/v1/namespaces/$NS/configmaps?dryRun=Some" <<'JSON'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
JSON
k create -f - --raw "/api/v1/namespaces/$NS/configmaps?fieldValidation=Some" <<'JSON'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
JSON
k create -f - --raw "/api/v1/namespaces/$NS/configmaps?fieldManager=a%07" <<'JSON'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
JSON
quietly delete namespace "$NS-dying"
