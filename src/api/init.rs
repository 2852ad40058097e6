//! The store: making it, bringing it up to date, saying which it is.

use pgrx::prelude::*;

use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::pg::spi::{self, Planning};
use crate::store::migrate;
use crate::store::open;
use crate::store::parameters::Wish;

// Text arrives in the functions as UTF-8 or not at all: a database of another encoding is refused before there are any.
extension_sql!(
    r#"
DO $$
BEGIN
    IF pg_catalog.current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'memory_ext needs a database with encoding UTF8, this one has %', pg_catalog.current_setting('server_encoding')
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Create one: CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
END
$$;
"#,
    name = "refuse_other_encodings",
    bootstrap
);

/// Creates the memory store: ordinary tables in the extension's schema, owned by the caller.
///
/// dimensions 1..2000 (default 384), embedder hash, md5 or external (default hash), text_search_config (default english),
/// hnsw_m 2..100 (default 16), hnsw_ef_construction 4..1000 (default 64). On an existing store it changes nothing; an argument
/// that differs from the store is an error. Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_init(
    dimensions: default!(Option<i32>, "NULL"),
    embedder: default!(Option<&str>, "NULL"),
    text_search_config: default!(Option<&str>, "NULL"),
    hnsw_m: default!(Option<i32>, "NULL"),
    hnsw_ef_construction: default!(Option<i32>, "NULL"),
) -> Result<Jsonb> {
    measured(Operation::Init, || {
        let wish = Wish {
            dimensions,
            embedder: embedder.map(str::to_owned),
            text_search_config: text_search_config.map(str::to_owned),
            hnsw_m,
            hnsw_ef_construction,
        };
        let (store, created) = migrate::init(wish)?;
        let report = serde_json::json!({
            "created": created,
            "store": migrate::version_of(store.migration),
            "schema": store.schema(),
            "dimensions": store.dimensions,
            "embedder": store.embedder.name(),
            "text_search_config": store.text_search_config,
        });
        Ok(Jsonb::parse(&report.to_string()))
    })
}

/// Brings an older store, such as one restored from an old backup, up to the version of the library.
///
/// Runs the pending numbered migrations as the owner of the tables. Errors: 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_migrate() -> Result<Jsonb> {
    measured(Operation::Migrate, || {
        let (from, applied) = migrate::migrate()?;
        let report = serde_json::json!({
            "from": migrate::version_of(from),
            "to": migrate::version_of(applied.last().copied().unwrap_or(from)),
            "applied": applied,
        });
        Ok(Jsonb::parse(&report.to_string()))
    })
}

/// The versions of extension, library, store, pgvector and server, and what the store was made with.
#[pg_extern(stable, parallel_restricted)]
fn memory_version() -> Result<Jsonb> {
    measured(Operation::Version, || {
        let store = open::find()?;
        let (extension, vector, server): (Option<String>, Option<String>, Option<String>) =
            spi::connect(|session| {
                let sql = "SELECT (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'memory_ext'),
                          (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'vector'),
                          pg_catalog.current_setting('server_version')";
                let rows = session.read(sql, Planning::Auto, &[]);
                (rows.get(0, 1), rows.get(0, 2), rows.get(0, 3))
            });
        let report = serde_json::json!({
            "extension": extension,
            "library": migrate::LIBRARY_VERSION,
            "store": store.as_ref().map(|store| migrate::version_of(store.migration)),
            "pgvector": vector,
            "server": server,
            "dimensions": store.as_ref().map(|store| store.dimensions),
            "embedder": store.as_ref().map(|store| store.embedder.name()),
            "model": store.as_ref().map(|store| store.model.clone()),
        });
        Ok(Jsonb::parse(&report.to_string()))
    })
}
