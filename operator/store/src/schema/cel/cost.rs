//! An upper bound of what evaluating an expression on a given object can cost.
//!
//! The interpreter has no budget that it could run out of, so the bound is taken beforehand: the expression is
//! walked with the object's own sizes, a loop costing its body times the items there really are. One unit is
//! about one step of the interpreter or sixteen bytes looked at.

use kube_cel::cel::{
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue},
    parser::Expression,
};
use serde_json::Value;

use super::convert::unescape;

/// What one evaluation of one rule may cost.
pub(super) const RULE_BUDGET: f64 = 1e7;
/// What all rules together may cost on one object.
pub(super) const OBJECT_BUDGET: f64 = 5e7;

/// The bound for an expression with `self` and `oldSelf` bound to these values.
pub(super) fn bound(expression: &Expression, this: &Value, old: Option<&Value>) -> f64 {
    let mut scope = vec![
        ("self", Extent::of(vec![this])),
        (
            "oldSelf",
            old.map_or(Extent::sized(1.0), |old| Extent::of(vec![old])),
        ),
    ];
    price(expression, &mut scope).0
}

/// How big the value of an expression can be.
#[derive(Clone)]
struct Extent<'v> {
    /// The parts of the object that it can be, if it is known to be one.
    parts: Vec<&'v Value>,
    size: f64,
}

impl<'v> Extent<'v> {
    fn of(parts: Vec<&'v Value>) -> Self {
        let size = parts.iter().map(|part| weight(part)).fold(1.0, f64::max);
        Self { parts, size }
    }

    fn sized(size: f64) -> Self {
        Self {
            parts: Vec::new(),
            size,
        }
    }

    /// How many items a loop over it has, and how big they are.
    fn items(&self) -> (f64, Extent<'v>) {
        if self.parts.is_empty() {
            return (self.size, Extent::sized(self.size));
        }
        let mut count = 0_usize;
        let mut items = Vec::new();
        let mut key_size = 1.0_f64;
        for part in &self.parts {
            match part {
                Value::Array(list) => {
                    count = count.max(list.len());
                    items.extend(list);
                }
                Value::Object(map) => {
                    count = count.max(map.len());
                    // A loop over a map runs over its keys.
                    key_size = map
                        .keys()
                        .map(|key| 1.0 + key.len() as f64 / 16.0)
                        .fold(key_size, f64::max);
                }
                _ => {}
            }
        }
        let items = if items.is_empty() {
            Extent::sized(key_size)
        } else {
            Extent::of(items)
        };
        (count as f64, items)
    }

    fn field(&self, name: &str) -> Extent<'v> {
        if self.parts.is_empty() {
            return self.clone();
        }
        Extent::of(self.parts.iter().filter_map(|part| part.get(name)).collect())
    }
}

fn weight(value: &Value) -> f64 {
    match value {
        Value::String(text) => 1.0 + text.len() as f64 / 16.0,
        Value::Array(items) => 1.0 + items.iter().map(weight).sum::<f64>(),
        Value::Object(fields) => {
            1.0 + fields
                .iter()
                .map(|(name, value)| name.len() as f64 / 16.0 + weight(value))
                .sum::<f64>()
        }
        _ => 1.0,
    }
}

type Scope<'s, 'v> = Vec<(&'s str, Extent<'v>)>;

/// The cost of an expression and the extent of its value.
fn price<'s, 'v>(expression: &'s IdedExpr, scope: &mut Scope<'s, 'v>) -> (f64, Extent<'v>) {
    match &expression.expr {
        Expr::Ident(name) => {
            let found = scope.iter().rev().find(|(known, _)| known == name);
            (
                1.0,
                found.map_or_else(|| Extent::sized(1.0), |(_, extent)| extent.clone()),
            )
        }
        Expr::Literal(LiteralValue::String(text)) => {
            (1.0, Extent::sized(1.0 + text.inner().len() as f64 / 16.0))
        }
        Expr::Literal(_) | Expr::Unspecified | Expr::Struct(_) => (1.0, Extent::sized(1.0)),
        Expr::Select(select) => {
            let (cost, operand) = price(&select.operand, scope);
            let field = operand.field(&unescape(&select.field));
            // The interpreter copies what is selected.
            (cost + if select.test { 1.0 } else { field.size }, field)
        }
        Expr::List(list) => {
            let (cost, size) = sum(list.elements.iter(), scope);
            (cost, Extent::sized(size))
        }
        Expr::Map(map) => {
            let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                EntryExpr::StructField(_) => None,
            });
            let (cost, size) = sum(entries.flatten(), scope);
            (cost, Extent::sized(size))
        }
        Expr::Call(call) => self::call(call, scope),
        Expr::Comprehension(comprehension) => self::comprehension(comprehension, scope),
    }
}

fn sum<'s>(expressions: impl Iterator<Item = &'s IdedExpr>, scope: &mut Scope<'s, '_>) -> (f64, f64) {
    expressions.fold((1.0, 1.0), |(cost, size), expression| {
        let (more, extent) = price(expression, scope);
        (cost + more, size + extent.size)
    })
}

fn call<'s, 'v>(call: &'s CallExpr, scope: &mut Scope<'s, 'v>) -> (f64, Extent<'v>) {
    let (mut cost, mut extents) = (1.0, Vec::new());
    for expression in call.target.as_deref().into_iter().chain(&call.args) {
        let (more, extent) = price(expression, scope);
        cost += more;
        extents.push(extent);
    }
    let total: f64 = extents.iter().map(|extent| extent.size).sum();
    let product: f64 = extents.iter().map(|extent| extent.size).product();
    match call.func_name.as_str() {
        "_[_]" | "_[?_]" | "_?._" => {
            let items = extents.first().map_or_else(
                || Extent::sized(1.0),
                |operand| {
                    let within = operand.parts.iter().flat_map(|part| match part {
                        Value::Array(items) => items.iter().collect::<Vec<_>>(),
                        Value::Object(fields) => fields.values().collect(),
                        _ => Vec::new(),
                    });
                    let within: Vec<&Value> = within.collect();
                    if within.is_empty() {
                        Extent::sized(operand.size)
                    } else {
                        Extent::of(within)
                    }
                },
            );
            (cost + items.size, items)
        }
        "_&&_" | "_||_" | "!_" | "@not_strictly_false" | "size" | "_>_" | "_<_" | "_>=_" | "_<=_" => {
            (cost, Extent::sized(1.0))
        }
        "_==_" | "_!=_" | "@in" | "startsWith" | "endsWith" | "contains" => {
            (cost + total, Extent::sized(1.0))
        }
        "lists" | "range" => {
            let count = match call.args.first().map(|argument| &argument.expr) {
                Some(Expr::Literal(LiteralValue::Int(count))) => *count.inner() as f64,
                _ => total,
            };
            (cost + count, Extent::sized(count))
        }
        "equivalent" | "intersects" | "distinct" | "indexOf" | "lastIndexOf" | "matches" | "find"
        | "findAll" => (cost + product.max(total), Extent::sized(total)),
        // A replacement may stand between any two characters of the text.
        "replace" | "join" => (cost + 16.0 * product, Extent::sized(16.0 * product)),
        "split" => (cost + 16.0 * total, Extent::sized(16.0 * total)),
        "sort" | "reverse" | "flatten" => (cost + total * total.log2().max(1.0), Extent::sized(total)),
        _ => (cost + total, Extent::sized(total)),
    }
}

fn comprehension<'s, 'v>(
    comprehension: &'s ComprehensionExpr,
    scope: &mut Scope<'s, 'v>,
) -> (f64, Extent<'v>) {
    let (range_cost, range) = price(&comprehension.iter_range, scope);
    let (count, item) = range.items();
    let (init_cost, init) = price(&comprehension.accu_init, scope);
    let outer = scope.len();
    scope.push((&comprehension.accu_var, Extent::sized(1.0)));
    let item_size = item.size;
    scope.push((&comprehension.iter_var, item));
    if let Some(second) = &comprehension.iter_var2 {
        scope.push((second, Extent::sized(range.size)));
    }
    let (cond_cost, _) = price(&comprehension.loop_cond, scope);
    let (step_cost, step) = price(&comprehension.loop_step, scope);
    scope.truncate(outer);
    // The accumulator of the macros only ever gains one step's value, and is copied at each step.
    let result = init.size + count * step.size.max(1.0);
    let grows = matches!(&comprehension.accu_init.expr, Expr::List(_) | Expr::Map(_));
    let copies = if grows { result / 2.0 } else { 1.0 };
    let cost = range_cost + init_cost + count * (cond_cost + step_cost + item_size + copies);
    (cost, Extent::sized(if grows { result } else { 1.0 }))
}
