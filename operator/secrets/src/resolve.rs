//! From references to values: which source answers for which name, and why a name has no value.

use std::collections::BTreeMap;
use std::fmt;

use homeport_bundle::SecretReference;
use secrecy::SecretString;

use crate::source::source_name;
use crate::{Error, Source};

/// Says that one secret comes from one source and from no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The name of the reference that is bound.
    pub name: String,
    /// The name of the source.
    pub source: String,
    /// What the source knows the secret by, if not by its name.
    pub key: Option<String>,
}

/// A value and where it came from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The value.
    pub value: SecretString,
    /// The name of the source that had it.
    pub origin: String,
}

/// A name for which there is no value.
#[derive(Debug)]
pub struct Missing {
    /// The reference's name.
    pub name: String,
    /// Whether the application cannot do without it.
    pub required: bool,
    /// Why there is no value.
    pub why: Why,
}

/// Why a secret has no value.
#[derive(Debug)]
pub enum Why {
    /// No source that was asked has it.
    NotFound {
        /// The names of the sources, in the order in which they were asked.
        asked: Vec<String>,
    },
    /// The binding names a source that is not configured.
    NoSuchSource {
        /// The name in the binding.
        source: String,
        /// The names of the sources that are configured.
        known: Vec<String>,
    },
    /// A source failed. Sources after it were not asked, so that a value never depends on which of them was up.
    Failed(Error),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { asked } if asked.is_empty() => write!(f, "no source is configured"),
            Self::NotFound { asked } => write!(f, "not found in {}", asked.join(", ")),
            Self::NoSuchSource { source, known } if known.is_empty() => {
                write!(f, "bound to source {source}, but no source is configured")
            }
            Self::NoSuchSource { source, known } => {
                write!(
                    f,
                    "bound to source {source}, but the sources are {}",
                    known.join(", ")
                )
            }
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}

/// What became of a set of references. It may be partial: what was found is in `values` even if something is missing.
#[derive(Debug, Default)]
pub struct Resolution {
    /// Values by the name of their reference.
    pub values: BTreeMap<String, Resolved>,
    /// Names without a value, in the order of their names.
    pub missing: Vec<Missing>,
}

impl Resolution {
    /// Whether every required secret has a value.
    pub fn is_complete(&self) -> bool {
        self.missing.iter().all(|missing| !missing.required)
    }

    /// Whether asking again later may find more, because a source failed in a way that passes.
    pub fn is_transient(&self) -> bool {
        self.missing
            .iter()
            .any(|missing| matches!(&missing.why, Why::Failed(error) if error.is_transient()))
    }
}

/// Finds a value for each reference.
///
/// A bound name is looked up in the source that its binding names. Any other is looked up in all sources in their order.
/// A reference's own key is passed only to the source that the reference was written for: the path of a secret in
/// one store means nothing to another.
pub async fn resolve(
    references: &[SecretReference],
    bindings: &[Binding],
    sources: &[Box<dyn Source>],
) -> Resolution {
    let mut resolution = Resolution::default();
    for reference in by_name(references).into_values() {
        let binding = bindings.iter().find(|binding| binding.name == reference.name);
        let outcome = match binding {
            Some(binding) => look_up_bound(&reference, binding, sources).await,
            None => look_up_in_order(&reference, sources).await,
        };
        match outcome {
            Ok(resolved) => {
                resolution.values.insert(reference.name, resolved);
            }
            Err(why) => {
                resolution.missing.push(Missing {
                    name: reference.name,
                    required: reference.required,
                    why,
                });
            }
        }
    }
    resolution
}

/// References by name; a name that is given twice is required if any of the two says so.
fn by_name(references: &[SecretReference]) -> BTreeMap<String, SecretReference> {
    let mut by_name: BTreeMap<String, SecretReference> = BTreeMap::new();
    for reference in references {
        by_name
            .entry(reference.name.clone())
            .and_modify(|known| known.required |= reference.required)
            .or_insert_with(|| reference.clone());
    }
    by_name
}

async fn look_up_bound(
    reference: &SecretReference,
    binding: &Binding,
    sources: &[Box<dyn Source>],
) -> Result<Resolved, Why> {
    let Some(source) = sources.iter().find(|source| source.name() == binding.source) else {
        return Err(Why::NoSuchSource {
            source: binding.source.clone(),
            known: names(sources),
        });
    };
    let mut asked_for = for_source(reference, source.name());
    if binding.key.is_some() {
        asked_for.key = binding.key.clone();
    }
    match source.fetch(&asked_for).await {
        Ok(Some(value)) => Ok(Resolved {
            value,
            origin: source.name().to_owned(),
        }),
        Ok(None) => Err(Why::NotFound {
            asked: vec![source.name().to_owned()],
        }),
        Err(error) => Err(Why::Failed(error)),
    }
}

async fn look_up_in_order(reference: &SecretReference, sources: &[Box<dyn Source>]) -> Result<Resolved, Why> {
    for source in sources {
        match source.fetch(&for_source(reference, source.name())).await {
            Ok(Some(value)) => {
                return Ok(Resolved {
                    value,
                    origin: source.name().to_owned(),
                });
            }
            Ok(None) => {}
            Err(error) => return Err(Why::Failed(error)),
        }
    }
    Err(Why::NotFound {
        asked: names(sources),
    })
}

fn names(sources: &[Box<dyn Source>]) -> Vec<String> {
    sources.iter().map(|source| source.name().to_owned()).collect()
}

/// The reference as one source should see it: with its key only if the key was written for that source.
fn for_source(reference: &SecretReference, source: &str) -> SecretReference {
    let mut seen = reference.clone();
    if source_name(reference.source) != source {
        seen.key = None;
    }
    seen
}
