//! Resolving the names of an expression against the schema that it stands in.

use kube_cel::cel::{
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr},
    parser::Expression,
};

use super::{TYPES, convert::unescape};
use crate::schema::node::{Additional, Node, Type};

/// Deeper expressions are refused: resolving, pricing and evaluating recurse.
const MAX_DEPTH: usize = 120;
/// `lists.range` makes a list of this many numbers at most.
const MAX_RANGE: i64 = 10_000;

/// Functions that an expression may call, by the names the interpreter has for them.
const FUNCTIONS: &[&str] = &[
    "add",
    "asApproximateFloat",
    "asInteger",
    "base64.decode",
    "base64.encode",
    "bytes",
    "charAt",
    "cidr",
    "compareTo",
    "contains",
    "containsCIDR",
    "containsIP",
    "distinct",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "family",
    "find",
    "findAll",
    "first",
    "flatten",
    "format",
    "format.byte",
    "format.date",
    "format.datetime",
    "format.dns1035Label",
    "format.dns1035LabelPrefix",
    "format.dns1123Label",
    "format.dns1123LabelPrefix",
    "format.dns1123Subdomain",
    "format.dns1123SubdomainPrefix",
    "format.labelValue",
    "format.named",
    "format.qualifiedName",
    "format.uri",
    "format.uuid",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getEscapedPath",
    "getFullYear",
    "getHost",
    "getHostname",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getPort",
    "getQuery",
    "getScheme",
    "getSeconds",
    "hasValue",
    "indexOf",
    "int",
    "ip",
    "ip.isCanonical",
    "isCIDR",
    "isCIDRv4",
    "isCIDRv6",
    "isGlobalUnicast",
    "isGreaterThan",
    "isIP",
    "isIPv4",
    "isIPv6",
    "isInteger",
    "isLessThan",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isQuantity",
    "isSemver",
    "isSorted",
    "isURL",
    "isUnspecified",
    "join",
    "jsonpatch.escapeKey",
    "last",
    "lastIndexOf",
    "lists.range",
    "lowerAscii",
    "major",
    "masked",
    "matches",
    "math.abs",
    "math.bitAnd",
    "math.bitNot",
    "math.bitOr",
    "math.bitShiftLeft",
    "math.bitShiftRight",
    "math.bitXor",
    "math.ceil",
    "math.floor",
    "math.greatest",
    "math.isFinite",
    "math.isInf",
    "math.isNaN",
    "math.least",
    "math.round",
    "math.sign",
    "math.sqrt",
    "math.trunc",
    "max",
    "min",
    "minor",
    "optional.none",
    "optional.of",
    "optional.ofNonZeroValue",
    "or",
    "orValue",
    "patch",
    "prefixLength",
    "quantity",
    "replace",
    "reverse",
    "semver",
    "sets.contains",
    "sets.equivalent",
    "sets.intersects",
    "sign",
    "size",
    "slice",
    "sort",
    "split",
    "startsWith",
    "string",
    "strings.quote",
    "sub",
    "substring",
    "sum",
    "timestamp",
    "trim",
    "type",
    "uint",
    "upperAscii",
    "url",
    "validate",
    "value",
];

/// What is known of an expression's value.
#[derive(Clone, Copy)]
enum Known<'n> {
    Nothing,
    Schema { node: &'n Node, is_resource: bool },
}

type Scope<'s, 'n> = Vec<(&'s str, Known<'n>)>;

/// Refuses, before the recursive parser sees it, a text that can only be a very deep expression.
pub(super) fn nesting(source: &str) -> Result<(), String> {
    let mut operators = 0;
    let mut quoted: Option<char> = None;
    let mut escaped = false;
    for c in source.chars() {
        match quoted {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(quote) if c == quote => quoted = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quoted = Some(c),
            None if "+-*/%!?.([{".contains(c) => operators += 1,
            None => {}
        }
    }
    if operators > 1_000 {
        return Err("the expression has more than 1000 operators and calls".to_owned());
    }
    Ok(())
}

/// Refuses an expression that is too deep to be walked.
pub(super) fn depth(expression: &Expression) -> Result<(), String> {
    // Not recursive: what is measured here is whether recursion can be afforded.
    let mut left = vec![(expression, 0_usize)];
    while let Some((expression, depth)) = left.pop() {
        if depth > MAX_DEPTH {
            return Err(format!("the expression is nested more than {MAX_DEPTH} deep"));
        }
        let mut add = |below| left.push((below, depth + 1));
        match &expression.expr {
            Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(add),
            Expr::Select(select) => add(&select.operand),
            Expr::List(list) => list.elements.iter().for_each(add),
            Expr::Comprehension(comprehension) => [
                &comprehension.iter_range,
                &comprehension.accu_init,
                &comprehension.loop_cond,
                &comprehension.loop_step,
                &comprehension.result,
            ]
            .into_iter()
            .for_each(add),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        add(&entry.key);
                        add(&entry.value);
                    }
                }
            }
            Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
        }
    }
    Ok(())
}

/// Checks that every variable, field and function of an expression exists.
pub(super) fn names(expression: &Expression, node: &Node, is_resource: bool) -> Result<(), String> {
    let this = Known::Schema { node, is_resource };
    let mut scope: Scope<'_, '_> = TYPES.iter().map(|name| (*name, Known::Nothing)).collect();
    scope.extend([("self", this), ("oldSelf", Known::Nothing)]);
    infer(expression, &mut scope).map(|_| ())
}

/// Whether a sound expression can be true or false, as far as its form and the schema tell.
pub(super) fn may_be_bool(expression: &Expression, node: &Node, is_resource: bool) -> bool {
    const OF_OTHER_TYPES: &[&str] = &[
        "_+_",
        "_-_",
        "_*_",
        "_/_",
        "_%_",
        "-_",
        "bytes",
        "double",
        "duration",
        "int",
        "size",
        "string",
        "timestamp",
        "uint",
    ];
    match &expression.expr {
        Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
        Expr::List(_) | Expr::Map(_) => false,
        // `has(self.field)`.
        Expr::Select(select) if select.test => true,
        Expr::Call(call) if OF_OTHER_TYPES.contains(&call.func_name.as_str()) => false,
        Expr::Ident(_) | Expr::Select(_) | Expr::Call(_) => {
            let this = Known::Schema { node, is_resource };
            let mut scope: Scope<'_, '_> = vec![("self", this), ("oldSelf", this)];
            match infer(expression, &mut scope) {
                Ok(Known::Schema { node, .. }) if !node.int_or_string => {
                    node.ty.is_none_or(|ty| ty == Type::Boolean)
                }
                _ => true,
            }
        }
        _ => true,
    }
}

fn infer<'s, 'n>(expression: &'s IdedExpr, scope: &mut Scope<'s, 'n>) -> Result<Known<'n>, String> {
    match &expression.expr {
        Expr::Unspecified => Err("the expression is empty".to_owned()),
        Expr::Struct(_) => Err("messages cannot be constructed here".to_owned()),
        Expr::Literal(_) => Ok(Known::Nothing),
        Expr::Ident(name) => variable(name, scope),
        Expr::Select(select) => field(select, scope),
        Expr::Call(call) => self::call(call, scope),
        Expr::Comprehension(comprehension) => self::comprehension(comprehension, scope),
        Expr::List(list) => {
            for element in &list.elements {
                infer(element, scope)?;
            }
            Ok(Known::Nothing)
        }
        Expr::Map(map) => {
            for entry in &map.entries {
                match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        infer(&entry.key, scope)?;
                        infer(&entry.value, scope)?;
                    }
                    EntryExpr::StructField(_) => return Err("messages cannot be constructed here".to_owned()),
                }
            }
            Ok(Known::Nothing)
        }
    }
}

fn variable<'n>(name: &str, scope: &Scope<'_, 'n>) -> Result<Known<'n>, String> {
    scope
        .iter()
        .rev()
        .find(|(known, _)| *known == name)
        .map(|(_, known)| *known)
        .ok_or_else(|| format!("undeclared reference to '{name}' (in container '')"))
}

fn field<'s, 'n>(select: &'s SelectExpr, scope: &mut Scope<'s, 'n>) -> Result<Known<'n>, String> {
    let Known::Schema { node, is_resource } = infer(&select.operand, scope)? else {
        return Ok(Known::Nothing);
    };
    let name = unescape(&select.field);
    if is_resource && matches!(name.as_str(), "metadata" | "apiVersion" | "kind") {
        return Ok(Known::Nothing);
    }
    if let Some(child) = node.field(&name) {
        return Ok(Known::Schema {
            node: child,
            is_resource: child.embedded,
        });
    }
    let is_open = node.int_or_string
        || matches!(node.additional, Additional::Any)
        || (node.preserve_unknown && node.properties.is_empty())
        || node.ty.is_none();
    match node.ty {
        _ if is_open => Ok(Known::Nothing),
        Some(Type::Object) => Err(format!("undefined field '{}'", select.field)),
        Some(ty) => Err(format!("type '{}' does not support field selection", ty.name())),
        None => Ok(Known::Nothing),
    }
}

fn call<'s, 'n>(call: &'s CallExpr, scope: &mut Scope<'s, 'n>) -> Result<Known<'n>, String> {
    let name = call.func_name.as_str();
    let is_operator = !name.chars().all(|c| c.is_alphanumeric());
    let mut qualified = None;
    if let Some(target) = &call.target {
        if let Expr::Ident(prefix) = &target.expr
            && let full = format!("{prefix}.{name}")
            && FUNCTIONS.contains(&full.as_str())
        {
            qualified = Some(full);
        } else {
            infer(target, scope)?;
        }
    }
    if qualified.is_none() && !is_operator && !FUNCTIONS.contains(&name) {
        return Err(format!("undeclared reference to '{name}' (in container '')"));
    }
    if qualified.as_deref() == Some("lists.range") {
        let is_short = call.args.first().is_some_and(|argument| match &argument.expr {
            Expr::Literal(LiteralValue::Int(count)) => *count.inner() <= MAX_RANGE,
            _ => false,
        });
        if !is_short {
            return Err(format!(
                "lists.range takes a literal number of at most {MAX_RANGE} here"
            ));
        }
    }
    let mut known = Vec::with_capacity(call.args.len());
    for argument in &call.args {
        known.push(infer(argument, scope)?);
    }
    // Of the operators only indexing leads further into the schema.
    match (name, known.first()) {
        ("_[_]", Some(Known::Schema { node, .. })) => Ok(element(node)),
        _ => Ok(Known::Nothing),
    }
}

fn element(node: &Node) -> Known<'_> {
    match (&node.items, &node.additional) {
        (Some(child), _) => Known::Schema {
            node: child,
            is_resource: child.embedded,
        },
        (None, Additional::Node(child)) => Known::Schema {
            node: child,
            is_resource: child.embedded,
        },
        _ => Known::Nothing,
    }
}

fn comprehension<'s, 'n>(
    comprehension: &'s ComprehensionExpr,
    scope: &mut Scope<'s, 'n>,
) -> Result<Known<'n>, String> {
    let range = infer(&comprehension.iter_range, scope)?;
    let item = match range {
        Known::Schema { node, .. } if node.items.is_some() => element(node),
        _ => Known::Nothing,
    };
    infer(&comprehension.accu_init, scope)?;
    let outer = scope.len();
    scope.push((&comprehension.accu_var, Known::Nothing));
    scope.push((&comprehension.iter_var, item));
    if let Some(second) = &comprehension.iter_var2 {
        scope.push((second, Known::Nothing));
    }
    infer(&comprehension.loop_cond, scope)?;
    infer(&comprehension.loop_step, scope)?;
    infer(&comprehension.result, scope)?;
    scope.truncate(outer);
    // A filtered list is still a list of the same items.
    Ok(Known::Nothing)
}
