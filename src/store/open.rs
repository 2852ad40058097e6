//! The store of this database: which tables, whose they are, which dimensions and embedder, and whether they fit this library.

use std::cell::RefCell;
use std::rc::Rc;

use memory_core::template;
use pgrx::pg_sys;

use super::embedder::Embedder;
use super::migrate;
use crate::pg::error::{Error, Result};
use crate::pg::identity::{self, Identity};
use crate::pg::lockers;
use crate::pg::owner::AsOwner;
use crate::pg::spi::{self, Arg};
use crate::pg::system;

#[derive(Debug)]
pub struct Store {
    pub identity: Rc<Identity>,
    /// The table `memories` and its owner, as whom all SQL runs.
    pub memories: pg_sys::Oid,
    pub owner: pg_sys::Oid,
    pub dimensions: usize,
    pub embedder: Embedder,
    pub model: String,
    /// Text search configuration: by name for reports, by id for use.
    pub text_search_config: String,
    pub config: pg_sys::Oid,
    /// Number of the newest migration that was applied.
    pub migration: i32,
    /// Whether memories has an index that finds neighbours.
    pub has_vector_index: bool,
    /// What of the store's rules is not there, empty when all is.
    missing: String,
}

thread_local! {
    static STORE: RefCell<Option<Rc<Store>>> = const { RefCell::new(None) };
}

impl Store {
    /// The extension's schema, quoted: every statement names its tables with it.
    pub fn schema(&self) -> &str {
        &self.identity.schema
    }

    /// pgvector's schema, quoted.
    pub fn vector(&self) -> &str {
        &self.identity.vector_schema
    }

    /// Puts the schemas' names into a statement: `@s@` the extension's, `@v@` pgvector's. Not twice: a name may have either in it.
    pub fn sql(&self, template: &str) -> String {
        template::fill(template, &[("@s@", self.schema()), ("@v@", self.vector())])
    }

    /// Whether memories can be voted on and deprecated: the columns for that are there.
    pub fn has_ace(&self) -> bool {
        self.migration >= migrate::ACE
    }

    /// Whether memories can be flagged and audit rows sealed.
    pub fn has_safety(&self) -> bool {
        self.migration >= migrate::SAFETY
    }

    /// What came with a migration needs a store that has it.
    pub fn require(&self, migration: i32) -> Result<()> {
        if self.migration >= migration {
            return Ok(());
        }
        let is = migrate::version_of(self.migration);
        let needs = migrate::version_of(migration);
        Err(Error::state(format!(
            "the memory store is at version {is}, this function needs {needs}"
        ))
        .hint("Run SELECT memory_migrate() as the owner of the memories; it rewrites no row."))
    }

    pub fn as_owner(&self) -> AsOwner {
        AsOwner::enter(self.owner)
    }
}

/// The store, or 55000 saying what to run when it is missing, older or newer than this library.
pub fn open() -> Result<Rc<Store>> {
    if let Some(store) = open_if_present()? {
        return Ok(store);
    }
    let identity = identity::get()?;
    if identity::table(&identity, c"memories").is_some() {
        return Err(Error::state(
            "the memory store is incomplete: memory_models or memory_migrations is empty",
        )
        .hint("Restore both tables from the backup the other tables came from."));
    }
    Err(missing())
}

/// The store, for a call that works with memories, or changes something. Whoever does locks the table of memories before any other of
/// the store: who needs all of them for himself waits there for those who were before him, and keeps the others out.
pub fn enter(writes: bool) -> Result<Rc<Store>> {
    enter_if_present(writes)?.map_or_else(open, Ok)
}

pub fn enter_if_present(writes: bool) -> Result<Option<Rc<Store>>> {
    let identity = identity::get()?;
    if let Some(memories) = identity::table(&identity, c"memories") {
        lockers::enter(memories, writes && !system::in_recovery());
    }
    open_if_present()
}

pub fn missing() -> Error {
    Error::state("this database has no memory store")
        .hint("Run SELECT memory_init(), or add a memory: the first memory_add creates the store when memory_ext.auto_init is on.")
}

/// The store, `None` when there is none yet.
pub fn open_if_present() -> Result<Option<Rc<Store>>> {
    let store = find()?;
    if let Some(store) = &store {
        fits(store)?;
    }
    Ok(store)
}

/// Whether a table is the store's table of memories.
pub fn is_memories(table: pg_sys::Oid) -> Result<bool> {
    let identity = identity::get()?;
    Ok(identity::table(&identity, c"memories") == Some(table))
}

/// The store whatever of its rules is missing, for those who look for that.
pub fn open_to_inspect() -> Result<Rc<Store>> {
    match find_whatever_its_state()? {
        Some(store) => fits(&store).map(|()| store),
        None => open(),
    }
}

/// The store whatever its version, for those who report it.
pub fn find() -> Result<Option<Rc<Store>>> {
    let store = find_whatever_its_state()?;
    if let Some(store) = &store
        && !store.missing.is_empty()
    {
        return Err(Error::state(format!(
            "the memory store lacks {}",
            store.missing
        ))
        .detail("DROP EXTENSION ... CASCADE takes away what uses functions of the extension, and leaves the memories.")
        .hint("Run SELECT memory_migrate(), which puts it back."));
    }
    Ok(store)
}

/// The store whatever its version and rules, for those who mend it; `None` also when it does not say what it is.
pub fn find_whatever_its_state() -> Result<Option<Rc<Store>>> {
    let identity = identity::get()?;
    let Some(memories) = identity::table(&identity, c"memories") else {
        return Ok(None);
    };
    if !identity::table_changed(memories)
        && let Some(store) = STORE.with_borrow(Clone::clone)
        && Rc::ptr_eq(&store.identity, &identity)
    {
        return Ok(Some(store));
    }
    // The flag is clear from here on: a change that comes while we look makes the next call look again.
    let again = LookAgainUnlessDone;
    let Some(store) = load(identity, memories)? else {
        return Ok(None);
    };
    let store = Rc::new(store);
    // An older snapshot does not show a migration that came since, and no message will tell of it again.
    if store.migration == migrate::newest() || !system::sees_one_snapshot() {
        std::mem::forget(again);
        STORE.set(Some(store.clone()));
    }
    Ok(Some(store))
}

struct LookAgainUnlessDone;

impl Drop for LookAgainUnlessDone {
    fn drop(&mut self) {
        identity::look_again();
    }
}

/// An older store serves what there was in its version; a newer one may mean what this library cannot know.
fn fits(store: &Store) -> Result<()> {
    if (migrate::FIRST..=migrate::newest()).contains(&store.migration) {
        return Ok(());
    }
    let library = migrate::LIBRARY_VERSION;
    if store.migration < migrate::FIRST {
        return Err(Error::state(format!(
            "the memory store is at version {}, older than the library's {library}",
            migrate::version_of(store.migration)
        ))
        .hint("Run ALTER EXTENSION memory_ext UPDATE, then SELECT memory_migrate()."));
    }
    Err(Error::state(format!("the memory store is newer (migration {}) than the library's version {library}", store.migration))
        .hint("Install the memory_ext library that the store was made with, or a later one, and reconnect."))
}

/// The rules of the table memories that are not there.
const MISSING: &str = "SELECT string_agg(what, ', ') FROM (
        SELECT 'column content_hash' WHERE NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = $1 AND attname = 'content_hash' AND NOT attisdropped)
        UNION ALL
        SELECT 'trigger ' || name FROM unnest(ARRAY['memory_before_write', 'memory_after_change', 'memory_after_delete']) AS name
        WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = $1 AND tgname = name)) AS missing (what)";

/// An index whose order is that of the search's distance, over all rows. Its name and its parameters are its owner's.
pub const VECTOR_INDEX: &str = "SELECT EXISTS (
        SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
               JOIN pg_attribute t ON t.attrelid = i.indrelid AND t.attnum = i.indkey[0] JOIN pg_opclass o ON o.oid = i.indclass[0]
        WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND a.amname = 'hnsw' AND t.attname = 'embedding'
              AND o.opcname = 'vector_cosine_ops')";

fn load(identity: Rc<Identity>, memories: pg_sys::Oid) -> Result<Option<Store>> {
    for table in [c"memory_models", c"memory_migrations"] {
        if identity::table(&identity, table).is_none() {
            return Err(Error::state(format!(
                "table {}.memories is there, but not the rest of a memory store",
                identity.schema
            ))
            .hint("If it was restored alone, SELECT memory_init() makes the rest; if it is not ours, install the extension in a schema of its own."));
        }
    }
    let Some(owner) = system::table_owner(memories) else {
        return Ok(None);
    };
    let _owner = AsOwner::enter(owner);
    let schema = &identity.schema;
    // Not a read-only call: that would not see a store made earlier in this very statement.
    let (model, migration, missing, has_vector_index) = spi::connect(|session| {
        let sql = format!(
            "SELECT name, embedder, dimensions, text_search_config FROM {schema}.memory_models WHERE active"
        );
        let rows = session.write(&sql, &[]);
        let model = (!rows.is_empty()).then(|| {
            (
                rows.required::<String>(0, 1),
                rows.required::<String>(0, 2),
                rows.required::<i32>(0, 3),
                rows.required::<String>(0, 4),
            )
        });
        let sql = format!("SELECT max(number) FROM {schema}.memory_migrations");
        let migration = session.write(&sql, &[]).get::<i32>(0, 1);
        let missing: Option<String> = session.write(MISSING, &[Arg::oid(memories)]).get(0, 1);
        let indexed = session
            .write(VECTOR_INDEX, &[Arg::oid(memories)])
            .required(0, 1);
        (model, migration, missing, indexed)
    });
    if (model.is_none() || migration.is_none()) && system::sees_one_snapshot() {
        return Err(Error::version_conflict(
            "the memory store was made after this transaction began",
        )
        .hint("Start the transaction again."));
    }
    let (Some((model, embedder, dimensions, text_search_config)), Some(migration)) =
        (model, migration)
    else {
        return Ok(None);
    };
    let config = system::text_search_config(&text_search_config).ok_or_else(|| {
        Error::state(format!(
            "the store's text search configuration {text_search_config} is not there"
        ))
        .hint("Create it again (CREATE TEXT SEARCH CONFIGURATION).")
    })?;
    let embedder = Embedder::named(&embedder).map_err(|_| {
        Error::state(format!(
            "the store's embedder {embedder:?} is unknown to this library"
        ))
        .hint("Correct memory_models, or install the library that the store was made with.")
    })?;
    Ok(Some(Store {
        memories,
        owner,
        dimensions: dimensions.unsigned_abs() as usize,
        embedder,
        model,
        text_search_config,
        config,
        migration,
        has_vector_index,
        missing: missing.unwrap_or_default(),
        identity: identity.clone(),
    }))
}
