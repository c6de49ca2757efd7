# shellcheck shell=bash
# `kubectl edit` with a script for an editor.

quietly create configmap c --from-literal=a=1
export KUBE_EDITOR=./editor

editor editor 's/a: "1"/a: "2"/'
k edit cm c
k get cm c -o jsonpath='{.data}'
k edit cm c
editor editor 's/a: "2"/a: "3"/'
k edit cm c -o yaml
k edit cm c --save-config -o name
k edit cm/c secret/absent
editor editor 's/name: c$/name: d/'
k edit cm c
k edit cm absent
export KUBE_EDITOR=false
k edit cm c
export KUBE_EDITOR=./editor
# The first edit is refused and the file opened again with the reason; the second one is unchanged, and gives up.
cat >editor <<'SH'
#!/bin/sh
if [ -e opened ]; then cp "$1" reopened; else touch opened; sed -i 's/a: "3"/a: {}/' "$1"; fi
SH
chmod +x editor
k edit cm c 2>/dev/null
sed -n '/^# /p' reopened
quietly create deployment web --image=nginx
rm -f opened
sed -i 's/a: "3".a: {}/replicas: 1$/replicas: -1/' editor
cat >editor <<'SH'
#!/bin/sh
if [ -e opened ]; then cp "$1" reopened; else touch opened; sed -i 's/replicas: 1/replicas: -1/' "$1"; fi
SH
k edit deploy web
sed -n '/^# /p' reopened
editor editor 's/image: nginx/image: nginx:2/'
k edit deploy web
k get deploy web -o jsonpath='{.spec.template.spec.containers[0].image}'
# Somebody else changes the object while it is edited: edits are patches, and do not collide.
cat >editor <<'SH'
#!/bin/sh
"$KUBECTL" label cm c other=change >/dev/null
sed -i 's/a: "3"/a: "4"/' "$1"
SH
export KUBECTL
k edit cm c
k get cm c -o jsonpath='{.data} {.metadata.labels}'
editor editor 's/"type": *"Pod"/"type": "X"/' 's/kind: ConfigMap/kind: Secret/'
k edit cm c
editor editor 's/replicas: 1/replicas: 7/'
k edit deploy web --subresource=scale
