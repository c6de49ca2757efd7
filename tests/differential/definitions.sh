# shellcheck shell=bash
# Custom resource definitions themselves: wrong schemas, wrong rules, several versions, changes.

define() {
	printf '\n# %s\n' "$1"
	{
		cat <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.definitions.example.com}
spec:
  group: definitions.example.com
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
YAML
		sed 's/^/        /'
	} >crd.yaml
	k create -f crd.yaml --dry-run=server
}
define 'no type' <<'YAML'
properties: {spec: {properties: {a: {}}}}
YAML
define 'unknown type' <<'YAML'
type: object
properties: {a: {type: nonsense}, b: {type: array}, c: {type: object, properties: {d: {type: integer, format: int32, default: x}}}}
YAML
define 'default of a wrong type' <<'YAML'
type: object
properties: {a: {type: string, default: 5}, b: {type: object, default: {c: 1, d: 2}, properties: {c: {type: string}}}}
YAML
define 'both properties and additionalProperties' <<'YAML'
type: object
properties: {a: {type: object, properties: {b: {type: string}}, additionalProperties: {type: string}}}
YAML
define 'forbidden keywords' <<'YAML'
type: object
properties:
  a: {type: array, uniqueItems: true, items: {type: string}}
  b: {$ref: "#/definitions/x"}
  c: {type: string, x-kubernetes-preserve-unknown-fields: false}
  d: {type: object, additionalProperties: false}
  e: {type: string, pattern: "["}
YAML
define 'metadata with restrictions' <<'YAML'
type: object
properties: {metadata: {type: object, properties: {name: {type: string, maxLength: 5}, labels: {type: object, additionalProperties: {type: string}}}}}
YAML
define 'list types' <<'YAML'
type: object
properties:
  a: {type: array, items: {type: string}, x-kubernetes-list-type: nonsense}
  b: {type: array, items: {type: object, properties: {k: {type: string}}}, x-kubernetes-list-type: map}
  c: {type: array, items: {type: object, properties: {k: {type: string}}}, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k]}
  d: {type: array, items: {type: object, required: [k], properties: {k: {type: string}}}, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k, z]}
  e: {type: array, items: {type: object, properties: {k: {type: string}}}, x-kubernetes-list-type: set}
  f: {type: string, x-kubernetes-list-type: set}
  g: {type: object, x-kubernetes-map-type: nonsense}
  h: {type: array, items: {type: string}, x-kubernetes-map-type: atomic}
YAML
define 'logic with types inside' <<'YAML'
type: object
properties:
  a:
    type: object
    properties: {b: {type: string}}
    anyOf: [{properties: {b: {type: string, minLength: 3}}}, {properties: {c: {minLength: 3}}}]
    not: {properties: {b: {default: x}}}
YAML
define 'int-or-string with a type' <<'YAML'
type: object
properties: {a: {type: string, x-kubernetes-int-or-string: true}, b: {x-kubernetes-embedded-resource: true, type: string}}
YAML
define 'rules that do not compile' <<'YAML'
type: object
properties:
  spec:
    type: object
    properties: {a: {type: integer}, b: {type: array, maxItems: 3, items: {type: string, maxLength: 5}}}
    x-kubernetes-validations:
    - {rule: "self.absent == 1"}
    - {rule: "self.a =="}
    - {rule: "self.a + 1"}
    - {rule: "self.a == 'x'"}
    - {rule: ""}
    - {rule: "true", message: ""}
    - {rule: "true", message: "two\nlines"}
    - {rule: "true", messageExpression: "1"}
    - {rule: "true", reason: Nonsense}
    - {rule: "true", fieldPath: .absent}
    - {rule: "nofunction(self.a)"}
YAML
define 'a rule that costs too much' <<'YAML'
type: object
properties:
  spec:
    type: object
    properties: {b: {type: array, items: {type: array, items: {type: string}}}}
    x-kubernetes-validations:
    - {rule: "self.b.all(x, x.all(y, self.b.all(z, z.all(w, w == y))))"}
YAML
define 'a transition rule where there is no history' <<'YAML'
type: object
properties: {b: {type: array, maxItems: 3, items: {type: string, maxLength: 5, x-kubernetes-validations: [{rule: self == oldSelf}]}}}
YAML
define 'fine' <<'YAML'
type: object
x-kubernetes-preserve-unknown-fields: true
YAML

k create --dry-run=server -f - <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: wrong.definitions.example.com}
spec:
  group: definitions.example.com
  scope: Nonsense
  names: {plural: Things, kind: thing, shortNames: [Bad_], categories: ["x y"]}
  versions: []
YAML
k create --dry-run=server -f - <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.definitions.example.com}
spec:
  group: definitions.example.com
  scope: Namespaced
  names: {plural: things, kind: Thing}
  versions:
  - {name: v1, served: true, storage: false}
  - {name: v1, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}
  - {name: V_2, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}
YAML
k create --dry-run=server -f - <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.definitions.example.com}
spec:
  group: definitions.example.com
  scope: Namespaced
  names: {plural: things, kind: Thing}
  conversion: {strategy: Nonsense}
  preserveUnknownFields: true
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {replicas: {type: integer}}}}}}
    subresources: {scale: {specReplicasPath: .replicas, statusReplicasPath: status}}
    additionalPrinterColumns: [{name: "", type: nonsense, jsonPath: x}, {name: A, type: string, jsonPath: .spec.x, format: y}, {name: B, type: string, jsonPath: ".spec["}]
    selectableFields: [{jsonPath: .spec.absent}, {jsonPath: spec}]
YAML
k create --dry-run=server -f - <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.k8s.io}
spec:
  group: example.k8s.io
  scope: Cluster
  names: {plural: things, kind: Thing}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
YAML
k create -f - <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.definitions.example.com}
spec: {}
YAML
k create -f - <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.definitions.example.com}
specc: {}
YAML

cat >things.yaml <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.definitions.example.com}
spec:
  group: definitions.example.com
  scope: Cluster
  names: {plural: things, kind: Thing}
  versions:
  - name: v1alpha1
    served: true
    storage: false
    deprecated: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {a: {type: string}}}}}}
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {a: {type: string}, b: {type: string, default: x}}}}}}
YAML
k create -f things.yaml
k wait --for=condition=Established -f things.yaml --timeout=30s
k get crd things.definitions.example.com -o yaml
k api-resources --api-group=definitions.example.com
k get --raw /apis/definitions.example.com
k create -f - <<'YAML'
apiVersion: definitions.example.com/v1alpha1
kind: Thing
metadata: {name: old}
spec: {a: "1"}
YAML
k get things
k get things old -o yaml
k get things.v1alpha1.definitions.example.com old -o yaml
k explain thing.spec
k explain thing.spec --api-version=definitions.example.com/v1alpha1
k delete things.v1alpha1.definitions.example.com old
k patch crd things.definitions.example.com --type=merge -p '{"spec":{"scope":"Namespaced"}}'
k patch crd things.definitions.example.com --type=merge -p '{"spec":{"group":"other.example.com"}}'
k patch crd things.definitions.example.com --type=merge -p '{"spec":{"names":{"plural":"others"}}}'
k patch crd things.definitions.example.com --type=merge -p '{"spec":{"names":{"kind":"Other"}}}'
k patch crd things.definitions.example.com --type=json -p '[{"op":"remove","path":"/spec/versions/1"}]'
k patch crd things.definitions.example.com --type=json -p '[{"op":"replace","path":"/spec/versions/0/storage","value":true}]'
k patch crd things.definitions.example.com --type=json -p '[{"op":"replace","path":"/spec/versions/0/served","value":false}]'
k create -f - <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: clashes.definitions.example.com}
spec:
  group: definitions.example.com
  scope: Cluster
  names: {plural: clashes, kind: Thing}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
YAML
k delete crd clashes.definitions.example.com
k describe crd things.definitions.example.com
k delete crd things.definitions.example.com
k get things
