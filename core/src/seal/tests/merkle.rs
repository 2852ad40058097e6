//! The tree against published vectors, and against itself.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

/// The leaves of the reference tree of the certificate transparency project.
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

/// Its roots for 0 to 8 leaves.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// Paths of its leaves: index, size, hashes from the leaf up.
const PATHS: &[(usize, usize, &[&str])] = &[
    (0, 1, &[]),
    (
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        3,
        &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    ),
];

fn rfc_leaf(data: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(data)
        .finalize()
        .into()
}

fn reference_leaves() -> Vec<Hash> {
    LEAVES.iter().map(|data| rfc_leaf(&hex(data))).collect()
}

fn root(leaves: &[Hash]) -> Hash {
    let mut tree = MerkleTree::new();
    tree.extend(leaves.iter().copied());
    tree.root()
}

/// The definition of RFC 6962, section 2.1, as it stands there.
fn root_by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let mut split = 1;
            while split * 2 < leaves.len() {
                split *= 2;
            }
            Sha256::new()
                .chain_update([1])
                .chain_update(root_by_definition(&leaves[..split]))
                .chain_update(root_by_definition(&leaves[split..]))
                .finalize()
                .into()
        }
    }
}

#[test]
fn roots_of_the_reference_tree() {
    let leaves = reference_leaves();
    let mut tree = MerkleTree::new();
    for (size, expected) in ROOTS.iter().enumerate() {
        assert_eq!(tree.size(), size as u64);
        assert_eq!(tree.root(), hash(expected), "of {size} leaves");
        assert_eq!(root_by_definition(&leaves[..size]), hash(expected));
        if let Some(leaf) = leaves.get(size) {
            tree.push(*leaf);
        }
    }
}

#[test]
fn paths_of_the_reference_tree() {
    let leaves = reference_leaves();
    for (index, size, expected) in PATHS {
        let expected: Vec<_> = expected.iter().map(|digits| hash(digits)).collect();
        assert_eq!(
            prove(&leaves[..*size], *index),
            Some(expected),
            "{index} of {size}"
        );
    }
}

#[test]
fn every_leaf_of_every_size_is_proven_at_its_place_only() {
    let leaves: Vec<Hash> = (0..40_u8).map(|n| rfc_leaf(&[n])).collect();
    for size in 0..=leaves.len() {
        let tree = &leaves[..size];
        let root = root(tree);
        assert_eq!(root, root_by_definition(tree));
        assert_eq!(prove(tree, size), None);
        for (index, leaf) in tree.iter().enumerate() {
            let proof = prove(tree, index).expect("a proof");
            let holds = |leaf: &Hash, index: usize, size: usize, proof: &[Hash]| {
                verify_inclusion(leaf, index as u64, size as u64, proof, &root)
            };
            assert!(holds(leaf, index, size, &proof), "{index} of {size}");
            for other in (0..size).filter(|other| *other != index) {
                assert!(!holds(leaf, other, size, &proof));
                assert!(!holds(&tree[other], index, size, &proof));
            }
            let mut longer = proof.clone();
            longer.push(root);
            assert!(!holds(leaf, index, size, &longer));
            if let Some((last, shorter)) = proof.split_last() {
                assert!(!holds(leaf, index, size, shorter));
                let mut other = proof.clone();
                other[0] = *last;
                other[0][0] ^= 1;
                assert!(!holds(leaf, index, size, &other));
            }
            assert!(!verify_inclusion(
                leaf,
                index as u64,
                size as u64,
                &proof,
                &[0; 32]
            ));
        }
    }
    assert!(!verify_inclusion(&leaves[0], 0, 0, &[], &root(&[])));
    assert!(!verify_inclusion(
        &leaves[0],
        u64::MAX,
        u64::MAX,
        &[leaves[0]; 70],
        &leaves[0]
    ));
}

#[test]
fn memory_is_logarithmic() {
    let mut tree = MerkleTree::new();
    tree.extend((0..10_000_u32).map(|n| rfc_leaf(&n.to_be_bytes())));
    // One node for each bit of 10,000.
    assert_eq!(format!("{tree:?}").matches('[').count() - 1, 5);
}

proptest! {
    #[test]
    fn other_leaves_give_another_root(
        numbers in proptest::collection::vec(any::<u16>(), 1..60),
        other in proptest::collection::vec(any::<u16>(), 0..60),
    ) {
        let leaves = |numbers: &[u16]| -> Vec<Hash> {
            numbers.iter().map(|n| rfc_leaf(&n.to_be_bytes())).collect()
        };
        prop_assert_eq!(
            root(&leaves(&numbers)) == root(&leaves(&other)),
            numbers == other
        );
    }
}
