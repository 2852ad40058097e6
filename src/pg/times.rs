//! Times and intervals from text, read the way PostgreSQL reads them.

use std::ffi::CString;

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys;

/// An interval; PostgreSQL raises 22007 when the text is none.
pub fn interval(text: &str) -> Interval {
    input(text, pg_sys::interval_in)
}

/// A time; PostgreSQL raises 22007 when the text is none.
pub fn timestamp(text: &str) -> TimestampWithTimeZone {
    input(text, pg_sys::timestamptz_in)
}

fn input<T: pgrx::FromDatum>(
    text: &str,
    function: unsafe fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum,
) -> T {
    let source = CString::new(text).unwrap_or_default();
    // SAFETY: both input functions take a C string, a type id and a type modifier, and return a value of T or raise an error.
    let value = unsafe {
        pgrx::direct_function_call::<T>(
            function,
            &[
                Some(pg_sys::Datum::from(source.as_ptr())),
                Some(pg_sys::Datum::from(pg_sys::InvalidOid)),
                Some(pg_sys::Datum::from(-1i32)),
            ],
        )
    };
    match value {
        Some(value) => value,
        None => panic!("a type's input function returned NULL"),
    }
}
