//! What the planner may choose from, for statements whose plan is known beforehand.

use std::cell::Cell;

use pgrx::pg_sys;

/// As long as this lives, a statement that orders by an index is planned to follow that index. A generic plan does not know
/// the value of its limit, and would rather sort.
///
/// The variables behind enable_sort and the like are set as they are: only the planner reads them, and on the way of every
/// search three entries in the stack of settings would cost more than following the index does.
pub struct IndexOrder {
    sort: bool,
    seqscan: bool,
    bitmapscan: bool,
}

impl IndexOrder {
    pub fn enforce() -> Self {
        // SAFETY: plain variables of this process, which has one thread that runs SQL; put back by `drop`, be it by a panic,
        // which is what an error is here.
        unsafe {
            let before = IndexOrder {
                sort: pg_sys::enable_sort,
                seqscan: pg_sys::enable_seqscan,
                bitmapscan: pg_sys::enable_bitmapscan,
            };
            pg_sys::enable_sort = false;
            pg_sys::enable_seqscan = false;
            pg_sys::enable_bitmapscan = false;
            before
        }
    }
}

impl Drop for IndexOrder {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            pg_sys::enable_sort = self.sort;
            pg_sys::enable_seqscan = self.seqscan;
            pg_sys::enable_bitmapscan = self.bitmapscan;
        }
    }
}

thread_local! {
    /// How many [`LookUps`] live.
    static LOOK_UPS: Cell<u32> = const { Cell::new(0) };
    static PREVIOUS: Cell<pg_sys::get_relation_info_hook_type> = const { Cell::new(None) };
}

/// Lets [`LookUps`] tell the planner how large tables are. Once, when the library is loaded.
pub fn install() {
    // SAFETY: a plain variable of this process, set before any other thread could run SQL: there is none.
    unsafe {
        PREVIOUS.set(pg_sys::get_relation_info_hook);
        pg_sys::get_relation_info_hook = Some(relation_info);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn relation_info(
    root: *mut pg_sys::PlannerInfo,
    relation: pg_sys::Oid,
    is_parent: bool,
    info: *mut pg_sys::RelOptInfo,
) {
    const ROWS: f64 = 1e6;
    const PAGES: pg_sys::BlockNumber = 100_000;
    const INDEX_PAGES: pg_sys::BlockNumber = 5_000;
    // SAFETY: the planner hands over its description of the relation, whose list of indexes is complete by now.
    unsafe {
        if let Some(previous) = PREVIOUS.get() {
            previous(root, relation, is_parent, info);
        }
        if LOOK_UPS.get() == 0 {
            return;
        }
        let info = &mut *info;
        info.tuples = info.tuples.max(ROWS);
        info.pages = info.pages.max(PAGES);
        let indexes = match info.indexlist.is_null() {
            true => 0,
            false => (*info.indexlist).length,
        };
        for place in 0..indexes {
            let index = &mut *pg_sys::list_nth(info.indexlist, place).cast::<pg_sys::IndexOptInfo>();
            index.tuples = index.tuples.max(ROWS);
            index.pages = index.pages.max(INDEX_PAGES);
        }
    }
}

/// As long as this lives, a statement that joins a few given values to a table is planned to look each up by index. In the middle
/// of a load statistics say nothing, or that the table is empty: any index would be as good as the right one then, and reading
/// it all as good as looking up. So tables are taken for large.
pub struct LookUps {
    seqscan: bool,
    hashjoin: bool,
    mergejoin: bool,
}

impl LookUps {
    pub fn enforce() -> Self {
        // SAFETY: as above.
        unsafe {
            let before = LookUps {
                seqscan: pg_sys::enable_seqscan,
                hashjoin: pg_sys::enable_hashjoin,
                mergejoin: pg_sys::enable_mergejoin,
            };
            pg_sys::enable_seqscan = false;
            pg_sys::enable_hashjoin = false;
            pg_sys::enable_mergejoin = false;
            LOOK_UPS.set(LOOK_UPS.get() + 1);
            before
        }
    }
}

impl Drop for LookUps {
    fn drop(&mut self) {
        LOOK_UPS.set(LOOK_UPS.get() - 1);
        // SAFETY: as above.
        unsafe {
            pg_sys::enable_seqscan = self.seqscan;
            pg_sys::enable_hashjoin = self.hashjoin;
            pg_sys::enable_mergejoin = self.mergejoin;
        }
    }
}
