//! `jsonb` that passes through unread: metadata goes from argument to row and from row to result as PostgreSQL's own bytes,
//! so no number loses a digit and nothing is parsed that nobody looks at.

use std::ffi::{CStr, CString, c_char};

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::{FromDatum, IntoDatum, pg_sys};

/// A whole jsonb varlena, uncompressed, with its 4-byte header.
#[derive(Clone, Debug, PartialEq)]
pub struct Jsonb(Vec<u8>);

/// What there is too much of in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Levels,
    Bytes,
}

/// How long the text of a scalar is.
///
/// # Safety
/// The value is one that JsonbIteratorNext gave for a key or a scalar, and what it points to is still there.
unsafe fn text_length(value: &pg_sys::JsonbValue) -> usize {
    // SAFETY: the type says which member of the union holds; numeric_out returns a palloc'd C string.
    unsafe {
        match value.type_ {
            pg_sys::jbvType::jbvString => {
                let length = usize::try_from(value.val.string.len).unwrap_or_default();
                let text = std::slice::from_raw_parts(value.val.string.val.cast::<u8>(), length);
                let escapes: usize = text
                    .iter()
                    .map(|byte| match byte {
                        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 1,
                        0..32 => 5,
                        _ => 0,
                    })
                    .sum();
                length + escapes + 2
            }
            pg_sys::jbvType::jbvNumeric => {
                let number = pg_sys::Datum::from(value.val.numeric);
                pgrx::direct_function_call_as_datum(pg_sys::numeric_out, &[Some(number)]).map_or(
                    0,
                    |datum| {
                        let digits = datum.cast_mut_ptr::<c_char>();
                        let length = CStr::from_ptr(digits).count_bytes();
                        pg_sys::pfree(digits.cast());
                        length
                    },
                )
            }
            _ => "false".len(),
        }
    }
}

impl Jsonb {
    /// Reads JSON text; PostgreSQL raises 22P02 when it is none.
    pub fn parse(text: &str) -> Self {
        let source = CString::new(text).unwrap_or_default();
        // SAFETY: jsonb_in takes a C string, which outlives the call, and returns a jsonb.
        unsafe {
            let datum = pgrx::direct_function_call_as_datum(
                pg_sys::jsonb_in,
                &[Some(pg_sys::Datum::from(source.as_ptr()))],
            );
            Self::from_datum(datum.unwrap_or(pg_sys::Datum::from(0)), datum.is_none())
                .unwrap_or(Jsonb(Vec::new()))
        }
    }

    /// The JSON text.
    pub fn text(&self) -> String {
        // SAFETY: the argument is a jsonb; jsonb_out returns a palloc'd C string in the server's encoding, which
        // memory_init made sure is UTF-8.
        unsafe {
            pgrx::direct_function_call_as_datum(pg_sys::jsonb_out, &[Some(self.to_datum())])
                .map(|datum| {
                    let text = datum.cast_mut_ptr::<c_char>();
                    let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
                    pg_sys::pfree(text.cast());
                    copy
                })
                .unwrap_or_default()
        }
    }

    /// The first word behind the varlena header: flags, and the number of members (utils/jsonb.h).
    fn container(&self) -> u32 {
        self.0.get(4..8).map_or(0, |word| {
            u32::from_ne_bytes([word[0], word[1], word[2], word[3]])
        })
    }

    /// Whether the outermost value is an object.
    pub fn is_object(&self) -> bool {
        const JB_FOBJECT: u32 = 0x2000_0000;
        self.container() & JB_FOBJECT != 0
    }

    /// Whether this is nested deeper than `levels`, or its text is longer than `bytes`: a number of a few stored bytes can have
    /// 147,455 digits. The walk ends where a limit is passed.
    pub fn over(&self, levels: usize, bytes: usize) -> Option<Over> {
        // Each level takes a header and an entry at least, and so does each number; most metadata needs no look.
        const LEAST_BYTES: usize = 8;
        const MOST_DIGITS: usize = 147_456;
        if self.0.len() < LEAST_BYTES * levels.min(bytes / MOST_DIGITS) {
            return None;
        }
        let (mut depth, mut text) = (0, 0);
        // SAFETY: the datum is a whole jsonb of 4-byte alignment, whose container follows the varlena header; it outlives the
        // walk. JsonbIteratorNext fills in the value for the tokens that have one, and each of these is a scalar, since
        // nested containers are walked too. The iterator frees itself when it is done; else it goes with the memory context.
        unsafe {
            let whole = self.to_datum();
            let container = whole.cast_mut_ptr::<u8>().add(pg_sys::VARHDRSZ);
            let mut iterator = pg_sys::JsonbIteratorInit(container.cast());
            let mut value = std::mem::zeroed::<pg_sys::JsonbValue>();
            let over = loop {
                use pg_sys::JsonbIteratorToken as Token;
                match pg_sys::JsonbIteratorNext(&mut iterator, &mut value, false) {
                    Token::WJB_DONE => break None,
                    Token::WJB_BEGIN_ARRAY | Token::WJB_BEGIN_OBJECT => {
                        depth += 1;
                        text += "{}".len();
                    }
                    Token::WJB_END_ARRAY | Token::WJB_END_OBJECT => depth -= 1,
                    _ => text += text_length(&value) + ", ".len(),
                }
                if depth > levels {
                    break Some(Over::Levels);
                }
                if text > bytes {
                    break Some(Over::Bytes);
                }
            };
            pg_sys::pfree(whole.cast_mut_ptr());
            over
        }
    }

    pub fn is_empty_object(&self) -> bool {
        const JB_CMASK: u32 = 0x0fff_ffff;
        self.is_object() && self.container() & JB_CMASK == 0
    }

    fn to_datum(&self) -> pg_sys::Datum {
        // SAFETY: the bytes are a whole varlena, copied to a fresh allocation of their length.
        unsafe {
            let data = pg_sys::palloc(self.0.len()).cast::<u8>();
            std::ptr::copy_nonoverlapping(self.0.as_ptr(), data, self.0.len());
            pg_sys::Datum::from(data)
        }
    }

    /// A `jsonb[]`.
    pub fn array_datum(values: Vec<Option<Jsonb>>) -> pg_sys::Datum {
        let mut datums: Vec<pg_sys::Datum> = values
            .iter()
            .map(|value| {
                value
                    .as_ref()
                    .map_or(pg_sys::Datum::from(0), Jsonb::to_datum)
            })
            .collect();
        let mut nulls: Vec<bool> = values.iter().map(Option::is_none).collect();
        let mut length = values.len() as i32;
        let mut lower_bound = 1;
        // SAFETY: one element a value in each slice, all outliving the call, which copies them; jsonb is a varlena type
        // with 4-byte alignment.
        unsafe {
            pg_sys::Datum::from(pg_sys::construct_md_array(
                datums.as_mut_ptr(),
                nulls.as_mut_ptr(),
                1,
                &mut length,
                &mut lower_bound,
                pg_sys::JSONBOID,
                -1,
                false,
                b'i' as c_char,
            ))
        }
    }
}

impl FromDatum for Jsonb {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _type: pg_sys::Oid,
    ) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller says that the datum is a jsonb: a varlena, whose size the header tells once it is detoasted.
        unsafe {
            let original = datum.cast_mut_ptr::<pg_sys::varlena>();
            let plain = pg_sys::pg_detoast_datum(original);
            let bytes =
                std::slice::from_raw_parts(plain.cast::<u8>(), pgrx::varsize_4b(plain)).to_vec();
            if plain != original {
                pg_sys::pfree(plain.cast());
            }
            Some(Jsonb(bytes))
        }
    }
}

impl IntoDatum for Jsonb {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.to_datum())
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

// SAFETY: the bytes are a jsonb's and declared as such.
pgrx::impl_sql_translatable!(Jsonb, "jsonb");

// SAFETY: unboxing reads the argument as the jsonb that the function's SQL declaration says it is.
unsafe impl<'fcx> ArgAbi<'fcx> for Jsonb {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as above.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or(Jsonb(Vec::new()))
    }
}

// SAFETY: the datum is a fresh jsonb in the caller's memory context.
unsafe impl BoxRet for Jsonb {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: as above.
        unsafe { fcinfo.return_raw_datum(self.to_datum()) }
    }
}
