//! `match`, `when` and `scope`: what routes, budgets, rate limits and policies have in common.

use std::collections::HashMap;
use std::sync::Arc;

use fairlead_expr::{Program, Schema, Type};
use fairlead_wire::internal;

use super::report::Report;
use crate::ids::ModelId;
use crate::matching::Matcher;
use crate::scope::{Dimension, Scope};
use crate::variables;

/// Longest literal.
const MAX_PATTERN_BYTES: usize = 256;

/// Names of the models that exist.
pub(super) type ModelNames = HashMap<Arc<str>, ModelId>;

/// The literal conditions at `path`, which is the path of the rule.
pub(super) fn matcher(path: &str, source: Option<&internal::Match>, report: &mut Report) -> Matcher {
    if let Some(source) = source {
        patterns(path, source, report);
        report.require(
            source.tools.is_empty(),
            format_args!("{path}.match.tool"),
            "is for tool.call only",
        );
    }
    Matcher::new(source)
}

/// As [`matcher`], of a rule on `tool.call`: the tool stands in the place of the model.
pub(super) fn tool_matcher(path: &str, source: Option<&internal::Match>, report: &mut Report) -> Matcher {
    let Some(source) = source else {
        return Matcher::default();
    };
    patterns(path, source, report);
    for (dimension, patterns) in [("model", &source.models), ("workload", &source.workloads)] {
        let path = format_args!("{path}.match.{dimension}");
        report.require(patterns.is_empty(), path, "is for model.call only");
    }
    Matcher::new(Some(&internal::Match {
        models: source.tools.clone(),
        tools: Vec::new(),
        workloads: Vec::new(),
        ..source.clone()
    }))
}

fn patterns(path: &str, source: &internal::Match, report: &mut Report) {
    let dimensions = [
        ("tenant", &source.tenants),
        ("agent", &source.agents),
        ("model", &source.models),
        ("workload", &source.workloads),
        ("tool", &source.tools),
    ];
    for (dimension, patterns) in dimensions {
        for (at, pattern) in patterns.iter().enumerate() {
            let path = format_args!("{path}.match.{dimension}[{at}]");
            if pattern.is_empty() {
                report.add(path, "must not be empty");
            } else if pattern.len() > MAX_PATTERN_BYTES {
                report.add(path, format!("must not be longer than {MAX_PATTERN_BYTES} bytes"));
            } else if pattern.find('*').is_some_and(|star| star + 1 < pattern.len()) {
                report.add(path, "may have a * at its end only");
            }
        }
    }
}

/// The condition at `path.when`, about a model call.
pub(super) fn when(path: &str, source: &str, report: &mut Report) -> Option<Program> {
    when_of(path, source, &variables::SCHEMA, report)
}

/// The condition at `path.when`, about what `schema` has.
pub(super) fn when_of(path: &str, source: &str, schema: &Schema, report: &mut Report) -> Option<Program> {
    if source.is_empty() {
        return None;
    }
    match Program::compile(source, schema, Type::Bool) {
        Ok(program) => Some(program),
        Err(error) => {
            report.add(format_args!("{path}.when"), error.to_string());
            None
        }
    }
}

/// The dimensions at `path.scope`.
pub(super) fn scope(path: &str, source: &[String], report: &mut Report) -> Scope {
    let mut dimensions = Vec::new();
    for (at, text) in source.iter().enumerate() {
        let path = format_args!("{path}.scope[{at}]");
        if source.iter().take(at).any(|before| before == text) {
            report.add(path, format!("`{text}` is named twice"));
            continue;
        }
        match Dimension::parse(text) {
            Ok(dimension) => dimensions.extend(dimension),
            Err(message) => report.add(path, message),
        }
    }
    Scope::new(dimensions)
}

/// The model of a name, which must exist.
pub(super) fn model(
    path: impl std::fmt::Display,
    name: &str,
    models: &ModelNames,
    report: &mut Report,
) -> Option<ModelId> {
    let id = models.get(name).copied();
    if id.is_none() {
        report.add(path, format!("there is no model `{name}`"));
    }
    id
}

/// The models of a list of names, which must exist and not repeat.
pub(super) fn model_list(path: &str, names: &[String], models: &ModelNames, report: &mut Report) -> Vec<ModelId> {
    let mut list = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let path = format_args!("{path}[{at}]");
        if let Some(id) = model(path, name, models, report) {
            if list.contains(&id) {
                report.add(path, format!("`{name}` is named twice"));
            } else {
                list.push(id);
            }
        }
    }
    list
}
