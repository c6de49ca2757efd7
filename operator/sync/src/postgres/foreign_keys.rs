//! When each foreign key may be created: once both its tables are complete, and never two at a time that lock the
//! same table.

use std::collections::HashSet;

/// An object that ties two tables together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ForeignKey {
    pub(super) object: usize,
    pub(super) table: usize,
    pub(super) referenced: usize,
}

/// Foreign keys that wait for their tables.
#[derive(Debug, Default)]
pub(super) struct ForeignKeys {
    pub(super) waiting: Vec<ForeignKey>,
    /// Tables with all their rows, indexes and statistics.
    pub(super) complete: HashSet<usize>,
    /// Tables that a foreign key under way locks.
    pub(super) locked: HashSet<usize>,
}

impl ForeignKeys {
    /// Takes out those whose tables are complete and free, and locks these.
    pub(super) fn take_ready(&mut self) -> Vec<ForeignKey> {
        let (complete, locked) = (&self.complete, &mut self.locked);
        self.waiting
            .extract_if(.., |key| {
                let tables = [key.table, key.referenced];
                let ready = tables
                    .iter()
                    .all(|table| complete.contains(table) && !locked.contains(table));
                if ready {
                    locked.extend(tables);
                }
                ready
            })
            .collect()
    }
}

/// Puts foreign keys into rounds within which no two lock the same relation.
pub(super) fn rounds(foreign_keys: &[(usize, (u32, u32))]) -> Vec<Vec<usize>> {
    let mut rounds: Vec<(Vec<usize>, HashSet<u32>)> = Vec::new();
    for (object, (relation, referenced)) in foreign_keys {
        let free = rounds
            .iter()
            .position(|(_, locked)| !locked.contains(relation) && !locked.contains(referenced))
            .unwrap_or_else(|| {
                rounds.push((Vec::new(), HashSet::new()));
                rounds.len() - 1
            });
        rounds[free].0.push(*object);
        rounds[free].1.extend([*relation, *referenced]);
    }
    rounds.into_iter().map(|(objects, _)| objects).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn foreign_keys_under_way_share_no_table(pairs in prop::collection::vec((0usize..6, 0usize..6), 0..20)) {
            let waiting: Vec<ForeignKey> = pairs
                .iter()
                .enumerate()
                .map(|(object, (table, referenced))| ForeignKey { object, table: *table, referenced: *referenced })
                .collect();
            let mut keys = ForeignKeys { waiting, ..ForeignKeys::default() };
            prop_assert!(keys.take_ready().is_empty(), "no table is complete");
            keys.complete.extend(0..6);
            let mut done = 0;
            while !keys.waiting.is_empty() {
                let ready = keys.take_ready();
                prop_assert!(!ready.is_empty(), "a key waits for nothing");
                let mut seen = HashSet::new();
                for key in &ready {
                    prop_assert!(!seen.contains(&key.table) && !seen.contains(&key.referenced));
                    seen.extend([key.table, key.referenced]);
                }
                done += ready.len();
                keys.locked.clear();
            }
            prop_assert_eq!(done, pairs.len());
        }

        #[test]
        fn foreign_keys_of_a_round_share_no_relation(keys in prop::collection::vec((0u32..8, 0u32..8), 0..20)) {
            let keys: Vec<(usize, (u32, u32))> = keys.into_iter().enumerate().collect();
            let rounds = rounds(&keys);
            let mut all: Vec<usize> = rounds.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..keys.len()).collect::<Vec<_>>());
            for round in rounds {
                let mut seen = HashSet::new();
                for object in round {
                    let (relation, referenced) = keys[object].1;
                    prop_assert!(!seen.contains(&relation) && !seen.contains(&referenced));
                    seen.extend([relation, referenced]);
                }
            }
        }
    }
}
