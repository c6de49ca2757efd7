//! In which form a table's rows travel.
//!
//! The binary form spares both servers the writing and parsing of text, but it is only right where both mean the
//! same by it: arrays and composite values carry type OIDs, which differ between databases for types that users or
//! extensions made; `reg*` values are OIDs of objects; other types may change between major versions. Where any
//! column is in doubt the table travels as text, which every version reads.

use std::collections::HashMap;

use super::catalog::Column;
use super::session::Session;
use crate::Error;

/// The form of a table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Binary,
    Text,
}

impl Format {
    /// As an option of `COPY`.
    pub(super) fn option(self) -> &'static str {
        match self {
            Format::Binary => "FORMAT binary",
            Format::Text => "FORMAT text",
        }
    }
}

/// First OID that is not the same in every database of a major version (`FirstGenbkiObjectId`).
const FIRST_VARYING_OID: u32 = 10_000;

/// Types whose binary form client drivers rely on, and which therefore stays as it is: booleans, numbers, texts,
/// bytes, dates and times, network addresses, bit strings, UUIDs and JSON. OIDs from `pg_type.dat`.
const STABLE: &[u32] = &[
    16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 650, 700, 701, 790, 829, 869, 1042, 1043, 1082, 1083, 1114,
    1184, 1186, 1266, 1560, 1562, 1700, 2950, 3802,
];

/// Types whose binary form is the OID of some object, or cannot be read: `reg*`, `pg_node_tree`, `aclitem`.
const NEVER: &[u32] = &[
    24, 194, 1033, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191,
];

/// What the source's `pg_type` says, as far as it matters here.
#[derive(Debug)]
pub(super) struct Types(HashMap<u32, Type>);

#[derive(Clone, Debug)]
enum Type {
    Base { has_binary: bool },
    Array { element: u32 },
    Domain { base: u32 },
    Enum,
    Range { subtype: u32 },
    Composite { attributes: Vec<u32> },
}

impl Types {
    pub(super) async fn read(source: &Session) -> Result<Types, Error> {
        let rows = source
            .rows(
                "reading the catalogs",
                "SELECT t.oid, t.typtype::text, t.typcategory = 'A' AND t.typelem <> 0 AND t.typlen = -1, t.typelem, \
                        t.typbasetype, t.typsend <> 0 AND t.typreceive <> 0, coalesce(r.rngsubtype, 0), \
                        ARRAY(SELECT a.atttypid FROM pg_catalog.pg_attribute a \
                              WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) \
                 FROM pg_catalog.pg_type t \
                 LEFT JOIN pg_catalog.pg_range r ON t.oid = r.rngtypid \
                 WHERE t.typtype IN ('b', 'd', 'e', 'r', 'm', 'c')",
                &[],
            )
            .await?;
        let types = rows
            .iter()
            .map(|row| {
                let (is_array, element, base): (bool, u32, u32) = (row.get(2), row.get(3), row.get(4));
                let described = match row.get::<_, String>(1).as_str() {
                    "d" => Type::Domain { base },
                    "e" => Type::Enum,
                    "r" => Type::Range { subtype: row.get(6) },
                    "c" => Type::Composite {
                        attributes: row.get(7),
                    },
                    _ if is_array => Type::Array { element },
                    _ => Type::Base {
                        has_binary: row.get(5),
                    },
                };
                (row.get(0), described)
            })
            .collect();
        Ok(Types(types))
    }

    /// The form for rows of these columns, between servers of the same major version or of different ones.
    pub(super) fn format(&self, columns: &[Column], same_major: bool) -> Format {
        if columns
            .iter()
            .all(|column| self.binary_is_safe(column.type_oid, same_major))
        {
            Format::Binary
        } else {
            Format::Text
        }
    }

    fn binary_is_safe(&self, oid: u32, same_major: bool) -> bool {
        let safe_everywhere = |oid: u32| oid < FIRST_VARYING_OID && self.binary_is_safe(oid, same_major);
        match self.0.get(&oid) {
            None => false,
            Some(Type::Enum) => true,
            Some(Type::Domain { base }) => self.binary_is_safe(*base, same_major),
            Some(Type::Range { subtype }) => self.binary_is_safe(*subtype, same_major),
            Some(Type::Array { element }) => safe_everywhere(*element),
            Some(Type::Composite { attributes }) => attributes.iter().all(|oid| safe_everywhere(*oid)),
            Some(Type::Base { has_binary }) => {
                *has_binary
                    && !NEVER.contains(&oid)
                    && (STABLE.contains(&oid) || (same_major && oid < FIRST_VARYING_OID))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::integer(23, true, true)]
    #[case::unknown(99, false, false)]
    #[case::tsvector(3614, true, false)]
    #[case::regclass(2205, false, false)]
    #[case::integers(1007, true, true)]
    #[case::enumeration(20001, true, true)]
    #[case::enumerations(20002, false, false)]
    #[case::domain_of_integer(20003, true, true)]
    #[case::domain_of_regclass(20004, false, false)]
    #[case::composite_of_builtin(20005, true, true)]
    #[case::composite_with_enum(20006, false, false)]
    #[case::range_of_domain(20007, true, true)]
    #[case::extension_type(20008, false, false)]
    fn safety(#[case] oid: u32, #[case] same_major: bool, #[case] unlike_major: bool) {
        let base = || Type::Base { has_binary: true };
        let types = Types(HashMap::from([
            (23, base()),
            (3614, base()),
            (2205, base()),
            (1007, Type::Array { element: 23 }),
            (20001, Type::Enum),
            (20002, Type::Array { element: 20001 }),
            (20003, Type::Domain { base: 23 }),
            (20004, Type::Domain { base: 2205 }),
            (
                20005,
                Type::Composite {
                    attributes: vec![23, 1007],
                },
            ),
            (
                20006,
                Type::Composite {
                    attributes: vec![23, 20001],
                },
            ),
            (20007, Type::Range { subtype: 20003 }),
            (20008, base()),
        ]));
        let format = |same_major| {
            types.format(
                &[Column {
                    name: "c".into(),
                    type_name: String::new(),
                    type_oid: oid,
                }],
                same_major,
            ) == Format::Binary
        };
        assert_eq!((format(true), format(false)), (same_major, unlike_major));
    }
}
