//! The table of contents of a `pg_dump --format=custom --schema-only` archive.
//!
//! The archive says of every object what it is, which catalog row it stands for, what it depends on and the SQL
//! that creates and drops it, so that objects can be left out, put in order and built in parallel without guessing
//! from SQL text. The format is that of PostgreSQL's `src/bin/pg_dump/pg_backup_archiver.c` (`ReadHead`, `ReadToc`);
//! versions 1.14 (PostgreSQL 12) to 1.16 (PostgreSQL 18) are read.

use crate::Error;

/// When an object is created: before the rows, with them, or after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    PreData,
    Data,
    PostData,
}

/// One object of the schema.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: i64,
    /// The object's row: the catalog's OID and the row's OID, as on the source.
    pub(super) catalog: u32,
    pub(super) oid: u32,
    /// Its name, and for some kinds its table's name or arguments.
    pub(super) tag: String,
    /// Its kind in capitals, such as `TABLE` or `FK CONSTRAINT`.
    pub(super) kind: String,
    pub(super) section: Section,
    pub(super) create: String,
    pub(super) drop: String,
    pub(super) schema: String,
    pub(super) access_method: String,
    pub(super) owner: String,
    pub(super) dependencies: Vec<i64>,
}

impl Entry {
    /// Kind, schema and name, as messages and the state on the target call it.
    pub(super) fn name(&self) -> String {
        if self.schema.is_empty() {
            format!("{} {}", self.kind, self.tag)
        } else {
            format!("{} {}.{}", self.kind, self.schema, self.tag)
        }
    }
}

/// Reads the table of contents.
pub(super) fn parse(archive: &[u8]) -> Result<Vec<Entry>, Error> {
    let mut reader = Reader {
        rest: archive,
        int_size: 4,
    };
    read(&mut reader).ok_or_else(|| Error::Protocol {
        what: format!(
            "pg_dump wrote an archive that cannot be read (at byte {} of {})",
            archive.len() - reader.rest.len(),
            archive.len()
        ),
    })
}

fn read(reader: &mut Reader<'_>) -> Option<Vec<Entry>> {
    if reader.take(5)? != b"PGDMP" {
        return None;
    }
    let version = (reader.byte()?, reader.byte()?, reader.byte()?);
    if !((1, 14, 0)..(1, 17, 0)).contains(&version) {
        return None;
    }
    reader.int_size = usize::from(reader.byte()?);
    let offset_size = usize::from(reader.byte()?);
    reader.byte()?; // format
    if version >= (1, 15, 0) {
        reader.byte().map(|_| ())?
    } else {
        reader.int().map(|_| ())?
    } // compression
    for _ in 0..7 {
        reader.int()?; // creation time
    }
    for _ in 0..3 {
        reader.text()?; // database, server version, pg_dump version
    }
    let count = usize::try_from(reader.int()?).ok()?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..count {
        let entry = read_entry(
            reader,
            version,
            offset_size,
            entries.last().map(|entry| entry.section),
        )?;
        entries.push(entry);
    }
    Some(entries)
}

fn read_entry(
    reader: &mut Reader<'_>,
    version: (u8, u8, u8),
    offset_size: usize,
    previous: Option<Section>,
) -> Option<Entry> {
    let id = reader.int()?;
    reader.int()?; // whether rows follow
    let catalog = reader.text()?.parse().ok()?;
    let oid = reader.text()?.parse().ok()?;
    let tag = reader.text()?;
    let kind = reader.text()?;
    let section = match reader.int()? {
        2 => Section::PreData,
        3 => Section::Data,
        4 => Section::PostData,
        // Comments, privileges and labels belong to the object before them.
        _ => previous.unwrap_or(Section::PreData),
    };
    let create = reader.text()?;
    let drop = reader.text()?;
    reader.text()?; // COPY statement
    let schema = reader.text()?;
    reader.text()?; // tablespace: the target has its own
    let access_method = reader.text()?;
    if version >= (1, 16, 0) {
        reader.int()?; // relkind
    }
    let owner = reader.text()?;
    reader.text()?; // WITH OIDS
    let mut dependencies = Vec::new();
    while let Some(dependency) = reader.optional_text()? {
        dependencies.push(dependency.parse().ok()?);
    }
    reader.take(1 + offset_size)?; // where the rows are
    Some(Entry {
        id,
        catalog,
        oid,
        tag,
        kind,
        section,
        create,
        drop,
        schema,
        access_method,
        owner,
        dependencies,
    })
}

struct Reader<'a> {
    rest: &'a [u8],
    int_size: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// A sign byte and `int_size` bytes, least significant first.
    fn int(&mut self) -> Option<i64> {
        let negative = self.byte()? != 0;
        let bytes = self.take(self.int_size)?;
        let value = bytes.iter().rev().try_fold(0i64, |value, byte| {
            value
                .checked_mul(256)
                .and_then(|value| value.checked_add(i64::from(*byte)))
        })?;
        Some(if negative { -value } else { value })
    }

    /// A length and so many bytes; -1 stands for no text.
    fn optional_text(&mut self) -> Option<Option<String>> {
        let length = self.int()?;
        if length < 0 {
            return Some(None);
        }
        let bytes = self.take(usize::try_from(length).ok()?)?;
        Some(Some(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn text(&mut self) -> Option<String> {
        self.optional_text().map(Option::unwrap_or_default)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn int(out: &mut Vec<u8>, value: i64) {
        out.push(u8::from(value < 0));
        out.extend(&u32::try_from(value.unsigned_abs()).unwrap().to_le_bytes());
    }

    fn text(out: &mut Vec<u8>, value: Option<&str>) {
        int(out, value.map_or(-1, |value| i64::try_from(value.len()).unwrap()));
        out.extend(value.unwrap_or_default().as_bytes());
    }

    /// An archive of format 1.`minor` with one table and a comment on it.
    fn archive(minor: u8) -> Vec<u8> {
        let mut out = b"PGDMP".to_vec();
        out.extend([1, minor, 0, 4, 8, 1]);
        if minor >= 15 {
            out.push(0)
        } else {
            int(&mut out, -1)
        }
        (0..7).for_each(|_| int(&mut out, 0));
        (0..3).for_each(|_| text(&mut out, Some("15.4")));
        int(&mut out, 2);
        for (id, kind, section) in [(7, "TABLE", 2), (8, "COMMENT", 1)] {
            int(&mut out, id);
            int(&mut out, 0);
            for field in ["1259", "16385", "orders", kind] {
                text(&mut out, Some(field));
            }
            int(&mut out, section);
            for field in [
                Some("CREATE"),
                Some("DROP"),
                None,
                Some("public"),
                None,
                Some("heap"),
            ] {
                text(&mut out, field);
            }
            if minor >= 16 {
                int(&mut out, 114);
            }
            for field in [Some("alice"), Some("false"), Some("3"), Some("5"), None] {
                text(&mut out, field);
            }
            out.extend([1; 9]);
        }
        out
    }

    #[rstest::rstest]
    fn every_version(#[values(14, 15, 16)] minor: u8) {
        let entries = parse(&archive(minor)).unwrap();
        assert_eq!(entries.len(), 2);
        let (table, comment) = (&entries[0], &entries[1]);
        assert_eq!((table.id, table.catalog, table.oid), (7, 1259, 16385));
        assert_eq!(table.name(), "TABLE public.orders");
        assert_eq!((table.section, table.owner.as_str()), (Section::PreData, "alice"));
        assert_eq!(table.dependencies, [3, 5]);
        assert_eq!(
            (comment.kind.as_str(), comment.section),
            ("COMMENT", Section::PreData)
        );
    }

    proptest! {
        #[test]
        fn damage_is_refused_not_fatal(cut: prop::sample::Index, at: prop::sample::Index, byte: u8) {
            let whole = archive(14);
            let short = &whole[..cut.index(whole.len())];
            prop_assert!(parse(short).is_err());
            let mut changed = whole.clone();
            let at = at.index(whole.len());
            changed[at] = byte;
            let _ = parse(&changed);
        }
    }
}
