//! `tools`, `approvals.tiers`, `operators` and what rules on `tool.call` refer to.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use fairlead_wire::internal::{self, EngineConfig, argument_constraint::Change};
use fairlead_wire::v1::{ToolEffect, ToolRisk};
use jsonschema::{Draft, PatternOptions, Validator};

use super::report::Report;
use crate::ids::TierId;
use crate::matching::Pattern;
use crate::tool::approval::MOST_PEOPLE;
use crate::tool::{Constraint, Kind, Pointer, Tier, Tool};

const MOST_TOOLS: usize = 10_000;
const MOST_NAME_BYTES: usize = 256;
const MOST_SCHEMA_BYTES: usize = 256 << 10;
const MOST_LABELS: usize = 16;
const MOST_LABEL_BYTES: usize = 63;
/// Memory of one compiled pattern of a schema.
const PATTERN_BYTES: usize = 1 << 20;
/// A limit has to be exact as a double.
const MOST_LIMIT: f64 = 9_007_199_254_740_992.0;
const YEAR_MILLIS: u64 = 366 * 24 * 3_600_000;

/// `tools`.
pub(super) fn catalogue(config: &EngineConfig, report: &mut Report) -> Vec<Tool> {
    report.require(
        config.tools.len() <= MOST_TOOLS,
        "tools",
        &format!("must be at most {MOST_TOOLS}"),
    );
    let mut names = HashSet::new();
    let entries = config.tools.iter().take(MOST_TOOLS).enumerate();
    entries
        .map(|(at, source)| {
            let path = format!("tools[{at}]");
            pattern(&format!("{path}.name"), &source.name, report);
            report.require(
                names.insert(source.name.as_str()),
                format_args!("{path}.name"),
                "is there twice: the first entry counts",
            );
            report.require(
                source.effect() != ToolEffect::Unspecified,
                format_args!("{path}.effect"),
                "is missing: write read, write or side_effect",
            );
            report.require(
                source.risk() != ToolRisk::Unspecified,
                format_args!("{path}.risk"),
                "is missing: write low, medium, high or destructive",
            );
            Tool {
                pattern: Pattern::parse(&source.name),
                effect: source.effect(),
                risk: source.risk(),
                schema: schema(&format!("{path}.arguments"), &source.argument_schema, report),
                session_labels: labels(&format!("{path}.sessionLabels"), &source.session_labels, report),
            }
        })
        .collect()
}

fn pattern(path: &str, text: &str, report: &mut Report) {
    let is_bounded = !text.is_empty() && text.len() <= MOST_NAME_BYTES && !text.contains(char::is_control);
    report.require(is_bounded, path, &format!("must be 1 to {MOST_NAME_BYTES} bytes"));
    report.require(
        text.find('*').is_none_or(|star| star + 1 == text.len()),
        path,
        "may have a * at its end only",
    );
}

/// Schemas are compiled once, with patterns in linear time; nothing is fetched for them.
fn schema(path: &str, source: &str, report: &mut Report) -> Option<Validator> {
    if source.is_empty() {
        return None;
    }
    if source.len() > MOST_SCHEMA_BYTES {
        report.add(path, format!("must be at most {MOST_SCHEMA_BYTES} bytes"));
        return None;
    }
    let schema = match serde_json::from_str::<serde_json::Value>(source) {
        Ok(schema) => schema,
        Err(error) => {
            report.add(path, format!("is not JSON: {error}"));
            return None;
        }
    };
    let options = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .with_pattern_options(
            PatternOptions::regex()
                .size_limit(PATTERN_BYTES)
                .dfa_size_limit(PATTERN_BYTES),
        );
    match options.build(&schema) {
        Ok(validator) => Some(validator),
        Err(error) => {
            report.add(path, format!("is not a JSON Schema (2020-12): {error}"));
            None
        }
    }
}

fn labels(path: &str, source: &[String], report: &mut Report) -> Vec<String> {
    report.require(
        source.len() <= MOST_LABELS,
        path,
        &format!("must be at most {MOST_LABELS}"),
    );
    for (at, label) in source.iter().enumerate() {
        let is_bounded = !label.is_empty() && label.len() <= MOST_LABEL_BYTES && !label.contains(char::is_control);
        report.require(
            is_bounded,
            format_args!("{path}[{at}]"),
            &format!("must be 1 to {MOST_LABEL_BYTES} bytes"),
        );
    }
    let mut labels = source.to_vec();
    labels.sort();
    labels.dedup();
    labels
}

/// `approvals.tiers`.
pub(super) fn tiers(config: &EngineConfig, report: &mut Report) -> Vec<Tier> {
    let mut names = HashSet::new();
    for (at, tier) in config.approval_tiers.iter().enumerate() {
        let path = format!("approvals.tiers[{at}]");
        report.name(format_args!("{path}.name"), &tier.name, &mut names);
        report.require(
            !tier.require.is_empty(),
            format_args!("{path}.require"),
            "asks for nobody: write {role: NAME, count: 1}",
        );
        let mut roles = HashSet::new();
        for (at, quorum) in tier.require.iter().enumerate() {
            report.name(format_args!("{path}.require[{at}].role"), &quorum.role, &mut roles);
            report.range(
                format_args!("{path}.require[{at}].count"),
                u64::from(quorum.count),
                1,
                u64::from(MOST_PEOPLE),
            );
        }
        let people = tier
            .require
            .iter()
            .map(|one| u64::from(one.count))
            .fold(0, u64::saturating_add);
        report.require(
            people <= u64::from(MOST_PEOPLE),
            format_args!("{path}.require"),
            &format!("must be at most {MOST_PEOPLE} people"),
        );
        report.range(
            format_args!("{path}.expiresAfter"),
            tier.expires_after_millis,
            1,
            YEAR_MILLIS,
        );
        if let Some(message) = escalation(&config.approval_tiers, tier) {
            report.add(format_args!("{path}.onExpire.escalateTo"), message);
        }
    }
    let tiers = config.approval_tiers.iter();
    tiers.map(|source| Tier { source: source.clone() }).collect()
}

/// What is wrong with where a tier escalates to: an approval must not be passed on for ever.
fn escalation(tiers: &[internal::ApprovalTier], from: &internal::ApprovalTier) -> Option<String> {
    let mut way = vec![from.name.as_str()];
    let mut tier = from;
    while !tier.escalate_to.is_empty() {
        let Some(next) = tiers.iter().find(|one| one.name == tier.escalate_to) else {
            // Of another tier's it is said there.
            let is_own = way.len() == 1;
            return is_own.then(|| format!("there is no approval tier `{}`", tier.escalate_to));
        };
        let is_back = next.name == from.name;
        if !is_back && way.contains(&next.name.as_str()) {
            // A circle that this tier leads to: said of the tiers that are in it.
            return None;
        }
        way.push(&next.name);
        if is_back {
            return Some(format!("escalates in a circle: {}", way.join(" → ")));
        }
        tier = next;
    }
    None
}

/// The tier of a name that is used at `path`.
pub(super) fn tier_of(
    path: fmt::Arguments<'_>,
    name: &str,
    config: &EngineConfig,
    report: &mut Report,
) -> Option<TierId> {
    let at = config.approval_tiers.iter().position(|tier| tier.name == name);
    if at.is_none() {
        report.add(path, format!("there is no approval tier `{name}`"));
    }
    at.map(TierId::at)
}

/// `operators`.
pub(super) fn operators(config: &EngineConfig) -> BTreeMap<String, Vec<String>> {
    let operators = config.operators.iter();
    operators.map(|one| (one.name.clone(), one.roles.clone())).collect()
}

/// The arguments of a `constrain` at `path`.
pub(super) fn constraints(path: &str, source: &[internal::ArgumentConstraint], report: &mut Report) -> Vec<Constraint> {
    let mut constraints = Vec::with_capacity(source.len());
    for (at, one) in source.iter().enumerate() {
        let path = format!("{path}.arguments[{at}]");
        let kind = match one.change {
            Some(Change::Maximum(limit)) => Kind::Maximum(limit),
            Some(Change::Minimum(limit)) => Kind::Minimum(limit),
            Some(Change::Redact(true)) => Kind::Redact,
            Some(Change::Remove(true)) => Kind::Remove,
            Some(Change::Redact(false) | Change::Remove(false)) | None => {
                report.add(
                    &path,
                    "changes nothing: write maximum, minimum, redact: true or remove: true",
                );
                continue;
            }
        };
        if let Kind::Maximum(limit) | Kind::Minimum(limit) = kind {
            report.require(
                limit.abs() <= MOST_LIMIT,
                &path,
                "has a limit beyond 2^53, which is not exact",
            );
        }
        match Pointer::parse(&one.pointer) {
            Ok(pointer) => constraints.push(Constraint {
                pointer,
                text: Arc::from(one.pointer.as_str()),
                kind,
            }),
            Err(message) => report.add(format_args!("{path}.pointer"), message),
        }
    }
    constraints
}
