# shellcheck shell=bash
# `kubectl events` and `kubectl get events`.

quietly create configmap c --from-literal=a=1
k events
k get events
event() {
	quietly create -f - <<YAML
apiVersion: v1
kind: Event
metadata: {name: $1}
type: $2
reason: $3
message: $4
involvedObject: {kind: ConfigMap, apiVersion: v1, name: c, namespace: $NS}
source: {component: tester, host: here}
firstTimestamp: "2026-01-01T00:00:00Z"
lastTimestamp: "$5"
count: 3
YAML
}
event c.1 Warning Odd 'something is odd' 2026-01-01T00:00:01Z
event c.2 Normal Fine 'nothing is odd' 2026-01-01T00:00:03Z
event c.3 Normal Fine 'it is over' 2026-01-01T00:00:02Z
k events
k events --for cm/c
k events --for cm/absent
k events --for absentkind/c
k events --types=Warning
k events --types=Nonsense
k events --no-headers
k events -o json
k events -o name
k events -A --types=Warning --for cm/c
k get events
k get events -o wide
k get events --sort-by=.lastTimestamp
k get events --field-selector type=Warning
k get events --field-selector involvedObject.name=c,reason=Fine
k get events --field-selector involvedObject.absent=c
k get ev c.1 -o yaml
k get events.events.k8s.io
k get events.events.k8s.io c.1 -o yaml
begin 4 events -w
event c.4 Normal Later 'it came later' 2026-01-01T00:00:04Z
end 5
k create -f - <<YAML
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: new}
eventTime: "2026-01-01T00:00:00.000000Z"
reportingController: example.com/tester
reportingInstance: here
action: Testing
reason: Tested
type: Normal
note: a new event
regarding: {kind: ConfigMap, apiVersion: v1, name: c, namespace: $NS}
YAML
k get events new
k get events new -o yaml
k get events.events.k8s.io new -o yaml
k create -f - <<YAML
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: incomplete}
type: Normal
regarding: {kind: ConfigMap, apiVersion: v1, name: c, namespace: $NS}
YAML
k create -f - <<YAML
apiVersion: v1
kind: Event
metadata: {name: elsewhere}
involvedObject: {kind: ConfigMap, apiVersion: v1, name: c, namespace: default}
YAML
k delete events --all
