//! How pgvector follows its HNSW index, set for one statement.

use std::cell::Cell;
use std::ffi::{CStr, c_int};

use pgrx::pg_sys;

use super::owner::SettingScope;

/// Memory of an iterative scan, in units of work_mem.
const SCAN_MEM: f64 = 4.0;

/// As long as this lives, index scans go on in relaxed order until enough rows have passed the filter.
pub struct IndexScan {
    before: Before,
}

enum Before {
    Variables(Variables, Values),
    /// pgvector's library is not loaded yet, so that its settings have names and no variables.
    Settings {
        _scope: SettingScope,
    },
}

/// The variables behind pgvector's settings. On the way of every search four entries in the stack of settings cost more than
/// writing what only the scan of an index reads.
#[derive(Clone, Copy)]
struct Variables {
    iterative_scan: *mut c_int,
    relaxed_order: c_int,
    ef_search: *mut c_int,
    max_scan_tuples: *mut c_int,
    scan_mem_multiplier: *mut f64,
}

#[derive(Clone, Copy)]
struct Values {
    iterative_scan: c_int,
    ef_search: c_int,
    max_scan_tuples: c_int,
    scan_mem_multiplier: f64,
}

thread_local! {
    static VARIABLES: Cell<Option<Variables>> = const { Cell::new(None) };
}

impl IndexScan {
    /// `ef_search` candidates at a time, at most `max_scan_tuples` rows.
    pub fn relaxed(ef_search: u32, max_scan_tuples: u32) -> Self {
        let Some(variables) = Variables::of_pgvector() else {
            let scope = SettingScope::open();
            scope.set(c"hnsw.iterative_scan", "relaxed_order");
            scope.set(c"hnsw.ef_search", &ef_search.to_string());
            scope.set(c"hnsw.max_scan_tuples", &max_scan_tuples.to_string());
            scope.set(c"hnsw.scan_mem_multiplier", &SCAN_MEM.to_string());
            return IndexScan {
                before: Before::Settings { _scope: scope },
            };
        };
        let before = variables.replace(Values {
            iterative_scan: variables.relaxed_order,
            ef_search: c_int::try_from(ef_search).unwrap_or(c_int::MAX),
            max_scan_tuples: c_int::try_from(max_scan_tuples).unwrap_or(c_int::MAX),
            scan_mem_multiplier: SCAN_MEM,
        });
        IndexScan {
            before: Before::Variables(variables, before),
        }
    }
}

/// The session's own hnsw.ef_search; `None` where nobody has named it yet.
pub fn session_ef_search() -> Option<u32> {
    if let Some(variables) = Variables::of_pgvector() {
        // SAFETY: a plain variable of a library that is never unloaded.
        return u32::try_from(unsafe { *variables.ef_search }).ok();
    }
    // SAFETY: a setting that is missing gives null; otherwise the text lives until the next change of settings.
    unsafe {
        let text = pg_sys::GetConfigOption(c"hnsw.ef_search".as_ptr(), true, false);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_str().ok()?.parse().ok())?
    }
}

impl Drop for IndexScan {
    /// Runs on an error too, which is a panic here.
    fn drop(&mut self) {
        if let Before::Variables(variables, before) = self.before {
            variables.replace(before);
        }
    }
}

impl Variables {
    /// `None` until the library of pgvector has defined its settings; they stay where they are for the life of the process.
    fn of_pgvector() -> Option<Self> {
        if let Some(known) = VARIABLES.get() {
            return Some(known);
        }
        // SAFETY: a setting's kind says which struct its generic part begins; enum options end with a null name.
        let found = unsafe {
            let order = setting(c"hnsw.iterative_scan", pg_sys::config_type::PGC_ENUM)?
                .cast::<pg_sys::config_enum>();
            let mut option = (*order).options;
            while !(*option).name.is_null() && CStr::from_ptr((*option).name) != c"relaxed_order" {
                option = option.add(1);
            }
            if (*option).name.is_null() {
                return None;
            }
            let int = |name| {
                let found = setting(name, pg_sys::config_type::PGC_INT)?;
                Some((*found.cast::<pg_sys::config_int>()).variable)
            };
            let mem = setting(c"hnsw.scan_mem_multiplier", pg_sys::config_type::PGC_REAL)?;
            Variables {
                iterative_scan: (*order).variable,
                relaxed_order: (*option).val,
                ef_search: int(c"hnsw.ef_search")?,
                max_scan_tuples: int(c"hnsw.max_scan_tuples")?,
                scan_mem_multiplier: (*mem.cast::<pg_sys::config_real>()).variable,
            }
        };
        VARIABLES.set(Some(found));
        Some(found)
    }

    /// Sets all of them; what they were.
    fn replace(self, values: Values) -> Values {
        // SAFETY: plain variables of a library that is never unloaded, in a process with one thread that runs SQL. The values
        // are within the limits of the settings: memory_ext's own settings have the same ones or narrower.
        unsafe {
            Values {
                iterative_scan: self.iterative_scan.replace(values.iterative_scan),
                ef_search: self.ef_search.replace(values.ef_search),
                max_scan_tuples: self.max_scan_tuples.replace(values.max_scan_tuples),
                scan_mem_multiplier: self.scan_mem_multiplier.replace(values.scan_mem_multiplier),
            }
        }
    }
}

/// A setting of this kind. One that was only named so far is kept as text, whatever it will be.
fn setting(name: &CStr, kind: pg_sys::config_type::Type) -> Option<*mut pg_sys::config_generic> {
    // SAFETY: the name is NUL-terminated; errors are skipped, and nothing is made.
    unsafe {
        let found = pg_sys::find_option(name.as_ptr(), false, true, pg_sys::DEBUG1 as c_int);
        (!found.is_null() && (*found).vartype == kind).then_some(found)
    }
}
