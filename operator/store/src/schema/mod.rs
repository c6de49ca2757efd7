//! Structural schemas: what a custom resource may hold, and what is done with what it holds.
//!
//! [`Structural::compile`] turns the `openAPIV3Schema` of a CustomResourceDefinition into a tree of nodes, or
//! says why it is not structural. An object then goes through three walks of that tree, in the order of the
//! API server: [`Structural::prune`], [`Structural::default_values`], [`Structural::validate`]. The same tree
//! tells strategic and server-side apply how lists and maps merge. [`builtin`] has the schemas of the kinds
//! that every API server knows.

mod builtin;
mod cel;
mod compile;
mod decode;
mod defaults;
mod error;
mod format;
mod node;
mod pattern;
mod prune;
mod validate;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use builtin::builtin;
pub(crate) use builtin::{builtin_definitions, meta_definitions, object_meta, object_meta_definitions};
pub(crate) use error::{FieldError, FieldErrorKind};
pub(crate) use node::{ListType, Node, NodeChild, Type};
pub(crate) use validate::canonical;

/// A compiled schema of a kind.
#[derive(Debug)]
pub(crate) struct Structural {
    root: Arc<Node>,
}

impl Structural {
    /// Compiles the `openAPIV3Schema` of a version of a CustomResourceDefinition.
    ///
    /// The paths of the errors are relative to the schema: `properties[spec].type`. They include everything
    /// that is wrong with a `x-kubernetes-validations` rule, so that no rule can fail to compile later.
    pub(crate) fn compile(schema: &Value) -> Result<Self, Vec<FieldError>> {
        let mut root = compile::custom(schema)?;
        // Whatever the schema says of metadata narrows the names only; the rest is Kubernetes' own.
        let narrowed = root.properties.insert("metadata".to_owned(), object_meta());
        if let Some(narrowed) = narrowed
            && (!narrowed.properties.is_empty() || !narrowed.checks.required.is_empty())
        {
            let narrowed = Node {
                preserve_unknown: true,
                ..Arc::try_unwrap(narrowed).unwrap_or_default()
            };
            let mut names = Node {
                preserve_unknown: true,
                ..Node::default()
            };
            names.properties.insert("metadata".to_owned(), Arc::new(narrowed));
            root.checks.all_of.push(names);
        }
        for name in ["apiVersion", "kind"] {
            let text = || {
                Arc::new(Node {
                    ty: Some(Type::String),
                    ..Node::default()
                })
            };
            root.properties.entry(name.to_owned()).or_insert_with(text);
        }
        Ok(Self { root: Arc::new(root) })
    }

    /// A schema of the server's own, whose root is already compiled.
    fn of(root: Arc<Node>) -> Self {
        Self { root }
    }

    /// Reads an object of a built-in kind as kube-apiserver's decoder does, and drops what that does not keep.
    ///
    /// # Errors
    /// The decoder's words about the first value of a wrong type.
    pub(crate) fn read(&self, object: &mut Value) -> Result<(), String> {
        decode::read(&self.root, object)
    }

    /// Whether there is anything that [`Structural::default_values`] could fill in.
    pub(crate) fn has_defaults(&self) -> bool {
        defaults::any(&self.root)
    }

    /// Fills in the defaults, as far down as objects are present.
    pub(crate) fn default_values(&self, object: &mut Value) {
        defaults::apply(&self.root, object);
    }

    /// Drops what the schema does not know and returns where it was, in the order of the object:
    /// `spec.foo`, `spec.list[2].bar`. `apiVersion`, `kind` and the known fields of `metadata` always stay.
    #[must_use = "strict field validation refuses an object that has unknown fields"]
    pub(crate) fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut dropped = Vec::new();
        prune::apply(&self.root, object, true, "", &mut dropped);
        dropped
    }

    /// Everything wrong with an object. `old` is the object as it was, for transition rules, and so that what
    /// was wrong before and has not been touched does not stop a change elsewhere. Rules run only where the
    /// object is otherwise sound; where they could not, an error says so.
    #[must_use]
    pub(crate) fn validate(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut errors = validate::object(&self.root, new, old);
        if !self.root.has_rules {
            return errors;
        }
        let blocks = |kind| {
            use FieldErrorKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
            matches!(kind, Required | TooLong | TooMany | TypeInvalid | NotSupported)
        };
        if errors.iter().any(|error| blocks(error.kind)) {
            let detail = "some validation rules were not checked because the object was invalid; correct the \
                          existing errors to complete validation";
            errors.push(FieldError::invalid("<nil>", Value::Null, detail));
        } else {
            errors.extend(cel::evaluate(&self.root, new, old));
        }
        errors
    }

    /// The tree that apply and patch follow.
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

#[cfg(test)]
mod tests;
