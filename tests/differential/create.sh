# shellcheck shell=bash
# `kubectl create`: from files and by its generators.

k create configmap literal --from-literal=a=1 --from-literal=b=two
k create configmap literal --from-literal=a=1
k create configmap twice --from-literal=a=1 --from-literal=a=2
k create configmap 'Bad_Name' --from-literal=a=1
k create configmap badkey --from-literal='a b=1'
k create configmap -h=x
printf 'one\ntwo\n' >file.txt
printf 'A=1\nB=2\n' >file.env
printf '\377\376' >file.bin
k create configmap files --from-file=file.txt --from-file=renamed=file.txt --from-file=file.bin
k get configmap files -o yaml
k create configmap env --from-env-file=file.env -o yaml
k create configmap hashed --from-literal=a=1 --append-hash -o name
k create configmap dry --from-literal=a=1 --dry-run=client -o yaml
k create configmap dry --from-literal=a=1 --dry-run=server -o yaml
k create configmap dry --from-literal=a=1 --dry-run=nonsense
k get configmap dry
k create secret generic generic --from-literal=user=me --from-file=file.txt
k get secret generic -o yaml
k create secret generic typed --type=example.com/own --from-literal=a=b -o yaml
k create secret docker-registry pull --docker-server=example.com --docker-username=u --docker-password=p --docker-email=u@example.com -o yaml
k create secret generic basic --type=kubernetes.io/basic-auth
k create secret generic basic --type=kubernetes.io/basic-auth --from-literal=username=u
k create secret generic ssh --type=kubernetes.io/ssh-auth --from-literal=x=u
k create secret generic dockerbroken --type=kubernetes.io/dockerconfigjson --from-literal=.dockerconfigjson=nojson
k create secret generic tlsempty --type=kubernetes.io/tls --from-literal=tls.crt=x
k create secret generic sat --type=kubernetes.io/service-account-token
k create secret tls tls --cert=absent.crt --key=absent.key
k create serviceaccount robot -o yaml
k create token robot
k create token absent
k create role reader --verb=get,list --resource=configmaps,secrets -o yaml
k create role reader --verb=get --resource=absentkind
k create role named --verb=get --resource=deployments.apps/scale --resource-name=web -o yaml
k create role 'with:colon' --verb='*' --resource=configmaps
k create rolebinding reads --role=reader --serviceaccount="$NS:robot" --user=me --group=us -o yaml
k create rolebinding reads
k create clusterrole "$NS-reader" --verb=get --resource=nodes --dry-run=client -o yaml
k create clusterrole "$NS-reader" --verb=get --non-resource-url=/metrics -o yaml
k create clusterrole "$NS-aggregate" --aggregation-rule=x=y -o yaml
k create clusterrolebinding "$NS-reads" --clusterrole="$NS-reader" --user=me -o yaml
k get rolebinding reads -o wide
k get clusterrolebinding "$NS-reads" -o wide
k get role reader
quietly delete clusterrole "$NS-reader" "$NS-aggregate"
quietly delete clusterrolebinding "$NS-reads"
k create deployment web --image=nginx --replicas=3 --port=80 -o yaml
k create deployment two --image=nginx --image=redis:7 -o yaml
k create deployment cmd --image=busybox -o yaml -- sleep 10
k create deployment bad --image=nginx --replicas=-1
k create deployment noimage
k create deployment BAD --image=nginx
k create job once --image=busybox -o yaml -- echo hello
k create cronjob nightly --image=busybox --schedule='0 3 * * *' -o yaml -- date
k create cronjob bad --image=busybox --schedule='no schedule'
k create job manual --from=cronjob/nightly -o yaml
k create job manual2 --from=cronjob/absent
k create service clusterip web --tcp=80:8080 -o yaml
k create service nodeport node --tcp=80 -o yaml
k create service loadbalancer lb --tcp=80:8080 -o yaml
k create service externalname ext --external-name=example.com -o yaml
k create service clusterip headless --clusterip=None -o yaml
k create service clusterip web --tcp=80
k create service clusterip noport
k create namespace "$NS-more"
k create namespace "$NS-more"
k create namespace 'Bad Name'
k create namespace "$NS-dry" --dry-run=server -o yaml
k get namespace "$NS-more" -o yaml
k delete namespace "$NS-more" --wait=false
k create -f absent.yaml
k create -f -
k create -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata:
  generateName: gen-
YAML
k create -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {}
YAML
k create -f - <<'YAML'
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: list-a}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: list-b}
  data: {a: "1"}
YAML
k create -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: doc-a}
---
apiVersion: v1
kind: Secret
metadata: {name: doc-b}
stringData: {a: "1"}
---
# nothing
YAML
k get secret doc-b -o yaml
k create -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: save}
data: {a: "1"}
YAML
k create --save-config -o yaml -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: saved}
data: {a: "1"}
YAML
k create --raw "/api/v1/namespaces/$NS/configmaps" -f - <<'JSON'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "raw"}}
JSON
k create --edit=false -f - --field-manager=me -o yaml --show-managed-fields <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: managed, labels: {a: b}, annotations: {c: d}, finalizers: [example.com/x]}
data: {a: "1"}
YAML
quietly patch cm managed --type=merge -p '{"metadata":{"finalizers":null}}'
k create quota limits --hard=pods=1 --dry-run=client -o yaml
k create priorityclass high --value=10 --dry-run=client -o yaml
k create poddisruptionbudget pdb --selector=a=b --min-available=1 --dry-run=client -o yaml
k create ingress in --rule=a.example.com/x=svc:80 --dry-run=client -o yaml
