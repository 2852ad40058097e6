//! What the planner may choose from, for statements whose plan is known beforehand.

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

/// As long as this lives, a statement that joins a few given values to a table is planned to look each up by index. Without
/// statistics, in the middle of a load, the planner would rather read a table that it takes for small.
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
            before
        }
    }
}

impl Drop for LookUps {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            pg_sys::enable_seqscan = self.seqscan;
            pg_sys::enable_hashjoin = self.hashjoin;
            pg_sys::enable_mergejoin = self.mergejoin;
        }
    }
}
