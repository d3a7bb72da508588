//! Secrets: the rules of gitleaks, and two kinds that are found while they are still growing.

use std::borrow::Cow;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::AhoCorasick;
use regex::Regex;
use serde::Deserialize;

use super::{Detector, Group, Needs};

/// Made by `scripts/secret_rules.py`; its licence is beside it.
const RULES: &str = include_str!("../../rules/secrets.json");

/// A JSON Web Token (RFC 7519): header and payload are JSON objects, so their base64 begins with `ey`.
const JWT: &str = r"\b(ey[A-Za-z0-9_-]{15,}\.ey[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{10,}={0,2})";
/// The same as far as it has come.
const JWT_GROWING: &str = r"\bey[A-Za-z0-9_-]{15,}(?:\.(?:e(?:y[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)?)?)?)?\z";
/// A private key in textual encoding (RFC 7468, RFC 1421 headers, OpenPGP armor of RFC 9580), its line ends possibly
/// escaped. It need not be complete: half a key is a secret, too.
const PRIVATE_KEY: &str = concat!(
    r"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nrt])*",
    r"(?:[A-Za-z-]{3,20}: [^\n\\]{0,200}(?:\s|\\[nr])+)*",
    r"(?:[A-Za-z0-9+/=]{16,}(?:\s|\\[nr])*)+(?:[A-Za-z0-9+/=]{1,15}(?:\s|\\[nr])*)?",
    r"(?:-----END[ A-Z0-9_-]{0,100}KEY(?: BLOCK)?-----)?",
);

/// The same as far as it has come.
const PRIVATE_KEY_GROWING: &str = concat!(
    r"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nrt])*",
    r"(?:[A-Za-z-]{3,20}: [^\n\\]{0,200}(?:\s|\\[nr])+)*",
    r"(?:[A-Za-z0-9+/=]{16,}(?:\s|\\[nr])*)*(?:[A-Za-z0-9+/=]{1,15}(?:\s|\\[nr])*)?",
    r"\\?(?:-{1,5}(?:E(?:N(?:D[ A-Z0-9_-]{0,110})?)?)?)?\z",
);

#[derive(Deserialize)]
struct Source {
    id: String,
    pattern: String,
    /// Every match has one of them inside, in any case.
    keywords: Vec<String>,
    /// Least Shannon entropy of the secret, bits per character.
    entropy: f64,
    /// Secrets that are none.
    allowed: Vec<String>,
}

/// All rules with keywords, in the order of their numbers.
static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let own = [("jwt", "ey"), ("private-key", "-----begin")].map(|(id, keyword)| Source {
        id: id.to_owned(),
        pattern: String::new(),
        keywords: vec![keyword.to_owned()],
        entropy: 0.0,
        allowed: Vec::new(),
    });
    // A test reads the rules: nothing is missing here.
    let rules: Vec<Source> = serde_json::from_str(RULES).unwrap_or_default();
    own.into_iter().chain(rules).collect()
});

pub(super) fn all() -> impl Iterator<Item = Detector> {
    SOURCES.iter().enumerate().map(|(number, source)| {
        let needs = Needs::Keyword(number);
        match source.id.as_str() {
            "jwt" => Detector {
                growing: Some(JWT_GROWING),
                ..Detector::new("jwt", Group::Secrets, needs, JWT)
            },
            "private-key" => Detector {
                growing: Some(PRIVATE_KEY_GROWING),
                ..Detector::new("private-key", Group::Secrets, needs, PRIVATE_KEY)
            },
            _ => rule(source, needs),
        }
    })
}

fn rule(source: &'static Source, needs: Needs) -> Detector {
    let allowed: OnceLock<Vec<Regex>> = OnceLock::new();
    let detector = Detector {
        name: Cow::Borrowed(&source.id),
        group: Group::Secrets,
        needs,
        pattern: Cow::Borrowed(&source.pattern),
        growing: None,
        verify: None,
        compiled: OnceLock::new(),
    };
    detector.verified(move |secret| {
        let allowed = allowed.get_or_init(|| source.allowed.iter().filter_map(|one| Regex::new(one).ok()).collect());
        let is_secret = entropy(secret) >= source.entropy && !allowed.iter().any(|one| one.is_match(secret));
        is_secret.then_some(0..secret.len())
    })
}

/// Shannon entropy in bits per byte, as gitleaks computes it: a name or a row of `x` is no secret.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count = count.saturating_add(1);
        }
    }
    let total = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX).max(1));
    counts
        .into_iter()
        .filter(|count| *count > 0)
        .map(|count| {
            let share = f64::from(count) / total;
            -share * share.log2()
        })
        .sum()
}

/// Which rules have a keyword in a text: one pass over the text for all rules together.
#[derive(Debug, Default)]
pub(crate) struct Keywords([u64; 4]);

impl Keywords {
    /// Those of a text.
    pub(crate) fn of(text: &str) -> Self {
        let mut found = Self::default();
        let Some((search, rules)) = keyword_search() else {
            return Self([u64::MAX; 4]);
        };
        for hit in search.find_overlapping_iter(text) {
            if let Some(rule) = rules.get(hit.pattern().as_usize()) {
                found.add(*rule);
            }
        }
        found
    }

    fn add(&mut self, rule: usize) {
        if let Some(word) = self.0.get_mut(rule >> 6) {
            *word |= 1 << (rule & 63);
        }
    }

    pub(super) fn contains(&self, rule: usize) -> bool {
        // A rule beyond the bits is always looked at.
        self.0.get(rule >> 6).is_none_or(|word| word & (1 << (rule & 63)) != 0)
    }
}

/// The automaton of all keywords, and which rule each belongs to.
fn keyword_search() -> Option<&'static (AhoCorasick, Vec<usize>)> {
    static SEARCH: LazyLock<Option<(AhoCorasick, Vec<usize>)>> = LazyLock::new(|| {
        let (rules, keywords): (Vec<usize>, Vec<&str>) = SOURCES
            .iter()
            .enumerate()
            .flat_map(|(rule, source)| source.keywords.iter().map(move |keyword| (rule, keyword.as_str())))
            .unzip();
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(keywords)
            .ok()?;
        Some((search, rules))
    });
    SEARCH.as_ref()
}
