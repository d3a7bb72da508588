//! Finds the rules whose literals can fit a call without looking at the others.
//!
//! Every rule with a literal condition is filed under **one** of its dimensions: the one whose values the fewest rules
//! share. A call looks up its own values and merges what it finds, in configuration order; the caller then checks the
//! rule's other conditions. So the work grows with the rules that could fit, not with the rules that exist. Prefixes are
//! looked up too: a call's value is cut to each length that a prefix of the configuration has.
//!
//! Maps are only looked up, never walked: their order cannot influence a decision.

use std::collections::{BTreeMap, HashMap};

use crate::facts::CallFacts;
use crate::matching::{self, DIMENSIONS, Matcher, Pattern};

/// Positions of rules, ascending.
type Rules = Vec<u32>;

/// An index over the matchers of one list of rules.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Rules without a literal condition.
    always: Rules,
    dimensions: [Dimension; DIMENSIONS],
    /// Label name → value → rules.
    labels: HashMap<Box<str>, HashMap<Box<str>, Rules>>,
}

/// Rules that are filed under one dimension.
#[derive(Debug, Default)]
struct Dimension {
    literals: HashMap<Box<str>, Rules>,
    prefixes: HashMap<Box<str>, Rules>,
    /// Lengths that prefixes have, in bytes, ascending.
    prefix_lengths: Vec<usize>,
}

/// Where a rule is filed.
enum Place<'a> {
    Always,
    Dimension(usize),
    Label(&'a str, &'a str),
}

/// How many rules have a pattern or label.
#[derive(Default)]
struct Popularity<'a> {
    patterns: HashMap<(usize, bool, &'a str), u32>,
    labels: HashMap<(&'a str, &'a str), u32>,
}

impl Index {
    /// Indexes the rules with these matchers; positions are the rules' positions.
    pub(crate) fn new<'a>(matchers: impl Iterator<Item = &'a Matcher> + Clone) -> Self {
        let popularity = Popularity::of(matchers.clone());
        let mut index = Self::default();
        for (rule, matcher) in (0u32..).zip(matchers) {
            match popularity.best_place(matcher) {
                Place::Always => index.always.push(rule),
                Place::Label(name, value) => {
                    index
                        .labels
                        .entry(name.into())
                        .or_default()
                        .entry(value.into())
                        .or_default()
                        .push(rule);
                }
                Place::Dimension(at) => {
                    if let (Some(dimension), Some(patterns)) = (index.dimensions.get_mut(at), matcher.patterns.get(at))
                    {
                        dimension.file(rule, patterns);
                    }
                }
            }
        }
        for dimension in &mut index.dimensions {
            dimension.finish();
        }
        index
    }

    /// The rules that can fit, in configuration order, each once.
    pub(crate) fn candidates<'i>(&'i self, facts: &CallFacts<'_>) -> Candidates<'i> {
        self.lookup(&matching::values(facts), facts.labels)
    }

    /// As [`candidates`](Self::candidates), for values in the order of [`Matcher::patterns`].
    pub(crate) fn lookup<'i>(
        &'i self,
        values: &[&str; DIMENSIONS],
        labels: &BTreeMap<String, String>,
    ) -> Candidates<'i> {
        let mut found = Candidates::default();
        found.add(&self.always);
        for (dimension, value) in self.dimensions.iter().zip(values) {
            dimension.find(value, &mut found);
        }
        if !self.labels.is_empty() {
            for (name, value) in labels {
                if let Some(rules) = self
                    .labels
                    .get(name.as_str())
                    .and_then(|values| values.get(value.as_str()))
                {
                    found.add(rules);
                }
            }
        }
        found
    }
}

impl Dimension {
    fn file(&mut self, rule: u32, patterns: &[Pattern]) {
        for pattern in patterns {
            let rules = match pattern {
                Pattern::Literal(text) => self.literals.entry(text.clone()).or_default(),
                Pattern::Prefix(text) => self.prefixes.entry(text.clone()).or_default(),
            };
            // A pattern that is written twice is filed once.
            if rules.last() != Some(&rule) {
                rules.push(rule);
            }
        }
    }

    fn finish(&mut self) {
        self.prefix_lengths = self.prefixes.keys().map(|prefix| prefix.len()).collect();
        self.prefix_lengths.sort_unstable();
        self.prefix_lengths.dedup();
    }

    fn find<'i>(&'i self, value: &str, found: &mut Candidates<'i>) {
        if !self.literals.is_empty()
            && let Some(rules) = self.literals.get(value)
        {
            found.add(rules);
        }
        for &length in &self.prefix_lengths {
            // A cut inside a character, or beyond the end, fits no prefix.
            if let Some(rules) = value.get(..length).and_then(|prefix| self.prefixes.get(prefix)) {
                found.add(rules);
            }
        }
    }
}

impl<'a> Popularity<'a> {
    fn of(matchers: impl Iterator<Item = &'a Matcher>) -> Self {
        let mut popularity = Self::default();
        for matcher in matchers {
            for (at, pattern) in (0..)
                .zip(&matcher.patterns)
                .flat_map(|(at, all)| all.iter().map(move |one| (at, one)))
            {
                *popularity.patterns.entry(key(at, pattern)).or_default() += 1;
            }
            for (name, value) in &matcher.labels {
                *popularity.labels.entry((name, value)).or_default() += 1;
            }
        }
        popularity
    }

    /// The place with the fewest rules beside this one.
    fn best_place(&self, matcher: &'a Matcher) -> Place<'a> {
        let by_dimension = (0..)
            .zip(&matcher.patterns)
            .filter(|(_, patterns)| !patterns.is_empty())
            .map(|(at, patterns)| {
                let rules = patterns
                    .iter()
                    .filter_map(|pattern| self.patterns.get(&key(at, pattern)))
                    .max();
                (rules.copied().unwrap_or_default(), Place::Dimension(at))
            });
        let by_label = matcher.labels.iter().map(|(name, value)| {
            (
                self.labels
                    .get(&(name.as_str(), value.as_str()))
                    .copied()
                    .unwrap_or_default(),
                Place::Label(name, value),
            )
        });
        by_dimension
            .chain(by_label)
            .min_by_key(|(rules, _)| *rules)
            .map_or(Place::Always, |(_, place)| place)
    }
}

fn key(at: usize, pattern: &Pattern) -> (usize, bool, &str) {
    match pattern {
        Pattern::Literal(text) => (at, false, text),
        Pattern::Prefix(text) => (at, true, text),
    }
}

/// Lists a lookup finds without allocating: `always`, a literal and a prefix of two dimensions, and three labels.
const INLINE_LISTS: usize = 8;

/// Merges ascending lists of rules.
#[derive(Default)]
pub(crate) struct Candidates<'i> {
    lists: smallvec::SmallVec<[&'i [u32]; INLINE_LISTS]>,
}

impl<'i> Candidates<'i> {
    fn add(&mut self, rules: &'i [u32]) {
        if !rules.is_empty() {
            self.lists.push(rules);
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let next = self.lists.iter().filter_map(|list| list.first().copied()).min()?;
        // The same rule can be in two lists, under a literal and under a prefix.
        for list in &mut self.lists {
            if let Some((&first, rest)) = list.split_first()
                && first == next
            {
                *list = rest;
            }
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use fairlead_wire::internal::Match;
    use proptest::prelude::*;

    use super::*;

    type Values = [Vec<String>; DIMENSIONS];

    fn matcher(values: &Values, labels: &BTreeMap<String, String>) -> Matcher {
        let [tenants, agents, models, workloads] = values.clone();
        Matcher::new(Some(&Match {
            tenants,
            agents,
            models,
            workloads,
            labels: labels.clone(),
            tools: Vec::new(),
        }))
    }

    fn workload(text: &str) -> Matcher {
        matcher(&[vec![], vec![], vec![], vec![text.to_owned()]], &BTreeMap::new())
    }

    #[test]
    fn only_rules_that_share_a_literal_are_looked_at() {
        let rules: Vec<Matcher> = (0..10_000).map(|rule| workload(&format!("w{rule}"))).collect();
        let index = Index::new(rules.iter());
        let found: Vec<u32> = index.lookup(&["t", "a", "m", "w77"], &BTreeMap::new()).collect();
        assert_eq!(found, [77]);
    }

    #[test]
    fn a_rule_is_filed_under_what_the_fewest_share() {
        // All of them are about one tenant; each has its own workload.
        let one = |rule| {
            matcher(
                &[vec!["acme".to_owned()], vec![], vec![], vec![format!("w{rule}*")]],
                &BTreeMap::new(),
            )
        };
        let rules: Vec<Matcher> = (100..1000).map(one).collect();
        let index = Index::new(rules.iter());
        assert_eq!(
            index
                .lookup(&["acme", "", "", "w500"], &BTreeMap::new())
                .collect::<Vec<_>>(),
            [400]
        );
        assert_eq!(index.lookup(&["acme", "", "", "other"], &BTreeMap::new()).count(), 0);
    }

    #[test]
    fn a_cut_inside_a_character_is_no_prefix() {
        let rules = [workload("é*"), workload("ab*")];
        let index = Index::new(rules.iter());
        assert_eq!(index.lookup(&["", "", "", "aéb"], &BTreeMap::new()).count(), 0);
        assert_eq!(
            index.lookup(&["", "", "", "éa"], &BTreeMap::new()).collect::<Vec<_>>(),
            [0]
        );
    }

    fn text() -> impl Strategy<Value = String> {
        "[ab]{0,2}"
    }

    fn pattern() -> impl Strategy<Value = String> {
        prop_oneof!["[ab]{1,2}", "[ab]{0,2}\\*"]
    }

    fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
        prop::collection::btree_map("[kl]", "[xy]", 0..3)
    }

    proptest! {
        /// The index finds what a walk over all rules finds, in the same order.
        #[test]
        fn the_index_agrees_with_a_linear_walk(
            rules in prop::collection::vec((prop::array::uniform4(prop::collection::vec(pattern(), 0..3)), labels()), 0..40),
            values in prop::array::uniform4(text()),
            call_labels in labels(),
        ) {
            let rules: Vec<Matcher> = rules.iter().map(|(values, labels)| matcher(values, labels)).collect();
            let values = values.each_ref().map(String::as_str);
            let index = Index::new(rules.iter());
            let fits = |rule: &u32| rules[*rule as usize].fits(&values, &call_labels);
            let found: Vec<u32> = index.lookup(&values, &call_labels).collect();
            prop_assert!(found.is_sorted_by(|a, b| a < b), "each once, in order");
            let walked: Vec<u32> = (0..rules.len() as u32).filter(fits).collect();
            prop_assert_eq!(found.into_iter().filter(fits).collect::<Vec<_>>(), walked);
        }
    }
}
