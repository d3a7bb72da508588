//! Definitions in a few words, and a run's data.

use std::collections::BTreeMap;

use fairlead_wire::internal::{
    AgentTask, ApprovalTask, ForEach, ModelTask, StepDefinition, StepTask, WaitTask, WorkflowDefinition,
    step_task::Kind,
};
use fairlead_workflow::{Definition, Json, Known, RunFacts, Scope, TaskKind, Template, Violation};

pub fn known() -> Known<'static> {
    Known {
        tiers: &|name| name == "high",
        models: &|name| name == "careful",
        workflows: &|name| name == "other",
    }
}

pub fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// A workflow of these steps that is valid otherwise.
pub fn workflow(steps: Vec<StepDefinition>) -> WorkflowDefinition {
    WorkflowDefinition {
        name: "loan-approval".to_owned(),
        version: "0f".to_owned(),
        unknown_tier: "high".to_owned(),
        steps,
        ..Default::default()
    }
}

fn step(id: &str, needs: &[&str], kind: Kind) -> StepDefinition {
    StepDefinition {
        id: id.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        task: Some(StepTask {
            kind: Some(kind),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A step of a worker with this input; empty: none.
pub fn agent(id: &str, needs: &[&str], input: &str) -> StepDefinition {
    let queue = "workers".to_owned();
    let mut step = step(id, needs, Kind::Agent(AgentTask { queue }));
    step.task.as_mut().unwrap().input = input.to_owned();
    step
}

pub fn model(id: &str, needs: &[&str], model: ModelTask) -> StepDefinition {
    step(id, needs, Kind::Model(model))
}

/// A model call with this prompt.
pub fn prompt(text: &str) -> ModelTask {
    ModelTask {
        model: "careful".to_owned(),
        prompt: text.to_owned(),
        ..Default::default()
    }
}

pub fn approval(id: &str, needs: &[&str], show: &str) -> StepDefinition {
    let approval = ApprovalTask {
        tier: "high".to_owned(),
        show: show.to_owned(),
        ..Default::default()
    };
    step(id, needs, Kind::Approval(approval))
}

pub fn wait(id: &str, needs: &[&str], wait: WaitTask) -> StepDefinition {
    step(id, needs, Kind::Wait(wait))
}

pub fn child(id: &str, needs: &[&str], workflow: &str) -> StepDefinition {
    let workflow = workflow.to_owned();
    step(
        id,
        needs,
        Kind::Workflow(fairlead_wire::internal::ChildTask { workflow }),
    )
}

/// The step, once for each item of the list.
pub fn for_each(items: &str, mut step: StepDefinition) -> StepDefinition {
    step.for_each = Some(ForEach {
        items: items.to_owned(),
        ..Default::default()
    });
    step
}

/// The step with its task changed.
pub fn with(mut step: StepDefinition, change: impl FnOnce(&mut StepTask)) -> StepDefinition {
    change(step.task.as_mut().unwrap());
    step
}

pub fn compile(source: &WorkflowDefinition) -> Definition {
    Definition::compile(source, &known()).unwrap_or_else(|violations| panic!("{violations:#?}"))
}

/// `path: message` of every violation.
pub fn refused(source: &WorkflowDefinition) -> Vec<String> {
    let violations = Definition::compile(source, &known()).err().unwrap_or_default();
    violations.iter().map(shown).collect()
}

pub fn shown(violation: &Violation) -> String {
    format!("{}: {}", violation.path, violation.message)
}

/// Asserts that the steps are refused with exactly these violations.
pub fn refuses(steps: Vec<StepDefinition>, expected: &[&str]) {
    assert_eq!(refused(&workflow(steps)), expected);
}

/// The data of a run.
pub struct Data {
    pub input: Json,
    pub outputs: BTreeMap<usize, Json>,
    pub item: Option<(Json, u64)>,
    pub labels: BTreeMap<String, String>,
    pub agent: &'static str,
}

impl Data {
    pub fn new(input: &str) -> Self {
        Self {
            input: json(input),
            outputs: BTreeMap::new(),
            item: None,
            labels: BTreeMap::from([("tier".to_owned(), "gold".to_owned())]),
            agent: "asha",
        }
    }

    pub fn with_output(mut self, step: usize, output: &str) -> Self {
        self.outputs.insert(step, json(output));
        self
    }

    pub fn with_item(mut self, item: &str, index: u64) -> Self {
        self.item = Some((json(item), index));
        self
    }
}

impl Scope for Data {
    fn input(&self) -> &Json {
        &self.input
    }

    fn output(&self, step: usize) -> Option<&Json> {
        self.outputs.get(&step)
    }

    fn state(&self, step: usize) -> &'static str {
        if self.outputs.contains_key(&step) {
            "succeeded"
        } else {
            "skipped"
        }
    }

    fn run(&self) -> RunFacts<'_> {
        RunFacts {
            id: "run_01",
            workflow: "loan-approval",
            tenant: "acme",
            agent: self.agent,
            labels: &self.labels,
            create_time_unix_nanos: 1_767_225_600_000_000_000,
        }
    }

    fn item(&self) -> Option<(&Json, u64)> {
        self.item.as_ref().map(|(item, index)| (item, *index))
    }
}

/// A definition with steps `first` and `my-step`, and `template` as the input of a third.
pub fn templated(template: &str) -> Definition {
    compile(&workflow(vec![
        agent("first", &[], ""),
        agent("my-step", &[], ""),
        agent("last", &["first", "my-step"], template),
    ]))
}

pub fn input_of(definition: &Definition, step: usize) -> &Template {
    &definition.steps[step].task.input
}

/// What the template gives as compact JSON, or the error's text.
pub fn rendered(template: &str, data: &Data) -> String {
    let definition = templated(template);
    match input_of(&definition, 2).render(&definition, data) {
        Ok(json) => json.to_text(),
        Err(error) => error.to_string(),
    }
}

/// As [`rendered`], as a text.
pub fn rendered_text(template: &str, data: &Data) -> String {
    let definition = templated(template);
    let text = input_of(&definition, 2).render_text(&definition, data);
    text.unwrap_or_else(|error| error.to_string())
}

/// The model of a step.
pub fn model_of(definition: &Definition, step: usize) -> &fairlead_workflow::ModelDef {
    match &definition.steps[step].task.kind {
        TaskKind::Model(model) => model,
        other => panic!("{other:?}"),
    }
}
