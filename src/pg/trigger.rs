//! The row a trigger is fired for: reading old and new values, telling what changed, changing the new row once.

use std::ffi::{CStr, c_int};

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::trigger_support;
use pgrx::{FromDatum, IntoDatum, pg_sys};

use super::error::{Error, Result};
use super::spi::Arg;

/// What a trigger returns to PostgreSQL: the row to go on with.
pub struct TriggerRow(pg_sys::HeapTuple);

// SAFETY: a trigger function is declared to return the pseudo-type trigger, which is a pointer to a tuple.
pgrx::impl_sql_translatable!(TriggerRow, "trigger");

// SAFETY: the tuple is PostgreSQL's own, or was made in the memory context of the call.
unsafe impl BoxRet for TriggerRow {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: as above.
        unsafe { fcinfo.return_raw_datum(pg_sys::Datum::from(self.0)) }
    }
}

/// What a trigger for a statement returns, which nobody looks at.
pub fn nothing() -> TriggerRow {
    TriggerRow(std::ptr::null_mut())
}

/// The relation of a trigger that is fired before an INSERT statement, once; `None` for any other call.
pub fn before_insert_statement(call: pg_sys::FunctionCallInfo) -> Option<pg_sys::Oid> {
    // SAFETY: PostgreSQL hands every function its call information, which says whether it is called as a trigger, and then holds
    // the trigger's data with its open relation.
    unsafe {
        if !trigger_support::called_as_trigger(call) {
            return None;
        }
        let data = &*(*call).context.cast::<pg_sys::TriggerData>();
        let fits = trigger_support::trigger_fired_by_insert(data.tg_event)
            && trigger_support::trigger_fired_before(data.tg_event)
            && !trigger_support::trigger_fired_for_row(data.tg_event);
        fits.then(|| (*data.tg_relation).rd_id)
    }
}

pub struct RowChange {
    descriptor: pg_sys::TupleDesc,
    relation: pg_sys::Oid,
    row_type: pg_sys::Oid,
    old: Option<pg_sys::HeapTuple>,
    new: Option<pg_sys::HeapTuple>,
    edits: Vec<(c_int, Option<pg_sys::Datum>)>,
}

impl RowChange {
    /// The row of a row-level trigger fired by INSERT, UPDATE or DELETE; anything else is refused, a plain call too.
    pub fn of(call: pg_sys::FunctionCallInfo, before: bool) -> Result<Self> {
        let wrong = || {
            Error::state(
                "this trigger function is called in another way than the memory store does",
            )
            .hint(
                "memory_init() and memory_migrate() make the triggers of the store; drop this one.",
            )
        };
        // SAFETY: PostgreSQL hands every function its call information, which says whether it is called as a trigger, and
        // then holds the trigger's data.
        let data = unsafe {
            if !trigger_support::called_as_trigger(call) {
                return Err(wrong());
            }
            &*(*call).context.cast::<pg_sys::TriggerData>()
        };
        let updated = trigger_support::trigger_fired_by_update(data.tg_event);
        let inserted = trigger_support::trigger_fired_by_insert(data.tg_event);
        let deleted = trigger_support::trigger_fired_by_delete(data.tg_event);
        let for_row = trigger_support::trigger_fired_for_row(data.tg_event);
        let in_time = trigger_support::trigger_fired_before(data.tg_event) == before;
        if !for_row || !in_time || !(inserted || updated || deleted) || data.tg_trigtuple.is_null()
        {
            return Err(wrong());
        }
        // SAFETY: PostgreSQL hands a row-level trigger an open relation and valid tuples, which outlive the call.
        unsafe {
            let relation = &*data.tg_relation;
            Ok(RowChange {
                descriptor: relation.rd_att,
                relation: relation.rd_id,
                row_type: (*relation.rd_rel).reltype,
                old: (!inserted).then_some(data.tg_trigtuple),
                new: if updated {
                    Some(data.tg_newtuple)
                } else {
                    inserted.then_some(data.tg_trigtuple)
                },
                edits: Vec::new(),
            })
        }
    }

    pub fn relation(&self) -> pg_sys::Oid {
        self.relation
    }

    pub fn is_update(&self) -> bool {
        self.old.is_some() && self.new.is_some()
    }

    pub fn is_delete(&self) -> bool {
        self.new.is_none()
    }

    fn column(&self, name: &CStr) -> c_int {
        // SAFETY: the descriptor is the open relation's.
        let number = unsafe { pg_sys::SPI_fnumber(self.descriptor, name.as_ptr()) };
        assert!(number > 0, "table memories has no column {name:?}");
        number
    }

    fn datum(&self, tuple: Option<pg_sys::HeapTuple>, column: c_int) -> Option<pg_sys::Datum> {
        let mut is_null = false;
        // SAFETY: tuple and descriptor belong together, the column was looked up in that descriptor.
        let datum = unsafe { pg_sys::SPI_getbinval(tuple?, self.descriptor, column, &mut is_null) };
        (!is_null).then_some(datum)
    }

    pub fn old_value<T: FromDatum>(&self, name: &CStr) -> Option<T> {
        let datum = self.datum(self.old, self.column(name))?;
        // SAFETY: the caller names a column of type T.
        unsafe { T::from_datum(datum, false) }
    }

    pub fn new_value<T: FromDatum>(&self, name: &CStr) -> Option<T> {
        let datum = self.datum(self.new, self.column(name))?;
        // SAFETY: the caller names a column of type T.
        unsafe { T::from_datum(datum, false) }
    }

    pub fn new_is_null(&self, name: &CStr) -> bool {
        self.datum(self.new, self.column(name)).is_none()
    }

    /// Whether old and new value differ, bit for bit.
    pub fn changed(&self, name: &CStr) -> bool {
        let column = self.column(name);
        match (self.datum(self.old, column), self.datum(self.new, column)) {
            (None, None) => false,
            (Some(old), Some(new)) => !self.equal(column, old, new),
            _ => true,
        }
    }

    fn equal(&self, column: c_int, old: pg_sys::Datum, new: pg_sys::Datum) -> bool {
        // SAFETY: the column exists; a datum that is no value in itself is a varlena here (memories has no other
        // by-reference type), which detoasting gives a plain header.
        unsafe {
            if pg_sys::SPI_gettypeid(self.descriptor, column) == pg_sys::InvalidOid
                || old.value() == new.value()
            {
                return old.value() == new.value();
            }
            let (mut length, mut by_value) = (0i16, false);
            pg_sys::get_typlenbyval(
                pg_sys::SPI_gettypeid(self.descriptor, column),
                &mut length,
                &mut by_value,
            );
            if by_value {
                return false;
            }
            let old = pg_sys::pg_detoast_datum(old.cast_mut_ptr());
            let new = pg_sys::pg_detoast_datum(new.cast_mut_ptr());
            let bytes = |value: *mut pg_sys::varlena| {
                std::slice::from_raw_parts(value.cast::<u8>(), pgrx::varsize_4b(value))
            };
            bytes(old) == bytes(new)
        }
    }

    /// Sets a column of the new row; several settings make one new tuple.
    pub fn set<T: IntoDatum>(&mut self, name: &CStr, value: Option<T>) {
        let column = self.column(name);
        self.edits
            .push((column, value.and_then(IntoDatum::into_datum)));
    }

    /// The value a column of the new row has after the settings made so far.
    pub fn edited<T: FromDatum>(&self, name: &CStr) -> Option<T> {
        let column = self.column(name);
        match self
            .edits
            .iter()
            .rev()
            .find(|(edited, _)| *edited == column)
        {
            // SAFETY: the caller names a column of type T, and set it with a T.
            Some((_, value)) => value.and_then(|datum| unsafe { T::from_datum(datum, false) }),
            None => self.new_value(name),
        }
    }

    /// The old row as an argument of a statement.
    pub fn old_row(&self) -> Option<Arg> {
        // SAFETY: tuple and descriptor belong together.
        let datum = unsafe { pg_sys::heap_copy_tuple_as_datum(self.old?, self.descriptor) };
        Some(Arg::composite(datum, self.row_type))
    }

    /// The row that PostgreSQL is to go on with: the new one with its edits, or the old one when it is deleted.
    pub fn finish(mut self) -> Option<TriggerRow> {
        self.settle();
        Some(TriggerRow(self.new.or(self.old)?))
    }

    /// The same of an INSTEAD OF trigger, as a copy: of the row that such a trigger was given, and gives back, PostgreSQL keeps its
    /// own copy until the statement ends, however many rows a COPY brings.
    pub fn finish_copy(self) -> Option<TriggerRow> {
        let row = self.finish()?;
        // SAFETY: the tuple is valid; the copy is made in the context of the call, which is that of the row.
        Some(TriggerRow(unsafe { pg_sys::heap_copytuple(row.0) }))
    }

    /// Makes the settings so far part of the new row, as which everything sees them from here on.
    pub fn settle(&mut self) {
        if let Some(tuple) = &mut self.new
            && !self.edits.is_empty()
        {
            let mut columns: Vec<c_int> = self.edits.iter().map(|(column, _)| *column).collect();
            let mut values: Vec<pg_sys::Datum> = self
                .edits
                .iter()
                .map(|(_, value)| value.unwrap_or(pg_sys::Datum::from(0)))
                .collect();
            let mut nulls: Vec<bool> = self
                .edits
                .iter()
                .map(|(_, value)| value.is_none())
                .collect();
            // SAFETY: the three slices have one element an edit; the result is a palloc'd tuple.
            *tuple = unsafe {
                pg_sys::heap_modify_tuple_by_cols(
                    *tuple,
                    self.descriptor,
                    columns.len() as c_int,
                    columns.as_mut_ptr(),
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                )
            };
            self.edits.clear();
        }
    }
}
