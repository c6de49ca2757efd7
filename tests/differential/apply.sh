# shellcheck shell=bash
# Client-side apply: last-applied, three-way merges, pruning, kustomize, directories.

cat >cm.yaml <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: shop}}
data: {a: "1", b: "2"}
YAML
k apply -f cm.yaml
k apply -f cm.yaml
k get cm settings -o yaml
k apply view-last-applied cm settings
sed 's/, b: "2"/, c: "3"/' cm.yaml >next.yaml
k diff -f next.yaml
k apply -f next.yaml --dry-run=client
k apply -f next.yaml --dry-run=server
k apply -f next.yaml --dry-run=server -o yaml
k apply -f next.yaml --dry-run=client -o yaml
k apply -f next.yaml -o yaml
k diff -f next.yaml
quietly patch cm settings --type=merge -p '{"data":{"theirs":"x"}}'
k apply -f cm.yaml
k get cm settings -o jsonpath='{.data}'
k apply set-last-applied -f next.yaml
k apply set-last-applied -f next.yaml --dry-run=server
k apply view-last-applied cm settings -o json
quietly create configmap bare --from-literal=a=1
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bare}\ndata: {a: "2"}\n' >bare.yaml
k apply -f bare.yaml
k apply view-last-applied cm bare
k apply edit-last-applied cm absent
k apply -f bare.yaml --overwrite=false
k apply -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {generateName: x-}
YAML
k apply -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: other-place, namespace: default}
YAML
quietly delete cm other-place -n default
k apply -n "$NS" -f absent.yaml
k apply -f - </dev/null
mkdir -p tree/sub
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tree-a}\n' >tree/a.yaml
printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"tree-b"}}' >tree/sub/b.json
k apply -f tree
k apply -R -f tree
k diff -R -f tree
mkdir kustom
cat >kustom/kustomization.yaml <<'YAML'
namePrefix: k-
labels: [{pairs: {from: kustomize}, includeSelectors: false}]
resources: [cm.yaml]
configMapGenerator: [{name: gen, literals: [x=y]}]
YAML
cp cm.yaml kustom
k apply -k kustom
k get -k kustom -o name
k diff -k kustom
k delete -k kustom
cat >set.yaml <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: keep, labels: {set: one}}
---
apiVersion: v1
kind: Secret
metadata: {name: drop, labels: {set: one}}
YAML
k apply -f set.yaml
sed '/^---/,$d' set.yaml >less.yaml
k apply --prune -l set=one --prune-allowlist=core/v1/Secret --prune-allowlist=core/v1/ConfigMap -f less.yaml --dry-run=client
k apply --prune -l set=one --prune-allowlist=core/v1/Secret --prune-allowlist=core/v1/ConfigMap -f less.yaml --dry-run=server
k apply --prune -l set=one --prune-allowlist=core/v1/Secret --prune-allowlist=core/v1/ConfigMap -f less.yaml
k get cm,secret -l set=one -o name
k apply --prune -f less.yaml
k apply --prune --all -l x=y -f less.yaml
export KUBECTL_APPLYSET=true
cat >parts.yaml <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: part-a}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: part-b}
YAML
k apply -n "$NS" --prune --applyset=things -f parts.yaml
k get secret things -o yaml
k get cm part-a -o yaml
sed '/^---/,$d' parts.yaml >part.yaml
k apply -n "$NS" --prune --applyset=things -f part.yaml --dry-run=server
k apply -n "$NS" --prune --applyset=things -f part.yaml
k apply -n "$NS" --prune --applyset=others -f part.yaml
k apply -n "$NS" --prune --applyset=configmaps/things -f part.yaml
unset KUBECTL_APPLYSET

cat >deploy.yaml <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1
        env: [{name: A, value: "1"}, {name: B, value: "2"}]
        ports: [{containerPort: 80}, {containerPort: 443, name: https}]
      - name: side
        image: busybox
      volumes:
      - {name: data, emptyDir: {}}
YAML
k apply -f deploy.yaml
k get deploy web -o yaml
k apply -f deploy.yaml
sed -e 's/, {name: B, value: "2"}/, {name: C, value: "3"}/' -e '/name: side/,+1d' -e 's/nginx:1/nginx:2/' deploy.yaml >deploy2.yaml
k diff -f deploy2.yaml
k apply -f deploy2.yaml
k get deploy web -o yaml
k diff -f deploy2.yaml
sed 's/emptyDir: {}/hostPath: {path: \/x}/' deploy2.yaml >deploy3.yaml
k apply -f deploy3.yaml
k get deploy web -o jsonpath='{.spec.template.spec.volumes}'
sed 's/matchLabels: {app: web}/matchLabels: {app: other}/' deploy2.yaml >deploy4.yaml
k apply -f deploy4.yaml
cat >service.yaml <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
YAML
k apply -f service.yaml
k get svc web -o yaml
k apply -f service.yaml
sed 's/{port: 80}/{port: 80, name: http}, {port: 443, name: https, targetPort: https}/' service.yaml >service2.yaml
k apply -f service2.yaml
k get svc web -o jsonpath='{.spec.ports}'
k apply -f service.yaml
k get svc web -o jsonpath='{.spec.ports}'
sed 's/^spec:/spec:\n  clusterIP: 10.0.0.77/' service.yaml >service3.yaml
k apply -f service3.yaml
k delete -f deploy.yaml -f service.yaml
k delete -f deploy.yaml
k delete -f deploy.yaml --ignore-not-found
