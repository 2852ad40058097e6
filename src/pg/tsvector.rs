//! PostgreSQL's text search: turning text into lexemes, and reading a `tsvector` in place.
//!
//! Layout (tsearch/ts_type.h): a 4-byte varlena header, the number of entries, one 32-bit entry a lexeme (1 bit "has
//! positions", 11 bits length, 20 bits offset), then the lexemes, each followed at the next even offset by the number of
//! its positions and the positions (14 bits each). Entries are sorted bytewise.

use std::ffi::CString;

use pgrx::{FromDatum, pg_sys};

use super::spi::Rows;

const HEADER: usize = 8;
const ENTRY: usize = 4;

/// A tsvector's bytes.
struct TsVector<'a>(&'a [u8]);

impl<'a> TsVector<'a> {
    fn u32_at(&self, offset: usize) -> u32 {
        self.0.get(offset..offset + 4).map_or(0, |bytes| {
            u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        })
    }

    fn u16_at(&self, offset: usize) -> u16 {
        self.0
            .get(offset..offset + 2)
            .map_or(0, |bytes| u16::from_ne_bytes([bytes[0], bytes[1]]))
    }

    fn entries(&self) -> usize {
        self.u32_at(4) as usize
    }

    /// Start of lexeme and its length, and whether positions follow.
    fn entry(&self, index: usize) -> (usize, usize, bool) {
        let word = self.u32_at(HEADER + index * ENTRY);
        // The C declaration is a bit field, which is laid out from the other end on big-endian machines.
        let (positions, length, offset) = if cfg!(target_endian = "little") {
            (word & 1 == 1, (word >> 1) & 0x7ff, word >> 12)
        } else {
            (word >> 31 == 1, (word >> 20) & 0x7ff, word & 0xf_ffff)
        };
        (
            HEADER + self.entries() * ENTRY + offset as usize,
            length as usize,
            positions,
        )
    }

    fn lexeme(&self, index: usize) -> &'a [u8] {
        let (start, length, _) = self.entry(index);
        self.0.get(start..start + length).unwrap_or_default()
    }

    /// Offset of the positions' count; the positions follow it.
    fn positions_at(&self, index: usize) -> Option<usize> {
        let (start, length, positions) = self.entry(index);
        positions.then(|| (start + length).next_multiple_of(2))
    }

    fn frequency(&self, index: usize) -> u16 {
        self.positions_at(index)
            .map_or(1, |at| self.u16_at(at).max(1))
    }

    fn first_position(&self, index: usize) -> u16 {
        self.positions_at(index)
            .map_or(0, |at| self.u16_at(at + 2) & 0x3fff)
    }

    fn length(&self) -> u32 {
        (0..self.entries())
            .map(|index| u32::from(self.frequency(index)))
            .sum()
    }

    fn find(&self, lexeme: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.entries());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.lexeme(middle).cmp(lexeme) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

/// Hands the bytes of a tsvector datum to `read`.
///
/// # Safety
/// `datum` is a tsvector.
unsafe fn with_tsvector<R>(datum: pg_sys::Datum, read: impl FnOnce(TsVector<'_>) -> R) -> R {
    // SAFETY: a tsvector is a varlena; its header tells its size once it is detoasted. The slice does not outlive it.
    unsafe {
        let original = datum.cast_mut_ptr::<pg_sys::varlena>();
        let plain = pg_sys::pg_detoast_datum(original);
        let result = read(TsVector(std::slice::from_raw_parts(
            plain.cast::<u8>(),
            pgrx::varsize_4b(plain),
        )));
        if plain != original {
            pg_sys::pfree(plain.cast());
        }
        result
    }
}

/// How often each of some lexemes stands in a document, and how many words the document has.
pub struct TermCounts {
    pub frequencies: Vec<u16>,
    pub length: u32,
}

/// Reads a tsvector where it lies, instead of having its lexemes made into an array of texts.
struct Counted(pg_sys::Datum);

impl FromDatum for Counted {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _type: pg_sys::Oid,
    ) -> Option<Self> {
        (!is_null).then_some(Counted(datum))
    }
}

/// Counts `lexemes` in the tsvector at `row` and `column`; `None` when that is NULL.
pub fn count_terms(
    rows: &Rows<'_>,
    row: usize,
    column: usize,
    lexemes: &[String],
) -> Option<TermCounts> {
    let Counted(datum) = rows.get(row, column)?;
    // SAFETY: the statement selects content_tsv there, and the row is alive as long as `rows`.
    Some(unsafe {
        with_tsvector(datum, |vector| TermCounts {
            frequencies: lexemes
                .iter()
                .map(|lexeme| {
                    vector
                        .find(lexeme.as_bytes())
                        .map_or(0, |index| vector.frequency(index))
                })
                .collect(),
            length: vector.length(),
        })
    })
}

/// The lexemes of a text in the order of the text, each with the position of its first occurrence.
pub fn lexemes(config: pg_sys::Oid, text: &str) -> Vec<(String, u16)> {
    let Ok(source) = CString::new(text) else {
        return Vec::new();
    };
    // SAFETY: to_tsvector_byid takes a configuration's id and a text and returns a tsvector.
    let mut lexemes = unsafe {
        let text = pg_sys::cstring_to_text(source.as_ptr());
        let datum = pgrx::direct_function_call_as_datum(
            pg_sys::to_tsvector_byid,
            &[
                Some(pg_sys::Datum::from(config)),
                Some(pg_sys::Datum::from(text)),
            ],
        );
        let Some(datum) = datum else {
            return Vec::new();
        };
        with_tsvector(datum, |vector| {
            (0..vector.entries())
                .map(|index| {
                    (
                        String::from_utf8_lossy(vector.lexeme(index)).into_owned(),
                        vector.first_position(index),
                    )
                })
                .collect::<Vec<_>>()
        })
    };
    lexemes.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
    lexemes
}
