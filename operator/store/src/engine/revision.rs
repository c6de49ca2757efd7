//! The one counter that orders all changes.

/// Revisions reserved on disk at a time.
pub(super) const BLOCK: u64 = 1000;

/// Hands out revisions, each once, and knows how far the file has promised.
///
/// Changes that stay in memory take revisions too, and must not get them again after a restart. So the file holds
/// not the last revision used but a mark that no used revision exceeds; a restart begins after the mark, with a
/// revision for the state that it finds.
#[derive(Debug)]
pub(super) struct Counter {
    last: u64,
    reserved: u64,
}

impl Counter {
    /// Continues after `reserved`, the mark in the file.
    pub(super) fn after(reserved: u64) -> Self {
        Counter {
            last: reserved,
            reserved,
        }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The mark to be made durable before the revisions handed out so far may be shown to anyone, if they passed
    /// the present one.
    pub(super) fn reservation(&self) -> Option<u64> {
        (self.last > self.reserved).then(|| self.last + BLOCK)
    }

    /// Notes that the file now holds `mark`.
    pub(super) fn reserved(&mut self, mark: u64) {
        self.reserved = mark;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_never_hands_out_a_revision_again() {
        let mut counter = Counter::after(7);
        assert_eq!(counter.next(), 8);
        assert_eq!(counter.reservation(), Some(8 + BLOCK));
        counter.reserved(8 + BLOCK);
        assert_eq!(counter.reservation(), None);
        for _ in 0..BLOCK {
            counter.next();
        }
        assert_eq!(counter.reservation(), None, "the whole block is usable");
        let beyond = counter.next();
        assert_eq!(counter.reservation(), Some(beyond + BLOCK));
        assert!(Counter::after(8 + BLOCK).next() > 8 + BLOCK);
    }
}
