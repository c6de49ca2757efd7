# shellcheck shell=bash
# Custom resources: every verb on objects of a definition with all that one can have.

cat >crd.yaml <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.custom.example.com}
spec:
  group: custom.example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList, shortNames: [wd], categories: [toys, all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
    selectableFields: [{jsonPath: .spec.color}]
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size, description: How big it is.}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Color, type: string, jsonPath: .spec.color, priority: 1}
    - {name: Tags, type: string, jsonPath: '.spec.tags[*]'}
    - {name: Made, type: date, jsonPath: .metadata.creationTimestamp}
    - {name: Odd, type: boolean, jsonPath: .spec.odd}
    - {name: Ratio, type: number, jsonPath: .spec.ratio}
    schema:
      openAPIV3Schema:
        type: object
        description: A widget is something.
        required: [spec]
        properties:
          spec:
            type: object
            description: What it shall be.
            required: [size]
            x-kubernetes-validations:
            - {rule: "self.size < 10 || self.color != 'green'", message: green widgets are small}
            - {rule: "!has(self.old) || self.old == oldSelf.old", message: old does not change}
            properties:
              size: {type: integer, format: int32, minimum: 1, maximum: 20, description: How big.}
              color: {type: string, enum: [red, green, blue], default: red}
              name: {type: string, pattern: '^[a-z]+$', minLength: 2, maxLength: 5}
              replicas: {type: integer, default: 1}
              odd: {type: boolean}
              ratio: {type: number, minimum: 0, exclusiveMinimum: true, multipleOf: 0.5}
              old:
                type: string
                x-kubernetes-validations: [{rule: self == oldSelf, message: is fixed, reason: FieldValueForbidden}]
              port: {x-kubernetes-int-or-string: true}
              anything: {type: object, x-kubernetes-preserve-unknown-fields: true}
              tags: {type: array, items: {type: string}, x-kubernetes-list-type: set, maxItems: 3}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, value: {type: string}, kind: {type: string, default: plain}}
              whole: {type: object, x-kubernetes-map-type: atomic, additionalProperties: {type: string}}
              maybe: {type: string, nullable: true, default: x}
              at: {type: string, format: date-time}
              template: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}
              limits: {type: object, maxProperties: 2, additionalProperties: {type: integer}}
          status:
            type: object
            properties:
              replicas: {type: integer}
              selector: {type: string}
              conditions:
                type: array
                items: {type: object, required: [type], properties: {type: {type: string}, status: {type: string}}}
YAML
k apply -f crd.yaml
k wait --for=condition=Established crd/widgets.custom.example.com --timeout=30s
k get crd widgets.custom.example.com
k get crd widgets.custom.example.com -o yaml
k apply -f crd.yaml
k api-resources --api-group=custom.example.com -o wide
k get --raw /apis/custom.example.com
k get --raw /apis/custom.example.com/v1
k get wd
k get widgets,toys
cat >a.yaml <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: a}
spec: {size: 3, tags: [x, y], parts: [{name: one, value: "1"}], port: http, anything: {goes: [1, {here: true}]}, maybe: null, ratio: 1.5, odd: true}
YAML
k apply -f a.yaml
k apply -f a.yaml
k get wd a
k get wd a -o wide
k get wd a -o yaml
k get wd a -o yaml --show-managed-fields
k get toys
k get widget.custom.example.com/a -o name
k get widgets.v1.custom.example.com a --show-labels --show-kind
k describe wd a
k explain wd
k explain wd.spec
k explain wd.spec.parts
k explain wd --recursive
k explain wd.spec.size --output=plaintext-openapiv2
k get wd --field-selector spec.color=red
k get wd --field-selector spec.size=3
k get wd --field-selector metadata.name=a
sed 's/size: 3/size: 4/' a.yaml >b.yaml
k diff -f b.yaml
k apply -f b.yaml --dry-run=server
k apply -f b.yaml
k edit wd a --output=nonsense
k patch wd a --type=merge -p '{"spec":{"size":5}}'
k patch wd a -p '{"spec":{"size":5}}'
k patch wd a --type=strategic -p '{"spec":{"size":5}}'
k patch wd a --type=json -p '[{"op":"replace","path":"/spec/size","value":6}]'
k patch wd a --type=merge -p '{"spec":{"size":50}}'
k patch wd a --type=merge -p '{"spec":{"size":0}}'
k patch wd a --type=merge -p '{"spec":{"size":"big"}}'
k patch wd a --type=merge -p '{"spec":{"size":1.5}}'
k patch wd a --type=merge -p '{"spec":{"size":null}}'
k patch wd a --type=merge -p '{"spec":{"size":15,"color":"green"}}'
k patch wd a --type=merge -p '{"spec":{"color":"pink"}}'
k patch wd a --type=merge -p '{"spec":{"name":"x"}}'
k patch wd a --type=merge -p '{"spec":{"name":"ABCDEFG"}}'
k patch wd a --type=merge -p '{"spec":{"ratio":0}}'
k patch wd a --type=merge -p '{"spec":{"ratio":0.3}}'
k patch wd a --type=merge -p '{"spec":{"port":true}}'
k patch wd a --type=merge -p '{"spec":{"tags":["a","a"]}}'
k patch wd a --type=merge -p '{"spec":{"tags":["a","b","c","d"]}}'
k patch wd a --type=merge -p '{"spec":{"parts":[{"name":"one"},{"name":"one"}]}}'
k patch wd a --type=merge -p '{"spec":{"parts":[{"value":"one"}]}}'
k patch wd a --type=merge -p '{"spec":{"limits":{"a":1,"b":2,"c":3}}}'
k patch wd a --type=merge -p '{"spec":{"limits":{"a":"x"}}}'
k patch wd a --type=merge -p '{"spec":{"at":"yesterday"}}'
k patch wd a --type=merge -p '{"spec":{"at":"2026-01-01T00:00:00Z"}}'
k patch wd a --type=merge -p '{"spec":{"template":{"a":"b"}}}'
k patch wd a --type=merge -p '{"spec":{"template":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","labels":{"a":1}}}}}'
k patch wd a --type=merge -p '{"spec":{"template":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"b"}}}}'
k patch wd a --type=merge -p '{"spec":{"bogus":1}}'
k patch wd a --type=merge -p '{"spec":{"old":"x"}}'
k patch wd a --type=merge -p '{"spec":{"old":"y"}}'
k patch wd a --type=merge -p '{"spec":{"odd":"yes"}}'
k patch wd a --type=merge -p '{"spec":[]}'
k patch wd a --type=merge -p '{"spec":null}'
k patch wd a --type=merge -p '{"status":{"replicas":7}}' -o jsonpath='{.status}'
k patch wd a --subresource=status --type=merge -p '{"status":{"replicas":2,"selector":"a=b","conditions":[{"type":"Ready","status":"True"}]},"spec":{"size":9}}'
k get wd a -o jsonpath='{.spec.size} {.status.replicas} {.metadata.generation}'
k get wd a
k wait --for=condition=Ready wd/a --timeout=5s
k scale wd a --replicas=3
k get wd a --subresource=scale
k get wd a --subresource=scale -o yaml
k get wd a --subresource=status -o name
k rollout restart wd/a
k set image wd/a x=y
k label wd a tier=web
k annotate wd a note=x
k get wd a -o jsonpath='{.metadata.generation}'
begin 2 get wd -w
quietly patch wd a --type=merge -p '{"spec":{"size":8}}'
end 3
k create -f a.yaml
k create -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: bad}
spec: {bogus: 1, parts: [{name: x, boguser: 2}]}
YAML
k create --validate=ignore -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: many}
spec: {size: 100, color: pink, name: X, tags: [a, a], odd: 1, old: 5, limits: {a: x}}
YAML
k create --validate=warn -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: warned, labels: {"bad key": x}}
spec: {size: 1, bogus: 2}
YAML
k create --validate=warn -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: warned, bogus: x}
spec: {size: 1, bogus: 2}
YAML
k create -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: nospec}
YAML
k create -f - <<'YAML'
apiVersion: custom.example.com/v2
kind: Widget
metadata: {name: a}
YAML
k create -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: "Bad Name"}
spec: {size: 1}
YAML
k create -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: wrong, labels: {a: 1}}
spec: {size: 1}
YAML
# Server-side apply on lists and maps of a definition.
tick
k apply --server-side --field-manager=one -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: s}
spec: {size: 1, tags: [a, b], parts: [{name: one, value: "1"}, {name: two}], whole: {a: b}}
YAML
tick
k apply --server-side --field-manager=two -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: s}
spec: {size: 1, tags: [b, c], parts: [{name: two, value: "2"}, {name: three}]}
YAML
k get wd s -o yaml --show-managed-fields
tick
k apply --server-side --field-manager=two -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: s}
spec: {size: 2, parts: [{name: one, value: "2"}], whole: {c: d}}
YAML
tick
k apply --server-side --field-manager=one -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: s}
spec: {size: 1, tags: [b], parts: [{name: one, value: "1"}]}
YAML
k get wd s -o yaml --show-managed-fields
tick
k apply --server-side --field-manager=dup -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: s}
spec: {size: 1, tags: [b, b], parts: [{name: one}, {name: one}]}
YAML
tick
k apply --server-side --field-manager=bogus -f - <<'YAML'
apiVersion: custom.example.com/v1
kind: Widget
metadata: {name: s}
spec: {size: 1, bogus: 1}
YAML
k replace -f a.yaml
k delete wd s a --dry-run=server
k delete wd --all
k delete -f crd.yaml
k get wd
