# shellcheck shell=bash
# What kubectl does with workloads: scale, rollout, expose, run, autoscale, and what needs a node.

quietly create deployment web --image=nginx --replicas=2 --port=80
k scale deploy web --replicas=3
k scale deploy/web --replicas=4 --current-replicas=3
k scale deploy/web --replicas=5 --current-replicas=3
k scale deploy/absent --replicas=1
k scale deploy/web --replicas=-1
k scale deploy/web --replicas=2 --dry-run=server
k scale cm/absent --replicas=2
k scale --replicas=1 deploy --all
k scale deploy/web --replicas=6 --resource-version=1
k get deploy web -o jsonpath='{.spec.replicas} {.metadata.generation}'
k rollout status deploy/web --timeout=1s
k rollout history deploy/web
k rollout history deploy/web --revision=3
k rollout undo deploy/web
k rollout pause deploy/web
k rollout pause deploy/web
k rollout resume deploy/web
k rollout resume deploy/web
k rollout restart deploy/web
k get deploy web -o yaml
k rollout restart cm/absent
k rollout status deploy/absent
k rollout history deploy/absent
quietly patch deploy web --subresource=status --type=merge -p '{"status":{"observedGeneration":99,"replicas":1,"updatedReplicas":1,"availableReplicas":1,"readyReplicas":1}}'
k rollout status deploy/web --timeout=5s
k expose deploy web
k expose deploy web --port=80 --target-port=8080 --name=other --type=NodePort -o yaml
k expose deploy web
k expose deploy absent --port=80
k expose svc web --port=81 --name=third
k run once --image=busybox --restart=Never -- true
k run once --image=busybox
k run interactive --image=busybox --dry-run=client -o yaml -- sleep 1
k run served --image=busybox --dry-run=server -o yaml -- sleep 1
k run 'Bad_Name' --image=busybox
k get pods once
k get pod once -o wide
k get pod once -o yaml
k describe pod once
k autoscale deploy web --min=1 --max=3
k logs once
k logs absent
k logs deploy/web
k exec once -- true
k exec absent -- true
k attach once
k cp once:/x x
k port-forward pod/absent 0:80
k top pods
k top nodes
k taint nodes absent a=b:NoSchedule
k cordon absent
k drain absent
k debug once --image=busybox
k delete pod once --wait=false --grace-period=0 --force
k certificate approve absent
k get nodes
k proxy --port=-1
