//! What a rule found.

/// What was done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Noted; the answer is unchanged.
    Flagged,
    /// What was found was replaced.
    Redacted,
    /// The answer was refused.
    Rejected,
}

/// What a rule found; never the content itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the rule.
    pub rule: String,
    /// What found it: `schema`, `pattern`, `size`, `bound`, `unreadable` or the name of a detector.
    pub detector: String,
    /// How often.
    pub count: i64,
    /// What was done.
    pub action: Action,
}

/// Adds one finding to those of before: the same detector of the same rule counts on.
pub(crate) fn add(findings: &mut Vec<Finding>, rule: &str, detector: &str, count: i64, action: Action) {
    if count <= 0 {
        return;
    }
    let same = findings
        .iter_mut()
        .find(|known| known.rule == rule && known.detector == detector && known.action == action);
    match same {
        Some(known) => known.count = known.count.saturating_add(count),
        None => findings.push(Finding {
            rule: rule.to_owned(),
            detector: detector.to_owned(),
            count,
            action,
        }),
    }
}
