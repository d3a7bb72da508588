//! Time and bytes of one durable step in process: a run of five steps in a row whose worker takes the next step with each
//! result, beside `open/N` other runs that wait for a signal. One JSON line per measurement. Standard library only; run by
//! `make bench`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement fails loudly"
)]
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use fairlead_engine::{Applied, Caller, Engine, Salts, Workflows};
use fairlead_plan::{Compiled, UnixNanos};
use fairlead_wire::internal::step_task::Kind;
use fairlead_wire::internal::{
    self, AgentTask, EngineConfig, Known, OnUnknown, StepDefinition, StepTask, StepTimeouts, WaitTask,
    WorkflowDefinition,
};
use fairlead_wire::v1::{AttemptRef, CompleteStepRequest, LeaseWish, StartRunRequest, StepEffect, StepLease};

/// 2026-03-02 10:00:00 UTC.
const START: i64 = 1_772_445_600_000_000_000;
/// Between two commands.
const TICK: i64 = 50_000;
const STEPS: usize = 5;
/// What every step takes and gives.
const PAYLOAD: &str = r#"{"text":"sixty-four bytes of what one step hands on to the next.."}"#;

fn main() {
    // `cargo test --benches` only has to see that it runs.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let (runs, open) = if is_bench {
        (4_000, vec![0, 100_000])
    } else {
        (10, vec![0])
    };
    for waiting in open {
        let mut bench = Bench::new();
        for number in 0..waiting {
            bench.start("waits", number);
        }
        bench.measured = Measured::default();
        for number in 0..runs {
            bench.run(number);
        }
        let measured = bench.measured;
        let steps = (runs * STEPS) as u64;
        println!(
            r#"{{"name": "step/open/{waiting}", "mean_ns": {}, "bytes": {}, "writes": {:.1}, "n": {steps}}}"#,
            measured.nanos / steps,
            measured.bytes / steps,
            measured.writes as f64 / steps as f64,
        );
    }
}

#[derive(Default)]
struct Measured {
    nanos: u64,
    bytes: u64,
    writes: u64,
}

struct Bench {
    engine: Engine,
    now: i64,
    measured: Measured,
}

const BOT: Caller<'static> = Caller::agent("acme", "bot");

impl Bench {
    fn new() -> Self {
        let config = config();
        let mut engine = Engine::new(Arc::new(Compiled::compile(&config).unwrap()), Salts::new([7; 32]));
        engine.set_workflows(Arc::new(Workflows::compile(&config).unwrap()));
        Self {
            engine,
            now: START,
            measured: Measured::default(),
        }
    }

    fn timed<T>(&mut self, command: impl FnOnce(&mut Engine, UnixNanos) -> Applied<T>) -> T {
        self.now += TICK;
        let started = Instant::now();
        let applied = command(&mut self.engine, UnixNanos(self.now));
        self.measured.nanos += u64::try_from(started.elapsed().as_nanos()).unwrap();
        self.engine.take_wakes();
        for write in applied.unit.iter().flat_map(|unit| &unit.writes) {
            let bytes = write.key.len() + write.value.as_ref().map_or(0, Vec::len);
            self.measured.bytes += bytes as u64;
            self.measured.writes += 1;
        }
        applied.reply.unwrap()
    }

    fn start(&mut self, workflow: &str, number: usize) {
        let request = StartRunRequest {
            request_id: format!("{workflow}-{number}"),
            workflow: workflow.to_owned(),
            input: PAYLOAD.as_bytes().to_vec(),
            ..StartRunRequest::default()
        };
        // What the store would answer: the id is new. One id in some 50,000 looks as if it had been used.
        let known = Known::default();
        self.timed(|engine, now| engine.start_run(now, BOT, &request, Some(&known)));
    }

    fn run(&mut self, number: usize) {
        self.start("chain", number);
        let wish = LeaseWish {
            worker: "w-1".to_owned(),
            queues: vec!["work".to_owned()],
            max_steps: 1,
        };
        let mut leases = self.timed(|engine, now| engine.lease_steps(now, BOT, &wish));
        while let Some(lease) = leases.pop() {
            let request = CompleteStepRequest {
                attempt: Some(attempt(&lease)),
                output: PAYLOAD.as_bytes().to_vec(),
                next: Some(wish.clone()),
            };
            leases = self
                .timed(|engine, now| engine.complete_step(now, BOT, &request))
                .leases;
        }
    }
}

fn attempt(lease: &StepLease) -> AttemptRef {
    AttemptRef {
        run: lease.run.clone(),
        step: lease.step.clone(),
        epoch: lease.epoch,
        lease: lease.lease.clone(),
    }
}

fn config() -> EngineConfig {
    let task = |kind| StepTask {
        kind: Some(kind),
        on_unknown: OnUnknown::Fail as i32,
        timeouts: Some(StepTimeouts {
            lease_millis: 30_000,
            attempt_millis: 600_000,
            ..StepTimeouts::default()
        }),
        ..StepTask::default()
    };
    let chain = (1..=STEPS).map(|number| StepDefinition {
        id: format!("s{number}"),
        needs: (number > 1).then(|| format!("s{}", number - 1)).into_iter().collect(),
        task: Some(StepTask {
            input: if number > 1 {
                format!(r#""${{steps.s{}.output}}""#, number - 1)
            } else {
                r#""${input}""#.to_owned()
            },
            effect: StepEffect::Read as i32,
            ..task(Kind::Agent(AgentTask {
                queue: "work".to_owned(),
            }))
        }),
        ..StepDefinition::default()
    });
    let wait = StepDefinition {
        id: "wait".to_owned(),
        task: Some(task(Kind::Wait(WaitTask {
            signal: "go".to_owned(),
            ..WaitTask::default()
        }))),
        ..StepDefinition::default()
    };
    let definition = |name: &str, steps, version: &str| WorkflowDefinition {
        name: name.to_owned(),
        version: version.repeat(32),
        steps,
        ..WorkflowDefinition::default()
    };
    EngineConfig {
        version: "3f5a".repeat(16),
        tenants: vec![internal::Tenant {
            name: "acme".to_owned(),
            agents: vec![internal::Agent {
                name: "bot".to_owned(),
                labels: BTreeMap::new(),
                queues: Vec::new(),
            }],
        }],
        limits: Some(internal::Limits {
            request_bytes: 8 << 20,
            queue_depth: 4_096,
            budget_instances: 10_000,
            streams: 2_048,
            open_reservations: 10_000,
            request_ids: 1_000_000,
            clock_skew_millis: 5_000,
            open_runs: 200_000,
            run_bytes: 1 << 30,
            payload_bytes: 1 << 20,
            for_each_items: 1_000,
            run_depth: 4,
            ..Default::default()
        }),
        audit_content: "digest".to_owned(),
        defaults: BTreeMap::from([("model.call".to_owned(), "allow".to_owned())]),
        workflows: vec![
            definition("chain", chain.collect(), "ca"),
            definition("waits", vec![wait], "aa"),
        ],
        ..EngineConfig::default()
    }
}
