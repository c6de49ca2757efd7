# shellcheck shell=bash
# `kubectl set`, label, annotate: changes that kubectl makes by patches of its own.

quietly create deployment web --image=nginx
quietly create configmap c --from-literal=a=1
quietly create secret generic s --from-literal=p=x
quietly create serviceaccount robot
quietly create service clusterip web --tcp=80

k set image deploy/web nginx=nginx:2
k set image deploy/web absent=nginx:2
k set image deploy/web '*=nginx:3' --dry-run=server -o yaml
k set image deploy/web nginx=nginx:2
k set image deploy/absent nginx=nginx:2
k set env deploy/web A=1 B=2
k set env deploy/web --list
k set env deploy/web A-
k set env deploy/web --from=configmap/c
k set env deploy/web --from=secret/s --prefix=S_
k set env deploy/web --list
k set resources deploy/web --limits=cpu=200m,memory=512Mi --requests=cpu=100m
k get deploy web -o jsonpath='{.spec.template.spec.containers[0].resources}'
k set resources deploy/web --limits=cpu=nonsense
k set resources deploy/web --limits=cpu=1m
k set serviceaccount deploy/web robot
k set selector svc web a=b
k get svc web -o jsonpath='{.spec.selector}'
k create rolebinding b --role=x --user=me
k set subject rolebinding b --user=you --group=us
k get rolebinding b -o yaml
k get deploy web -o yaml

k label cm c a=b
k label cm c a=b
k label cm c a=c
k label cm c a=c --overwrite
k label cm c a-
k label cm c absent-
k label cm c a=b c=d --dry-run=server -o yaml
k label cm c a=b --dry-run=client
k label cm c --list
k label cm --all x=y
k label cm -l x=y z=1
k label cm c 'bad key=x'
k label cm c 'a=bad value'
k label cm c a=1 --resource-version=1
k label cm absent a=b
k label -f absent.yaml a=b
k label cm,secret --all both=yes
k annotate cm c note='some text'
k annotate cm c note=other
k annotate cm c note=other --overwrite
k annotate cm c note-
k annotate cm c --list
k annotate cm c 'bad key=x'
k annotate cm --all a=b --field-selector metadata.name=c
k annotate cm c a=b --overwrite --resource-version=1
k label ns "$NS" own=yes
k label deploy web tier=front --field-manager=me
k get deploy web --show-labels
