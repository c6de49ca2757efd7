//! Large objects: read and written in pieces by the functions that need no more than their owner's rights, under
//! the OIDs that they have on the source, because rows refer to them by OID.

use std::collections::BTreeSet;

use super::session::Session;
use super::sql::ident;
use crate::Error;
use crate::checksum::Checksum;
use crate::progress::Meter;
use crate::throttle::Throttle;

/// Size of a piece; a few of them are in memory at a time.
const PIECE: i32 = 1 << 20;
/// How many objects' first pieces are read at a time.
const BATCH: i64 = 8;

/// One piece of one object.
struct Piece {
    oid: u32,
    offset: i64,
    bytes: Vec<u8>,
}

impl Piece {
    fn row(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(self.bytes.len() + 12);
        row.extend(self.oid.to_be_bytes());
        row.extend(self.offset.to_be_bytes());
        row.extend(&self.bytes);
        row
    }
}

/// Walks the large objects of a database piece by piece, in order.
struct Reader<'a> {
    session: &'a Session,
    after: Option<u32>,
    pending: std::collections::VecDeque<Piece>,
}

impl<'a> Reader<'a> {
    fn new(session: &'a Session) -> Self {
        Reader {
            session,
            after: None,
            pending: std::collections::VecDeque::new(),
        }
    }

    async fn next(&mut self) -> Result<Option<Piece>, Error> {
        if self.pending.is_empty() {
            self.read_first_pieces().await?;
        }
        let Some(piece) = self.pending.pop_front() else {
            return Ok(None);
        };
        if piece.bytes.len() == PIECE as usize {
            let offset = piece.offset + i64::from(PIECE);
            let more = self.read_piece(piece.oid, offset).await?;
            if !more.bytes.is_empty() {
                self.pending.push_front(more);
            }
        }
        Ok(Some(piece))
    }

    async fn read_first_pieces(&mut self) -> Result<(), Error> {
        let rows = self
            .session
            .rows(
                "reading large objects",
                &format!(
                    "SELECT oid, pg_catalog.lo_get(oid, 0, {PIECE}) FROM pg_catalog.pg_largeobject_metadata \
                     WHERE $1::oid IS NULL OR oid > $1 ORDER BY oid LIMIT {BATCH}"
                ),
                &[&self.after],
            )
            .await?;
        self.pending.extend(rows.iter().map(|row| Piece {
            oid: row.get(0),
            offset: 0,
            bytes: row.get(1),
        }));
        self.after = self.pending.back().map(|piece| piece.oid).or(self.after);
        Ok(())
    }

    async fn read_piece(&self, oid: u32, offset: i64) -> Result<Piece, Error> {
        let row = self
            .session
            .row(
                &format!("reading large object {oid}"),
                "SELECT pg_catalog.lo_get($1, $2, $3)",
                &[&oid, &offset, &PIECE],
            )
            .await?;
        Ok(Piece {
            oid,
            offset,
            bytes: row.get(0),
        })
    }
}

/// Checksum of all large objects; its rows are pieces.
pub(super) async fn read_checksum(session: &Session) -> Result<Checksum, Error> {
    let mut reader = Reader::new(session);
    let mut checksum = Checksum::default();
    while let Some(piece) = reader.next().await? {
        checksum.add_row(&piece.row());
    }
    Ok(checksum)
}

/// Copies all large objects within the transaction that is open on `target`. Returns the source's checksum, how
/// many bytes passed, and warnings.
pub(super) async fn copy(
    source: &Session,
    target: &Session,
    throttle: &Throttle,
    meter: &Meter,
) -> Result<(Checksum, u64, Vec<String>), Error> {
    let mut reader = Reader::new(source);
    let mut checksum = Checksum::default();
    let mut bytes = 0;
    while let Some(piece) = reader.next().await? {
        throttle.take(piece.bytes.len()).await;
        checksum.add_row(&piece.row());
        let action = format!("writing large object {}", piece.oid);
        if piece.offset == 0 {
            target
                .execute(
                    &action,
                    "SELECT pg_catalog.lo_from_bytea($1, $2)",
                    &[&piece.oid, &piece.bytes],
                )
                .await?;
        } else {
            target
                .execute(
                    &action,
                    "SELECT pg_catalog.lo_put($1, $2, $3)",
                    &[&piece.oid, &piece.offset, &piece.bytes],
                )
                .await?;
        }
        bytes += piece.bytes.len() as u64;
        meter.passed(piece.bytes.len() as u64, 0);
    }
    Ok((checksum, bytes, set_owners(source, target).await?))
}

/// Removes all large objects of the target, which must be known to be copies.
pub(super) async fn remove_all(target: &Session) -> Result<(), Error> {
    target
        .run(
            "removing the large objects of an earlier run",
            "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata",
        )
        .await
}

async fn set_owners(source: &Session, target: &Session) -> Result<Vec<String>, Error> {
    let reading = "reading the owners of large objects";
    let mut missing = BTreeSet::new();
    let mut granted = false;
    for row in source
        .rows(
            reading,
            "SELECT pg_catalog.pg_get_userbyid(lomowner)::text, array_agg(oid), bool_or(lomacl IS NOT NULL) \
             FROM pg_catalog.pg_largeobject_metadata GROUP BY 1",
            &[],
        )
        .await?
    {
        let (owner, oids): (String, Vec<u32>) = (row.get(0), row.get(1));
        granted |= row.get::<_, bool>(2);
        let is_there: Option<bool> = target
            .row(
                reading,
                "SELECT (SELECT rolname <> current_user FROM pg_catalog.pg_roles WHERE rolname = $1)",
                &[&owner],
            )
            .await?
            .get(0);
        match is_there {
            None => {
                missing.insert(owner);
            }
            Some(false) => {}
            Some(true) => {
                for oid in oids {
                    let sql = format!("ALTER LARGE OBJECT {oid} OWNER TO {}", ident(&owner));
                    target
                        .run(&format!("setting the owner of large object {oid}"), &sql)
                        .await?;
                }
            }
        }
    }
    let mut warnings = Vec::new();
    if !missing.is_empty() {
        let roles = missing.into_iter().collect::<Vec<_>>().join(", ");
        warnings.push(format!(
            "the target has no role {roles}; the user owns their large objects there"
        ));
    }
    if granted {
        warnings.push("privileges on single large objects are not copied".into());
    }
    Ok(warnings)
}
