//! A checksum over a table's rows that does not depend on their order.
//!
//! Each row is hashed by itself (XXH3, 128 bits) and the hashes are added modulo 2^128. Addition commutes, so
//! streams and ranges can be summed in any order, and unlike exclusive-or it notices a row that occurs twice. It
//! guards against loss and corruption, not against somebody who forges rows.

use std::fmt;
use std::ops::AddAssign;

use xxhash_rust::xxh3::xxh3_128;

/// Count and checksum of a set of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checksum {
    rows: u64,
    sum: u128,
}

impl Checksum {
    /// Takes in one row, in the form in which both servers send it.
    pub(crate) fn add_row(&mut self, row: &[u8]) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(xxh3_128(row));
    }

    pub(crate) fn rows(self) -> u64 {
        self.rows
    }

    /// Puts together a stored count and the sum that [`fmt::Display`] wrote.
    pub(crate) fn from_parts(rows: u64, sum: &str) -> Option<Self> {
        u128::from_str_radix(sum, 16)
            .ok()
            .map(|sum| Checksum { rows, sum })
    }
}

impl AddAssign for Checksum {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// The sum as 32 hexadecimal digits.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.sum)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum<'a>(rows: impl IntoIterator<Item = &'a Vec<u8>>) -> Checksum {
        let mut checksum = Checksum::default();
        rows.into_iter().for_each(|row| checksum.add_row(row));
        checksum
    }

    proptest! {
        #[test]
        fn order_and_division_do_not_matter(rows: Vec<Vec<u8>>, cut: prop::sample::Index) {
            let (head, tail) = rows.split_at(if rows.is_empty() { 0 } else { cut.index(rows.len()) });
            let mut parts = sum(tail);
            parts += sum(head);
            prop_assert_eq!(parts, sum(rows.iter().rev()));
        }

        #[test]
        fn a_changed_byte_is_noticed(mut rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..20),
                                     row: prop::sample::Index, byte: prop::sample::Index, flip in 1u8..) {
            let before = sum(&rows);
            let row = row.index(rows.len());
            let byte = byte.index(rows[row].len());
            rows[row][byte] ^= flip;
            prop_assert_ne!(before, sum(&rows));
        }

        #[test]
        fn survives_being_stored(rows: Vec<Vec<u8>>) {
            let checksum = sum(&rows);
            prop_assert_eq!(Checksum::from_parts(checksum.rows(), &checksum.to_string()), Some(checksum));
        }
    }

    #[test]
    fn a_row_twice_is_not_the_row_once_nor_none() {
        let row = b"row".to_vec();
        assert_ne!(sum([&row, &row]), sum([&row]));
        assert_ne!(sum([&row, &row]), sum([]));
    }
}
