//! One step: what all kinds have in common. What a step has that cannot have an effect is refused, because somebody relies
//! on it.

use fairlead_plan::tool::Json;
use fairlead_wire::internal::{StepDefinition, StepTask, WorkflowDefinition, step_task::Kind};

use super::compile::schema;
use super::{ForEachDef, Known, OnUnknown, Report, Retry, StepDef, StepEffect, TaskDef, Timeouts, forms, kinds};
use crate::template::{Condition, Place, Shape, Template, Vocabulary};

/// Most attempts of a step.
const MOST_ATTEMPTS: u32 = 100;
/// Most codes that are not retried.
const MOST_CODES: usize = 64;
/// Most items of a `forEach`, at a time and of a quorum.
const MOST_ITEMS: u32 = 1_000_000;
const DEFAULT_PARALLEL: u32 = 16;
const DEFAULT_LEASE_MILLIS: u64 = 30_000;
const LEAST_LEASE_MILLIS: u64 = 100;
const MOST_LEASE_MILLIS: u64 = 24 * 3_600_000;

/// What a step may refer to.
pub(super) struct Context<'a> {
    pub(super) workflow: &'a WorkflowDefinition,
    pub(super) known: &'a Known<'a>,
    pub(super) vocabulary: &'a Vocabulary,
}

/// A step while it is compiled.
pub(super) struct Compiling<'a, 'r> {
    /// Such as `steps[2]`.
    pub(super) path: String,
    /// Where expressions of the task stand.
    pub(super) place: Place<'a>,
    pub(super) context: &'a Context<'a>,
    pub(super) report: &'r mut Report,
    /// Steps whose output the expressions need.
    reads: Vec<usize>,
}

pub(super) fn compile<'a>(
    at: usize,
    step: &StepDefinition,
    needs: Vec<usize>,
    dependants: Vec<usize>,
    ended: Option<&'a [bool]>,
    context: &'a Context<'a>,
    report: &mut Report,
) -> StepDef {
    let mut compiling = Compiling {
        path: format!("steps[{at}]"),
        place: Place {
            vocabulary: context.vocabulary,
            ended,
            step: Some(at),
            has_item: false,
        },
        context,
        report,
        reads: Vec::new(),
    };
    let when = compiling.when(&step.when);
    let for_each = compiling.for_each(step);
    compiling.place.has_item = for_each.is_some();
    let task = compiling.task(step);
    let compensate = compiling.compensate(step);
    let mut reads = compiling.reads;
    reads.sort_unstable();
    reads.dedup();
    StepDef {
        id: step.id.as_str().into(),
        needs,
        dependants,
        reads,
        when,
        task,
        for_each,
        compensate,
    }
}

impl Compiling<'_, '_> {
    /// The path of a field of the step.
    pub(super) fn at(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    /// Adds a violation of a field.
    pub(super) fn add(&mut self, field: &str, message: impl Into<String>) {
        let path = self.at(field);
        self.report.add(path, message);
    }

    /// Adds a violation of a field unless `holds`.
    pub(super) fn require(&mut self, holds: bool, field: &str, message: &str) {
        if !holds {
            self.add(field, message);
        }
    }

    /// A template; empty text: none.
    pub(super) fn template(&mut self, field: &str, text: &str) -> Option<Template> {
        if text.is_empty() {
            return None;
        }
        let template = Template::compile(&self.at(field), text, &self.place, self.report);
        self.reads.extend(template.reads());
        Some(template)
    }

    /// A template that has to give a text or a list.
    pub(super) fn template_of(&mut self, field: &str, text: &str, wanted: Shape) -> Option<Template> {
        let template = self.template(field, text)?;
        let is_wanted = template.shape() == wanted || template.shape() == Shape::Unknown;
        let what = if wanted == Shape::List { "a list" } else { "a text" };
        self.require(is_wanted, field, &format!("must be {what}"));
        Some(template)
    }

    /// `{}` when there is no text.
    pub(super) fn template_or_empty(&mut self, field: &str, text: &str) -> Template {
        let template = self.template(field, text);
        template.unwrap_or_else(|| Template::constant(Json::Object(std::collections::BTreeMap::new())))
    }

    fn when(&mut self, source: &str) -> Option<Condition> {
        if source.is_empty() {
            return None;
        }
        match Condition::compile(source, &self.place) {
            Ok(condition) => {
                self.reads.extend(condition.reads());
                Some(condition)
            }
            Err(message) => {
                self.add("when", message);
                None
            }
        }
    }

    fn for_each(&mut self, step: &StepDefinition) -> Option<ForEachDef> {
        let source = step.for_each.as_ref()?;
        let is_wait = matches!(
            step.task.as_ref().and_then(|task| task.kind.as_ref()),
            Some(Kind::Wait(_))
        );
        self.require(!is_wait, "forEach", "repeats a wait: one wait is enough");
        let items = self.template_of("forEach.in", &source.items, Shape::List);
        self.require(items.is_some(), "forEach.in", "is missing: write the list");
        let path = self.at("forEach");
        self.report
            .range(format_args!("{path}.maxParallel"), source.max_parallel, 0, MOST_ITEMS);
        self.report
            .range(format_args!("{path}.quorum"), source.quorum, 0, MOST_ITEMS);
        let max_parallel = match source.max_parallel {
            0 => DEFAULT_PARALLEL,
            most => most,
        };
        Some(ForEachDef {
            items: items.unwrap_or_else(|| Template::constant(Json::Null)),
            max_parallel,
            quorum: source.quorum,
        })
    }

    fn task(&mut self, step: &StepDefinition) -> TaskDef {
        let none = StepTask::default();
        let source = step.task.as_ref().unwrap_or(&none);
        let is_leased = matches!(source.kind, Some(Kind::Agent(_) | Kind::Model(_)));
        let kind = kinds::compile(self, source.kind.as_ref());
        let effect = self.effect(source);
        let key = self.key(source, is_leased);
        let (on_unknown, unknown_tier) = self.on_unknown(step, source, effect, key.is_some());
        TaskDef {
            input: self.input(source),
            input_schema: schema(&self.at("inputSchema"), &source.input_schema, self.report),
            output_schema: schema(&self.at("output.schema"), &source.output_schema, self.report),
            retry: self.retry(source, is_leased || matches!(source.kind, Some(Kind::Workflow(_)))),
            timeouts: self.timeouts(source),
            kind,
            effect,
            key,
            on_unknown,
            unknown_tier,
        }
    }

    fn input(&mut self, source: &StepTask) -> Template {
        let instead = match source.kind {
            Some(Kind::Model(_)) => "write a prompt or messages",
            Some(Kind::Approval(_)) => "write approval.show",
            Some(Kind::Wait(_)) => "leave it out",
            Some(Kind::Agent(_) | Kind::Workflow(_)) | None => return self.template_or_empty("input", &source.input),
        };
        let message = format!("is for steps of a worker or a child run: {instead}");
        self.require(source.input.is_empty(), "input", &message);
        self.require(source.input_schema.is_empty(), "inputSchema", &message);
        self.template_or_empty("input", "")
    }

    /// What is not known acts on the world, but for what only the sidecar itself does.
    fn effect(&mut self, source: &StepTask) -> StepEffect {
        let default = match source.kind {
            Some(Kind::Agent(_)) | None => StepEffect::SideEffect,
            Some(Kind::Model(_)) => StepEffect::Read,
            Some(Kind::Approval(_) | Kind::Wait(_) | Kind::Workflow(_)) => {
                let is_none = matches!(source.effect(), StepEffect::Unspecified | StepEffect::Pure);
                self.require(is_none, "effect", "is for steps of a worker or a model");
                return StepEffect::Pure;
            }
        };
        match source.effect() {
            StepEffect::Unspecified => default,
            effect => effect,
        }
    }

    fn key(&mut self, source: &StepTask, is_leased: bool) -> Option<Template> {
        let key = self.template_of("idempotencyKey", &source.idempotency_key, Shape::Text)?;
        self.require(is_leased, "idempotencyKey", "is for steps of a worker or a model");
        self.require(
            !self.place.has_item || key.reads_item(),
            "idempotencyKey",
            "reads neither item nor index: all items would get the result of the first",
        );
        Some(key)
    }

    fn on_unknown(
        &mut self,
        step: &StepDefinition,
        source: &StepTask,
        effect: StepEffect,
        has_key: bool,
    ) -> (OnUnknown, Box<str>) {
        let on_unknown = match source.on_unknown() {
            OnUnknown::Unspecified => OnUnknown::Ask,
            other => other,
        };
        let tier = match source.unknown_tier.as_str() {
            "" => self.context.workflow.unknown_tier.as_str(),
            own => own,
        };
        let acts = matches!(effect, StepEffect::SideEffect | StepEffect::Write);
        match on_unknown {
            OnUnknown::Ask if acts && tier.is_empty() => self.add(
                "onUnknown",
                "asks nobody what became of an interrupted attempt: write unknownTier: TIER, here {ask: TIER} or fail, or \
                 effect: read when running it twice does no harm",
            ),
            OnUnknown::Ask if !tier.is_empty() => {
                let is_known = (self.context.known.tiers)(tier);
                self.require(is_known, "onUnknown", &format!("there is no approval tier `{tier}`"));
            }
            OnUnknown::Retry => self.require(
                !acts || has_key,
                "onUnknown",
                "may act twice: retry needs an idempotencyKey",
            ),
            OnUnknown::Compensate => self.require(
                !acts || !step.compensate.is_empty(),
                "onUnknown",
                "has nothing that takes the step back: write compensate: QUEUE",
            ),
            OnUnknown::Ask | OnUnknown::Fail | OnUnknown::Unspecified => {}
        }
        (on_unknown, tier.into())
    }

    fn retry(&mut self, source: &StepTask, is_retried: bool) -> Retry {
        let retry = source.retry.clone().unwrap_or_default();
        let (initial, max) = (retry.initial_millis, retry.max_millis);
        self.require(
            retry.attempts <= 1 || is_retried,
            "retry",
            "is for steps of a worker, a model or a child run",
        );
        let path = self.at("retry");
        self.report
            .range(format_args!("{path}.attempts"), retry.attempts, 0, MOST_ATTEMPTS);
        self.require(initial <= max, "retry.backoff.max", "must not be shorter than initial");
        self.require(
            retry.non_retryable.len() <= MOST_CODES,
            "retry.nonRetryable",
            &format!("must be at most {MOST_CODES}"),
        );
        for (at, code) in retry.non_retryable.iter().enumerate() {
            forms::name(&format!("{path}.nonRetryable[{at}]"), code, self.report);
        }
        Retry {
            attempts: retry.attempts.max(1),
            initial_nanos: forms::nanos(&format!("{path}.backoff.initial"), initial, self.report),
            max_nanos: forms::nanos(&format!("{path}.backoff.max"), max, self.report),
            non_retryable: retry.non_retryable,
        }
    }

    fn timeouts(&mut self, source: &StepTask) -> Timeouts {
        let timeouts = source.timeouts.unwrap_or_default();
        let path = self.at("timeouts");
        // A lease that never ends would never tell that its worker is gone.
        let lease = match timeouts.lease_millis {
            0 => DEFAULT_LEASE_MILLIS,
            millis => millis,
        };
        if !(LEAST_LEASE_MILLIS..=MOST_LEASE_MILLIS).contains(&lease) {
            self.add("timeouts.lease", "must be between 100 ms and 24 h");
        }
        let mut nanos = |field: &str, millis| forms::nanos(&format!("{path}.{field}"), millis, self.report);
        Timeouts {
            queue_nanos: nanos("queue", timeouts.queue_millis),
            lease_nanos: nanos("lease", lease.min(MOST_LEASE_MILLIS)),
            attempt_nanos: nanos("attempt", timeouts.attempt_millis),
            total_nanos: nanos("total", timeouts.total_millis),
        }
    }

    fn compensate(&mut self, step: &StepDefinition) -> Option<Box<str>> {
        if step.compensate.is_empty() {
            return None;
        }
        let kind = step.task.as_ref().and_then(|task| task.kind.as_ref());
        self.require(
            !matches!(kind, Some(Kind::Approval(_) | Kind::Wait(_))),
            "compensate",
            "takes nothing back: an approval or a wait has done nothing",
        );
        forms::queue(&self.at("compensate"), &step.compensate, self.report);
        Some(step.compensate.as_str().into())
    }
}
