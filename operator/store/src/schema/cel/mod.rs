//! `x-kubernetes-validations`: rules in the Common Expression Language.
//!
//! A rule is compiled once, with its schema: its names are resolved against the schema ([`check`]), so that a
//! misspelt field is an error of the definition and not of every object. Before each evaluation an upper bound
//! of its cost is computed from the object at hand ([`cost`]), since the interpreter itself knows no budget.

mod check;
mod convert;
mod cost;
mod optional;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::LazyLock,
};

use kube_cel::{
    KubeCelExt as _,
    cel::{
        self, Context, Value as CelValue,
        objects::OptionalValue,
        parser::{Expression, Parser},
    },
};
use serde_json::{Map, Value, json};

use super::{
    error::{FieldError, FieldErrorKind, join},
    node::{Additional, Node, Type},
    validate::OldItems,
};

/// Longer expressions are refused; those that people write have a few hundred characters.
const MAX_RULE_CHARS: usize = 10_000;
/// The longest message that a `messageExpression` may give.
const MAX_MESSAGE_BYTES: usize = 5 * 1024;

/// Every function there is, and the types that `type()` can give.
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut context = Context::default().with_all();
    context.add_function("type", type_of);
    context.add_function("dyn", |value: CelValue| -> cel::ResolveResult { Ok(value) });
    for name in TYPES {
        context.add_variable_from_value(*name, type_value(name));
    }
    context
});

/// The types of the language, by the names that a rule compares `type(self.port)` with.
const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
];

fn type_of(value: CelValue) -> String {
    type_value(match value {
        CelValue::Bool(_) => "bool",
        CelValue::Bytes(_) => "bytes",
        CelValue::Float(_) => "double",
        CelValue::Int(_) => "int",
        CelValue::List(_) => "list",
        CelValue::Map(_) => "map",
        CelValue::Null => "null_type",
        CelValue::String(_) => "string",
        CelValue::UInt(_) => "uint",
        _ => "other",
    })
}

/// The interpreter has no values that are types; a text that no object holds stands for one.
fn type_value(name: &str) -> String {
    format!("\u{0}type {name}")
}

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    source: String,
    program: Expression,
    message: String,
    message_program: Option<Expression>,
    /// The path of the field that is at fault, relative to the rule's own.
    field_path: String,
    kind: FieldErrorKind,
    optional_old_self: bool,
    uses_old_self: bool,
    message_uses_old_self: bool,
}

impl Rule {
    /// Whether it speaks of what the value was before.
    pub(crate) fn uses_old_self(&self) -> bool {
        self.uses_old_self || self.message_uses_old_self
    }

    /// Compiles one entry of `x-kubernetes-validations` for values of `node`.
    pub(super) fn compile(
        entry: &Value,
        node: &Node,
        is_resource: bool,
        path: &str,
    ) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let text = |key: &str| {
            entry
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let (source, message, message_source) = (text("rule"), text("message"), text("messageExpression"));
        if source.is_empty() {
            errors.push(FieldError::required(join(path, "rule"), "rule is not specified"));
        }
        if message.contains('\n') {
            let detail = "must not contain line breaks";
            errors.push(FieldError::invalid(
                join(path, "message"),
                message.as_str(),
                detail,
            ));
        }
        if source.contains('\n') && message.is_empty() {
            let detail = "message must be specified if rule contains line breaks";
            errors.push(FieldError::required(join(path, "message"), detail));
        }
        let kind = reason_kind(&text("reason")).unwrap_or_else(|| {
            let known = [
                "FieldValueInvalid",
                "FieldValueForbidden",
                "FieldValueRequired",
                "FieldValueDuplicate",
            ];
            errors.push(FieldError::not_supported(
                join(path, "reason"),
                text("reason"),
                known,
            ));
            FieldErrorKind::Invalid
        });
        let field_path = match text("fieldPath") {
            path if path.is_empty() => String::new(),
            given => resolve_field_path(&given, node).unwrap_or_else(|detail| {
                errors.push(FieldError::invalid(join(path, "fieldPath"), given, detail));
                String::new()
            }),
        };
        let mut expression = |source: &str, key: &str| match parse(source, node, is_resource) {
            Ok(program) => Some(program),
            Err(reason) => {
                let detail = format!("compilation failed: {reason}");
                errors.push(FieldError::invalid(join(path, key), source, detail));
                None
            }
        };
        let program = if source.is_empty() {
            None
        } else {
            expression(&source, "rule")
        };
        let message_program = if message_source.is_empty() {
            None
        } else {
            expression(&message_source, "messageExpression")
        };
        if let Some(program) = &program
            && !check::may_be_bool(program, node, is_resource)
        {
            let printed = json!({
                "Rule": source, "Message": message, "MessageExpression": message_source, "Reason": entry.get("reason"),
                "FieldPath": text("fieldPath"), "OptionalOldSelf": entry.get("optionalOldSelf"),
            });
            let detail = "cel expression must evaluate to a bool";
            errors.push(FieldError::invalid(join(path, "rule"), printed, detail));
        }
        match program {
            Some(program) if errors.is_empty() => Ok(Self {
                uses_old_self: program.references().has_variable("oldSelf"),
                message_uses_old_self: message_program
                    .as_ref()
                    .is_some_and(|program| program.references().has_variable("oldSelf")),
                source,
                program,
                message,
                message_program,
                field_path,
                kind,
                optional_old_self: entry.get("optionalOldSelf") == Some(&Value::Bool(true)),
            }),
            _ => Err(errors),
        }
    }

    /// What the rule says of itself in an error: its message, or else its text.
    fn name(&self) -> &str {
        if self.message.is_empty() {
            &self.source
        } else {
            &self.message
        }
    }
}

fn reason_kind(reason: &str) -> Option<FieldErrorKind> {
    Some(match reason {
        "" | "FieldValueInvalid" => FieldErrorKind::Invalid,
        "FieldValueForbidden" => FieldErrorKind::Forbidden,
        "FieldValueRequired" => FieldErrorKind::Required,
        "FieldValueDuplicate" => FieldErrorKind::Duplicate,
        _ => return None,
    })
}

/// Parses an expression and resolves its names. The error is one line.
fn parse(source: &str, node: &Node, is_resource: bool) -> Result<Expression, String> {
    if source.chars().count() > MAX_RULE_CHARS {
        return Err(format!(
            "the expression is longer than {MAX_RULE_CHARS} characters"
        ));
    }
    check::nesting(source)?;
    // The parser is generated code of a young crate; a panic in it is the expression's fault, not ours.
    let mut expression = catch_unwind(|| Parser::new().enable_optional_syntax(true).parse(source))
        .map_err(|_| "the expression cannot be parsed".to_owned())?
        .map_err(|errors| one_line(&errors.to_string()))?;
    check::depth(&expression)?;
    optional::rewrite(&mut expression);
    check::names(&expression, node, is_resource)?;
    Ok(expression)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Turns `.spec.items['a.b']` into a field path, if the schema has such a field.
fn resolve_field_path(given: &str, node: &Node) -> Result<String, String> {
    let mut path = String::new();
    let mut at = node;
    let mut rest = given;
    while !rest.is_empty() {
        let name = if let Some(after) = rest.strip_prefix("['") {
            let end = after.find("']").ok_or("unexpected end of JSON path")?;
            rest = &after[end + 2..];
            after[..end].replace("\\'", "'")
        } else if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            rest = &after[end..];
            after[..end].to_owned()
        } else {
            return Err(format!("expected [ or . but got: {rest}"));
        };
        at = at.field(&name).ok_or("does not refer to a valid field")?;
        path = join(&path, &name);
    }
    Ok(path)
}

/// Evaluates every rule at and below `node`.
pub(super) fn evaluate(node: &Node, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut walk = Walk {
        errors: Vec::new(),
        budget: cost::OBJECT_BUDGET,
    };
    walk.node(node, new, old, true, "");
    walk.errors
}

struct Walk {
    errors: Vec<FieldError>,
    /// What evaluation may still cost; once negative, no further rule is run.
    budget: f64,
}

impl Walk {
    fn node(&mut self, node: &Node, value: &Value, old: Option<&Value>, is_resource: bool, path: &str) {
        if !node.has_rules || value.is_null() || self.budget < 0.0 {
            return;
        }
        let old = old.filter(|old| !old.is_null());
        self.rules(node, &node.rules, value, old, is_resource, path);
        match value {
            Value::Object(fields) => self.fields(node, fields, old.and_then(Value::as_object), path),
            Value::Array(items) => {
                let Some(child) = &node.items else { return };
                let old_items = OldItems::of(node, old.and_then(Value::as_array));
                for (index, item) in items.iter().enumerate() {
                    let old = old_items.matching(node, item);
                    self.node(child, item, old, child.embedded, &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }

    fn fields(
        &mut self,
        node: &Node,
        fields: &Map<String, Value>,
        old: Option<&Map<String, Value>>,
        path: &str,
    ) {
        for (name, value) in fields {
            let old = old.filter(|_| !node.atomic_map).and_then(|old| old.get(name));
            if let Some(child) = node.properties.get(name) {
                self.node(child, value, old, child.embedded, &join(path, name));
            } else if let Additional::Node(child) = &node.additional {
                self.node(child, value, old, child.embedded, &format!("{path}[{name}]"));
            }
        }
    }

    fn rules(
        &mut self,
        node: &Node,
        rules: &[Rule],
        value: &Value,
        old: Option<&Value>,
        is_resource: bool,
        path: &str,
    ) {
        if rules.is_empty() {
            return;
        }
        let unchanged = old.is_some_and(|old| old == value);
        let this = convert::value(value, node, is_resource);
        let old_this = old
            .filter(|_| {
                rules
                    .iter()
                    .any(|rule| rule.uses_old_self || rule.message_uses_old_self)
            })
            .map(|old| convert::value(old, node, is_resource));
        for rule in rules {
            if rule.uses_old_self && old.is_none() && !rule.optional_old_self {
                continue;
            }
            // What was wrong before and has not been touched does not stop a change elsewhere.
            if unchanged && !rule.uses_old_self {
                continue;
            }
            if self.budget < 0.0 {
                return;
            }
            let mut scope = FUNCTIONS.new_inner_scope();
            scope.add_variable_from_value("self", this.clone());
            if rule.optional_old_self {
                let old = old_this
                    .clone()
                    .map_or_else(OptionalValue::none, OptionalValue::of);
                scope.add_variable_from_value("oldSelf", CelValue::Opaque(std::sync::Arc::new(old)));
            } else if let Some(old) = &old_this {
                scope.add_variable_from_value("oldSelf", old.clone());
            }
            let ty = node.ty.map_or("", Type::name);
            let error = self.rule(rule, &scope, value, old, ty, path);
            self.errors.extend(error);
        }
    }

    fn rule(
        &mut self,
        rule: &Rule,
        scope: &Context<'_>,
        value: &Value,
        old: Option<&Value>,
        ty: &str,
        path: &str,
    ) -> Option<FieldError> {
        let at = |path: &str| {
            if path.is_empty() {
                "<nil>".to_owned()
            } else {
                path.to_owned()
            }
        };
        let price = cost::bound(&rule.program, value, old);
        if price > cost::RULE_BUDGET {
            self.budget = -1.0;
            let detail = format!(
                "'operation cancelled: actual cost limit exceeded': no further validation rules will be run \
                 due to call cost exceeds limit for rule: {}",
                rule.name()
            );
            return Some(FieldError::invalid(at(path), ty, detail));
        }
        self.budget -= price;
        if self.budget < 0.0 {
            let detail = "validation failed due to running out of cost budget, no further validation rules \
                          will be run";
            return Some(FieldError::invalid(at(path), ty, detail));
        }
        match run(&rule.program, scope) {
            Ok(CelValue::Bool(true)) => return None,
            Ok(CelValue::Bool(false)) => {}
            Ok(_) => {
                let detail = format!(
                    "cel expression must evaluate to a bool, but does not: {}",
                    rule.name()
                );
                return Some(FieldError::invalid(at(path), ty, detail));
            }
            Err(reason) => {
                let detail = format!("{reason} evaluating rule: {}", rule.name());
                return Some(FieldError::invalid(at(path), ty, detail));
            }
        }
        let message =
            self.message(rule, scope, value, old)
                .unwrap_or_else(|| match rule.message.is_empty() {
                    true => format!("failed rule: {}", rule.source),
                    false => rule.message.clone(),
                });
        let whole = value.is_object() || value.is_array();
        let kind = match rule.kind {
            FieldErrorKind::Invalid if whole => FieldErrorKind::InvalidWhole,
            kind => kind,
        };
        Some(FieldError::new(
            at(&join(path, &rule.field_path)),
            kind,
            value.clone(),
            message,
        ))
    }

    /// The text of the `messageExpression`, if there is one and it gives a usable one.
    fn message(
        &mut self,
        rule: &Rule,
        scope: &Context<'_>,
        value: &Value,
        old: Option<&Value>,
    ) -> Option<String> {
        let program = rule.message_program.as_ref()?;
        let price = cost::bound(program, value, old);
        if price > self.budget.min(cost::RULE_BUDGET) {
            return None;
        }
        self.budget -= price;
        let Ok(CelValue::String(text)) = run(program, scope) else {
            return None;
        };
        let text = text.trim();
        let usable = !text.is_empty() && text.len() <= MAX_MESSAGE_BYTES && !text.contains('\n');
        usable.then(|| text.to_owned())
    }
}

fn run(program: &Expression, scope: &Context<'_>) -> Result<CelValue, String> {
    // The interpreter is young and has unfinished corners that panic; they must not take the server along.
    match catch_unwind(AssertUnwindSafe(|| scope.resolve(program))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let mut text = one_line(&error.to_string());
            if let Some((at, _)) = text.char_indices().nth(300) {
                text.truncate(at);
                text.push_str("...");
            }
            Err(lower_first(&text))
        }
        Err(_) => Err("internal error".to_owned()),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}
