//! The schema as objects to create: which take part, when each is created, and what may fail without harm.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::archive::{Entry, Section};
use super::catalog::Catalog;
use super::session::Session;
use super::sql::{ident, literal};
use super::state::{self, State};
use crate::Error;

/// `pg_class`.
const CATALOG_RELATIONS: u32 = 1259;

/// Kinds that describe the archive itself, hold rows, or are made elsewhere.
const NOT_OBJECTS: &[&str] = &[
    "ENCODING",
    "STDSTRINGS",
    "SEARCHPATH",
    "DATABASE",
    "DATABASE PROPERTIES",
    "TABLE DATA",
    "SEQUENCE SET",
    "BLOB",
    "BLOBS",
    "BLOB METADATA",
    "MATERIALIZED VIEW DATA",
    "SUBSCRIPTION",
    "SUBSCRIPTION TABLE",
];

/// Kinds without which the application's data is whole. If the target refuses one, that is a warning.
const OPTIONAL: &[&str] = &[
    "ACL",
    "DEFAULT ACL",
    "COMMENT",
    "SECURITY LABEL",
    "POLICY",
    "PUBLICATION",
    "PUBLICATION TABLE",
    "PUBLICATION TABLES IN SCHEMA",
    "EVENT TRIGGER",
    "USER MAPPING",
];

/// Kinds that have an owner, as `ALTER … OWNER TO` knows them.
const OWNED: &[&str] = &[
    "AGGREGATE",
    "COLLATION",
    "CONVERSION",
    "DOMAIN",
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "FUNCTION",
    "MATERIALIZED VIEW",
    "OPERATOR",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "PROCEDURE",
    "PUBLICATION",
    "SCHEMA",
    "SEQUENCE",
    "SERVER",
    "STATISTICS",
    "TABLE",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TYPE",
    "VIEW",
];

/// The objects of a copy, in the order in which `pg_dump` would create them.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) before_data: Vec<Object>,
    pub(super) after_data: Vec<Object>,
    /// Privileges, after everything.
    pub(super) privileges: Vec<Object>,
    /// OIDs of the source's tables that the schema creates.
    pub(super) tables: HashSet<u32>,
    /// Materialized views that hold rows, in the order of their dependencies, as SQL names them.
    pub(super) populated_views: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// An object with a name that no other has, under which the state on the target records it.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) entry: Entry,
    pub(super) key: String,
    pub(super) digest: String,
}

impl Object {
    pub(super) fn is_optional(&self) -> bool {
        OPTIONAL.contains(&self.entry.kind.as_str())
    }

    /// The statement that makes `role` the owner, for kinds that have one: `DROP TABLE x;` names the object.
    fn change_owner(&self, role: &str) -> Option<String> {
        let named = self.entry.drop.trim().strip_prefix("DROP ")?.strip_suffix(';')?;
        OWNED
            .contains(&self.entry.kind.as_str())
            .then(|| format!("ALTER {named} OWNER TO {};", ident(role)))
    }
}

/// Sorts the archive's entries into a copy's objects, without what the selection leaves out and what depends on it.
pub(super) fn arrange(entries: Vec<Entry>, catalog: &Catalog) -> Schema {
    let mut warnings = Vec::new();
    let left_out = left_out(&entries, catalog);
    let mut dropped = Vec::new();
    let mut keys: HashMap<String, u32> = HashMap::new();
    let mut schema = Schema {
        before_data: Vec::new(),
        after_data: Vec::new(),
        privileges: Vec::new(),
        tables: HashSet::new(),
        populated_views: Vec::new(),
        warnings: Vec::new(),
    };
    for entry in entries {
        if NOT_OBJECTS.contains(&entry.kind.as_str()) || entry.create.trim().is_empty() {
            continue;
        }
        if left_out.contains(&entry.id) {
            if matches!(
                entry.kind.as_str(),
                "VIEW" | "MATERIALIZED VIEW" | "FUNCTION" | "FK CONSTRAINT"
            ) {
                dropped.push(entry.name());
            }
            continue;
        }
        if entry.kind == "TABLE" {
            schema.tables.insert(entry.oid);
        }
        if entry.kind == "MATERIALIZED VIEW" && catalog.populated_views.contains(&entry.oid) {
            schema
                .populated_views
                .push(super::sql::qualified(&entry.schema, &entry.tag));
        }
        let seen = keys.entry(entry.name()).or_default();
        *seen += 1;
        let key = if *seen == 1 {
            entry.name()
        } else {
            format!("{} ({seen})", entry.name())
        };
        let digest = hex::encode(Sha256::digest(entry.create.as_bytes()));
        let section = entry.section;
        let object = Object { entry, key, digest };
        match (object.entry.kind.as_str(), section) {
            ("ACL" | "DEFAULT ACL", _) => schema.privileges.push(object),
            (_, Section::PreData) => schema.before_data.push(object),
            (_, Section::Data | Section::PostData) => schema.after_data.push(object),
        }
    }
    if !dropped.is_empty() {
        warnings.push(format!(
            "left out because they depend on tables that the task leaves out: {}",
            dropped.join(", ")
        ));
    }
    schema.warnings = warnings;
    schema
}

/// Ids of the entries of excluded tables and of everything that depends on them.
fn left_out(entries: &[Entry], catalog: &Catalog) -> HashSet<i64> {
    let points_to_excluded = |entry: &Entry| {
        entry.kind == "FK CONSTRAINT"
            && catalog
                .relations
                .of_constraints
                .get(&entry.oid)
                .is_some_and(|(_, referenced)| catalog.excluded.contains(referenced))
    };
    let mut left_out: HashSet<i64> = entries
        .iter()
        .filter(|entry| {
            (entry.catalog == CATALOG_RELATIONS && catalog.excluded.contains(&entry.oid))
                || points_to_excluded(entry)
        })
        .map(|entry| entry.id)
        .collect();
    if left_out.is_empty() {
        return left_out;
    }
    // Entries are sorted by dependency but for loops that pg_dump breaks up, so this ends after a few rounds.
    loop {
        let before = left_out.len();
        for entry in entries {
            if entry
                .dependencies
                .iter()
                .any(|dependency| left_out.contains(dependency))
            {
                left_out.insert(entry.id);
            }
        }
        if left_out.len() == before {
            return left_out;
        }
    }
}

/// Objects of which the source's schema and the state's disagree, in a way that cannot be caught up with.
pub(super) fn changed(schema: &Schema, state: &State) -> Vec<String> {
    let mut changed: Vec<String> = schema
        .before_data
        .iter()
        .chain(&schema.after_data)
        .filter(|object| !object.is_optional())
        .filter(|object| {
            state
                .objects
                .get(&object.key)
                .is_some_and(|(digest, created)| *created && *digest != object.digest)
        })
        .map(|object| format!("changed: {}", object.key))
        .collect();
    let present: HashSet<&str> = schema
        .before_data
        .iter()
        .chain(&schema.after_data)
        .chain(&schema.privileges)
        .map(|object| object.key.as_str())
        .collect();
    changed.extend(
        state
            .objects
            .iter()
            .filter(|(name, (_, created))| *created && !present.contains(name.as_str()))
            .filter(|(name, _)| !OPTIONAL.iter().any(|kind| name.starts_with(&format!("{kind} "))))
            .map(|(name, _)| format!("gone: {name}")),
    );
    changed.sort();
    changed
}

/// Who the target's user is, and which roles the target has.
pub(super) struct Roles {
    current: String,
    known: HashSet<String>,
}

impl Roles {
    pub(super) async fn read(target: &Session) -> Result<Roles, Error> {
        let reading = "reading the roles";
        let current = target
            .row(reading, "SELECT current_user::text", &[])
            .await?
            .get(0);
        let known = target
            .rows(reading, "SELECT rolname::text FROM pg_catalog.pg_roles", &[])
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect();
        Ok(Roles { current, known })
    }

    /// A warning for owners that the target does not have.
    pub(super) fn missing_owners<'a>(&self, objects: impl Iterator<Item = &'a Object>) -> Option<String> {
        let missing: std::collections::BTreeSet<&str> = objects
            .map(|object| object.entry.owner.as_str())
            .filter(|owner| !owner.is_empty() && !self.known.contains(*owner))
            .collect();
        (!missing.is_empty()).then(|| {
            format!(
                "the target has no role {}; what they own belongs to {} there",
                missing.into_iter().collect::<Vec<_>>().join(", "),
                self.current
            )
        })
    }

    /// Makes `owner` the owner of an object just created, if the target has that role.
    fn owner_statement(&self, object: &Object) -> Option<String> {
        let owner = &object.entry.owner;
        (!owner.is_empty() && *owner != self.current && self.known.contains(owner))
            .then(|| object.change_owner(owner))
            .flatten()
    }
}

/// Settings under which `pg_dump`'s statements mean what they meant on the source.
pub(super) const CREATE_SETTINGS: &str = "SET check_function_bodies = off; SET default_tablespace = ''; ";

/// What became of an object.
pub(super) enum Created {
    Yes,
    /// The target already has one of this name.
    Existed,
    /// Refused, which is no more than a warning.
    Refused(String),
}

/// Creates an object within the transaction that is open on `target`; a refusal that may be tolerated undoes no
/// more than the object.
pub(super) async fn create(target: &Session, object: &Object, roles: &Roles) -> Result<Created, Error> {
    let entry = &object.entry;
    let action = format!("creating {}", object.key);
    let access_method = if entry.access_method.is_empty() {
        String::new()
    } else {
        format!(
            "SET LOCAL default_table_access_method = {}; ",
            literal(&entry.access_method)
        )
    };
    let sql = format!("SAVEPOINT object; {access_method}{}", entry.create);
    if let Err(error) = target.run(&action, &sql).await {
        let tolerated = match &error {
            Error::Database {
                sqlstate, message, ..
            } if already_there(&entry.kind, sqlstate) => {
                tracing::debug!(object = %object.key, %message, "already on the target");
                Created::Existed
            }
            Error::Database { .. } if object.is_optional() && !error.is_transient() => {
                Created::Refused(format!("{}: {error}", object.key))
            }
            _ => return Err(error),
        };
        target
            .run(&action, "ROLLBACK TO SAVEPOINT object; RELEASE SAVEPOINT object")
            .await?;
        return Ok(tolerated);
    }
    target.run(&action, "RELEASE SAVEPOINT object").await?;
    if let Some(sql) = roles.owner_statement(object)
        && let Err(error) = target.run(&action, &format!("SAVEPOINT owner; {sql}")).await
    {
        if error.is_transient() || !matches!(error, Error::Database { .. }) {
            return Err(error);
        }
        target.run(&action, "ROLLBACK TO SAVEPOINT owner").await?;
        return Ok(Created::Refused(format!(
            "{} belongs to {}: {error}",
            object.key, roles.current
        )));
    }
    Ok(Created::Yes)
}

/// Whether a refusal says that the target has the object: somebody made the application's schema beforehand.
fn already_there(kind: &str, sqlstate: &str) -> bool {
    match sqlstate {
        // Schema, relation, object or function exists.
        "42P06" | "42P07" | "42710" | "42723" => true,
        // "multiple primary keys are not allowed"
        "42P16" => kind == "CONSTRAINT",
        // "is already a partition"
        "42809" => kind == "TABLE ATTACH",
        // "is already an identity column"
        "55000" => kind == "SEQUENCE",
        _ => false,
    }
}

/// Creates the part of the schema that comes before the data, claims the tables, and records all of it, in one
/// transaction. Returns warnings.
pub(super) async fn create_before_data(
    target: &Session,
    task: &str,
    schema: &Schema,
    state: &State,
    tables: &[String],
    roles: &Roles,
) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    target
        .run(
            "beginning the schema",
            &format!("{CREATE_SETTINGS} BEGIN; {}", state::create()),
        )
        .await?;
    let mut record = Vec::new();
    for object in &schema.before_data {
        if state
            .objects
            .get(&object.key)
            .is_some_and(|(_, created)| *created)
        {
            continue;
        }
        if let Created::Refused(why) = create(target, object, roles).await? {
            warnings.push(why);
        }
        record.push((object.key.clone(), object.digest.clone(), true));
    }
    for object in schema.after_data.iter().chain(&schema.privileges) {
        if !state
            .objects
            .get(&object.key)
            .is_some_and(|(_, created)| *created)
        {
            record.push((object.key.clone(), object.digest.clone(), false));
        }
    }
    state::record_objects(target, task, &record).await?;
    state::claim_tables(target, task, tables).await?;
    target.run("committing the schema", "COMMIT").await?;
    Ok(warnings)
}

/// Creates one object after the data and records it, in one transaction. Returns a warning. The server gets at most
/// `helpers` processes to work on it beside the session's own.
pub(super) async fn create_after_data(
    target: &Session,
    task: &str,
    object: &Object,
    roles: &Roles,
    helpers: usize,
) -> Result<Option<String>, Error> {
    let action = format!("creating {}", object.key);
    let at_most = |setting: &str| {
        format!(
            "pg_catalog.set_config('{setting}', \
             least(pg_catalog.current_setting('{setting}')::int, {helpers})::text, true)"
        )
    };
    let limits = format!(
        "BEGIN; SELECT {}, {}",
        // Index builds; the queries by which foreign keys are checked.
        at_most("max_parallel_maintenance_workers"),
        at_most("max_parallel_workers_per_gather")
    );
    target.run(&action, &limits).await?;
    let created = create(target, object, roles).await?;
    target
        .run(
            &action,
            &format!("{} COMMIT", state::mark_object(task, &object.key, true)),
        )
        .await?;
    Ok(match created {
        Created::Refused(why) => Some(why),
        Created::Yes | Created::Existed => None,
    })
}

/// Grants privileges statement by statement: those of roles that the target does not have are left out. Returns
/// warnings.
pub(super) async fn grant(target: &Session, privileges: &[Object]) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    for object in privileges {
        for statement in object
            .entry
            .create
            .split(";\n")
            .filter(|statement| !statement.trim().is_empty())
        {
            match target.run(&format!("granting {}", object.key), statement).await {
                Err(error @ Error::Database { .. }) if !error.is_transient() => {
                    warnings.push(format!("{}: {error}", object.key));
                }
                outcome => outcome?,
            }
        }
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::postgres::catalog::Relations;

    fn entry(id: i64, kind: &str, tag: &str, oid: u32, dependencies: &[i64]) -> Entry {
        Entry {
            id,
            catalog: if kind == "FK CONSTRAINT" {
                2606
            } else {
                CATALOG_RELATIONS
            },
            oid,
            tag: tag.into(),
            kind: kind.into(),
            section: if kind == "FK CONSTRAINT" {
                Section::PostData
            } else {
                Section::PreData
            },
            create: format!("CREATE {kind} {tag};"),
            drop: format!("DROP {kind} {tag};\n"),
            schema: "public".into(),
            access_method: String::new(),
            owner: "alice".into(),
            dependencies: dependencies.to_vec(),
        }
    }

    fn catalog(excluded: &[u32]) -> Catalog {
        Catalog {
            tables: Vec::new(),
            excluded: excluded.iter().copied().collect(),
            sequences: Vec::new(),
            partitioned: Vec::new(),
            populated_views: HashSet::new(),
            relations: Relations {
                of_constraints: HashMap::from([(90, (10, 11))]),
                ..Relations::default()
            },
            extensions: Vec::new(),
            large_objects: 0,
            warnings: Vec::new(),
        }
    }

    fn shop() -> Vec<Entry> {
        vec![
            entry(1, "TABLE", "orders", 10, &[]),
            entry(2, "TABLE", "users", 11, &[]),
            entry(3, "VIEW", "recent", 12, &[1]),
            entry(4, "VIEW", "names", 13, &[2]),
            entry(5, "VIEW", "recent_names", 14, &[3, 4]),
            entry(6, "FK CONSTRAINT", "orders orders_user_fkey", 90, &[1]),
        ]
    }

    #[rstest]
    #[case::all(&[], &["orders", "users", "recent", "names", "recent_names", "orders orders_user_fkey"])]
    #[case::without_orders(&[10], &["users", "names"])]
    #[case::without_users(&[11], &["orders", "recent"])]
    fn what_depends_on_an_excluded_table_is_left_out(#[case] excluded: &[u32], #[case] kept: &[&str]) {
        let schema = arrange(shop(), &catalog(excluded));
        let names: Vec<&str> = schema
            .before_data
            .iter()
            .chain(&schema.after_data)
            .map(|object| object.entry.tag.as_str())
            .collect();
        assert_eq!(names, kept);
        assert_eq!(schema.warnings.is_empty(), excluded.is_empty());
    }

    #[test]
    fn new_objects_are_caught_up_with_changed_ones_are_not() {
        let schema = arrange(shop(), &catalog(&[]));
        let mut state = State::default();
        assert!(changed(&schema, &state).is_empty());
        state
            .objects
            .insert("TABLE public.orders".into(), ("other".into(), true));
        state
            .objects
            .insert("VIEW public.names".into(), ("other".into(), false));
        state
            .objects
            .insert("TABLE public.old".into(), ("digest".into(), true));
        state
            .objects
            .insert("COMMENT public.old".into(), ("digest".into(), true));
        assert_eq!(
            changed(&schema, &state),
            ["changed: TABLE public.orders", "gone: TABLE public.old"]
        );
    }

    #[test]
    fn owners_are_set_by_the_name_in_the_drop_statement() {
        let schema = arrange(shop(), &catalog(&[]));
        assert_eq!(
            schema.before_data[0].change_owner("Bob"),
            Some("ALTER TABLE orders OWNER TO \"Bob\";".into())
        );
        assert_eq!(schema.after_data[0].change_owner("Bob"), None);
    }
}
