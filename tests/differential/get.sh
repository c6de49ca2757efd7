# shellcheck shell=bash disable=SC2016
# Reading: tables, every output form, selectors, several kinds at once.

quietly create configmap plain --from-literal=b=2 --from-literal=a=1
quietly label configmap plain tier=web stage=test
quietly create configmap other --from-literal=x=y
quietly label configmap other tier=db
quietly create secret generic token --from-literal=password=hunter2
quietly create deployment web --image=nginx:1 --replicas=2 --port=80
quietly create service clusterip web --tcp=80:8080
quietly create job once --image=busybox -- true
quietly create cronjob nightly --image=busybox --schedule='0 3 * * *' -- true
quietly create serviceaccount robot

k get configmap plain other
k get cm -l tier
k get cm -l tier=web
k get cm -l 'tier in (web,db)'
k get cm -l 'tier notin (web)' -l '!nothing'
k get cm -l 'tier!=web,stage'
k get cm -l '!tier' -o name
k get cm -l 'bad label=x'
k get cm -l 'tier in (web'
k get cm plain -o wide
k get cm plain -o yaml
k get cm plain -o json
k get cm plain -o yaml --show-managed-fields
k get cm plain -o name
k get cm plain -o jsonpath='{.data.a}{"\n"}'
k get cm -l tier -o jsonpath='{range .items[*]}{.metadata.name}{"\t"}{.data}{"\n"}{end}'
k get cm plain -o jsonpath='{.nothing.here}'
k get cm plain -o jsonpath='{.broken'
k get cm plain -o jsonpath-as-json='{.data}'
k get cm -l tier -o custom-columns=NAME:.metadata.name,TIER:.metadata.labels.tier,GONE:.gone
k get cm -l tier -o custom-columns=NAME:.metadata.name --no-headers
k get cm plain -o go-template='{{.metadata.name}} {{range $k, $v := .data}}{{$k}}={{$v}} {{end}}{{"\n"}}'
k get cm plain -o kyaml
k get cm plain -o nonsense
k get cm -l tier --show-labels
k get cm -l tier --show-kind
k get cm -l tier -L tier,stage
k get cm -l tier --no-headers
k get cm -l tier --sort-by=.metadata.name
k get cm -l tier --sort-by='{.metadata.labels.tier}'
k get cm -l tier --sort-by=.nothing
k get cm -l tier --chunk-size=1
k get cm -l tier --chunk-size=1 -o name
k get cm --field-selector metadata.name=plain
k get cm --field-selector metadata.name!=plain -l tier
k get cm --field-selector "metadata.namespace=$NS" -l tier
k get cm --field-selector data.a=1
k get secrets --field-selector type=Opaque
k get secrets --field-selector type!=Opaque
k get cm,secret -l tier
k get cm/plain secret/token
k get cm plain,other
k get all
k get all -o wide
k get deployments,services -o name
k get deploy web -o wide
k get svc web -o wide
k get job once
k get job once -o wide
k get cronjob nightly -o wide
k get sa robot
k get secret token
k get secret token -o jsonpath='{.data.password}'
k get configmaps -A -l tier=web
k get cm absent
k get cm absent --ignore-not-found
k get cm absent plain
k get cm plain absent -o name
k get cm,secret absent
k get absentkind
k get absentkind.example.com
k get cm.v1 plain
k get configmap.v1. plain
k get deployments.apps web
k get deployments.v1.apps web
k get deployments.v1beta1.apps web
k get cm -n absent-namespace
k get cm plain -n absent-namespace
k get ns "$NS"
k get ns "$NS" -o jsonpath='{.status.phase} {.spec.finalizers} {.metadata.labels}'
k get
k get cm plain -l tier=web
k get cm plain --all-namespaces
k get -f absent.yaml
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: plain\n' >plain.yaml
k get -f plain.yaml
k get -f plain.yaml -o name
k get pods
k get po,deploy -l nothing=here
k get --raw "/api/v1/namespaces/$NS/configmaps/plain"
k get --raw "/api/v1/namespaces/$NS/configmaps/absent"
k get --raw "/api/v1/namespaces/$NS/configmaps?limit=1&labelSelector=tier"
k get --raw /nowhere
k get --raw /api/v1/nowhere
k get --raw /apis/nowhere.example.com/v1
k get --raw "/api/v1/namespaces/$NS/configmaps?limit=x"
k get --raw "/api/v1/namespaces/$NS/configmaps?resourceVersion=x"
k get --raw "/api/v1/namespaces/$NS/configmaps?continue=x"
k get --raw "/api/v1/namespaces/$NS/configmaps?fieldSelector=spec.x%3D1"
k get --raw "/api/v1/namespaces/$NS/configmaps/plain/status"
k get --raw /healthz
k get --raw /livez
k get --raw /readyz
k get --raw "/apis/apps/v1/namespaces/$NS/deployments/web/scale"
