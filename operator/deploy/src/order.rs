//! Which stacks can be brought up when.

use std::collections::BTreeSet;

use homeport_bundle::{Manifest, Stack};

use crate::error::{Error, Result};

/// Hands out stacks, each when those that it depends on are done.
#[derive(Debug)]
pub(crate) struct Schedule<'a> {
    waiting: Vec<&'a Stack>,
    pending: BTreeSet<&'a str>,
}

impl<'a> Schedule<'a> {
    /// Of those stacks; dependencies on others are taken for met.
    pub(crate) fn new(stacks: &[&'a Stack]) -> Result<Self> {
        let schedule = Self {
            waiting: stacks.to_vec(),
            pending: stacks.iter().map(|stack| stack.name.as_str()).collect(),
        };
        schedule.refuse_cycles()?;
        Ok(schedule)
    }

    /// The next stack that can begin now.
    pub(crate) fn next(&mut self) -> Option<&'a Stack> {
        let is_ready = |stack: &&Stack| {
            stack
                .depends_on
                .iter()
                .all(|name| !self.pending.contains(name.as_str()))
        };
        let position = self.waiting.iter().position(is_ready)?;
        Some(self.waiting.remove(position))
    }

    /// A stack that was handed out is up.
    pub(crate) fn done(&mut self, stack: &str) {
        self.pending.remove(stack);
    }

    fn refuse_cycles(&self) -> Result<()> {
        let mut rehearsal = Self {
            waiting: self.waiting.clone(),
            pending: self.pending.clone(),
        };
        while let Some(stack) = rehearsal.next() {
            rehearsal.done(&stack.name);
        }
        if rehearsal.waiting.is_empty() {
            return Ok(());
        }
        let stacks = rehearsal.waiting.iter().map(|stack| stack.name.clone()).collect();
        Err(Error::DependencyCycle { stacks })
    }
}

/// The stacks of a manifest that are asked for, all if none are named, each after those that it depends on.
pub(crate) fn selected<'a>(manifest: &'a Manifest, names: &[String]) -> Result<Vec<&'a Stack>> {
    if let Some(stack) = names.iter().find(|name| manifest.stack(name).is_none()) {
        let known: Vec<&str> = manifest.stacks.iter().map(|stack| stack.name.as_str()).collect();
        return Err(Error::NoSuchStack {
            stack: stack.clone(),
            known: known.join(", "),
        });
    }
    let mut stacks = manifest.stacks_in_order();
    stacks.retain(|stack| names.is_empty() || names.contains(&stack.name));
    Ok(stacks)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rstest::rstest;

    /// Written as `web:db,cache db cache`: each stack, and what it depends on.
    fn manifest(stacks: &str) -> Manifest {
        let stack = |text: &str| {
            let (name, needs) = text.split_once(':').unwrap_or((text, ""));
            let needs = needs.split(',').filter(|need| !need.is_empty());
            Stack {
                name: name.to_owned(),
                depends_on: needs.map(str::to_owned).collect(),
                ..Stack::default()
            }
        };
        Manifest {
            stacks: stacks.split_whitespace().map(stack).collect(),
            ..Manifest::default()
        }
    }

    /// Brings up all that can be at once, again and again.
    fn levels(manifest: &Manifest) -> String {
        let mut schedule = Schedule::new(&selected(manifest, &[]).unwrap()).unwrap();
        let mut levels = Vec::new();
        loop {
            let level: Vec<&str> = std::iter::from_fn(|| schedule.next())
                .map(|s| s.name.as_str())
                .collect();
            if level.is_empty() {
                return levels.join(" | ");
            }
            level.iter().for_each(|name| schedule.done(name));
            levels.push(level.join(" "));
        }
    }

    #[rstest]
    #[case("", "")]
    #[case("a b", "a b")]
    #[case("web:db db", "db | web")]
    #[case("d:b,c b:a c:a a", "a | b c | d")]
    #[case("a:not-here", "a")]
    fn stacks_come_in_levels(#[case] stacks: &str, #[case] expected: &str) {
        assert_eq!(levels(&manifest(stacks)), expected);
    }

    #[test]
    fn nothing_begins_before_what_it_needs_is_done() {
        let manifest = manifest("db web:db");
        let mut schedule = Schedule::new(&selected(&manifest, &[]).unwrap()).unwrap();
        assert_eq!(schedule.next().unwrap().name, "db");
        assert!(schedule.next().is_none());
        schedule.done("db");
        assert_eq!(schedule.next().unwrap().name, "web");
    }

    #[test]
    fn circles_are_refused() {
        let manifest = manifest("a b:c c:b");
        let error = Schedule::new(&selected(&manifest, &[]).unwrap()).unwrap_err();
        assert!(
            matches!(error, Error::DependencyCycle { stacks } if stacks == ["b", "c"]),
            "names those in it"
        );
    }

    #[test]
    fn stacks_can_be_chosen() {
        let manifest = manifest("web:db db cache");
        let chosen = selected(&manifest, &["web".to_owned(), "cache".to_owned()]).unwrap();
        assert_eq!(
            chosen.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
            ["web", "cache"]
        );
        let error = selected(&manifest, &["wbe".to_owned()]).unwrap_err().to_string();
        assert!(
            error.contains("\"wbe\"") && error.contains("web, db, cache"),
            "{error}"
        );
    }
}
