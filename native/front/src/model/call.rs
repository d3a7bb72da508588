//! One governed call.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fairlead_engine::{AdmitExtra, Reason, Rejection};
use fairlead_plan::{Compiled, Model, UNKNOWN_CONTEXT};
use fairlead_upstream::{self as upstream, AttemptLog, Call, HealthSink, SystemJitter, Target};
use fairlead_wire::v1::{AdmitResponse, Amount, Attempt, Decision};
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::attempt::{self, CallHealth};
use super::cache::{Answered, Lookup, Recording};
use super::hold::{Given, Hold};
use super::kept;
use super::live::Live;
use super::providers::Rules;
use super::request::ModelCall;
use super::screening;
use super::step::StepCall;
use crate::auth::Identity;
use crate::core::Patience;
use crate::front::Front;
use crate::refusal;

/// What every answer says about its call.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Id of the invocation.
    pub(crate) invocation: String,
    /// The decision.
    pub(crate) decision: Decision,
    /// Name of the model that answers; empty until one does.
    pub(crate) model: String,
    /// How old the answer is, when it comes from the response cache.
    pub(crate) cached: Option<Duration>,
}

/// How a call is answered.
pub(crate) enum Answer {
    /// Whole, settled.
    Whole(Box<Whole>),
    /// As a stream, settled at its end.
    Stream(Box<Live>),
}

/// A whole answer; its settlement is committed.
#[derive(Debug)]
pub(crate) struct Whole {
    /// About the call.
    pub(crate) head: Head,
    /// Status of the provider.
    pub(crate) status: StatusCode,
    /// Headers of the provider that are passed on.
    pub(crate) headers: HeaderMap,
    /// The body, in the caller's dialect.
    pub(crate) body: Bytes,
    /// Every attempt.
    pub(crate) attempts: Vec<Attempt>,
    /// What was charged.
    pub(crate) charged: Option<Amount>,
    /// True when the provider refused the request itself: `status` and `body` are its refusal.
    pub(crate) refused: bool,
}

/// A call without an answer.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Why.
    pub(crate) rejection: Rejection,
    /// About the call, when it was admitted.
    pub(crate) head: Option<Box<Head>>,
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, head: None }
    }
}

/// Makes the call. Dropping the future cancels it at the provider; what it holds is given back all the same (M1).
pub(crate) async fn start(front: &Arc<Front>, identity: Identity, call: ModelCall) -> Result<Answer, Refused> {
    let (tell, told) = oneshot::channel();
    let task = run(Arc::clone(front), identity, call, tell);
    front.tasks.spawn_to_the_end("model call", task);
    told.await.unwrap_or_else(|_panicked| {
        Err(refusal::of(
            Reason::Internal,
            "the call ended unexpectedly; what it held is settled or expires",
        )
        .into())
    })
}

type Tell = oneshot::Sender<Result<Answer, Refused>>;

async fn run(front: Arc<Front>, identity: Identity, mut call: ModelCall, mut tell: Tell) {
    let running = front.core.running();
    let model = &front.model;
    let made = model.providers.of(&running);
    let translations = made.translations(call.body.dialect());
    let admission = call.admission(&translations, || model.draws.next());
    let lookup = Lookup::new(&model.cache, &running, &identity, &call);
    let extra = AdmitExtra {
        cached: lookup.cached(),
        ..admission.extra()
    };
    let gone = Notify::new();
    let patience = Patience {
        deadline: call.deadline,
        gone: Some(&gone),
    };
    let admit = front.core.admit(identity.caller(), &admission.request, extra, patience);
    tokio::pin!(admit);
    let admitted = tokio::select! {
        biased;
        admitted = &mut admit => admitted,
        // The caller went away. Its place in a line is free at once; a hold that was granted meanwhile is given back below.
        () = tell.closed() => {
            gone.notify_one();
            admit.await
        }
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(rejection) => return answer(tell, Err(rejection.into())),
    };
    let head = head(&admitted.response);
    if let Some(known) = admitted.replay {
        return answer(
            tell,
            kept::replay(head, known).map(|whole| Answer::Whole(Box::new(whole))),
        );
    }
    if let Some(given) = lookup.answer(&head, &admitted.response, &front.metrics) {
        return answer(tell, Ok(given));
    }
    let log = AttemptLog::new();
    // Declared before the call, so that it is dropped after it and sees its last attempt.
    let hold = Hold::new(&front, &identity, &head.invocation, &log);
    let health: Arc<dyn HealthSink> = Arc::new(CallHealth {
        core: front.core.clone(),
        input_bytes: Some(call.body.facts().input_bytes).filter(|_| !call.body.facts().stored_input),
    });
    // A reload may have come between: the call is made by the configuration that its hold was computed with.
    let version = &head.decision.config_version;
    let (running, made) = if running.compiled.version() == version {
        (running, made)
    } else if let Some(running) = front.core.running_as(version).await {
        let made = model.providers.of(&running);
        (running, made)
    } else {
        let message = "the configuration was replaced while the call was being decided";
        let rejection = refusal::retry(Reason::NotReady, message, Duration::from_millis(100));
        return answer(tell, Err(rejection.into()));
    };
    let step = call.step.take();
    let keep = call.remembered().then(|| running.limits().kept_answer_bytes);
    let recording = lookup.record(&running, &head, &admitted.response);
    let planned = planned(
        call,
        &running.compiled,
        made.rules(&head.decision.route),
        &admitted.response,
        screening::of(&running.compiled, &head.decision.output_rules),
    );
    let answered = tokio::select! {
        biased;
        // The caller went away. The call is dropped first, which closes the provider's connection; then the hold.
        () = tell.closed() => return,
        answered = made.upstream.execute(&planned, &health, &SystemJitter, &log) => answered,
    };
    let told = match answered {
        upstream::Answer::Stream(stream) => {
            Ok(Answer::Stream(Box::new(Live::new(head, *stream, hold, log, recording))))
        }
        upstream::Answer::Whole(whole) => settled(hold, head, whole, false, &log, keep, recording, step).await,
        upstream::Answer::Refused(whole) => settled(hold, head, whole, true, &log, keep, None, None).await,
        upstream::Answer::Exhausted(exhausted) => {
            let attempts = attempt::attempts(&log.attempts());
            let rejection = attempt::exhausted(&attempts, &exhausted);
            let kept = keep.and_then(|most| kept::encode(&head, &Bytes::new(), attempts, most));
            let ended = hold
                .end(Given {
                    kept,
                    ..Given::default()
                })
                .await;
            Err(Refused {
                rejection: ended.err().unwrap_or(rejection),
                head: Some(Box::new(head)),
            })
        }
    };
    answer(tell, told);
}

/// A stream whose receiver is gone is dropped here, and settles itself.
fn answer(tell: Tell, told: Result<Answer, Refused>) {
    drop(tell.send(told));
}

/// Settles a whole answer. When that cannot be written, the answer is withheld: no reply leaves before its commit.
#[expect(clippy::too_many_arguments, reason = "the parts of one answer, used twice")]
async fn settled(
    hold: Hold,
    head: Head,
    whole: upstream::Whole,
    refused: bool,
    log: &AttemptLog,
    keep: Option<u64>,
    recording: Option<Recording>,
    step: Option<StepCall>,
) -> Result<Answer, Refused> {
    let head = Head {
        model: whole.model,
        ..head
    };
    let attempts = attempt::attempts(&log.attempts());
    let given = Given {
        digest: Some(Sha256::digest(&whole.body).into()),
        bytes: i64::try_from(whole.body.len()).unwrap_or(i64::MAX),
        kept: keep.and_then(|most| kept::encode(&head, &whole.body, attempts.clone(), most)),
        // An answer that is no result ends no step; its attempt fails behind the settlement.
        step: step.and_then(|step| Some((step.result(&whole.body).ok()?, step))),
    };
    match hold.end(given).await {
        Ok(charged) => {
            if let Some(recording) = recording {
                recording.whole(&Answered::by(&head, &whole.headers), &whole.body);
            }
            Ok(Answer::Whole(Box::new(Whole {
                head,
                status: whole.status,
                headers: whole.headers,
                body: whole.body,
                attempts,
                charged: Some(charged),
                refused,
            })))
        }
        Err(rejection) => Err(Refused {
            rejection,
            head: Some(Box::new(head)),
        }),
    }
}

fn head(admitted: &AdmitResponse) -> Head {
    Head {
        invocation: admitted.invocation.clone(),
        decision: admitted.decision.clone().unwrap_or_default(),
        model: String::new(),
        cached: None,
    }
}

/// The plan, as the attempts take it.
fn planned(
    call: ModelCall,
    compiled: &Compiled,
    rules: &Rules,
    admitted: &AdmitResponse,
    screen: Option<Arc<dyn upstream::Screening>>,
) -> Call {
    let left = call
        .deadline
        .map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let timeout = match (rules.timeout, left) {
        (Some(route), Some(left)) => Some(route.min(left)),
        (one, other) => one.or(other),
    };
    let targets = admitted
        .plan
        .iter()
        .map(|target| Target {
            model: target.model.clone(),
            provider: target.provider.clone(),
            upstream_model: target.upstream_model.clone(),
            timeout: target
                .timeout
                .and_then(|timeout| timeout.try_into().ok())
                .unwrap_or_default(),
            max_output_tokens: target.max_output_tokens,
            input_tokens_bound: input_bound(&call, compiled, &target.model),
        })
        .collect();
    Call {
        request: call.body,
        targets,
        retry: rules.retry,
        fallback: rules.fallback.clone(),
        timeout,
        screen,
        drop_untranslatable: rules.drop_untranslatable,
        forward_headers: call.forward_headers,
    }
}

/// Most input tokens that an attempt can have read, for an estimate when the provider reports none.
fn input_bound(call: &ModelCall, compiled: &Compiled, model: &str) -> i64 {
    let facts = call.body.facts();
    if !facts.stored_input {
        return facts.input_bytes;
    }
    let model = compiled.model_id(model).and_then(|id| compiled.model(id));
    model.map_or(UNKNOWN_CONTEXT, Model::window).0
}
