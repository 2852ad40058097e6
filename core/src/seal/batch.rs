//! Batches: building one, and comparing one with the rows that are there.

use std::fmt;

use super::{Hash, IdRanges, Leaf, MAX_LISTED, MerkleTree, Seal, SeenRow, Table};

/// Rows to be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    pub table: Table,
    pub first_id: i64,
    pub last_id: i64,
    pub rows: u64,
    pub root: Hash,
}

/// Why rows are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// Rows come by ascending id, all above the last sealed one.
    NotAscending { id: i64, after: i64 },
    /// The range would end before a row, or before it begins.
    EndsBefore { through: i64, last: i64 },
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAscending { id, after } => {
                write!(
                    f,
                    "row {id} comes after row {after}, expected ascending ids"
                )
            }
            Self::EndsBefore { through, last } => {
                write!(
                    f,
                    "the batch ends with id {through}, expected more than {last}"
                )
            }
        }
    }
}

impl std::error::Error for BatchError {}

/// Takes the rows of a batch one after the other, in memory for the logarithm of their number.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    table: Table,
    after: i64,
    last: i64,
    tree: MerkleTree,
}

impl BatchBuilder {
    /// `after` is the last id of the table that is sealed already, or the id below the first one.
    pub fn new(table: Table, after: i64) -> Self {
        Self {
            table,
            after,
            last: after,
            tree: MerkleTree::new(),
        }
    }

    pub fn push(&mut self, leaf: &Leaf) -> Result<(), BatchError> {
        if leaf.id <= self.last {
            return Err(BatchError::NotAscending {
                id: leaf.id,
                after: self.last,
            });
        }
        self.last = leaf.id;
        self.tree.push(leaf.hash(self.table));
        Ok(())
    }

    /// The batch of all ids up to `through`, which no row is to be added to any more.
    pub fn finish(self, through: i64) -> Result<Batch, BatchError> {
        match self.after.checked_add(1) {
            Some(first_id) if through >= first_id && through >= self.last => Ok(Batch {
                table: self.table,
                first_id,
                last_id: through,
                rows: self.tree.size(),
                root: self.tree.root(),
            }),
            _ => Err(BatchError::EndsBefore {
                through,
                last: self.last,
            }),
        }
    }
}

/// What a batch was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The rows are those that were sealed, but for erased ones with a receipt.
    Intact,
    /// They are not.
    Altered,
    /// Rows were erased with a receipt, and there are no leaves to stand for them.
    Unverifiable,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Altered => "altered",
            Self::Unverifiable => "unverifiable",
        }
    }
}

/// One way in which rows differ from what was sealed. Ids are named where leaves were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFault {
    Missing {
        id: i64,
    },
    Edited {
        id: i64,
    },
    Unexpected {
        id: i64,
    },
    /// The row comes after one with a higher id.
    Reordered {
        id: i64,
    },
    Duplicate {
        id: i64,
    },
    /// So many, which ones cannot be told.
    MissingRows {
        count: u64,
    },
    UnexpectedRows {
        count: u64,
    },
    /// As many as were sealed, but other ones.
    RowsDiffer,
    /// The kept leaves are not those of the root.
    KeptLeavesDiffer,
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { id } => write!(f, "row {id} is missing"),
            Self::Edited { id } => write!(f, "row {id} was edited"),
            Self::Unexpected { id } => write!(f, "row {id} was added"),
            Self::Reordered { id } => write!(f, "row {id} is out of order"),
            Self::Duplicate { id } => write!(f, "row {id} is there more than once"),
            Self::MissingRows { count } => write!(f, "{count} rows are missing"),
            Self::UnexpectedRows { count } => write!(f, "{count} rows were added"),
            Self::RowsDiffer => write!(f, "rows are not those that were sealed"),
            Self::KeptLeavesDiffer => write!(f, "the kept leaves are not those that were sealed"),
        }
    }
}

/// What was found of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchReport {
    /// Number of the seal.
    pub number: u64,
    pub table: Table,
    pub sealed_rows: u64,
    pub seen_rows: u64,
    /// Rows that are missing and have a receipt.
    pub erased_rows: u64,
    pub verdict: Verdict,
    /// At most [`MAX_LISTED`].
    pub faults: Vec<RowFault>,
    pub more_faults: u64,
}

impl RowFault {
    /// The row that it is about, where that can be told.
    pub fn id(&self) -> Option<i64> {
        match *self {
            Self::Missing { id }
            | Self::Edited { id }
            | Self::Unexpected { id }
            | Self::Reordered { id }
            | Self::Duplicate { id } => Some(id),
            _ => None,
        }
    }
}

impl BatchReport {
    /// Whether a row that is there is the one that was sealed, whatever became of others.
    pub fn vouches_for(&self, id: i64) -> bool {
        let is_of_another = |fault: &RowFault| fault.id().is_some_and(|other| other != id);
        self.verdict != Verdict::Unverifiable
            && self.more_faults == 0
            && self.faults.iter().all(is_of_another)
    }

    fn add(&mut self, fault: RowFault) {
        self.verdict = Verdict::Altered;
        if self.faults.len() < MAX_LISTED {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }
}

/// Compares the rows of a seal's range, in ascending order as they are there now, with the seal.
///
/// `kept` are the leaves that were kept when the batch was sealed. They are themselves proven by
/// the root first; then every row is compared with its leaf, and rows that are missing are fine if
/// they are in `erased`, the rows for which there is a receipt. Without them the root is computed
/// from the rows alone.
pub fn verify_batch(
    seal: &Seal,
    rows: impl IntoIterator<Item = impl Into<SeenRow>>,
    kept: Option<&[Leaf]>,
    erased: &IdRanges,
) -> BatchReport {
    let mut report = BatchReport {
        number: seal.number,
        table: seal.table,
        sealed_rows: seal.rows,
        seen_rows: 0,
        erased_rows: 0,
        verdict: Verdict::Intact,
        faults: Vec::new(),
        more_faults: 0,
    };
    match kept {
        Some(kept) if are_sealed(seal, kept) => compare_leaves(rows, kept, erased, &mut report),
        Some(_) => {
            report.add(RowFault::KeptLeavesDiffer);
            compare_root(seal, rows, erased, &mut report);
        }
        None => compare_root(seal, rows, erased, &mut report),
    }
    report
}

/// Whether the seal's root is of these leaves, by ascending id.
fn are_sealed(seal: &Seal, kept: &[Leaf]) -> bool {
    let is_ascending = kept.windows(2).all(|pair| pair[0].id < pair[1].id);
    let mut tree = MerkleTree::new();
    tree.extend(kept.iter().map(|leaf| leaf.hash(seal.table)));
    is_ascending && tree.size() == seal.rows && tree.root() == seal.root
}

fn compare_leaves(
    rows: impl IntoIterator<Item = impl Into<SeenRow>>,
    kept: &[Leaf],
    erased: &IdRanges,
    report: &mut BatchReport,
) {
    let mut seen = vec![false; kept.len()];
    let mut highest = i64::MIN;
    for row in rows {
        let row: SeenRow = row.into();
        let (seen_row, row) = (row, row.leaf);
        report.seen_rows += 1;
        let Ok(place) = kept.binary_search_by_key(&row.id, |leaf| leaf.id) else {
            report.add(RowFault::Unexpected { id: row.id });
            continue;
        };
        if std::mem::replace(&mut seen[place], true) {
            report.add(RowFault::Duplicate { id: row.id });
            continue;
        }
        if row.id < highest {
            report.add(RowFault::Reordered { id: row.id });
        }
        highest = highest.max(row.id);
        if !seen_row.is(&kept[place]) {
            report.add(RowFault::Edited { id: row.id });
        }
    }
    for (leaf, _) in kept.iter().zip(seen).filter(|(_, seen)| !seen) {
        match erased.contains(leaf.id) {
            true => report.erased_rows += 1,
            false => report.add(RowFault::Missing { id: leaf.id }),
        }
    }
}

fn compare_root(
    seal: &Seal,
    rows: impl IntoIterator<Item = impl Into<SeenRow>>,
    erased: &IdRanges,
    report: &mut BatchReport,
) {
    let mut tree = MerkleTree::new();
    let mut last: Option<i64> = None;
    let mut erased_but_there = 0;
    for row in rows {
        let row = row.into().leaf;
        report.seen_rows += 1;
        tree.push(row.hash(seal.table));
        if !(seal.first_id..=seal.last_id).contains(&row.id) {
            report.add(RowFault::Unexpected { id: row.id });
        }
        match last {
            Some(last) if row.id == last => report.add(RowFault::Duplicate { id: row.id }),
            Some(last) if row.id < last => report.add(RowFault::Reordered { id: row.id }),
            _ => last = Some(row.id),
        }
        erased_but_there += u64::from(erased.contains(row.id));
    }
    if tree.size() == seal.rows && tree.root() == seal.root {
        return;
    }
    let missing = seal.rows.saturating_sub(report.seen_rows);
    // Ids in a range of receipts need not all have been rows.
    let erased = erased
        .count_within(seal.first_id, seal.last_id)
        .saturating_sub(erased_but_there);
    if report.seen_rows > seal.rows {
        let count = report.seen_rows - seal.rows;
        report.add(RowFault::UnexpectedRows { count });
    } else if missing > erased {
        let count = missing - erased;
        report.add(RowFault::MissingRows { count });
    } else if missing > 0 {
        report.erased_rows = missing;
        if report.verdict == Verdict::Intact {
            report.verdict = Verdict::Unverifiable;
        }
    } else {
        report.add(RowFault::RowsDiffer);
    }
}
