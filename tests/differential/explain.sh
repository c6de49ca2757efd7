# shellcheck shell=bash
# `kubectl explain` of built-in kinds.

k explain configmap
k explain configmaps --recursive
k explain cm.data
k explain secret
k explain secret.type
k explain deployment
k explain deployment.spec
k explain deployment.spec.strategy
k explain deployment.spec.template.spec.containers
k explain deployment.spec.template.spec.containers.env
k explain deployment.spec.template.spec.containers.ports
k explain deployment.metadata
k explain deployment.metadata.managedFields
k explain deployment --recursive
k explain job.spec
k explain cronjob.spec.jobTemplate
k explain lease.spec
k explain event
k explain event --api-version=events.k8s.io/v1
k explain namespace
k explain serviceaccount
k explain role.rules
k explain clusterrolebinding
k explain service.spec
k explain service.spec.ports
k explain pod.spec
k explain statefulset.spec
k explain daemonset.spec
k explain replicaset
k explain pvc.spec
k explain crd.spec
k explain crd.spec.versions
k explain crd.spec.versions.schema.openAPIV3Schema
k explain apiservice
k explain deployment.absent
k explain deployment.spec.absent.deeper
k explain absentkind
k explain deployment --api-version=apps/v9
k explain deployment --output=plaintext
k explain deployment --output=plaintext-openapiv2
k explain deployment.spec.replicas --output=plaintext-openapiv2
k explain cm --output=nonsense
k explain
