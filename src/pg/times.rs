//! Times and intervals from text, read the way PostgreSQL reads them.

use std::ffi::CString;

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys;

use super::spi::{self, Planning};

/// An interval; `None` when the text is none.
pub fn interval(text: &str) -> Option<Interval> {
    is_valid(text, "interval").then(|| input(text, pg_sys::interval_in))?
}

/// A time; `None` when the text is none.
pub fn timestamp(text: &str) -> Option<TimestampWithTimeZone> {
    is_valid(text, "timestamptz").then(|| input(text, pg_sys::timestamptz_in))?
}

/// Microseconds since the Unix epoch; `None` for the infinities.
pub fn unix_micros(time: TimestampWithTimeZone) -> Option<i64> {
    if time.is_infinity() || time.is_neg_infinity() {
        return None;
    }
    // PostgreSQL counts from 2000-01-01.
    const FROM_1970_TO_2000_MICROS: i64 = 946_684_800 * 1_000_000;
    time.into_inner().checked_add(FROM_1970_TO_2000_MICROS)
}

// PostgreSQL counts from 2000-01-01.
const FROM_1970_TO_2000: i64 = 946_684_800 * 1_000_000;

/// A number for every time, the infinities too: microseconds since the Unix epoch, as far as these fit.
pub fn number(time: TimestampWithTimeZone) -> i64 {
    time.into_inner().wrapping_add(FROM_1970_TO_2000)
}

/// The time of such a number.
pub fn of_number(number: i64) -> TimestampWithTimeZone {
    TimestampWithTimeZone::try_from(number.wrapping_sub(FROM_1970_TO_2000))
        .unwrap_or_else(|_| TimestampWithTimeZone::positive_infinity())
}

/// Whether PostgreSQL takes a text for a value of a type.
pub fn is_valid(text: &str, type_name: &str) -> bool {
    if text.contains('\0') {
        return false;
    }
    spi::connect(|session| {
        let sql = "SELECT pg_catalog.pg_input_is_valid($1, $2)";
        session
            .read(sql, Planning::Generic, &[text.into(), type_name.into()])
            .get(0, 1)
            .unwrap_or(false)
    })
}

fn input<T: pgrx::FromDatum>(
    text: &str,
    function: unsafe fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum,
) -> Option<T> {
    let source = CString::new(text).ok()?;
    // SAFETY: both input functions take a C string, a type id and a type modifier, and return a value of T or raise an error.
    unsafe {
        pgrx::direct_function_call::<T>(
            function,
            &[
                Some(pg_sys::Datum::from(source.as_ptr())),
                Some(pg_sys::Datum::from(pg_sys::InvalidOid)),
                Some(pg_sys::Datum::from(-1i32)),
            ],
        )
    }
}
