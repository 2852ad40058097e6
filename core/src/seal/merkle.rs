//! The Merkle tree of RFC 6962, section 2.1 (unchanged in RFC 9162).

use sha2::{Digest, Sha256};

use super::Hash;

/// Builds the root of leaves that come one after the other, in memory for the logarithm of their
/// number.
#[derive(Clone, Debug, Default)]
pub struct MerkleTree {
    /// Roots of the full trees that the leaves so far make up, the largest first: one for each bit
    /// of their number.
    peaks: Vec<Hash>,
    size: u64,
}

impl MerkleTree {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a leaf by its leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        let full = self.size.trailing_ones() as usize;
        for left in self
            .peaks
            .drain(self.peaks.len().saturating_sub(full)..)
            .rev()
        {
            node = node_hash(&left, &node);
        }
        self.peaks.push(node);
        self.size = self.size.saturating_add(1);
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the leaves so far; without any, the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            Some(smallest) => peaks.fold(*smallest, |right, left| node_hash(left, &right)),
            None => Sha256::digest([]).into(),
        }
    }
}

impl Extend<Hash> for MerkleTree {
    fn extend<I: IntoIterator<Item = Hash>>(&mut self, leaves: I) {
        leaves.into_iter().for_each(|leaf| self.push(leaf));
    }
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x01]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

fn root_of(leaves: &[Hash]) -> Hash {
    let mut tree = MerkleTree::new();
    tree.extend(leaves.iter().copied());
    tree.root()
}

/// The audit path of a leaf (RFC 6962, section 2.1.1), from the leaf up. None if there is no such leaf.
pub fn prove(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let mut path = Vec::new();
    let mut subtree = leaves;
    let mut index = index;
    while subtree.len() > 1 {
        // The largest power of two below the size.
        let split = 1 << (subtree.len() - 1).ilog2();
        let (left, right) = subtree.split_at(split);
        if index < split {
            path.push(root_of(right));
            subtree = left;
        } else {
            path.push(root_of(left));
            subtree = right;
            index -= split;
        }
    }
    path.reverse();
    Some(path)
}

/// Whether the leaf is the one at `index` of the tree with this size and root (RFC 9162, section 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let mut node = *leaf;
    let (mut place, mut last) = (index, size - 1);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            node = node_hash(sibling, &node);
            // A node without a sibling is its own parent.
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            node = node_hash(&node, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && node == *root
}
