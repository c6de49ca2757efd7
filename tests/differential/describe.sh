# shellcheck shell=bash
# `kubectl describe` of every kind that homeport stores.

quietly create configmap c --from-literal=a=1 --from-literal=long="$(seq 30)"
quietly create secret generic s --from-literal=p=hunter2
quietly create serviceaccount robot
quietly create role reader --verb=get,list --resource=configmaps --resource=deployments.apps/scale
quietly create rolebinding reads --role=reader --serviceaccount="$NS:robot" --user=me
quietly create clusterrole "$NS-c" --verb=get --resource=nodes
quietly create clusterrolebinding "$NS-c" --clusterrole="$NS-c" --group=us
quietly create deployment web --image=nginx --replicas=2 --port=80
quietly create service clusterip web --tcp=80:8080
quietly create job once --image=busybox -- true
quietly create cronjob nightly --image=busybox --schedule='0 3 * * *' -- date
k create -f - <<'YAML'
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: l}
spec: {holderIdentity: me, leaseDurationSeconds: 15, renewTime: "2026-01-01T00:00:00.000000Z"}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: postgres}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: agent}]}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: rs}
spec:
  replicas: 0
  selector: {matchLabels: {app: rs}}
  template:
    metadata: {labels: {app: rs}}
    spec: {containers: [{name: rs, image: rs}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, storageClassName: none}
---
apiVersion: v1
kind: Event
metadata: {name: c.1}
type: Warning
reason: Odd
message: something is odd
involvedObject: {kind: ConfigMap, apiVersion: v1, name: c, namespace: elsewhere}
source: {component: tester}
firstTimestamp: "2026-01-01T00:00:00Z"
lastTimestamp: "2026-01-01T00:00:00Z"
count: 3
YAML
k create -f - <<YAML
apiVersion: v1
kind: Event
metadata: {name: web.1}
type: Warning
reason: Odd
message: something is odd
involvedObject: {kind: Deployment, apiVersion: apps/v1, name: web, namespace: $NS}
source: {component: tester}
firstTimestamp: "2026-01-01T00:00:00Z"
lastTimestamp: "2026-01-01T00:00:00Z"
count: 3
YAML

k describe cm c
k describe secret s
k describe sa robot
k describe role reader
k describe rolebinding reads
k describe clusterrole "$NS-c"
k describe clusterrolebinding "$NS-c"
k describe deploy web
k describe deploy web --show-events=false
k describe svc web
k describe job once
k describe cronjob nightly
k describe lease l
k describe sts db
k describe ds agent
k describe rs rs
k describe pvc data
k describe event web.1
k describe ns "$NS"
k describe deploy,svc
k describe deploy -l app=web
k describe deploy we
k describe deploy absent
k describe absentkind
k get lease l
k get sts db
k get sts db -o wide
k get ds agent
k get ds agent -o wide
k get rs rs
k get rs rs -o wide
k get pvc data
k get pvc data -o wide
k get sts,ds,rs,pvc,lease -o yaml
quietly delete clusterrole "$NS-c"
quietly delete clusterrolebinding "$NS-c"
# Nothing of the reference lets go of it: the controller for that does not run there.
quietly patch pvc data --type=merge -p '{"metadata":{"finalizers":null}}'
