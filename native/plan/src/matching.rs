//! Literal conditions: what a rule's `match` says about a call.

use std::collections::BTreeMap;

use fairlead_wire::internal;

use crate::facts::CallFacts;

/// A literal, or a prefix that was written with a `*` at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Equal.
    Literal(Box<str>),
    /// Starts with; the empty prefix (`*`) fits everything, also a value that is not set.
    Prefix(Box<str>),
}

impl Pattern {
    /// Reads a pattern; a `*` anywhere but at the end is refused by compile.
    pub(crate) fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.into()),
            None => Self::Literal(text.into()),
        }
    }

    pub(crate) fn fits(&self, value: &str) -> bool {
        match self {
            Self::Literal(literal) => **literal == *value,
            Self::Prefix(prefix) => value.starts_with(&**prefix),
        }
    }

    /// Whether everything that `other` fits is fitted by this one too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(own), Self::Literal(its)) => own == its,
            (Self::Prefix(own), Self::Literal(its) | Self::Prefix(its)) => its.starts_with(&**own),
            (Self::Literal(_), Self::Prefix(_)) => false,
        }
    }
}

/// The dimensions that patterns are about, in the order of [`Matcher::patterns`].
pub(crate) const DIMENSIONS: usize = 4;

/// Values of a call in the order of [`Matcher::patterns`].
pub(crate) fn values<'a>(facts: &CallFacts<'a>) -> [&'a str; DIMENSIONS] {
    [facts.tenant, facts.agent, facts.model, facts.workload]
}

/// The literal conditions of one rule: all dimensions must fit, each with one of its patterns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matcher {
    /// Tenant, agent, model, workload; an empty list fits anything.
    pub(crate) patterns: [Vec<Pattern>; DIMENSIONS],
    /// Labels that must be equal.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Matcher {
    pub(crate) fn new(source: Option<&internal::Match>) -> Self {
        let Some(source) = source else {
            return Self::default();
        };
        let parse = |texts: &[String]| texts.iter().map(|text| Pattern::parse(text)).collect();
        Self {
            patterns: [
                parse(&source.tenants),
                parse(&source.agents),
                parse(&source.models),
                parse(&source.workloads),
            ],
            labels: source.labels.clone(),
        }
    }

    pub(crate) fn fits(&self, values: &[&str; DIMENSIONS], labels: &BTreeMap<String, String>) -> bool {
        let dimension = |(patterns, value): (&Vec<Pattern>, &&str)| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.fits(value))
        };
        self.patterns.iter().zip(values).all(dimension)
            && self.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    }

    /// Whether every call that fits `other` fits this one too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let dimension = |(own, its): (&Vec<Pattern>, &Vec<Pattern>)| {
            let covered = |pattern: &Pattern| own.iter().any(|broad| broad.covers(pattern));
            own.is_empty()
                || own.iter().any(|broad| broad.covers(&Pattern::Prefix("".into())))
                || (!its.is_empty() && its.iter().all(covered))
        };
        self.patterns.iter().zip(&other.patterns).all(dimension)
            && self
                .labels
                .iter()
                .all(|(name, value)| other.labels.get(name) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn matcher(workloads: &[&str], labels: &[(&str, &str)]) -> Matcher {
        Matcher::new(Some(&internal::Match {
            workloads: workloads.iter().map(|text| (*text).to_owned()).collect(),
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..internal::Match::default()
        }))
    }

    fn fits(matcher: &Matcher, workload: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        matcher.fits(&["acme", "bot", "", workload], &labels)
    }

    #[test]
    fn every_dimension_must_fit_with_one_of_its_patterns() {
        let rule = matcher(&["chat", "code.*"], &[("tier", "free")]);
        assert!(fits(&rule, "chat", &[("tier", "free"), ("other", "x")]));
        assert!(fits(&rule, "code.review", &[("tier", "free")]));
        assert!(fits(&rule, "code.", &[("tier", "free")]));
        assert!(!fits(&rule, "code", &[("tier", "free")]));
        assert!(!fits(&rule, "chatter", &[("tier", "free")]));
        assert!(!fits(&rule, "chat", &[("tier", "paid")]));
        assert!(!fits(&rule, "chat", &[]));
    }

    #[test]
    fn no_condition_and_a_lone_star_fit_everything() {
        assert!(fits(&Matcher::default(), "", &[]));
        assert!(fits(&matcher(&["*"], &[]), "", &[]));
        assert!(!fits(&matcher(&["c*"], &[]), "", &[]));
    }

    #[test]
    fn covering_is_fitting_everything_the_other_fits() {
        let all = Matcher::default();
        let chat = matcher(&["chat"], &[]);
        let both = matcher(&["chat", "code.*"], &[]);
        let free_chat = matcher(&["chat"], &[("tier", "free")]);
        assert!(all.covers(&chat) && both.covers(&chat) && chat.covers(&free_chat) && chat.covers(&chat));
        assert!(matcher(&["*"], &[]).covers(&all) && matcher(&["co*"], &[]).covers(&matcher(&["code.*", "cook"], &[])));
        assert!(!chat.covers(&all) && !chat.covers(&both) && !free_chat.covers(&chat));
        assert!(!matcher(&["code.*"], &[]).covers(&matcher(&["co*"], &[])) && !chat.covers(&matcher(&["chat*"], &[])));
    }
}
