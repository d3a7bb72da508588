//! Definitions of workflows: templates, conditions, schemas, graphs; and payloads of runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bolero::{TypeGenerator, check};
use fairlead_wire::internal::{
    AgentTask, ApprovalTask, ChildTask, ForEach, ModelTask, StepDefinition, StepTask, WaitTask, WorkflowDefinition,
    step_task::Kind,
};
use fairlead_workflow::{Definition, Json, Known, RunFacts, Schema, Scope, Template, read_payload};
use prost::Message;

const WORDS: [&str; 48] = [
    "${",
    "$${",
    "}",
    "{",
    "$",
    " ",
    "\\\"",
    "'",
    "input",
    "steps",
    "run",
    "item",
    "index",
    ".",
    "output",
    "state",
    "a",
    "b-c",
    "[",
    "]",
    "(",
    ")",
    "0",
    "1.5",
    "+",
    "-",
    "/",
    "==",
    "<",
    "?",
    ":",
    "!",
    "&&",
    "in",
    "has(",
    "size(",
    "map(x,",
    "filter(x,",
    "string(",
    "labels",
    "createTime",
    "'x'",
    "//",
    "\\n",
    "${input.list}",
    "${steps.a.output}",
    "${input.list.map(x, x)}",
    "é",
];
const IDS: [&str; 6] = ["a", "b-c", "c", "", "A", "in"];

static LABELS: BTreeMap<String, String> = BTreeMap::new();
static INPUT: LazyLock<Json> =
    LazyLock::new(|| read_payload(br#"{"list": [1, 2.50, "x", null, [true]], "text": "${a}", "n": 1e300}"#).unwrap());

/// The same data for every step.
struct Data;

impl Scope for Data {
    fn input(&self) -> &Json {
        &INPUT
    }

    fn output(&self, step: usize) -> Option<&Json> {
        step.is_multiple_of(2).then_some(&*INPUT)
    }

    fn state(&self, _step: usize) -> &'static str {
        "succeeded"
    }

    fn run(&self) -> RunFacts<'_> {
        RunFacts {
            id: "run_01",
            workflow: "w",
            tenant: "acme",
            agent: "",
            labels: &LABELS,
            create_time_unix_nanos: i64::MAX,
        }
    }

    fn item(&self) -> Option<(&Json, u64)> {
        Some((&INPUT, u64::MAX))
    }
}

fn compile(source: &WorkflowDefinition) -> Option<Definition> {
    let known = Known {
        tiers: &|_| true,
        models: &|_| true,
        workflows: &|_| true,
    };
    match Definition::compile(source, &known) {
        Ok(definition) => Some(definition),
        Err(violations) => {
            assert!(!violations.is_empty(), "refused for no reason");
            assert!(
                violations
                    .iter()
                    .all(|one| !one.path.is_empty() && !one.message.is_empty())
            );
            None
        }
    }
}

/// Renders twice what compiles: never a panic, always the same, and always JSON that can be read again.
fn render(definition: &Definition, template: &Template) {
    let first = template.render(definition, &Data);
    assert_eq!(first, template.render(definition, &Data));
    if let Ok(json) = first {
        assert_eq!(read_payload(json.to_text().as_bytes()), Ok(json));
    }
    let _ = template.render_text(definition, &Data);
    let _ = template.render_key(definition, &Data);
}

fn run(source: &WorkflowDefinition) {
    let Some(definition) = compile(source) else { return };
    for (at, step) in definition.steps.iter().enumerate() {
        assert_eq!(definition.step_index(&step.id), Some(at));
        assert!(!definition.downstream(at)[at], "a step needs itself");
        render(&definition, &step.task.input);
        for template in step
            .task
            .key
            .iter()
            .chain(step.for_each.as_ref().map(|each| &each.items))
        {
            render(&definition, template);
        }
        if let Some(when) = &step.when {
            let _ = when.holds(&definition, &Data);
        }
        assert!(step.reads.iter().all(|read| definition.downstream(*read)[at]));
    }
    if let Some(output) = &definition.output {
        render(&definition, output);
    }
}

fn one_step(input: &str, items: &str, when: &str) -> WorkflowDefinition {
    let queue = "q".to_owned();
    let step = |id: &str, needs: &[&str]| StepDefinition {
        id: id.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        task: Some(StepTask {
            kind: Some(Kind::Agent(AgentTask { queue: queue.clone() })),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut last = step("last", &["a", "b-c"]);
    last.when = when.to_owned();
    last.for_each = (!items.is_empty()).then(|| ForEach {
        items: items.to_owned(),
        ..Default::default()
    });
    last.task.as_mut().unwrap().input = input.to_owned();
    WorkflowDefinition {
        name: "w".to_owned(),
        unknown_tier: "high".to_owned(),
        steps: vec![step("a", &[]), step("b-c", &[]), last],
        ..Default::default()
    }
}

fn words(choices: &[u8]) -> String {
    let words = choices.iter().take(64);
    words.map(|one| WORDS[usize::from(*one) % WORDS.len()]).collect()
}

#[test]
fn arbitrary_template() {
    check!().with_type::<String>().for_each(|text| {
        run(&one_step(text, "", ""));
        run(&one_step(&Json::String(text.clone()).to_text(), "", text));
    });
}

#[test]
fn template_of_words() {
    check!().with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(input, when)| {
        let input = words(input);
        run(&one_step(&format!("\"{input}\""), "\"${input.list}\"", &words(when)));
        run(&one_step(&format!("\"${{{input}}}\""), &format!("[\"{input}\"]"), ""));
    });
}

/// A step in a few choices.
#[derive(Clone, Debug, TypeGenerator)]
struct Step {
    id: u8,
    needs: Vec<u8>,
    kind: u8,
    texts: [Vec<u8>; 3],
    numbers: [u32; 3],
    choices: u8,
}

impl Step {
    fn definition(&self) -> StepDefinition {
        let [first, second, third] = self.texts.each_ref().map(|text| format!("\"{}\"", words(text)));
        let is = |bit: u8| self.choices & (1 << bit) != 0;
        let text = |bit: u8, text: &str| if is(bit) { text.to_owned() } else { String::new() };
        let kind = match self.kind % 6 {
            0 => Some(Kind::Agent(AgentTask {
                queue: words(&self.needs),
            })),
            1 => Some(Kind::Model(ModelTask {
                prompt: text(0, &first),
                messages: text(1, &second),
                temperature: text(2, &third),
                ..Default::default()
            })),
            2 => Some(Kind::Approval(ApprovalTask {
                show: text(0, &first),
                title: text(1, &second),
                ..Default::default()
            })),
            3 => Some(Kind::Wait(WaitTask {
                for_millis: u64::from(self.numbers[0]) << (self.choices % 33),
                until: text(0, &first),
                ..Default::default()
            })),
            4 => Some(Kind::Workflow(ChildTask {
                workflow: words(&self.needs),
            })),
            _ => None,
        };
        let id = |choice: u8| IDS[usize::from(choice) % IDS.len()].to_owned();
        StepDefinition {
            id: id(self.id),
            needs: self.needs.iter().take(8).map(|need| id(*need)).collect(),
            when: text(3, &words(&self.texts[2])),
            for_each: is(4).then(|| ForEach {
                items: second,
                max_parallel: self.numbers[1],
                quorum: self.numbers[2],
            }),
            task: kind.map(|kind| StepTask {
                kind: Some(kind),
                input: text(5, &third),
                idempotency_key: text(6, &first),
                on_unknown: i32::from(self.choices % 7),
                effect: i32::from(self.kind % 7),
                ..Default::default()
            }),
            compensate: text(7, "undo"),
        }
    }
}

#[test]
fn arbitrary_graph() {
    check!()
        .with_type::<(Vec<Step>, Vec<u8>)>()
        .for_each(|(steps, output)| {
            run(&WorkflowDefinition {
                name: "w".to_owned(),
                unknown_tier: "high".to_owned(),
                output: format!("\"{}\"", words(output)),
                steps: steps.iter().take(8).map(Step::definition).collect(),
                ..Default::default()
            });
        });
}

#[test]
fn arbitrary_definition() {
    check!().with_type::<Vec<u8>>().for_each(|bytes| {
        if let Ok(source) = WorkflowDefinition::decode(bytes.as_slice()) {
            run(&source);
        }
    });
}

const SCHEMA_WORDS: [&str; 32] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"type\"",
    "\"object\"",
    "\"array\"",
    "\"number\"",
    "\"properties\"",
    "\"required\"",
    "\"items\"",
    "\"$ref\"",
    "\"#\"",
    "\"#/$defs/a\"",
    "\"$defs\"",
    "\"a\"",
    "\"allOf\"",
    "\"not\"",
    "\"pattern\"",
    "\"^(a+)+$\"",
    "\"minimum\"",
    "1",
    "-1.5e3",
    "true",
    "null",
    "\"enum\"",
    "\"if\"",
    "\"unevaluatedProperties\"",
    "\"$dynamicRef\"",
    "\"$id\"",
];

#[test]
fn schema_of_words() {
    check!().with_type::<Vec<u8>>().for_each(|choices| {
        let words = choices.iter().take(64);
        let text: String = words
            .map(|one| SCHEMA_WORDS[usize::from(*one) % SCHEMA_WORDS.len()])
            .collect();
        if let Ok(schema) = Schema::compile(&text) {
            let _ = schema.check(&INPUT);
        }
    });
}

#[test]
fn arbitrary_payload() {
    check!().with_type::<Vec<u8>>().for_each(|bytes| {
        let serde: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
        match read_payload(bytes) {
            Ok(json) => {
                assert_eq!(read_payload(json.to_text().as_bytes()).as_ref(), Ok(&json));
                assert!(serde.is_ok());
            }
            Err(error) => assert!(!error.message.is_empty()),
        }
    });
}
