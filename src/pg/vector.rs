//! pgvector's `vector`, as it lies in a datum: a varlena header, two 16-bit numbers (dimensions, unused), then floats.

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::{FromDatum, IntoDatum, pg_sys};

const HEADER: usize = 8;

#[derive(Clone, Debug, PartialEq)]
pub struct Vector(pub Vec<f32>);

impl Vector {
    pub fn dimensions(&self) -> usize {
        self.0.len()
    }

    /// A new datum in the current memory context.
    pub fn to_datum(&self) -> pg_sys::Datum {
        let size = HEADER + self.0.len() * size_of::<f32>();
        // SAFETY: `size` bytes are allocated, MAXALIGNed, and exactly those are written: the header, then the floats, whose
        // place is 4-byte aligned. pgvector allows up to 16,000 dimensions, which a u16 holds; more is refused before.
        unsafe {
            let data = pg_sys::palloc0(size).cast::<u8>();
            pgrx::set_varsize_4b(data.cast(), size as i32);
            data.add(4).cast::<u16>().write(self.0.len() as u16);
            std::ptr::copy_nonoverlapping(
                self.0.as_ptr(),
                data.add(HEADER).cast::<f32>(),
                self.0.len(),
            );
            pg_sys::Datum::from(data)
        }
    }

    /// An array of vectors and the type of that array.
    pub fn array_datum(
        values: &[Option<Vector>],
        vector_type: pg_sys::Oid,
    ) -> (pg_sys::Oid, pg_sys::Datum) {
        let mut datums: Vec<pg_sys::Datum> = values
            .iter()
            .map(|value| {
                value
                    .as_ref()
                    .map_or(pg_sys::Datum::from(0), Vector::to_datum)
            })
            .collect();
        let mut nulls: Vec<bool> = values.iter().map(Option::is_none).collect();
        let mut length = values.len() as i32;
        let mut lower_bound = 1;
        // SAFETY: the four slices have one element a value and outlive the call, which copies them; `vector` is a varlena
        // type (length -1, passed by reference) with 4-byte alignment ('i') .
        unsafe {
            let array = pg_sys::construct_md_array(
                datums.as_mut_ptr(),
                nulls.as_mut_ptr(),
                1,
                &mut length,
                &mut lower_bound,
                vector_type,
                -1,
                false,
                b'i' as std::ffi::c_char,
            );
            (
                pg_sys::get_array_type(vector_type),
                pg_sys::Datum::from(array),
            )
        }
    }
}

impl FromDatum for Vector {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _type: pg_sys::Oid,
    ) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller says that the datum is a `vector`; detoasting gives a plain 4-byte-header varlena, in which
        // pgvector keeps `dimensions` floats behind the 8-byte header. The bytes are copied, then a detoasted copy is freed.
        unsafe {
            let original = datum.cast_mut_ptr::<pg_sys::varlena>();
            let plain = pg_sys::pg_detoast_datum(original);
            let data = plain.cast::<u8>();
            let dimensions = usize::from(data.add(4).cast::<u16>().read());
            let mut values = vec![0.0f32; dimensions];
            std::ptr::copy_nonoverlapping(
                data.add(HEADER).cast::<f32>(),
                values.as_mut_ptr(),
                dimensions,
            );
            if plain != original {
                pg_sys::pfree(plain.cast());
            }
            Some(Vector(values))
        }
    }
}

impl IntoDatum for Vector {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.to_datum())
    }

    /// The type's id differs between databases; arguments that need it take it from the store's identity.
    fn type_oid() -> pg_sys::Oid {
        pg_sys::InvalidOid
    }
}

// SAFETY: `vector` is what pgvector calls the type, and the conversions here are written for its layout.
pgrx::impl_sql_translatable!(Vector, "vector");

// SAFETY: unboxing reads the argument as the `vector` that the function's SQL declaration says it is.
unsafe impl<'fcx> ArgAbi<'fcx> for Vector {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as above.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or(Vector(Vec::new()))
    }
}

// SAFETY: the datum is a fresh `vector` in the caller's memory context.
unsafe impl BoxRet for Vector {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: as above.
        unsafe { fcinfo.return_raw_datum(self.to_datum()) }
    }
}
