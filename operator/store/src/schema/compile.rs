//! From an OpenAPI v3 schema in JSON to a tree of nodes, refusing what is not a structural schema.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{
    cel,
    error::{FieldError, FieldErrorKind, join},
    format::Format,
    node::{Additional, Checks, GoType, ListType, Node, Type},
    pattern, prune, validate,
};

/// Deeper schemas are refused: walks recurse, and the stack is finite.
const MAX_DEPTH: usize = 90;
/// The biggest known definitions have some ten thousand nodes.
const MAX_NODES: usize = 100_000;

/// Where a schema stands; decides what may be asked of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Compiles one schema.
pub(super) struct Compiler<'a> {
    errors: Vec<FieldError>,
    /// The definitions that `$ref` may name; `None` where references are refused.
    definitions: Option<&'a Map<String, Value>>,
    resolved: HashMap<&'a str, Arc<Node>>,
    resolving: Vec<&'a str>,
    nodes: usize,
    /// The innermost list around whose items have no identity: what an item was before cannot be known.
    uncorrelatable: Option<String>,
}

/// Compiles the schema of a custom resource.
pub(super) fn custom(schema: &Value) -> Result<Node, Vec<FieldError>> {
    let mut compiler = Compiler::new(None);
    let node = compiler.node(schema, "", Level::Root, 0);
    let mut errors = compiler.errors;
    if errors.is_empty() {
        return Ok(node);
    }
    errors.sort_by_cached_key(ToString::to_string);
    errors.dedup();
    Err(errors)
}

/// Compiles one of our own definitions, which are known to be sound and may refer to each other.
pub(super) fn trusted(name: &str, definitions: &Map<String, Value>) -> Arc<Node> {
    let mut compiler = Compiler::new(Some(definitions));
    match definitions.get_key_value(name) {
        Some((name, schema)) => compiler.definition(name, schema, 0),
        None => Arc::new(Node::open()),
    }
}

impl<'a> Compiler<'a> {
    fn new(definitions: Option<&'a Map<String, Value>>) -> Self {
        Self {
            errors: Vec::new(),
            definitions,
            resolved: HashMap::new(),
            resolving: Vec::new(),
            nodes: 0,
            uncorrelatable: None,
        }
    }

    fn is_custom(&self) -> bool {
        self.definitions.is_none()
    }

    fn definition(&mut self, name: &'a str, schema: &'a Value, depth: usize) -> Arc<Node> {
        if let Some(node) = self.resolved.get(name) {
            return Arc::clone(node);
        }
        if self.resolving.contains(&name) {
            // A definition within itself (a JSON schema in a schema): what is below is not looked at.
            return Arc::new(Node::open());
        }
        self.resolving.push(name);
        let mut node = match go_type(name, schema) {
            GoType::Open => Node::open(),
            GoType::Struct => self.node(schema, "", Level::Field, depth),
            _ => Node::default(),
        };
        node.go = go_type(name, schema);
        node.int_or_string = node.go == GoType::IntOrString;
        node.definition = Some(go_name(name));
        self.resolving.pop();
        let node = Arc::new(node);
        self.resolved.insert(name, Arc::clone(&node));
        node
    }

    /// A child schema, through a reference if it is one.
    fn child(&mut self, schema: &'a Value, path: &str, level: Level, depth: usize) -> Arc<Node> {
        if let (Some(target), Some(definitions)) = (reference(schema), self.definitions) {
            let name = target.rsplit('/').next().unwrap_or(target);
            let Some((name, definition)) = definitions.get_key_value(name) else {
                return Arc::new(Node::open());
            };
            let node = self.definition(name, definition, depth);
            return with_site_keywords(node, schema);
        }
        Arc::new(self.node(schema, path, level, depth))
    }

    fn node(&mut self, schema: &'a Value, path: &str, level: Level, depth: usize) -> Node {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            self.errors.push(FieldError::forbidden(
                path,
                "the schema is nested too deeply or is too big",
            ));
            return Node::default();
        }
        let Some(object) = schema.as_object() else {
            self.errors.push(FieldError::invalid(
                path,
                schema.clone(),
                "must be a schema, that is an object",
            ));
            return Node::default();
        };
        let mut node = Node {
            ty: self.ty(object, path),
            nullable: flag(object, "nullable"),
            int_or_string: flag(object, "x-kubernetes-int-or-string"),
            preserve_unknown: flag(object, "x-kubernetes-preserve-unknown-fields"),
            embedded: flag(object, "x-kubernetes-embedded-resource"),
            default: object.get("default").filter(|value| !value.is_null()).cloned(),
            ..Node::default()
        };
        self.merge_keywords(object, &mut node, path);
        for (name, property) in properties(object) {
            let path = format!("{}[{name}]", join(path, "properties"));
            let child = self.child(property, &path, Level::Field, depth + 1);
            node.properties.insert(name.clone(), child);
        }
        if let Some(items) = object.get("items") {
            let around = self.uncorrelatable.clone();
            if node.list_type != ListType::Map {
                self.uncorrelatable.get_or_insert_with(|| path.to_owned());
            }
            node.items = Some(self.child(items, &join(path, "items"), Level::Item, depth + 1));
            self.uncorrelatable = around;
        }
        node.additional = self.additional(object, path, level, depth);
        node.checks = self.checks(object, path);
        if !self.is_custom() {
            // kube-apiserver fills these in before it looks; what must not be empty is checked by rules of its own.
            node.written = std::mem::take(&mut node.checks.required);
            if node.checks.format == Some(Format::Byte) {
                node.go = GoType::Bytes;
            }
        }
        if self.is_custom() {
            self.junctor_rules(object, path);
            self.structural_rules(object, &node, path, level);
            self.list_rules(object, &node, path);
        }
        self.junctors(object, &mut node.checks, path, depth);
        node.rules = self.rules(object, &node, path, level);
        node.has_rules = !node.rules.is_empty()
            || node.properties.values().any(|child| child.has_rules)
            || node.items.as_ref().is_some_and(|child| child.has_rules)
            || node.checks.all_of.iter().any(|branch| branch.has_rules)
            || matches!(&node.additional, Additional::Node(child) if child.has_rules);
        if let (true, Some(default)) = (self.is_custom(), &node.default) {
            let at = join(path, "default");
            self.errors.extend(validate::values(&node, default, &at));
            let mut unknown = Vec::new();
            prune::apply(&node, &mut default.clone(), node.embedded, "", &mut unknown);
            if !unknown.is_empty() {
                let detail = "must not have unknown fields";
                self.errors.push(FieldError::invalid(at, default.clone(), detail));
            }
        }
        node
    }

    fn ty(&mut self, object: &Map<String, Value>, path: &str) -> Option<Type> {
        let name = match object.get("type") {
            None => return None,
            Some(Value::String(name)) if name.is_empty() => return None,
            Some(Value::String(name)) => name.as_str(),
            // JSON Schema's `["string", "null"]`, which generated definitions may use.
            Some(Value::Array(names)) if !self.is_custom() => names
                .iter()
                .filter_map(Value::as_str)
                .find(|name| *name != "null")
                .unwrap_or_default(),
            Some(other) => {
                self.errors.push(FieldError::invalid(
                    join(path, "type"),
                    other.clone(),
                    "must be a string",
                ));
                return None;
            }
        };
        let ty = Type::parse(name);
        if ty.is_none() {
            let known = ["array", "boolean", "integer", "number", "object", "string"];
            self.errors
                .push(FieldError::not_supported(join(path, "type"), name, known));
        }
        ty
    }

    fn merge_keywords(&mut self, object: &Map<String, Value>, node: &mut Node, path: &str) {
        node.list_map_keys = strings(object, "x-kubernetes-list-map-keys");
        node.list_type = match text(object, "x-kubernetes-list-type") {
            None | Some("atomic") => ListType::Atomic,
            Some("set") => ListType::Set,
            Some("map") => ListType::Map,
            Some(other) => {
                self.errors.push(FieldError::not_supported(
                    join(path, "x-kubernetes-list-type"),
                    other,
                    ["atomic", "set", "map"],
                ));
                ListType::Atomic
            }
        };
        node.atomic_map = match text(object, "x-kubernetes-map-type") {
            None | Some("granular") => false,
            Some("atomic") => true,
            Some(other) => {
                self.errors.push(FieldError::not_supported(
                    join(path, "x-kubernetes-map-type"),
                    other,
                    ["atomic", "granular"],
                ));
                false
            }
        };
        node.patch_merge_key = text(object, "x-kubernetes-patch-merge-key").map(str::to_owned);
        node.patch_merge = text(object, "x-kubernetes-patch-strategy")
            .is_some_and(|strategies| strategies.split(',').any(|strategy| strategy == "merge"));
    }

    fn additional(
        &mut self,
        object: &'a Map<String, Value>,
        path: &str,
        level: Level,
        depth: usize,
    ) -> Additional {
        let at = join(path, "additionalProperties");
        let schema = match object.get("additionalProperties") {
            None => return Additional::None,
            Some(Value::Bool(false)) => {
                if self.is_custom() {
                    self.errors.push(FieldError::forbidden(
                        at,
                        "additionalProperties cannot be set to false",
                    ));
                }
                return Additional::None;
            }
            Some(Value::Bool(true)) => None,
            Some(schema) => Some(schema),
        };
        if self.is_custom() {
            if level == Level::Root {
                self.errors
                    .push(FieldError::forbidden(at.clone(), "must not be used at the root"));
            }
            if !properties(object).is_empty() {
                self.errors.push(FieldError::forbidden(
                    at.clone(),
                    "additionalProperties and properties are mutual exclusive",
                ));
            }
        }
        match schema {
            Some(schema) => Additional::Node(self.child(schema, &at, Level::Field, depth + 1)),
            None => Additional::Any,
        }
    }

    fn checks(&mut self, object: &Map<String, Value>, path: &str) -> Checks {
        let pattern = text(object, "pattern")
            .filter(|pattern| !pattern.is_empty())
            .and_then(|source| match pattern::compile(source) {
                Ok(regex) => Some((source.to_owned(), regex)),
                Err(reason) => {
                    let detail = format!("must be a valid regular expression, but isn't: {reason}");
                    self.errors
                        .push(FieldError::invalid(join(path, "pattern"), source, detail));
                    None
                }
            });
        let unique_items = flag(object, "uniqueItems");
        if unique_items && self.is_custom() {
            let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.errors
                .push(FieldError::forbidden(join(path, "uniqueItems"), detail));
        }
        Checks {
            allowed: object
                .get("enum")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
            pattern,
            format: text(object, "format").and_then(Format::parse),
            minimum: number(object, "minimum"),
            exclusive_minimum: flag(object, "exclusiveMinimum"),
            maximum: number(object, "maximum"),
            exclusive_maximum: flag(object, "exclusiveMaximum"),
            multiple_of: number(object, "multipleOf").filter(|step| *step > 0.0),
            min_length: count(object, "minLength"),
            max_length: count(object, "maxLength"),
            min_items: count(object, "minItems"),
            max_items: count(object, "maxItems"),
            unique_items,
            min_properties: count(object, "minProperties"),
            max_properties: count(object, "maxProperties"),
            required: strings(object, "required"),
            ..Checks::default()
        }
    }

    /// `allOf`, `anyOf`, `oneOf` and `not`: value validations on what the schema around them defines.
    fn junctors(&mut self, object: &'a Map<String, Value>, checks: &mut Checks, path: &str, depth: usize) {
        for (keyword, branches) in [
            ("allOf", &mut checks.all_of),
            ("anyOf", &mut checks.any_of),
            ("oneOf", &mut checks.one_of),
        ] {
            for (index, schema) in array(object, keyword).iter().enumerate() {
                let at = format!("{}[{index}]", join(path, keyword));
                branches.push(self.branch(schema, &at, depth + 1));
            }
        }
        if let Some(schema) = object.get("not") {
            checks.not = Some(Box::new(self.branch(schema, &join(path, "not"), depth + 1)));
        }
    }

    /// One branch of a junctor: it constrains values, but defines no fields and prunes nothing.
    fn branch(&mut self, schema: &'a Value, path: &str, depth: usize) -> Node {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            self.errors.push(FieldError::forbidden(
                path,
                "the schema is nested too deeply or is too big",
            ));
            return Node::default();
        }
        if let (Some(_), Some(_)) = (schema.get("$ref"), self.definitions) {
            // Only the generated "either a schema or a list of them" types do this; they are left open.
            return Node::open();
        }
        let Some(object) = schema.as_object() else {
            self.errors.push(FieldError::invalid(
                path,
                schema.clone(),
                "must be a schema, that is an object",
            ));
            return Node::default();
        };
        let mut node = Node {
            ty: self.ty(object, path),
            nullable: true,
            preserve_unknown: true,
            checks: self.checks(object, path),
            ..Node::default()
        };
        let children: BTreeMap<String, Arc<Node>> = properties(object)
            .iter()
            .map(|(name, property)| {
                let at = format!("{}[{name}]", join(path, "properties"));
                (name.clone(), Arc::new(self.branch(property, &at, depth + 1)))
            })
            .collect();
        node.properties = children;
        if let Some(items) = object.get("items") {
            node.items = Some(Arc::new(self.branch(items, &join(path, "items"), depth + 1)));
        }
        if let Some(schema @ Value::Object(_)) = object.get("additionalProperties") {
            let at = join(path, "additionalProperties");
            node.additional = Additional::Node(Arc::new(self.branch(schema, &at, depth + 1)));
        }
        self.junctors(object, &mut node.checks, path, depth);
        node
    }

    fn rules(
        &mut self,
        object: &Map<String, Value>,
        node: &Node,
        path: &str,
        level: Level,
    ) -> Vec<cel::Rule> {
        let at = join(path, "x-kubernetes-validations");
        let is_resource = level == Level::Root || node.embedded;
        let mut rules = Vec::new();
        for (index, source) in array(object, "x-kubernetes-validations").iter().enumerate() {
            match cel::Rule::compile(source, node, is_resource, &format!("{at}[{index}]")) {
                Ok(rule) => {
                    if let Some(list) = self.uncorrelatable.as_ref().filter(|_| rule.uses_old_self()) {
                        let detail = format!(
                            "oldSelf cannot be used on the uncorrelatable portion of the schema within {list}"
                        );
                        let at = format!("{at}[{index}].rule");
                        self.errors
                            .push(FieldError::invalid(at, source["rule"].clone(), detail));
                    }
                    rules.push(rule);
                }
                Err(errors) => self.errors.extend(errors),
            }
        }
        rules
    }

    fn structural_rules(&mut self, object: &Map<String, Value>, node: &Node, path: &str, level: Level) {
        if object.contains_key("$ref") {
            self.errors
                .push(FieldError::forbidden(join(path, "$ref"), "$ref is not supported"));
        }
        let type_path = join(path, "type");
        match (node.ty, level) {
            (None, _) if node.embedded => {
                let detail = "must be object if x-kubernetes-embedded-resource is true";
                self.errors.push(FieldError::required(type_path, detail));
            }
            (Some(ty), _) if node.embedded && ty != Type::Object => {
                let detail = "must be object if x-kubernetes-embedded-resource is true";
                self.errors
                    .push(FieldError::invalid(type_path, ty.name(), detail));
            }
            // A type that was given but is unknown has been reported already.
            (None, level)
                if !node.int_or_string
                    && !node.preserve_unknown
                    && text(object, "type").unwrap_or_default().is_empty() =>
            {
                let detail = match level {
                    Level::Root => "must not be empty at the root",
                    Level::Item => "must not be empty for specified array items",
                    Level::Field => "must not be empty for specified object fields",
                };
                self.errors.push(FieldError::required(type_path, detail));
            }
            (Some(ty), Level::Root) if ty != Type::Object => {
                self.errors.push(FieldError::invalid(
                    type_path,
                    ty.name(),
                    "must be object at the root",
                ));
            }
            (Some(Type::Array), _) if node.items.is_none() => {
                self.errors
                    .push(FieldError::required(join(path, "items"), "must be specified"));
            }
            _ => {}
        }
        if node.embedded && !node.preserve_unknown && node.properties.is_empty() {
            let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                          x-kubernetes-preserve-unknown-fields";
            self.errors
                .push(FieldError::required(join(path, "properties"), detail));
        }
        if node.int_or_string && (node.preserve_unknown || node.embedded) {
            let keyword = match node.preserve_unknown {
                true => "x-kubernetes-preserve-unknown-fields",
                false => "x-kubernetes-embedded-resource",
            };
            let detail = "must be false if x-kubernetes-int-or-string is true";
            self.errors
                .push(FieldError::invalid(join(path, keyword), true, detail));
        }
        if object.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
            let at = join(path, "x-kubernetes-preserve-unknown-fields");
            self.errors
                .push(FieldError::invalid(at, false, "must be true or undefined"));
        }
        if level == Level::Root {
            self.root_rules(object, path);
        }
    }

    /// `apiVersion`, `kind` and `metadata` are Kubernetes' own: a schema may only narrow the names.
    fn root_rules(&mut self, object: &Map<String, Value>, path: &str) {
        let fields = properties(object);
        for name in ["apiVersion", "kind"] {
            if let Some(ty) = fields
                .get(name)
                .map(|field| field.get("type").cloned().unwrap_or_default())
                && ty != "string"
            {
                let at = format!("{}[{name}].type", join(path, "properties"));
                self.errors.push(FieldError::invalid(at, ty, "must be string"));
            }
        }
        let Some(metadata) = fields.get("metadata").and_then(Value::as_object) else {
            return;
        };
        let at = format!("{}[metadata]", join(path, "properties"));
        if metadata.get("type").is_none_or(|ty| ty != "object") {
            let ty = metadata.get("type").cloned().unwrap_or_default();
            self.errors
                .push(FieldError::invalid(format!("{at}.type"), ty, "must be object"));
        }
        let narrows_names_only = properties(metadata)
            .keys()
            .all(|k| k == "name" || k == "generateName")
            && metadata
                .keys()
                .all(|k| matches!(k.as_str(), "type" | "properties" | "description" | "required"));
        if !narrows_names_only {
            let detail = "must not specify anything other than name and generateName, but metadata is \
                          implicitly specified";
            self.errors.push(FieldError::forbidden(at, detail));
        }
    }

    fn list_rules(&mut self, object: &Map<String, Value>, node: &Node, path: &str) {
        if object.contains_key("x-kubernetes-list-type") && node.ty != Some(Type::Array) {
            let ty = node.ty.map(Type::name).unwrap_or_default();
            let detail = "must be array if x-kubernetes-list-type is specified";
            self.errors
                .push(FieldError::invalid(join(path, "type"), ty, detail));
        }
        if object.contains_key("x-kubernetes-map-type") && node.ty != Some(Type::Object) {
            let ty = node.ty.map(Type::name).unwrap_or_default();
            let detail = "must be object if x-kubernetes-map-type is specified";
            self.errors
                .push(FieldError::invalid(join(path, "type"), ty, detail));
        }
        let keys_path = join(path, "x-kubernetes-list-map-keys");
        if node.list_type != ListType::Map {
            if !node.list_map_keys.is_empty() {
                let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
                let at = join(path, "x-kubernetes-list-type");
                self.errors
                    .push(FieldError::new(at, FieldErrorKind::Invalid, "", detail));
            }
            return;
        }
        if node.list_map_keys.is_empty() {
            let detail = "must not be empty if x-kubernetes-list-type is map";
            self.errors.push(FieldError::required(keys_path.clone(), detail));
        }
        let Some(items) = &node.items else { return };
        if items.ty != Some(Type::Object) {
            let ty = items.ty.map(Type::name).unwrap_or_default();
            let detail = "must be object if parent array's x-kubernetes-list-type is map";
            self.errors
                .push(FieldError::invalid(join(path, "items.type"), ty, detail));
        }
        for key in &node.list_map_keys {
            let Some(property) = items.properties.get(key) else {
                let detail = "entries must all be names of item properties";
                let keys = node.list_map_keys.clone();
                self.errors
                    .push(FieldError::invalid(keys_path.clone(), keys, detail));
                continue;
            };
            let at = format!("{}[{key}]", join(path, "items.properties"));
            if property.nullable {
                let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
                self.errors
                    .push(FieldError::forbidden(format!("{at}.nullable"), detail));
            }
            if property.default.is_none() && !items.checks.required.contains(key) {
                let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or \
                              be a required property";
                self.errors
                    .push(FieldError::required(format!("{at}.default"), detail));
            }
        }
    }

    /// What may stand in a junctor: only value validations, on fields that the schema itself defines.
    fn junctor_rules(&mut self, object: &Map<String, Value>, path: &str) {
        for keyword in ["allOf", "anyOf", "oneOf"] {
            if keyword == "anyOf" && is_int_or_string(array(object, keyword)) {
                continue;
            }
            for (index, branch) in array(object, keyword).iter().enumerate() {
                let at = format!("{keyword}[{index}]");
                let skip_any_of =
                    keyword == "allOf" && index == 0 && is_int_or_string(array_of(branch, "anyOf"));
                self.branch_rules(branch, object, path, &at, skip_any_of, 0);
            }
        }
        if let Some(branch) = object.get("not") {
            self.branch_rules(branch, object, path, "not", false, 0);
        }
    }

    fn branch_rules(
        &mut self,
        branch: &Value,
        around: &Map<String, Value>,
        around_path: &str,
        at: &str,
        skip_any_of: bool,
        depth: usize,
    ) {
        let Some(object) = branch.as_object() else { return };
        if depth > MAX_DEPTH {
            return;
        }
        for (keyword, detail) in FORBIDDEN_IN_BRANCHES {
            let set = match object.get(*keyword) {
                None | Some(Value::Null | Value::Bool(false)) => false,
                Some(Value::String(text)) => !text.is_empty(),
                Some(Value::Array(items)) => !items.is_empty(),
                Some(_) => true,
            };
            if set {
                let path = join(around_path, &format!("{at}.{keyword}"));
                self.errors.push(FieldError::forbidden(path, *detail));
            }
        }
        let empty = Map::new();
        for (name, property) in properties(object) {
            let inner = format!("{at}.properties[{name}]");
            if name == "metadata" {
                let path = join(around_path, &inner);
                self.errors.push(FieldError::forbidden(
                    path,
                    "must not be specified in a nested context",
                ));
            }
            let defined = properties(around).get(name).and_then(Value::as_object);
            if defined.is_none() {
                let path = format!("{}[{name}]", join(around_path, "properties"));
                let detail = format!("because it is defined in {}", join(around_path, &inner));
                self.errors.push(FieldError::required(path, detail));
            }
            // Fields of fields are looked for where they would be defined; the path stays the outer one.
            self.branch_rules(
                property,
                defined.unwrap_or(&empty),
                around_path,
                &inner,
                false,
                depth + 1,
            );
        }
        if let Some(items) = object.get("items") {
            let defined = around.get("items").and_then(Value::as_object);
            if defined.is_none() {
                let detail = format!(
                    "because it is defined in {}",
                    join(around_path, &format!("{at}.items"))
                );
                self.errors
                    .push(FieldError::required(join(around_path, "items"), detail));
            }
            let inner = format!("{at}.items");
            self.branch_rules(
                items,
                defined.unwrap_or(&empty),
                around_path,
                &inner,
                false,
                depth + 1,
            );
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            if keyword == "anyOf" && skip_any_of {
                continue;
            }
            for (index, inner) in array(object, keyword).iter().enumerate() {
                let at = format!("{at}.{keyword}[{index}]");
                self.branch_rules(inner, around, around_path, &at, false, depth + 1);
            }
        }
        if let Some(inner) = object.get("not") {
            self.branch_rules(inner, around, around_path, &format!("{at}.not"), false, depth + 1);
        }
    }
}

const FORBIDDEN_IN_BRANCHES: &[(&str, &str)] = &[
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    (
        "x-kubernetes-preserve-unknown-fields",
        "must be false to be structural",
    ),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
];

/// A reference site may say how its list or map merges and what its default is; those overrule the target.
fn with_site_keywords(node: Arc<Node>, site: &Value) -> Arc<Node> {
    let atomic = site
        .get("x-kubernetes-map-type")
        .is_some_and(|kind| kind == "atomic");
    let default = site.get("default").filter(|value| !value.is_null());
    if (!atomic || node.atomic_map) && default.is_none() {
        return node;
    }
    Arc::new(Node {
        ty: node.ty,
        nullable: node.nullable,
        int_or_string: node.int_or_string,
        preserve_unknown: node.preserve_unknown,
        embedded: node.embedded,
        atomic_map: atomic || node.atomic_map,
        default: default.cloned(),
        go: node.go,
        definition: node.definition.clone(),
        written: node.written.clone(),
        properties: node.properties.clone(),
        additional: match &node.additional {
            Additional::None => Additional::None,
            Additional::Any => Additional::Any,
            Additional::Node(child) => Additional::Node(Arc::clone(child)),
        },
        checks: Checks {
            required: node.checks.required.clone(),
            ..Checks::default()
        },
        ..Node::default()
    })
}

/// The reference of a schema: itself one, or in the `allOf` that OpenAPI v3 demands where something stands beside it.
fn reference(schema: &Value) -> Option<&str> {
    let direct = schema.get("$ref").and_then(Value::as_str);
    direct.or_else(|| match array_of(schema, "allOf") {
        [only] => only.get("$ref").and_then(Value::as_str),
        _ => None,
    })
}

/// How values of a definition are read.
fn go_type(name: &str, schema: &Value) -> GoType {
    match name.rsplit('.').next() {
        Some("IntOrString") => GoType::IntOrString,
        Some("Quantity") => GoType::Quantity,
        Some("Time") => GoType::Time,
        Some("MicroTime") => GoType::MicroTime,
        _ if schema.get("properties").is_none() => GoType::Open,
        _ => GoType::Struct,
    }
}

/// `v1.Container` for `io.k8s.api.core.v1.Container`.
fn go_name(name: &str) -> String {
    let mut parts = name.rsplit('.');
    let (name, package) = (parts.next().unwrap_or(name), parts.next().unwrap_or(""));
    format!("{package}.{name}")
}

fn is_int_or_string(branches: &[Value]) -> bool {
    let only = |branch: &Value, ty: &str| {
        branch.as_object().is_some_and(|object| object.len() == 1)
            && branch.get("type").is_some_and(|t| t == ty)
    };
    matches!(branches, [first, second] if only(first, "integer") && only(second, "string"))
}

fn flag(object: &Map<String, Value>, key: &str) -> bool {
    object.get(key) == Some(&Value::Bool(true))
}

fn text<'v>(object: &'v Map<String, Value>, key: &str) -> Option<&'v str> {
    object.get(key).and_then(Value::as_str)
}

fn number(object: &Map<String, Value>, key: &str) -> Option<f64> {
    object.get(key).and_then(Value::as_f64)
}

fn count(object: &Map<String, Value>, key: &str) -> Option<u64> {
    number(object, key)
        .filter(|count| *count >= 0.0)
        .map(|count| count as u64)
}

fn strings(object: &Map<String, Value>, key: &str) -> Vec<String> {
    array(object, key)
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn array<'v>(object: &'v Map<String, Value>, key: &str) -> &'v [Value] {
    object
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn array_of<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn properties(object: &Map<String, Value>) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    object
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&EMPTY)
}
