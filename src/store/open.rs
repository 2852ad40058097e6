//! The store of this database: which tables, whose they are, which dimensions and embedder, and whether they fit this library.

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::pg_sys;

use super::embedder::Embedder;
use super::migrate;
use crate::pg::error::{Error, Result};
use crate::pg::identity::{self, Identity};
use crate::pg::owner::AsOwner;
use crate::pg::spi;
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

    /// Puts the schemas' names into a statement: `@s@` the extension's, `@v@` pgvector's.
    pub fn sql(&self, template: &str) -> String {
        template
            .replace("@s@", self.schema())
            .replace("@v@", self.vector())
    }

    pub fn as_owner(&self) -> AsOwner {
        AsOwner::enter(self.owner, &self.identity.search_path)
    }
}

/// The store, or 55000 saying what to run when it is missing, older or newer than this library.
pub fn open() -> Result<Rc<Store>> {
    open_if_present()?.ok_or_else(missing)
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

/// The store whatever its version, for those who report or mend it.
pub fn find() -> Result<Option<Rc<Store>>> {
    let identity = identity::get()?;
    let Some(memories) = identity::table(&identity, c"memories") else {
        return Ok(None);
    };
    if !identity::table_changed(memories)
        && let Some(store) = STORE.with_borrow(Clone::clone)
    {
        return Ok(Some(store));
    }
    identity::look_again();
    let Some(store) = load(identity, memories)? else {
        return Ok(None);
    };
    let store = Rc::new(store);
    STORE.set(Some(store.clone()));
    // The flag that `look_again` set is taken back only now that the look is complete.
    identity::table_changed(memories);
    Ok(Some(store))
}

fn fits(store: &Store) -> Result<()> {
    let newest = migrate::newest();
    if store.migration == newest {
        return Ok(());
    }
    let (library, is) = (
        migrate::LIBRARY_VERSION,
        migrate::version_of(store.migration),
    );
    if store.migration < newest {
        Err(Error::state(format!(
            "the memory store is at version {is}, older than the library's {library}"
        ))
        .hint("Run ALTER EXTENSION memory_ext UPDATE, then SELECT memory_migrate()."))
    } else {
        Err(Error::state(format!("the memory store is newer (migration {}) than the library's version {library}", store.migration))
            .hint("Install the memory_ext library that the store was made with, or a later one, and reconnect."))
    }
}

fn load(identity: Rc<Identity>, memories: pg_sys::Oid) -> Result<Option<Store>> {
    let foreign = || {
        Error::state(format!("table {}.memories is there, but it is no memory store", identity.schema))
            .detail("A store also has the tables memory_models and memory_migrations, which memory_init() makes.")
            .hint("Install the extension in a schema of its own: CREATE EXTENSION memory_ext SCHEMA memory CASCADE.")
    };
    for table in [c"memory_models", c"memory_migrations"] {
        if identity::table(&identity, table).is_none() {
            return Err(foreign());
        }
    }
    let Some(owner) = system::table_owner(memories) else {
        return Ok(None);
    };
    let _owner = AsOwner::enter(owner, &identity.search_path);
    let schema = &identity.schema;
    // Not a read-only call: that would not see a store made earlier in this very statement.
    let (model, migration) = spi::connect(|session| {
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
        (model, session.write(&sql, &[]).get::<i32>(0, 1))
    });
    let (Some((model, embedder, dimensions, text_search_config)), Some(migration)) =
        (model, migration)
    else {
        return Err(Error::state(
            "the memory store is incomplete: memory_models or memory_migrations is empty",
        )
        .hint("Restore both tables from the backup the other tables came from."));
    };
    let config = system::text_search_config(&text_search_config).ok_or_else(|| {
        Error::state(format!(
            "the store's text search configuration {text_search_config} is not there"
        ))
        .hint("Create it again (CREATE TEXT SEARCH CONFIGURATION).")
    })?;
    let embedder = Embedder::named(&embedder)?;
    Ok(Some(Store {
        memories,
        owner,
        dimensions: dimensions.unsigned_abs() as usize,
        embedder,
        model,
        text_search_config,
        config,
        migration,
        identity: identity.clone(),
    }))
}
