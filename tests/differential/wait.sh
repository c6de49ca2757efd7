# shellcheck shell=bash
# `kubectl wait`.

quietly create deployment web --image=nginx
quietly create configmap c --from-literal=a=1
quietly label cm c tier=web

k wait --for=condition=Available deploy/web --timeout=1s
quietly patch deploy web --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Available","status":"True"}],"replicas":1,"readyReplicas":1,"observedGeneration":1}}'
k wait --for=condition=Available deploy/web --timeout=5s
k wait --for=condition=available=true deploy web --timeout=5s
k wait --for=condition=Available=false deploy/web --timeout=1s
k wait --for=jsonpath='{.status.readyReplicas}'=1 deploy/web --timeout=5s
k wait --for=jsonpath='{.status.readyReplicas}' deploy/web --timeout=5s
k wait --for=jsonpath='{.status.readyReplicas}'=2 deploy/web --timeout=1s
k wait --for=jsonpath='{.data.a}'=1 cm -l tier=web --timeout=5s
k wait --for=jsonpath='{.data.a}'=1 cm --all --timeout=1s
k wait --for=delete cm/absent --timeout=5s
k wait --for=delete cm/c --timeout=1s
k wait --for=create cm/c --timeout=5s
k wait --for=create cm/later --timeout=1s
k wait --for=condition=Ready cm/absent --timeout=1s
k wait --for=nonsense cm/c
k wait --for=condition=x cm/c --timeout=0
k wait cm/c
(
	"$KUBECTL" wait --for=create cm/soon --timeout=20s >soon 2>&1
	echo $? >>soon
) &
quietly create configmap soon --from-literal=a=1
wait
cat soon
# Held until somebody waits for its end.
quietly patch cm soon --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
quietly delete configmap soon --wait=false
begin 0 wait --for=delete cm/soon --timeout=20s -v=0
sleep 1 # There is nothing to see of a wait that has begun.
quietly patch cm soon --type=merge -p '{"metadata":{"finalizers":null}}'
end 1
