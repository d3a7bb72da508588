//! The kinds of tasks.

use fairlead_plan::tool::Json;
use fairlead_wire::internal::{ApprovalTask, ModelTask, WaitTask, step_task::Kind};

use super::steps::Compiling;
use super::{ModelDef, TaskKind, WaitDef, forms};
use crate::template::{Shape, Template};

/// Highest sampling temperature that any provider takes.
const MOST_TEMPERATURE: f64 = 2.0;
/// Longest name of a workload.
const MOST_WORKLOAD_BYTES: usize = 128;

pub(super) fn compile(step: &mut Compiling<'_, '_>, kind: Option<&Kind>) -> TaskKind {
    match kind {
        Some(Kind::Agent(agent)) => {
            forms::queue(&step.at("agent"), &agent.queue, step.report);
            TaskKind::Agent {
                queue: agent.queue.as_str().into(),
            }
        }
        Some(Kind::Model(model)) => TaskKind::Model(compile_model(step, model)),
        Some(Kind::Approval(approval)) => compile_approval(step, approval),
        Some(Kind::Wait(wait)) => TaskKind::Wait(compile_wait(step, wait)),
        Some(Kind::Workflow(child)) => {
            // A workflow may begin itself; at run time limits.runDepth bounds it.
            let is_known =
                child.workflow == step.context.workflow.name || (step.context.known.workflows)(&child.workflow);
            step.require(
                is_known,
                "workflow",
                &format!("there is no workflow `{}`", child.workflow),
            );
            TaskKind::Workflow {
                workflow: child.workflow.as_str().into(),
            }
        }
        None => {
            let path = step.path.clone();
            step.report
                .add(path, "does nothing: write agent, model, approval, wait or workflow");
            TaskKind::Wait(WaitDef::For(0))
        }
    }
}

fn compile_model(step: &mut Compiling<'_, '_>, source: &ModelTask) -> ModelDef {
    let is_known = (step.context.known.models)(&source.model);
    step.require(
        is_known,
        "model.route",
        &format!("there is no route or model `{}`", source.model),
    );
    step.require(
        source.prompt.is_empty() != source.messages.is_empty(),
        "model",
        "needs either a prompt or messages",
    );
    step.require(
        source.max_output_tokens >= 0,
        "model.maxOutputTokens",
        "must not be negative",
    );
    step.require(
        source.workload.len() <= MOST_WORKLOAD_BYTES && !source.workload.contains(char::is_control),
        "model.workload",
        &format!("must be at most {MOST_WORKLOAD_BYTES} bytes"),
    );
    let temperature = Some(source.temperature.as_str()).filter(|text| !text.is_empty());
    if let Some(text) = temperature {
        let number = Json::parse(text.as_bytes()).ok().and_then(|number| number.as_double());
        step.require(
            number.is_some_and(|number| (0.0..=MOST_TEMPERATURE).contains(&number)),
            "model.temperature",
            "must be a number between 0 and 2",
        );
    }
    ModelDef {
        model: source.model.as_str().into(),
        prompt: step.template_of("model.prompt", &source.prompt, Shape::Text),
        messages: step.template_of("model.messages", &source.messages, Shape::List),
        system: step.template_of("model.system", &source.system, Shape::Text),
        json_output: source.json_output,
        max_output_tokens: source.max_output_tokens,
        temperature: temperature.map(Box::from),
        workload: source.workload.as_str().into(),
    }
}

fn compile_approval(step: &mut Compiling<'_, '_>, source: &ApprovalTask) -> TaskKind {
    let is_known = (step.context.known.tiers)(&source.tier);
    step.require(
        is_known,
        "approval.tier",
        &format!("there is no approval tier `{}`", source.tier),
    );
    TaskKind::Approval {
        tier: source.tier.as_str().into(),
        show: step.template_or_empty("approval.show", &source.show),
        title: step.template_of("approval.title", &source.title, Shape::Text),
        continue_on_reject: source.continue_on_reject,
    }
}

fn compile_wait(step: &mut Compiling<'_, '_>, source: &WaitTask) -> WaitDef {
    let is_set = [
        source.for_millis > 0,
        !source.until.is_empty(),
        !source.signal.is_empty(),
    ];
    if is_set.iter().filter(|is_set| **is_set).count() != 1 {
        step.add("wait", "needs exactly one of for, until and signal");
        return WaitDef::For(0);
    }
    if source.signal.is_empty() {
        let is_plain = source.timeout_millis == 0 && !source.continue_on_timeout;
        step.require(is_plain, "wait", "has a timeout, which is for signals");
    }
    if source.for_millis > 0 {
        return WaitDef::For(forms::nanos(&step.at("wait.for"), source.for_millis, step.report));
    }
    if !source.until.is_empty() {
        let until = step.template_of("wait.until", &source.until, Shape::Text);
        return WaitDef::Until(until.unwrap_or_else(|| Template::constant(Json::Null)));
    }
    forms::name(&step.at("wait.signal"), &source.signal, step.report);
    WaitDef::Signal {
        name: source.signal.as_str().into(),
        timeout_nanos: forms::nanos(&step.at("wait.timeout"), source.timeout_millis, step.report),
        continue_on_timeout: source.continue_on_timeout,
    }
}
