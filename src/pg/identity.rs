//! Where the extension and pgvector are installed, and whether that or the store's tables changed since the last call.
//!
//! Looked up once per backend. PostgreSQL's own invalidation messages tell when to look again: any change of a function or
//! a schema (CREATE, ALTER and DROP EXTENSION all make some) and any change of the table `memories`.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::rc::Rc;

use pgrx::pg_sys;

use super::error::{Error, Result};
use super::spi;

#[derive(Debug, PartialEq)]
pub struct Identity {
    pub extension: pg_sys::Oid,
    /// The extension's schema, by id and as a quoted identifier.
    pub schema_oid: pg_sys::Oid,
    pub schema: String,
    /// pgvector's schema as a quoted identifier, and its type.
    pub vector_schema: String,
    pub vector_type: pg_sys::Oid,
}

thread_local! {
    static IDENTITY: RefCell<Option<Rc<Identity>>> = const { RefCell::new(None) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    static FUNCTIONS_CHANGED: Cell<bool> = const { Cell::new(true) };
    /// The table whose changes are watched, and whether there was one.
    static WATCHED: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
    static TABLE_CHANGED: Cell<bool> = const { Cell::new(true) };
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_function_change(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    FUNCTIONS_CHANGED.set(true);
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_table_change(_arg: pg_sys::Datum, table: pg_sys::Oid) {
    if table == pg_sys::InvalidOid || table == WATCHED.get() {
        TABLE_CHANGED.set(true);
    }
}

fn register_callbacks() {
    if REGISTERED.replace(true) {
        return;
    }
    // SAFETY: the callbacks are functions of a library that is never unloaded; they only set flags. Registered once a
    // backend: the number of slots is fixed.
    unsafe {
        for cache in [
            pg_sys::SysCacheIdentifier::PROCOID,
            pg_sys::SysCacheIdentifier::NAMESPACEOID,
        ] {
            pg_sys::CacheRegisterSyscacheCallback(
                cache as i32,
                Some(on_function_change),
                pg_sys::Datum::from(0),
            );
        }
        pg_sys::CacheRegisterRelcacheCallback(Some(on_table_change), pg_sys::Datum::from(0));
    }
}

/// Where things are installed.
pub fn get() -> Result<Rc<Identity>> {
    register_callbacks();
    if !FUNCTIONS_CHANGED.replace(false)
        && let Some(identity) = IDENTITY.with_borrow(Clone::clone)
    {
        return Ok(identity);
    }
    // Set again until the look-up is through: it may raise an error half way.
    FUNCTIONS_CHANGED.set(true);
    let identity = Rc::new(look_up()?);
    if let Some(known) = IDENTITY.with_borrow(Clone::clone) {
        if *known == *identity {
            FUNCTIONS_CHANGED.set(false);
            return Ok(known);
        }
        spi::forget_plans();
        TABLE_CHANGED.set(true);
    }
    IDENTITY.set(Some(identity.clone()));
    FUNCTIONS_CHANGED.set(false);
    Ok(identity)
}

fn look_up() -> Result<Identity> {
    let (extension, schema_oid) = extension(c"memory_ext").ok_or_else(|| {
        Error::state("extension memory_ext is not installed in this database")
            .hint("Run CREATE EXTENSION memory_ext CASCADE.")
    })?;
    let (_, vector_schema_oid) = extension_or_missing_vector()?;
    // SAFETY: a syscache look-up of a type by name and schema.
    let vector_type = unsafe {
        pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::TYPENAMENSP as i32,
            pg_sys::Anum_pg_type_oid as i16,
            pg_sys::Datum::from(c"vector".as_ptr()),
            pg_sys::Datum::from(vector_schema_oid),
            pg_sys::Datum::from(0),
            pg_sys::Datum::from(0),
        )
    };
    let schema = quoted_schema(schema_oid)?;
    let vector_schema = quoted_schema(vector_schema_oid)?;
    Ok(Identity {
        extension,
        schema_oid,
        schema,
        vector_schema,
        vector_type,
    })
}

/// Whether both extensions are installed in this database.
pub fn installed() -> bool {
    extension(c"memory_ext").is_some() && extension(c"vector").is_some()
}

fn extension_or_missing_vector() -> Result<(pg_sys::Oid, pg_sys::Oid)> {
    extension(c"vector").ok_or_else(|| {
        Error::state("extension vector (pgvector) is not installed in this database")
            .hint("Run CREATE EXTENSION vector, version 0.8.0 or later.")
    })
}

fn extension(name: &CStr) -> Option<(pg_sys::Oid, pg_sys::Oid)> {
    // SAFETY: catalog look-ups by a literal name; a missing extension is InvalidOid, not an error.
    unsafe {
        let oid = pg_sys::get_extension_oid(name.as_ptr(), true);
        (oid != pg_sys::InvalidOid).then(|| (oid, pg_sys::get_extension_schema(oid)))
    }
}

fn quoted_schema(oid: pg_sys::Oid) -> Result<String> {
    // SAFETY: get_namespace_name returns null or a palloc'd string; quote_identifier that string or a palloc'd one.
    unsafe {
        let name = pg_sys::get_namespace_name(oid);
        if name.is_null() {
            return Err(Error::state("the extension's schema is gone"));
        }
        Ok(CStr::from_ptr(pg_sys::quote_identifier(name))
            .to_string_lossy()
            .into_owned())
    }
}

/// The id of a table in the extension's schema, and its owner; `None` when there is none.
pub fn table(identity: &Identity, name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: a syscache look-up.
    let oid = unsafe { pg_sys::get_relname_relid(name.as_ptr(), identity.schema_oid) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// The store's tables of these names, as far as they are there.
pub fn tables<'a>(
    identity: &Identity,
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<pg_sys::Oid> {
    let names = names.into_iter().filter_map(|name| CString::new(name).ok());
    names.filter_map(|name| table(identity, &name)).collect()
}

/// True once after each change of the watched table, of the table that is watched, or of where things are installed.
pub fn table_changed(table: pg_sys::Oid) -> bool {
    let another = WATCHED.replace(table) != table;
    TABLE_CHANGED.replace(false) || another
}

/// To be called when what was learnt about the table could not be completed.
pub fn look_again() {
    TABLE_CHANGED.set(true);
}
