# shellcheck shell=bash
# Kinds that charts bring along: records like the others.

k create quota limits --hard=pods=1,services=2 -o yaml
k create priorityclass diff-high --value=10 --description='quite high' -o yaml
k create poddisruptionbudget pdb --selector=a=b --min-available=1 -o yaml
k create ingress in --rule='a.example.com/x*=svc:80,tls=cert' --class=nginx -o yaml
quietly create deployment web --image=nginx
k autoscale deploy web --min=1 --max=3 --cpu=80%
k create -f - <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {matchLabels: {a: b}}, egress: [{to: [{podSelector: {}}], ports: [{port: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: diff-class}
spec: {controller: example.com/ingress}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: diff-class}
provisioner: example.com/storage
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: diff-volume}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /x}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: ranges}
spec: {limits: [{type: Container, max: {cpu: 1}}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: there}
subsets: [{addresses: [{ip: 192.0.2.1}], ports: [{port: 80}]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: there-1, labels: {kubernetes.io/service-name: there}}
addressType: IPv4
endpoints: [{addresses: [192.0.2.1]}]
ports: [{port: 80}]
---
apiVersion: v1
kind: ReplicationController
metadata: {name: rc}
spec:
  replicas: 0
  selector: {app: rc}
  template:
    metadata: {labels: {app: rc}}
    spec: {containers: [{name: rc, image: rc}]}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: template}
template:
  metadata: {labels: {app: t}}
  spec: {containers: [{name: t, image: t}]}
---
apiVersion: apps/v1
kind: ControllerRevision
metadata: {name: revision}
revision: 1
data: {any: thing}
YAML
for kind in quota pdb ingress hpa netpol limits endpoints endpointslices rc podtemplates controllerrevisions; do
	k get "$kind" -o wide
	k get "$kind" -o yaml
	k describe "$kind"
done
k get pc diff-high -o wide
k get ingressclass diff-class -o wide
k get sc diff-class -o wide
k get pv diff-volume -o wide
k get pc/diff-high ingressclass/diff-class sc/diff-class pv/diff-volume -o yaml
k describe pc/diff-high ingressclass/diff-class sc/diff-class pv/diff-volume
k scale rc rc --replicas=1
k explain ingress.spec
k explain hpa.spec --api-version=autoscaling/v2
k delete pc/diff-high ingressclass/diff-class sc/diff-class
quietly patch pv diff-volume --type=merge -p '{"metadata":{"finalizers":null}}'
k delete pv diff-volume --wait=false
quietly patch pv diff-volume --type=merge -p '{"metadata":{"finalizers":null}}'
