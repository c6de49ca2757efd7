# shellcheck shell=bash
# What there is: api-resources, api-versions, cluster-info, version, and who may do what.

for group in '' apps batch coordination.k8s.io events.k8s.io rbac.authorization.k8s.io apiextensions.k8s.io \
	apiregistration.k8s.io authentication.k8s.io authorization.k8s.io; do
	k api-resources --api-group="$group" --sort-by=name
	k api-resources --api-group="$group" -o wide --sort-by=kind
done
k api-resources --api-group=apps -o name
k api-resources --api-group=apps --no-headers
k api-resources --api-group=apps --namespaced=false
k api-resources --api-group=rbac.authorization.k8s.io --namespaced=true
k api-resources --api-group=apps --verbs=list,get -o name
k api-resources --api-group=apps --verbs=nonsense
k api-resources --api-group=apps --categories=all
k api-resources --api-group=absent.example.com
k api-resources --sort-by=nonsense
k api-resources -o nonsense
k api-resources --api-group=apps -o yaml
k get --raw /api
k get --raw /apis/apps
k get --raw /apis/apps/v1
k get --raw /apis/batch/v1
k get --raw /apis/coordination.k8s.io/v1
k get --raw /apis/apiextensions.k8s.io/v1
k get --raw /apis/rbac.authorization.k8s.io/v1
k api-versions
k cluster-info
k version
k version -o yaml

k auth can-i create configmaps
k auth can-i create configmaps --quiet
k auth can-i get pods/log
k auth can-i '*' '*'
k auth can-i nonsense absentkind
k auth can-i get configmaps/c --subresource=status
k auth can-i get /healthz
k auth can-i get /healthz x
k auth can-i --list
k auth can-i --list --no-headers
k auth can-i list secrets -A
k auth can-i
k auth whoami
k auth whoami -o yaml
cat >roles.yaml <<'YAML'
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reads}
subjects: [{kind: User, name: me, apiGroup: rbac.authorization.k8s.io}]
roleRef: {kind: Role, name: reader, apiGroup: rbac.authorization.k8s.io}
YAML
k auth reconcile -f roles.yaml --dry-run=client
k auth reconcile -f roles.yaml
k auth reconcile -f roles.yaml
sed -e 's/\[get\]/[list]/' -e 's/name: me/name: you/' roles.yaml >more.yaml
k auth reconcile -f more.yaml
k get role,rolebinding -o yaml
k auth reconcile -f more.yaml --remove-extra-subjects --remove-extra-permissions
k get role,rolebinding -o yaml
sed 's/name: reader, apiGroup/name: writer, apiGroup/' more.yaml >other.yaml
k apply -f other.yaml
k auth reconcile -f other.yaml
