//! The order in which named things that depend on each other can be done.

use std::collections::{BTreeSet, HashMap};

/// Indices of `nodes` such that each comes after what it depends on, otherwise in their own order.
///
/// Unknown dependencies are ignored (validation reports them). The error lists the names on a cycle.
pub(crate) fn dependency_order<'a>(nodes: &[(&'a str, &'a [String])]) -> Result<Vec<usize>, Vec<&'a str>> {
    let index: HashMap<&str, usize> = nodes
        .iter()
        .enumerate()
        .map(|(i, (name, _))| (*name, i))
        .collect();
    let needs = |i: usize| {
        nodes[i]
            .1
            .iter()
            .filter_map(|name| index.get(name.as_str()).copied())
    };

    let mut unmet: Vec<usize> = (0..nodes.len()).map(|i| needs(i).count()).collect();
    let mut needed_by = vec![Vec::new(); nodes.len()];
    for i in 0..nodes.len() {
        needs(i).for_each(|need| needed_by[need].push(i));
    }

    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&i| unmet[i] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for &dependent in &needed_by[next] {
            unmet[dependent] -= 1;
            if unmet[dependent] == 0 {
                ready.insert(dependent);
            }
        }
    }

    match unmet.iter().position(|&count| count > 0) {
        None => Ok(order),
        Some(stuck) => Err(cycle_from(nodes, stuck, |i| {
            needs(i).find(|&need| unmet[need] > 0)
        })),
    }
}

/// Follows unmet dependencies from `start` until a node comes up again; that loop is the cycle.
fn cycle_from<'a>(
    nodes: &[(&'a str, &'a [String])],
    start: usize,
    unmet: impl Fn(usize) -> Option<usize>,
) -> Vec<&'a str> {
    let mut path = vec![start];
    let mut positions = HashMap::from([(start, 0)]);
    let mut current = start;
    while let Some(next) = unmet(current) {
        if let Some(&position) = positions.get(&next) {
            path.drain(..position);
            break;
        }
        positions.insert(next, path.len());
        path.push(next);
        current = next;
    }
    path.into_iter().map(|i| nodes[i].0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deps(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn dependencies_come_first_and_ties_keep_their_order() {
        let (web, none) = (deps(&["db", "cache"]), deps(&[]));
        let nodes: [(&str, &[String]); 3] = [("web", &web), ("cache", &none), ("db", &none)];
        assert_eq!(dependency_order(&nodes), Ok(vec![1, 2, 0]));
    }

    #[test]
    fn a_cycle_is_named_without_what_only_leads_to_it() {
        let (a, b, c) = (deps(&["b"]), deps(&["c"]), deps(&["b"]));
        let nodes: [(&str, &[String]); 3] = [("a", &a), ("b", &b), ("c", &c)];
        assert_eq!(dependency_order(&nodes), Err(vec!["b", "c"]));
    }
}
