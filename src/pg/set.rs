//! Sets of rows that a function hands over all at once: they lie in PostgreSQL's own tuple store, which goes to disk beyond
//! work_mem.

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::{IntoDatum, pg_sys};

/// The result of a call that returns TABLE (part integer, name text, data bytea).
pub struct PartSet {
    store: *mut pg_sys::Tuplestorestate,
    descriptor: pg_sys::TupleDesc,
}

impl PartSet {
    /// The empty set of a call. PostgreSQL refuses calls in places that take no set.
    pub fn of(call: pg_sys::FunctionCallInfo) -> Self {
        // SAFETY: PostgreSQL hands every function its call information; after InitMaterializedSRF, its result information has
        // a store and a descriptor, which outlive the call.
        unsafe {
            pg_sys::InitMaterializedSRF(call, 0);
            let result = (*call).resultinfo.cast::<pg_sys::ReturnSetInfo>();
            PartSet {
                store: (*result).setResult,
                descriptor: (*result).setDesc,
            }
        }
    }

    pub fn add(&mut self, part: i32, name: &str, data: &[u8]) {
        let (name, data) = (name.into_datum(), data.into_datum());
        let by_reference = [name, data].map(|datum| datum.unwrap_or(pg_sys::Datum::from(0)));
        let mut values = [pg_sys::Datum::from(part), by_reference[0], by_reference[1]];
        let mut nulls = [false; 3];
        // Before PostgreSQL 17 the function wants them mutable, and changes nothing either.
        // SAFETY: the values are of the types that the function is declared to return. The store copies them, then the fresh
        // copies of ours are freed.
        unsafe {
            pg_sys::tuplestore_putvalues(
                self.store,
                self.descriptor,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
            for value in by_reference {
                pg_sys::pfree(value.cast_mut_ptr());
            }
        }
    }
}

// SAFETY: what the function returns is the set in the call's result information.
pgrx::impl_sql_translatable!(PartSet, "TABLE (part integer, name text, data bytea)");

// SAFETY: a function that gives its result as a tuple store returns nothing else.
unsafe impl BoxRet for PartSet {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        fcinfo.return_null()
    }
}
