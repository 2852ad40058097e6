//! Making the store, and bringing an older one up to date: numbered scripts, each run once.

use std::rc::Rc;

use memory_core::template;

use super::access::Privilege;
use super::open;
use super::open::Store;
use super::parameters::{Parameters, Wish};
use super::past;
use crate::pg::actor::{self, Actor};
use crate::pg::error::{Error, Result};
use crate::pg::identity::{self, Identity};
use crate::pg::lockers::{self, Strength};
use crate::pg::owner::{AsOwner, SettingScope};
use crate::pg::spi::{self, Planning, Session};
use crate::pg::system;

pub const LIBRARY_VERSION: &str = env!("CARGO_PKG_VERSION");

struct Migration {
    number: i32,
    /// The extension version that brings it.
    version: &'static str,
    /// Tables and indexes.
    script: &'static str,
    /// What uses functions of the extension; run again by every memory_migrate().
    rules: &'static str,
    tables: &'static [Table],
    /// Columns added to tables that were there before.
    columns: &'static [Column],
}

/// A column as a migration adds it: one that is there already has to be the same.
struct Column {
    table: &'static str,
    name: &'static str,
    type_name: &'static str,
    not_null: bool,
}

/// A table of the store, and columns that tell it from somebody else's of that name.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        number: FIRST,
        version: "1.0.0",
        script: include_str!("../../sql/store/001_memories.sql"),
        rules: include_str!("../../sql/store/001_rules.sql"),
        tables: &[
            table("memories", &["content", "dedupe_hash", "embedding"]),
            table("memory_history", &["valid_to", "changed_as_agent"]),
            table("memory_events", &["occurred_at", "payload"]),
            table("memory_usage", &["access_count"]),
            table("memory_models", &["embedder", "text_search_config"]),
            table("embedding_cache", &["content_hash", "hits"]),
            table("memory_grants", &["role", "privilege"]),
            table("memory_key_aliases", &["alias", "key"]),
            table("memory_migrations", &["number", "checksum"]),
        ],
        columns: &[],
    },
    Migration {
        number: ACE,
        version: "1.1.0",
        script: include_str!("../../sql/store/002_ace.sql"),
        rules: include_str!("../../sql/store/002_rules.sql"),
        tables: &[
            table(
                "vote_history",
                &["voter_agent_id", "task_id", "merged_from"],
            ),
            table("vote_changes", &["voter_agent_id", "changed_at"]),
            table("memory_types", &["memory_type", "half_life_days"]),
            table(
                "session_progress",
                &["session_id", "completed_items", "progress"],
            ),
            table("feature_tracker", &["feature_id", "passes", "verified_by"]),
            table("memory_runs", &["run_id", "reflection_id"]),
        ],
        columns: &[
            column("memories", "is_deprecated", "boolean", true),
            column(
                "memories",
                "deprecated_at",
                "timestamp with time zone",
                false,
            ),
            column("memories", "deprecated_by", "text", false),
            column("memories", "superseded_by", "text", false),
            column("memories", "bullet_helpful", "integer", true),
            column("memories", "bullet_harmful", "integer", true),
            column("memories", "error_pattern", "text", false),
            column("memories", "source_trajectory_id", "text", false),
            column("memory_history", "is_deprecated", "boolean", true),
            column("memory_history", "superseded_by", "text", false),
            column("memory_history", "error_pattern", "text", false),
        ],
    },
    Migration {
        number: SAFETY,
        version: "2.0.0",
        script: include_str!("../../sql/store/003_safety.sql"),
        rules: include_str!("../../sql/store/003_rules.sql"),
        tables: &[
            table("memory_audit_seals", &["first_id", "root", "mac"]),
            table("memory_import_lines", &["line_number", "line"]),
            table("memory_maintenance_runs", &["operation", "report"]),
        ],
        columns: &[column("memories", "content_flags", "text[]", false)],
    },
];

pub const FIRST: i32 = 1;
/// The migration that brings votes, deprecation and all that is built on them.
pub const ACE: i32 = 2;
/// The migration that brings seals, the inbox of imports and the record of maintenance.
pub const SAFETY: i32 = 3;

const fn table(name: &'static str, columns: &'static [&'static str]) -> Table {
    Table { name, columns }
}

const fn column(
    table: &'static str,
    name: &'static str,
    type_name: &'static str,
    not_null: bool,
) -> Column {
    Column {
        table,
        name,
        type_name,
        not_null,
    }
}

/// The scripts of the migrations a store of this one has had, in the order they run, with their placeholders.
pub fn scripts(newest: i32) -> impl Iterator<Item = &'static str> {
    MIGRATIONS
        .iter()
        .take_while(move |migration| migration.number <= newest)
        .flat_map(|migration| [migration.script, migration.rules])
}

/// The statements of a script.
pub fn statements(script: &str) -> impl Iterator<Item = &str> {
    script
        .split(";\n")
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
}

/// The names of the store's tables, in the order they came.
pub fn tables() -> Vec<String> {
    tables_of(MIGRATIONS)
}

/// The same of a store that has had the migrations up to this one.
pub fn tables_until(newest: i32) -> Vec<String> {
    let had = MIGRATIONS.partition_point(|migration| migration.number <= newest);
    tables_of(&MIGRATIONS[..had])
}

fn tables_of(migrations: &[Migration]) -> Vec<String> {
    let tables = migrations.iter().flat_map(|migration| migration.tables);
    tables.map(|table| table.name.to_owned()).collect()
}

pub fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

/// The migrations of the extension as it is installed in this database, whose functions the tables' rules call: the library
/// may be newer, before ALTER EXTENSION UPDATE.
fn due(session: &Session) -> &'static [Migration] {
    let sql = "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'memory_ext'";
    let installed: String = session.write(sql, &[]).get(0, 1).unwrap_or_default();
    let count =
        MIGRATIONS.partition_point(|migration| parts(migration.version) <= parts(&installed));
    &MIGRATIONS[..count]
}

fn parts(version: &str) -> Vec<u32> {
    version
        .split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

/// The extension version that brought a migration; a number for one this library does not know.
pub fn version_of(number: i32) -> String {
    MIGRATIONS
        .iter()
        .find(|migration| migration.number == number)
        .map_or_else(
            || format!("of migration {number}"),
            |migration| migration.version.to_owned(),
        )
}

/// The number of the migration that a store of this version has had last, `None` for a version this library does not know.
pub fn number_of(version: &str) -> Option<i32> {
    MIGRATIONS
        .iter()
        .find(|migration| migration.version == version)
        .map(|migration| migration.number)
}

/// Makes the store, owned by the caller, unless it is there; whether it was made.
pub fn init(wish: Wish) -> Result<(Rc<Store>, bool)> {
    let identity = identity::get()?;
    if identity::table(&identity, c"memories").is_some() && !is_partial(&identity) {
        let store = open::open()?;
        wish.agree(&store)?;
        return Ok((store, false));
    }
    let mut parameters = wish.parameters()?;
    past::refuse(Privilege::Write)?;
    refuse_where_impossible(&identity)?;
    let caller = system::current_role();
    let _acting = actor::act(Actor {
        role: system::role_name(caller),
        operation: "init",
        ..Actor::default()
    });
    let made = {
        // As the caller, who is to own the tables, with search_path pinned.
        let _caller = AsOwner::enter(caller);
        spi::connect(|session| -> Result<bool> {
            lock(session, &identity);
            // Whoever had the lock may have made the store.
            system::accept_changes_by_others();
            let memories = identity::table(&identity, c"memories");
            if memories.is_some() && !is_partial(&identity) {
                return Ok(false);
            }
            match memories {
                None => refuse_any_table(session, &identity, due(session))?,
                Some(_) => adopt(session, &identity, &mut parameters)?,
            }
            run_all(session, &identity, &parameters, due(session))?;
            describe(session, &identity, &parameters);
            Ok(true)
        })?
    };
    identity::look_again();
    Ok((open::open()?, made))
}

/// Whether there is a table memories but not what belongs to it: restored alone from a dump, say.
fn is_partial(identity: &Identity) -> bool {
    identity::table(identity, c"memory_models").is_none()
        && identity::table(identity, c"memory_migrations").is_none()
}

/// A table memories of a store, restored without the rest: the store is made around it. Its own shape decides.
fn adopt(session: &Session, identity: &Identity, parameters: &mut Parameters) -> Result<()> {
    let sql = "SELECT count(*) FILTER (WHERE attname IN ('id', 'project_id', 'namespace', 'content', 'dedupe_hash', 'scope', 'metadata',
                          'embedding', 'embedding_sketch', 'embedded_hash', 'version', 'content_tsv')) = 12,
                      max(atttypmod) FILTER (WHERE attname = 'embedding')
               FROM pg_attribute
               WHERE attrelid = (SELECT oid FROM pg_class WHERE relnamespace = $1 AND relname = 'memories') AND attnum > 0 AND NOT attisdropped";
    let rows = session.write(sql, &[spi::Arg::oid(identity.schema_oid)]);
    if !rows.get::<bool>(0, 1).unwrap_or(false) {
        return Err(Error::state(format!(
            "table {}.memories is there, but it is no table of a memory store",
            identity.schema
        ))
        .hint("Install the extension in a schema of its own: CREATE EXTENSION memory_ext SCHEMA memory CASCADE."));
    }
    parameters.dimensions = rows.get(0, 2).unwrap_or(parameters.dimensions);
    Ok(())
}

/// Brings an older store up to the library and puts back what DROP EXTENSION took from it; the numbers of the migrations
/// that ran.
pub fn migrate() -> Result<(i32, Vec<i32>)> {
    past::refuse(Privilege::Write)?;
    let caller = system::current_role();
    {
        // Before anything is looked at, which would be in the way of whoever has the lock.
        let _caller = AsOwner::enter(caller);
        let identity = identity::get()?;
        spi::connect(|session| lock(session, &identity));
        system::accept_changes_by_others();
    }
    let store = open::find_whatever_its_state()?.ok_or_else(open::missing)?;
    if !super::access::is_master(&store, caller) {
        return Err(Error::denied(
            "only the owner of the memories may migrate the store",
        ));
    }
    let _owner = store.as_owner();
    let parameters = Parameters {
        dimensions: i32::try_from(store.dimensions).unwrap_or(i32::MAX),
        embedder: store.embedder,
        text_search_config: store.text_search_config.clone(),
        ..Parameters::default()
    };
    let ran = spi::connect(|session| -> Result<Vec<i32>> {
        let sql = store.sql("SELECT max(number) FROM @s@.memory_migrations");
        let now_at: i32 = session.write(&sql, &[]).get(0, 1).unwrap_or(0);
        let migrations = due(session);
        let (done, pending) =
            migrations.split_at(migrations.partition_point(|migration| migration.number <= now_at));
        // All of them before any is changed: others work meanwhile, and take them in orders of their own.
        let names = tables_of(migrations);
        let tables = identity::tables(&store.identity, names.iter().map(String::as_str));
        lockers::lock_together(
            &tables
                .into_iter()
                .map(|table| (table, Strength::AccessExclusive))
                .collect::<Vec<_>>(),
        );
        for migration in done {
            quietly(|| run(session, &store.identity, &parameters, migration.rules));
        }
        run_all(session, &store.identity, &parameters, pending)?;
        // Other sessions look at the store again.
        system::announce_change(store.memories);
        Ok(pending.iter().map(|migration| migration.number).collect())
    })?;
    identity::look_again();
    Ok((store.migration, ran))
}

/// One session at a time makes or migrates the store; the lock goes with the transaction.
fn lock(session: &Session, identity: &Identity) {
    session.write(
        "SELECT pg_advisory_xact_lock('pg_extension'::regclass::oid::int, $1::int4)",
        &[(identity.extension.to_u32() as i32).into()],
    );
}

fn refuse_where_impossible(identity: &Identity) -> Result<()> {
    if system::in_recovery() || system::read_only() {
        return Err(Error::state(
            "the memory store cannot be made in a read-only transaction or on a standby",
        )
        .hint("Run SELECT memory_init() on the primary server."));
    }
    if !system::encoding_is_utf8() {
        return Err(
            Error::state("memory_ext needs a database with encoding UTF8")
                .hint("CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0."),
        );
    }
    let (allowed, vector): (bool, String) = spi::connect(|session| {
        let rows = session.read(
            "SELECT pg_catalog.has_schema_privilege($1, 'CREATE'), (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'vector')",
            Planning::Auto,
            &[spi::Arg::oid(identity.schema_oid)],
        );
        (
            rows.get(0, 1).unwrap_or(false),
            rows.get(0, 2).unwrap_or_default(),
        )
    });
    if !allowed {
        return Err(Error::denied(format!("role {:?} may not create the memory store in schema {}", system::role_name(system::current_role()), identity.schema))
            .hint("Let the role that is to own the memories run SELECT memory_init(); then ask it for memory_grant()."));
    }
    if older_than_0_8(&vector) {
        return Err(Error::state(format!("pgvector is at version {vector}, memory_ext needs 0.8.0 or later"))
            .hint("Install a newer pgvector, then run ALTER EXTENSION vector UPDATE; 0.8.4 or later is recommended."));
    }
    Ok(())
}

fn older_than_0_8(version: &str) -> bool {
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < (0, 8)
}

/// A table of one of our names that is not ours must not be taken for a store, nor half a store be made around it.
fn refuse_any_table(
    session: &Session,
    identity: &Identity,
    migrations: &[Migration],
) -> Result<()> {
    let sql = "SELECT string_agg(relname, ', ' ORDER BY relname) FROM pg_class WHERE relnamespace = $1 AND relname = ANY ($2)";
    let found = session.write(
        sql,
        &[
            spi::Arg::oid(identity.schema_oid),
            tables_of(migrations).into(),
        ],
    );
    match found.get::<String>(0, 1) {
        None => Ok(()),
        Some(names) => Err(Error::state(format!(
            "schema {} has tables of the store's names already: {names}",
            identity.schema
        ))
        .hint("Drop or rename them, or install the extension in a schema of its own.")),
    }
}

/// A migration completes a table that was restored before it ran, but never takes over one of another shape.
fn refuse_foreign(session: &Session, identity: &Identity, migration: &Migration) -> Result<()> {
    for table in migration.tables {
        let sql = "SELECT c.relkind <> 'r' OR (SELECT count(*) FROM pg_attribute a
                          WHERE a.attrelid = c.oid AND a.attname = ANY ($3) AND NOT a.attisdropped) < cardinality($3)
                   FROM pg_class c WHERE c.relnamespace = $1 AND c.relname = $2";
        let columns: Vec<String> = table.columns.iter().map(|&name| name.to_owned()).collect();
        let args = [
            spi::Arg::oid(identity.schema_oid),
            table.name.into(),
            columns.into(),
        ];
        if session.write(sql, &args).get(0, 1) == Some(true) {
            return Err(Error::state(format!(
                "{}.{} is there already, and it is no table of a memory store",
                identity.schema, table.name
            ))
            .hint(format!("memory_ext {} brings a table of that name: rename the one that is there, then try again.", migration.version)));
        }
    }
    for column in migration.columns {
        let sql = "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                   WHERE c.relnamespace = $1 AND c.relname = $2 AND a.attname = $3 AND NOT a.attisdropped";
        let args = [
            spi::Arg::oid(identity.schema_oid),
            column.table.into(),
            column.name.into(),
        ];
        let rows = session.write(sql, &args);
        let (Some(type_name), Some(not_null)) = (rows.get::<String>(0, 1), rows.get::<bool>(0, 2))
        else {
            continue;
        };
        if type_name != column.type_name || (column.not_null && !not_null) {
            let not_null = if column.not_null { " NOT NULL" } else { "" };
            return Err(Error::state(format!(
                "{}.{} has a column {} of its own, which is not {}{not_null}",
                identity.schema, column.table, column.name, column.type_name
            ))
            .hint(format!("memory_ext {} brings a column of that name: rename the one that is there, then try again.", migration.version)));
        }
    }
    Ok(())
}

fn run_all(
    session: &Session,
    identity: &Identity,
    parameters: &Parameters,
    migrations: &[Migration],
) -> Result<()> {
    for migration in migrations {
        refuse_foreign(session, identity, migration)?;
        quietly(|| {
            run(session, identity, parameters, migration.script);
            run(session, identity, parameters, migration.rules);
        });
        let sql = format!(
            "INSERT INTO {}.memory_migrations (number, extension_version, checksum)
             VALUES ($1, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex')) ON CONFLICT DO NOTHING",
            identity.schema
        );
        session.write(
            &sql,
            &[
                migration.number.into(),
                migration.version.into(),
                migration.script.into(),
            ],
        );
    }
    Ok(())
}

/// Runs DDL outside the extension's membership and without its notices of what is there already.
fn quietly(work: impl FnOnce()) {
    let _script = system::OutsideExtensionScript::enter();
    let settings = SettingScope::open();
    settings.set(c"client_min_messages", "warning");
    work();
}

fn run(session: &Session, identity: &Identity, parameters: &Parameters, script: &str) {
    let script = template::fill(
        script,
        &[
            ("@schema@", &identity.schema),
            ("@vector@", &identity.vector_schema),
            ("@dimensions@", &parameters.dimensions.to_string()),
            ("@config@", &quoted_literal(&parameters.text_search_config)),
            ("@m@", &parameters.hnsw_m.to_string()),
            ("@ef@", &parameters.hnsw_ef_construction.to_string()),
        ],
    );
    for statement in statements(&script) {
        session.once(statement);
    }
}

fn quoted_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn describe(session: &Session, identity: &Identity, parameters: &Parameters) {
    let sql = format!(
        "INSERT INTO {}.memory_models (name, embedder, dimensions, text_search_config) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
        identity.schema
    );
    let name = format!("{}-{}", parameters.embedder.name(), parameters.dimensions);
    session.write(
        &sql,
        &[
            name.into(),
            parameters.embedder.name().into(),
            parameters.dimensions.into(),
            parameters.text_search_config.as_str().into(),
        ],
    );
}
