//! [`Definition::compile`]: the workflow as a whole.

use fairlead_plan::Violation;
use fairlead_wire::internal::WorkflowDefinition;
use prost::Message;

use super::graph::Graph;
use super::steps::{self, Context};
use super::{Definition, Known, Report, forms};
use crate::schema::Schema;
use crate::template::{Place, Template, Vocabulary};

/// Most steps of a workflow.
const MOST_STEPS: usize = 1000;
/// Largest definition, encoded: GetWorkflow shows all of it in one message.
const MOST_DEFINITION_BYTES: usize = 2 << 20;

impl Definition {
    /// Compiles a definition.
    ///
    /// # Errors
    /// Every violation, with its path inside the definition in YAML spelling, such as `steps[2].input.income`.
    pub fn compile(source: &WorkflowDefinition, known: &Known<'_>) -> Result<Self, Vec<Violation>> {
        let mut report = Report::default();
        if is_too_large(source, &mut report) {
            return Err(report.into_violations());
        }
        let definition = compile(source, known, &mut report);
        report.finish(definition)
    }
}

/// What is too large is not looked at any closer.
fn is_too_large(source: &WorkflowDefinition, report: &mut Report) -> bool {
    let has_many = source.steps.len() > MOST_STEPS;
    let is_long = source.encoded_len() > MOST_DEFINITION_BYTES;
    report.require(!has_many, "steps", &format!("must be at most {MOST_STEPS}"));
    let most_kib = MOST_DEFINITION_BYTES >> 10;
    report.require(
        !is_long,
        "steps",
        &format!("are too large: the whole definition must be at most {most_kib} KiB"),
    );
    has_many || is_long
}

fn compile(source: &WorkflowDefinition, known: &Known<'_>, report: &mut Report) -> Definition {
    forms::name("name", &source.name, report);
    report.require(!source.steps.is_empty(), "steps", "must have at least one step");
    let graph = Graph::of(source, report);
    let dependants = graph.dependants();
    let vocabulary = Vocabulary::new(graph.ids);
    let context = Context {
        workflow: source,
        known,
        vocabulary: &vocabulary,
    };
    let needs = graph.needs.into_iter().zip(dependants).enumerate();
    let steps = needs.zip(&source.steps).map(|((at, (needs, dependants)), step)| {
        let ended = graph.ended.as_ref().and_then(|ended| ended.get(at)).map(Vec::as_slice);
        steps::compile(at, step, needs, dependants, ended, &context, report)
    });
    let steps = steps.collect();
    // All steps have ended when a run gives its output.
    let place = Place {
        vocabulary: &vocabulary,
        ended: None,
        step: None,
        has_item: false,
    };
    let output = Some(&source.output).filter(|text| !text.is_empty());
    for (at, tenant) in source.tenants.iter().enumerate() {
        report.require(!tenant.is_empty(), format_args!("tenants[{at}]"), "must not be empty");
    }
    Definition {
        name: source.name.as_str().into(),
        version: source.version.as_str().into(),
        steps,
        input_schema: schema("input.schema", &source.input_schema, report),
        output: output.map(|text| Template::compile("output.value", text, &place, report)),
        output_schema: schema("output.schema", &source.output_schema, report),
        budget: budget(source, report),
        keep_for_nanos: forms::nanos("keepFor", source.keep_for_millis, report),
        timeout_nanos: forms::nanos("timeout", source.timeout_millis, report),
        compensate_on_failure: source.compensate_on_failure,
        tenants: source.tenants.clone(),
        source: source.clone(),
        places: vocabulary.ids,
    }
}

/// A schema; empty text: none.
pub(super) fn schema(path: &str, text: &str, report: &mut Report) -> Option<Schema> {
    if text.is_empty() {
        return None;
    }
    match Schema::compile(text) {
        Ok(schema) => Some(schema),
        Err(message) => {
            report.add(path, message);
            None
        }
    }
}

fn budget(source: &WorkflowDefinition, report: &mut Report) -> fairlead_wire::v1::Amount {
    let budget = source.budget.unwrap_or_default();
    for (unit, limit) in [
        ("usd", budget.nano_usd),
        ("tokens", budget.tokens),
        ("requests", budget.requests),
    ] {
        report.require(limit >= 0, format_args!("budget.{unit}"), "must not be negative");
    }
    budget
}
