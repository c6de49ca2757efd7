//! Optional field selection, `self.?a.?b`, and mapped optionals, `o.optMap(v, v + 1)`, put in terms that the
//! interpreter knows and gets right.
//!
//! It fails on an absent field where it should give `optional.none()`. So a chain of selections becomes
//! `has(self.a) && has(self.a.b) ? optional.of(self.a.b) : optional.none()`. And `o.optMap(v, e)`, which is a macro, becomes
//! `o.hasValue() ? optional.of(e) : optional.none()` with `o.value()` for each `v` in `e`.

use kube_cel::cel::{
    common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators},
    parser::Expression,
};

/// Rewrites every optional selection in an expression.
pub(super) fn rewrite(expression: &mut Expression) {
    if let Some((base, fields)) = chain(expression) {
        let mut base = base;
        rewrite(&mut base);
        *expression = selection(&base, &fields);
        return;
    }
    if let Some(mapped) = mapping(expression) {
        *expression = mapped;
    }
    match &mut expression.expr {
        Expr::Call(call) => {
            call.target
                .as_deref_mut()
                .into_iter()
                .chain(&mut call.args)
                .for_each(rewrite);
        }
        Expr::Comprehension(comprehension) => {
            rewrite(&mut comprehension.iter_range);
            rewrite(&mut comprehension.accu_init);
            rewrite(&mut comprehension.loop_cond);
            rewrite(&mut comprehension.loop_step);
            rewrite(&mut comprehension.result);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(rewrite),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    rewrite(&mut entry.key);
                    rewrite(&mut entry.value);
                }
            }
        }
        Expr::Select(select) => rewrite(&mut select.operand),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

/// What `optMap` or `optFlatMap` stands for, if the expression is a call of one.
fn mapping(expression: &Expression) -> Option<IdedExpr> {
    let Expr::Call(call) = &expression.expr else {
        return None;
    };
    let (Some(target), [variable, body]) = (&call.target, call.args.as_slice()) else {
        return None;
    };
    let Expr::Ident(variable) = &variable.expr else {
        return None;
    };
    let method = |name| self::call(name, Some((**target).clone()), Vec::new());
    let mut body = body.clone();
    substitute(&mut body, variable, &method("value"));
    let mapped = match call.func_name.as_str() {
        "optMap" => optional("of", vec![body]),
        "optFlatMap" => body,
        _ => return None,
    };
    let branches = vec![method("hasValue"), mapped, optional("none", Vec::new())];
    Some(self::call(operators::CONDITIONAL, None, branches))
}

/// Puts `value` in the place of a variable, but where another of its name is bound.
fn substitute(expression: &mut IdedExpr, variable: &str, value: &IdedExpr) {
    let inner = |part: &mut IdedExpr| substitute(part, variable, value);
    match &mut expression.expr {
        Expr::Ident(name) if name == variable => *expression = value.clone(),
        Expr::Call(call) => call
            .target
            .as_deref_mut()
            .into_iter()
            .chain(&mut call.args)
            .for_each(inner),
        Expr::Comprehension(comprehension) => {
            inner(&mut comprehension.iter_range);
            if comprehension.iter_var != variable {
                inner(&mut comprehension.loop_cond);
                inner(&mut comprehension.loop_step);
            }
            inner(&mut comprehension.accu_init);
            inner(&mut comprehension.result);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(inner),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    inner(&mut entry.key);
                    inner(&mut entry.value);
                }
            }
        }
        Expr::Select(select) => inner(&mut select.operand),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

/// What the chain starts from and the fields that it selects, if the expression is a chain.
fn chain(expression: &Expression) -> Option<(IdedExpr, Vec<String>)> {
    match &expression.expr {
        Expr::Call(call) if call.func_name == operators::OPT_SELECT => {
            let [operand, field] = call.args.as_slice() else {
                return None;
            };
            let Expr::Literal(LiteralValue::String(field)) = &field.expr else {
                return None;
            };
            let (base, mut fields) = chain(operand).unwrap_or_else(|| (operand.clone(), Vec::new()));
            fields.push(field.inner().to_owned());
            Some((base, fields))
        }
        // Once optional, a selection stays so: `self.?a.b` is `self.?a.?b`.
        Expr::Select(select) if !select.test => {
            let (base, mut fields) = chain(&select.operand)?;
            fields.push(select.field.clone());
            Some((base, fields))
        }
        _ => None,
    }
}

fn selection(base: &IdedExpr, fields: &[String]) -> IdedExpr {
    let select = |operand: IdedExpr, field: &String, test: bool| {
        expression(Expr::Select(SelectExpr {
            operand: Box::new(operand),
            field: field.clone(),
            test,
        }))
    };
    let mut value = base.clone();
    let mut exists: Option<IdedExpr> = None;
    for field in fields {
        let has = select(value.clone(), field, true);
        exists = Some(match exists {
            Some(before) => call(operators::LOGICAL_AND, None, vec![before, has]),
            None => has,
        });
        value = select(value, field, false);
    }
    let (some, none) = (optional("of", vec![value]), optional("none", Vec::new()));
    match exists {
        Some(exists) => call(operators::CONDITIONAL, None, vec![exists, some, none]),
        None => some,
    }
}

/// A call of `optional.of` or its like.
fn optional(name: &str, arguments: Vec<IdedExpr>) -> IdedExpr {
    call(
        name,
        Some(expression(Expr::Ident("optional".to_owned()))),
        arguments,
    )
}

fn call(name: &str, target: Option<IdedExpr>, args: Vec<IdedExpr>) -> IdedExpr {
    expression(Expr::Call(CallExpr {
        func_name: name.to_owned(),
        target: target.map(Box::new),
        args,
    }))
}

fn expression(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}
