//! Points in time as text.

use std::borrow::Cow;

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::{SignedDuration, Unit};

/// A point in time in the one form that exports have: `2024-01-15T10:30:00.000000+00:00`.
///
/// Takes RFC 3339 and ISO 8601 calendar dates: `T` or a blank before the time, a fraction of up to
/// 9 digits (rounded to microseconds, as PostgreSQL does), an offset of hours, minutes and seconds
/// or none, which is UTC; no time is midnight. `None` for anything else, names of time zones among
/// it, and outside of the years 1 to 9999.
pub fn normalise(text: &str) -> Option<Cow<'_, str>> {
    match is_normal(text) {
        true => Some(Cow::Borrowed(text)),
        false => Some(Cow::Owned(format(utc(text)?)?)),
    }
}

/// Whether a text has the form of exports already, and is a point in time.
pub(super) fn is_normal(text: &str) -> bool {
    const FORM: &[u8; 32] = b"0000-00-00T00:00:00.000000+00:00";
    let Ok(text) = <&[u8; 32]>::try_from(text.as_bytes()) else {
        return false;
    };
    // The zeros of the offset stand for themselves.
    const OFFSET: usize = 26;
    let fits = text
        .iter()
        .zip(FORM)
        .enumerate()
        .all(|(place, (byte, form))| match form {
            b'0' if place < OFFSET => byte.is_ascii_digit(),
            form => byte == form,
        });
    let number = |from: usize, to: usize| {
        text[from..to]
            .iter()
            .fold(0_i16, |number, digit| number * 10 + i16::from(digit - b'0'))
    };
    fits && number(0, 4) >= 1
        && Date::new(number(0, 4), number(5, 7) as i8, number(8, 10) as i8).is_ok()
        && number(11, 13) < 24
        && number(14, 16) < 60
        && number(17, 19) < 60
}

/// Whether a normal time is more than an hour before another: a memory may be dated by another clock than the one that
/// changes it.
pub(super) fn is_long_before(time: &str, other: &str) -> bool {
    const TOLERATED: SignedDuration = SignedDuration::from_hours(1);
    match (utc(time), utc(other)) {
        (Some(time), Some(other)) => time.duration_until(other) > TOLERATED,
        _ => false,
    }
}

/// A number of microseconds since 1970 (UTC, without leap seconds), in the same form. `None`
/// outside of the years 1 to 9999.
pub fn of_unix_micros(micros: i64) -> Option<String> {
    since_1970(SignedDuration::from_micros(micros))
}

/// The same of seconds.
pub(super) fn of_epoch_seconds(seconds: i64) -> Option<String> {
    since_1970(SignedDuration::from_secs(seconds))
}

fn since_1970(time: SignedDuration) -> Option<String> {
    let time = DateTime::constant(1970, 1, 1, 0, 0, 0, 0)
        .checked_add(time)
        .ok()?;
    format(time)
}

/// When a day that is named without a time is over; any other point in time as it is.
pub(super) fn end_of_day(text: &str) -> Option<String> {
    let is_day = Pieces::parse(text).ok()?.time().is_none();
    let time = utc(text)?;
    match is_day {
        true => format(time.checked_add(SignedDuration::from_hours(24)).ok()?),
        false => format(time),
    }
}

fn utc(text: &str) -> Option<DateTime> {
    // Annotations of RFC 9557: a time zone would have to be looked up, a calendar is ignored.
    if text.contains('[') {
        return None;
    }
    let pieces = Pieces::parse(text).ok()?;
    let date: Date = pieces.date();
    let local = date.to_datetime(pieces.time().unwrap_or(Time::midnight()));
    let offset = pieces
        .to_numeric_offset()
        .map_or(0, |offset| offset.seconds());
    local
        .checked_sub(SignedDuration::from_secs(offset.into()))
        .ok()
}

fn format(time: DateTime) -> Option<String> {
    let time = time.round(Unit::Microsecond).ok()?;
    (time.year() >= 1).then(|| format!("{time:.6}+00:00"))
}
