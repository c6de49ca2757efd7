# shellcheck shell=bash
# Watches as people type them.

quietly create configmap a --from-literal=x=1

begin 2 get cm -w --field-selector metadata.name=a
quietly label cm a stage=one
printed 3
quietly delete cm a
quietly create configmap a --from-literal=x=2 --from-literal=y=3
end 5

begin 2 get cm -w --output-watch-events --field-selector metadata.name=a
quietly label cm a stage=two
printed 3
quietly delete cm a
end 4

begin 0 get cm --watch-only -o name -l watched=yes
sleep 1 # There is nothing to see of a watch that has begun.
quietly create configmap b --from-literal=x=1
quietly label cm b watched=yes
quietly label cm b watched=no --overwrite
end 1

begin 2 get cm b -w -o jsonpath='{.metadata.labels.watched}{"\n"}'
quietly label cm b watched=maybe --overwrite
end 2

begin 2 get deploy,cm -w
end 2

quietly create deployment web --image=nginx
begin 2 get deploy -w
quietly scale deploy web --replicas=3
printed 3
quietly delete deploy web
end 4

k get cm b -w --request-timeout=1s
k get cm absent -w
