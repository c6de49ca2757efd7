# shellcheck shell=bash
# Deleting: selection, propagation, waiting, dry runs, finalizers.

for name in a b c d e f; do quietly create configmap $name --from-literal=x=1; done
quietly label cm a b kind=pair

k delete cm a --dry-run=client
k delete cm a --dry-run=server
k delete cm -l kind=pair --dry-run=server
k delete cm -l kind=pair
k delete cm -l kind=pair
k delete cm absent
k delete cm absent --ignore-not-found
k delete cm c absent
k delete cm d --now
k delete cm e --force
k delete cm e --force --grace-period=0 --ignore-not-found
k delete cm f --grace-period=5
k delete cm f --cascade=nonsense
k delete cm
k delete cm --all
k delete cm,secret --all
k delete cm --all -l x=y
k delete cm/x secret/y
k delete -f absent.yaml
k delete absentkind x
k delete cm x -o name
k delete --raw "/api/v1/namespaces/$NS/configmaps/absent"
quietly create configmap raw --from-literal=x=1
k delete --raw "/api/v1/namespaces/$NS/configmaps/raw"

quietly create configmap held --from-literal=x=1
quietly patch cm held --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
k delete cm held --wait=false
k get cm held -o yaml
k delete cm held --timeout=1s
k patch cm held --type=merge -p '{"metadata":{"finalizers":["example.com/hold","example.com/more"]}}'
k wait --for=delete cm/held --timeout=1s
k patch cm held --type=merge -p '{"metadata":{"finalizers":null}}'
k get cm held

quietly create deployment web --image=nginx
k delete deploy web --cascade=foreground --wait=false
k delete deploy web --cascade=orphan --wait=false
quietly create job once --image=busybox
k delete job once --cascade=background
k delete ns absent
k delete ns default
k delete ns kube-system
k delete ns "$NS" --dry-run=server

# As the garbage collector sees them: what is deleted waits for nobody who does not hold it.
quietly create secret generic s --from-literal=x=1
k delete secret s --cascade=orphan --wait=false
k delete secret s --interactive --wait=false
