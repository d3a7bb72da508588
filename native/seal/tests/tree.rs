//! The tree against the vectors of RFC 6962's authors, the chain's golden vectors, and its own definition.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use fairlead_seal::{Frontier, GENESIS, HASH_BYTES, Hash, TILE_LEAVES, Tree, leaf_hash, node_hash};
use proptest::prelude::*;
use serde_json::Value;

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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// MTH of section 2.1.1, word by word.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [one] => *one,
        _ => {
            let middle = leaves.len().next_power_of_two() / 2;
            node_hash(&root(&leaves[..middle]), &root(&leaves[middle..]))
        }
    }
}

/// Values of a log as it is stored, from the golden chain.
fn golden() -> Vec<Vec<u8>> {
    let path = format!("{}/../../tests/golden/chain.json", env!("CARGO_MANIFEST_DIR"));
    let chain: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let vectors = chain["vectors"].as_array().unwrap();
    let text = |vector: &Value, field: &str| unhex(vector[field].as_str().unwrap());
    vectors
        .iter()
        .map(|vector| [text(vector, "record_hash"), text(vector, "record")].concat())
        .collect()
}

#[test]
fn the_published_vectors() {
    let mut frontier = Frontier::default();
    assert_eq!(hex(&frontier.root()), ROOTS[0]);
    for (leaf, root) in LEAVES.iter().zip(&ROOTS[1..]) {
        frontier.append(leaf_hash(&unhex(leaf)));
        assert_eq!(hex(&frontier.root()), *root);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn a_tree_goes_on_from_any_size_to_the_root_of_the_definition(old in 0_usize..600, more in 1_usize..300) {
        let leaves: Vec<Hash> = (0..old + more).map(|number| leaf_hash(&number.to_be_bytes())).collect();
        let mut before = Frontier::default();
        for leaf in &leaves[..old] {
            before.append(*leaf);
        }
        let mut tree = Frontier::of(before.size(), before.hashes().to_vec()).unwrap();
        let tile = usize::try_from(TILE_LEAVES).unwrap();
        for (at, leaf) in leaves.iter().enumerate().skip(old) {
            let whole = (at + 1).is_multiple_of(tile).then(|| root(&leaves[at + 1 - tile..=at]));
            prop_assert_eq!(tree.append(*leaf), whole);
        }
        prop_assert_eq!(tree.root(), root(&leaves));
    }
}

#[test]
fn a_frontier_has_one_hash_for_each_bit() {
    assert!(Frontier::of(5, vec![[1; HASH_BYTES]; 2]).is_some());
    assert!(Frontier::of(5, vec![[1; HASH_BYTES]; 3]).is_none());
    assert!(Frontier::of(0, Vec::new()).is_some());
}

#[test]
fn a_tree_takes_the_golden_chain_and_says_what_it_added() {
    let values = golden();
    let mut tree = Tree::default();
    for (value, sequence) in values.iter().zip(1..) {
        tree.append(sequence, value).unwrap();
    }
    let leaves: Vec<Hash> = values.iter().map(|value| leaf_hash(&value[HASH_BYTES..])).collect();
    assert_eq!(tree.leaves(), leaves);
    assert_eq!(tree.frontier().root(), root(&leaves));
    assert_eq!(tree.head()[..], values.last().unwrap()[..HASH_BYTES]);
    let bytes: usize = values.iter().map(|value| value.len() - HASH_BYTES).sum();
    assert_eq!(tree.record_bytes(), bytes as u64);
    let settled = tree.settled();
    assert_eq!((settled.size(), settled.head()), (tree.size(), tree.head()));
    assert_eq!(settled.record_bytes(), tree.record_bytes());
    assert!(settled.leaves().is_empty() && settled.tiles().is_empty());
}

#[test]
fn what_does_not_follow_is_refused_and_leaves_the_tree_as_it_was() {
    let values = golden();
    let mut tree = Tree::default();
    tree.append(1, &values[0]).unwrap();
    let before = tree.clone();
    let mut changed = values[1].clone();
    *changed.last_mut().unwrap() ^= 1;
    let mut forged = values[1].clone();
    forged[0] ^= 1;
    for (sequence, value, problem) in [
        (
            2,
            &changed[..],
            "record 2 of the audit log does not follow the one before",
        ),
        (
            2,
            &forged[..],
            "record 2 of the audit log does not follow the one before",
        ),
        (
            2,
            &values[1][..31],
            "record 2 of the audit log does not follow the one before",
        ),
        (
            1,
            &values[0][..],
            "record 2 of the audit log does not follow the one before",
        ),
        (
            2,
            &values[2][..],
            "record 2 of the audit log does not follow the one before",
        ),
        (3, &values[2][..], "record 2 of the audit log is missing"),
    ] {
        assert_eq!(tree.append(sequence, value).unwrap_err().to_string(), problem);
        assert_eq!(tree, before);
    }
    tree.append(2, &values[1]).unwrap();
    assert_ne!(*tree.head(), GENESIS);
}
