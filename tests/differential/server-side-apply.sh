# shellcheck shell=bash
# Server-side apply: field managers, conflicts, taking over, moving from client-side apply.

cat >cm.yaml <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: shop}}
data: {a: "1", b: "2"}
YAML
tick
k apply --server-side -f cm.yaml
tick
k apply --server-side -f cm.yaml
k get cm settings -o yaml --show-managed-fields
sed 's/b: "2"/b: "3"/' cm.yaml >theirs.yaml
tick
k apply --server-side --field-manager=other -f theirs.yaml
k diff --server-side --field-manager=other -f theirs.yaml
tick
k apply --server-side --field-manager=other -f theirs.yaml --force-conflicts --dry-run=server
tick
k apply --server-side --field-manager=other -f theirs.yaml --force-conflicts
k get cm settings -o yaml --show-managed-fields
tick
k apply --server-side -f cm.yaml
sed '/^data/d' cm.yaml >less.yaml
tick
k apply --server-side -f less.yaml
k get cm settings -o yaml --show-managed-fields
tick
k apply --server-side --field-manager=other -f less.yaml
k get cm settings -o yaml --show-managed-fields
tick
k apply --server-side -f cm.yaml --dry-run=client
tick
k apply --server-side -f cm.yaml --force-conflicts --dry-run=server -o yaml
tick
k apply --server-side --force-conflicts=false --validate=strict -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
datum: {a: "1"}
YAML
k apply --force-conflicts -f cm.yaml
tick
k apply --server-side --field-manager=third -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, resourceVersion: "1"}
YAML
tick
k apply --server-side -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: bad name}
YAML
tick
k apply --server-side -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, managedFields: [{manager: x}]}
YAML

# From client-side apply to server-side apply and back.
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: moved}\ndata: {a: "1", b: "2"}\n' >moved.yaml
tick
k apply -f moved.yaml
k get cm moved -o yaml --show-managed-fields
sed 's/, b: "2"//' moved.yaml >moved2.yaml
tick
k apply --server-side -f moved2.yaml
k get cm moved -o yaml --show-managed-fields
tick
k apply -f moved.yaml
k get cm moved -o yaml --show-managed-fields

cat >deploy.yaml <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1
        env: [{name: A, value: "1"}, {name: B, value: "2"}]
        ports: [{containerPort: 80}]
        volumeMounts: [{name: data, mountPath: /data}]
      volumes:
      - {name: data, emptyDir: {}}
YAML
tick
k apply --server-side -f deploy.yaml
k get deploy web -o yaml --show-managed-fields
tick
k scale deploy web --replicas=3
k get deploy web -o yaml --show-managed-fields
tick
k apply --server-side -f deploy.yaml
sed '/replicas: 2/d' deploy.yaml >noreplicas.yaml
tick
k apply --server-side -f noreplicas.yaml
k get deploy web -o jsonpath='{.spec.replicas}'
cat >side.yaml <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: side
        image: busybox
      - name: web
        image: nginx:2
        env: [{name: C, value: "3"}]
YAML
tick
k apply --server-side --field-manager=sidecar -f side.yaml
tick
k apply --server-side --field-manager=sidecar --force-conflicts -f side.yaml
k get deploy web -o yaml --show-managed-fields
tick
k set image deploy/web web=nginx:4
tick
k set env deploy/web --containers=web A=5
k get deploy web -o yaml --show-managed-fields
tick
k apply --server-side -f deploy.yaml
tick
k patch deploy web --subresource=status --type=merge -p '{"status":{"replicas":3,"conditions":[{"type":"Available","status":"True"}]}}'
k get deploy web -o yaml --show-managed-fields
tick
k apply --server-side --subresource=status --field-manager=controller -f - <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
status: {readyReplicas: 2, conditions: [{type: Progressing, status: "True"}]}
YAML
k get deploy web -o yaml --show-managed-fields
tick
k apply --server-side -f - <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, name: http}]
YAML
tick
k apply --server-side --field-manager=other -f - <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: other}
  ports: [{port: 443, name: https}]
YAML
k get svc web -o yaml --show-managed-fields
tick
k apply --server-side -f - <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: dup}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: a, env: [{name: A, value: "1"}, {name: A, value: "2"}]}
      - {name: web, image: b}
YAML
tick
k apply --server-side -f - <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: typed}
spec: {replicas: many}
YAML
