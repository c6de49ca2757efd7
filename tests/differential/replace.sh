# shellcheck shell=bash
# `kubectl replace`, with and without --force.

printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: "1"}\n' >c.yaml
k replace -f c.yaml
k create -f c.yaml
sed 's/"1"/"2"/' c.yaml >c2.yaml
k replace -f c2.yaml
k replace -f c2.yaml -o yaml --dry-run=server
k replace -f c2.yaml --dry-run=client
sed 's/name: c/name: c, resourceVersion: "1"/' c.yaml >old.yaml
k replace -f old.yaml
sed 's/name: c/name: c, uid: 11111111-2222-3333-4444-555555555555/' c.yaml >uid.yaml
k replace -f uid.yaml
k replace --force -f c.yaml
k get cm c -o jsonpath='{.data}'
k replace --force -f c.yaml --grace-period=1
k replace --save-config -f c2.yaml -o yaml
k replace --raw "/api/v1/namespaces/$NS/configmaps/c" -f - <<'JSON'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"raw": "yes"}}
JSON
k replace --raw "/api/v1/namespaces/$NS/configmaps/other" -f - <<'JSON'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"raw": "yes"}}
JSON
k replace --raw "/api/v1/namespaces/$NS/configmaps/c" -f - <<'JSON'
{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}}
JSON
k replace --raw "/api/v1/namespaces/$NS/configmaps/c" -f - <<'JSON'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
JSON
k replace --raw "/api/v1/namespaces/$NS/configmaps/c" -f - <<'JSON'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"
JSON
quietly create deployment web --image=nginx
quietly get deploy web -o yaml
"$KUBECTL" get deploy web -o yaml | sed 's/replicas: 1$/replicas: 4/' >web.yaml
k replace -f web.yaml
k replace -f web.yaml
k get deploy web -o jsonpath='{.spec.replicas} {.metadata.generation}'
"$KUBECTL" get deploy web -o yaml | sed 's/^status:.*/status:\n  replicas: 9/' >web.yaml
k replace --subresource=status -f web.yaml
k get deploy web -o jsonpath='{.status} {.metadata.generation}'
