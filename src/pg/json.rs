//! `jsonb` that passes through unread: metadata goes from argument to row and from row to result as PostgreSQL's own bytes,
//! so no number loses a digit and nothing is parsed that nobody looks at.

use std::ffi::{CStr, CString};

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::{FromDatum, IntoDatum, pg_sys};

/// A whole jsonb varlena, uncompressed, with its 4-byte header.
#[derive(Clone, Debug, PartialEq)]
pub struct Jsonb(Vec<u8>);

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
                    let text = datum.cast_mut_ptr::<std::ffi::c_char>();
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

    /// Whether objects and arrays are nested deeper than `levels`.
    pub fn depth_over(&self, levels: usize) -> bool {
        // Each level takes a header and an entry at least; most metadata is too short to be looked at.
        const LEAST_LEVEL_BYTES: usize = 8;
        if self.0.len() < levels * LEAST_LEVEL_BYTES {
            return false;
        }
        let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
        self.text().bytes().any(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth -= 1,
                _ => {}
            }
            depth > levels
        })
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
                b'i' as std::ffi::c_char,
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
