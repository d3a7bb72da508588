//! Runs of a workflow whose steps only hand a result on: who starts them, and a worker that does their steps.
//!
//! Both are in one process, so that no step waits for a second program on the same two cores.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use fairlead_wire::v1::{
    AttemptRef, CompleteStepRequest, CompleteStepResponse, LeaseStepsRequest, LeaseStepsResponse, LeaseWish, RunState,
    StartRunRequest, StartRunResponse,
};
use prost::Message;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::grpc::{Connection, Endpoint};
use crate::{Outcome, report::Latencies};

/// Queue of all steps.
const QUEUE: &str = "noop";
/// Steps of a chain.
const STEPS: u64 = 5;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What both sides know of the runs in flight.
#[derive(Default)]
struct Runs {
    open: Mutex<HashMap<String, Moments>>,
    between_steps: Mutex<Latencies>,
}

/// When what happened in one run.
#[derive(Default)]
struct Moments {
    first_step: Option<Instant>,
    last_step: Option<Instant>,
    ended: Option<Instant>,
    waiter: Option<oneshot::Sender<()>>,
}

impl Runs {
    fn change<T>(&self, run: &str, change: impl FnOnce(&mut Moments) -> T) -> T {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        change(open.entry(run.to_owned()).or_default())
    }

    /// A step of the run has arrived at a worker.
    fn leased(&self, run: &str) {
        let now = Instant::now();
        let before = self.change(run, |moments| {
            moments.first_step.get_or_insert(now);
            moments.last_step.replace(now)
        });
        if let Some(before) = before {
            let mut latencies = self.between_steps.lock().unwrap_or_else(PoisonError::into_inner);
            latencies.add(now - before);
        }
    }

    /// The worker was told that the run has ended.
    fn ended(&self, run: &str) {
        let now = Instant::now();
        let waiter = self.change(run, |moments| {
            moments.ended = Some(now);
            moments.waiter.take()
        });
        if let Some(waiter) = waiter {
            let _ = waiter.send(());
        }
    }

    /// Waits for the end of the run and forgets it: when its first step arrived, and when it ended.
    async fn end(&self, run: &str) -> Outcome<(Instant, Instant)> {
        let waits = self.change(run, |moments| {
            if moments.ended.is_some() {
                return None;
            }
            let (sender, receiver) = oneshot::channel();
            moments.waiter = Some(sender);
            Some(receiver)
        });
        if let Some(waits) = waits {
            waits.await?;
        }
        let moments = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
        let moments = moments.unwrap_or_default();
        Ok((
            moments.first_step.ok_or("a run ended without steps")?,
            moments.ended.ok_or("a run has no end")?,
        ))
    }
}

/// What whoever starts runs sees.
#[derive(Default)]
struct Seen {
    acknowledged: Latencies,
    first_step: Latencies,
    whole: Latencies,
    steps: u64,
}

/// What is started.
#[derive(Clone)]
struct Work {
    endpoint: Arc<Endpoint>,
    runs: Arc<Runs>,
    workflow: String,
    bytes: usize,
}

/// Keeps `concurrent` runs of the chain `workflow` open until there were `runs` of them; as many lanes of one worker do
/// their steps. The input and the result of every step are `bytes` random characters.
pub async fn chains(
    address: &str,
    token: &str,
    workflow: &str,
    concurrent: usize,
    runs: usize,
    bytes: usize,
) -> Outcome<()> {
    let work = Work {
        endpoint: Arc::new(Endpoint::new(address, token)),
        runs: Arc::new(Runs::default()),
        workflow: workflow.to_owned(),
        bytes,
    };
    let (of_worker, of_starters) = (work.endpoint.connect().await?, work.endpoint.connect().await?);
    let (mut lanes, mut starters) = (JoinSet::new(), JoinSet::new());
    for _ in 0..concurrent {
        lanes.spawn(lane(work.clone(), of_worker.clone()));
    }
    let began = Instant::now();
    for number in 0..concurrent {
        let share = runs / concurrent + usize::from(number < runs % concurrent);
        starters.spawn(one_after_the_other(work.clone(), of_starters.clone(), number, share));
    }
    let mut all = Seen::default();
    loop {
        tokio::select! {
            Some(failed) = lanes.join_next() => failed??,
            starter = starters.join_next() => match starter {
                Some(seen) => {
                    let seen = seen??;
                    all.acknowledged.merge(seen.acknowledged);
                    all.first_step.merge(seen.first_step);
                    all.whole.merge(seen.whole);
                    all.steps += seen.steps;
                }
                None => break,
            },
        }
    }
    let took = began.elapsed();
    let mut between = std::mem::take(&mut *work.runs.between_steps.lock().unwrap_or_else(PoisonError::into_inner));
    let rate = all.steps as f64 / took.as_secs_f64();
    let (step_p50, step_p99, step_max) = between.summary();
    let (run_p50, run_p99, run_max) = all.whole.summary();
    let (start_p50, start_p99, _) = all.acknowledged.summary();
    let (first_p50, first_p99, _) = all.first_step.summary();
    println!(
        "{}",
        serde_json::json!({
            "steps": all.steps, "rate": rate, "step_p50": step_p50, "step_p99": step_p99, "step_max": step_max,
            "run_p50": run_p50, "run_p99": run_p99, "run_max": run_max, "start_p50": start_p50, "start_p99": start_p99,
            "first_p50": first_p50, "first_p99": first_p99,
        })
    );
    Ok(())
}

/// Starts `runs` runs that nobody does, `concurrent` at once.
pub async fn start(
    address: &str,
    token: &str,
    workflow: &str,
    concurrent: usize,
    runs: usize,
    bytes: usize,
) -> Outcome<()> {
    let work = Work {
        endpoint: Arc::new(Endpoint::new(address, token)),
        runs: Arc::new(Runs::default()),
        workflow: workflow.to_owned(),
        bytes,
    };
    let connection = work.endpoint.connect().await?;
    let began = Instant::now();
    let mut starters = JoinSet::new();
    for number in 0..concurrent {
        let share = runs / concurrent + usize::from(number < runs % concurrent);
        let (work, mut connection) = (work.clone(), connection.clone());
        starters.spawn(async move {
            let (mut random, mut latencies) = (Random::new(), Latencies::default());
            for count in 0..share {
                let began = Instant::now();
                start_run(&work, &mut connection, &request_id(number, count), &mut random).await?;
                latencies.add(began.elapsed());
            }
            Outcome::Ok(latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(latencies) = starters.join_next().await {
        all.merge(latencies??);
    }
    let rate = all.len() as f64 / began.elapsed().as_secs_f64();
    let (p50, p99, max) = all.summary();
    println!(
        "{}",
        serde_json::json!({"runs": all.len(), "rate": rate, "p50": p50, "p99": p99, "max": max})
    );
    Ok(())
}

async fn one_after_the_other(work: Work, mut connection: Connection, number: usize, runs: usize) -> Outcome<Seen> {
    let (mut random, mut seen) = (Random::new(), Seen::default());
    for count in 0..runs {
        let began = Instant::now();
        let run = start_run(&work, &mut connection, &request_id(number, count), &mut random).await?;
        seen.acknowledged.add(began.elapsed());
        let (first_step, ended) = work.runs.end(&run).await?;
        seen.first_step.add(first_step - began);
        seen.whole.add(ended - began);
        seen.steps += STEPS;
    }
    Ok(seen)
}

fn request_id(starter: usize, count: usize) -> String {
    format!("{}-{starter}-{count}", std::process::id())
}

async fn start_run(work: &Work, connection: &mut Connection, id: &str, random: &mut Random) -> Outcome<String> {
    let request = StartRunRequest {
        request_id: id.to_owned(),
        workflow: work.workflow.clone(),
        input: serde_json::to_vec(&serde_json::json!({"text": random.text(work.bytes)}))?,
        ..StartRunRequest::default()
    };
    let answer = work
        .endpoint
        .call(connection, "/fairlead.v1.WorkflowService/StartRun", &request)
        .await?;
    let run = StartRunResponse::decode(answer)?.run.ok_or("an answer without a run")?;
    Ok(run.name)
}

/// One slot of a worker: leases a step, does it, and goes on with the step that comes with the answer.
async fn lane(work: Work, mut connection: Connection) -> Outcome<()> {
    let mut random = Random::new();
    let wish = LeaseWish {
        worker: "load".into(),
        queues: vec![QUEUE.into()],
        max_steps: 1,
    };
    let polled = LeaseStepsRequest {
        wish: Some(wish.clone()),
        timeout: None,
    };
    loop {
        let answer = work
            .endpoint
            .call(&mut connection, "/fairlead.v1.WorkerService/LeaseSteps", &polled)
            .await?;
        let mut leases = LeaseStepsResponse::decode(answer)?.leases;
        while let Some(step) = leases.pop() {
            work.runs.leased(&step.run);
            let request = CompleteStepRequest {
                attempt: Some(AttemptRef {
                    run: step.run.clone(),
                    step: step.step,
                    epoch: step.epoch,
                    lease: step.lease,
                }),
                output: serde_json::to_vec(&random.text(work.bytes))?,
                next: Some(wish.clone()),
            };
            let answer = work
                .endpoint
                .call(&mut connection, "/fairlead.v1.WorkerService/CompleteStep", &request)
                .await?;
            let answer = CompleteStepResponse::decode(answer)?;
            match answer.run_state() {
                RunState::Succeeded => work.runs.ended(&step.run),
                RunState::Unspecified | RunState::Failed | RunState::Cancelled => {
                    return Err(format!("{} has failed", step.run).into());
                }
                _ => {}
            }
            leases = answer.leases;
        }
    }
}

/// Text that cannot be compressed much, quickly (splitmix64).
struct Random(u64);

impl Random {
    fn new() -> Random {
        Random(RandomState::new().hash_one(std::process::id()))
    }

    fn text(&mut self, characters: usize) -> String {
        let mut text = String::with_capacity(characters + 10);
        while text.len() < characters {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            for sextet in 0..10 {
                text.push(char::from(ALPHABET[(mixed >> (6 * sextet)) as usize & 63]));
            }
        }
        text.truncate(characters);
        text
    }
}
