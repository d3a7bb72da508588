#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const GOLDEN: &str = include_str!("../../../tests/golden/split.json");
const KEYS: u32 = 10_000;

fn counts(route: &str, weights: &[u32], keys: impl Iterator<Item = String>) -> Vec<u32> {
    let mut counts = vec![0; weights.len()];
    for key in keys {
        counts[pick(Draw::new(route, &key).first, weights.iter().copied()).unwrap()] += 1;
    }
    counts
}

fn assert_within(counts: &[u32], weights: &[u32], tolerance: f64) {
    let total: u64 = weights.iter().copied().map(u64::from).sum();
    for (count, weight) in counts.iter().zip(weights) {
        let expected = f64::from(*weight) / total as f64;
        let share = f64::from(*count) / f64::from(KEYS);
        assert!(
            (share - expected).abs() <= tolerance,
            "{share} is not {expected} ± {tolerance}; weights {weights:?}"
        );
    }
}

#[test]
fn golden_vectors() {
    let vectors: Vec<Value> = serde_json::from_str(GOLDEN).unwrap();
    assert!(vectors.len() >= 10);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let draw = Draw::new(vector["route"].as_str().unwrap(), vector["key"].as_str().unwrap());
        assert_eq!(draw.first.to_string(), vector["first"].as_str().unwrap(), "{name}");
        assert_eq!(draw.second.to_string(), vector["second"].as_str().unwrap(), "{name}");
        let weights: Vec<u32> = serde_json::from_value(vector["weights"].clone()).unwrap();
        let available: Vec<bool> = serde_json::from_value(vector["available"].clone()).unwrap();
        let first = pick(draw.first, weights.iter().copied()).unwrap();
        let target = if available[first] {
            first
        } else {
            let left: Vec<usize> = (0..weights.len()).filter(|index| available[*index]).collect();
            left[pick(draw.second, left.iter().map(|index| weights[*index])).unwrap()]
        };
        assert_eq!(target as u64, vector["target"].as_u64().unwrap(), "{name}");
    }
}

/// The promise of the design, for the key spaces that callers have: counters, ids, names.
#[test]
fn splits_are_within_one_percent_over_ten_thousand_distinct_keys() {
    for weights in [
        vec![70, 30],
        vec![50, 50],
        vec![90, 9, 1],
        vec![1, 1, 1],
        vec![999_999, 1],
        vec![5, 4, 3, 2, 1],
    ] {
        assert_within(
            &counts(
                "classification",
                &weights,
                (0..KEYS).map(|key| format!("session-{key}")),
            ),
            &weights,
            0.01,
        );
        assert_within(
            &counts("careful", &weights, (0..KEYS).map(|key| key.to_string())),
            &weights,
            0.01,
        );
        assert_within(
            &counts(
                "chat",
                &weights,
                (0..KEYS).map(|key| format!("req_{:032x}", u64::from(key) * 7919)),
            ),
            &weights,
            0.01,
        );
    }
}

#[test]
fn a_redraw_spreads_the_keys_of_a_missing_target_by_weight() {
    let weights = [60, 30, 10];
    let redrawn = (0..3 * KEYS)
        .map(|key| Draw::new("r", &key.to_string()))
        .filter(|draw| pick(draw.first, weights.into_iter()) == Some(0));
    let (mut second, mut third) = (0u32, 0u32);
    for draw in redrawn {
        match pick(draw.second, [30, 10].into_iter()) {
            Some(0) => second += 1,
            _ => third += 1,
        }
    }
    let share = f64::from(second) / f64::from(second + third);
    assert!((share - 0.75).abs() < 0.02, "{share}");
}

#[test]
fn a_ramp_takes_its_share_and_keeps_the_keys_it_had() {
    let taken = |per_mille| {
        (0..KEYS)
            .filter(|key| is_in_ramp_share("m", &key.to_string(), per_mille))
            .collect::<Vec<_>>()
    };
    let (tenth, half) = (taken(100), taken(500));
    assert!((900..1100).contains(&tenth.len()) && (4850..5150).contains(&half.len()));
    assert!(tenth.iter().all(|key| half.contains(key)));
    assert!(taken(0).is_empty());
    assert_eq!(taken(1000).len(), KEYS as usize);
}

#[test]
fn nothing_to_pick_from_is_none() {
    assert_eq!(pick(u64::MAX, [].into_iter()), None);
    assert_eq!(pick(u64::MAX, [0, 0].into_iter()), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any route, any keys, any weights: five standard deviations of a fair draw.
    #[test]
    fn any_split_is_fair(route in "[a-z]{1,12}", prefix in "[ -~]{0,12}", weights in prop::collection::vec(1u32..1000, 1..6)) {
        let counts = counts(&route, &weights, (0..KEYS).map(|key| format!("{prefix}{key}")));
        assert_within(&counts, &weights, 0.025);
    }

    #[test]
    fn a_position_always_falls_on_a_target_with_weight(position: u64, weights in prop::collection::vec(0u32.., 1..6)) {
        match pick(position, weights.iter().copied()) {
            Some(index) => prop_assert!(weights[index] > 0),
            None => prop_assert!(weights.iter().all(|weight| *weight == 0)),
        }
    }
}
