//! Answers from the response cache. A hit is decided like any call, by policy, route, constraints and rates of requests,
//! but nothing is sent: it holds nothing, is charged nothing, and has ended when it is admitted.
use fairlead_plan::{Compiled, PlanDecision, UnixNanos};
use fairlead_wire::internal::InvocationRecord;
use fairlead_wire::v1::{
    AdmitResponse, EventKind, InvocationState, SettleResponse, SettlementRecord, audit_record::Body,
};
use prost::Message;

use crate::admit::{Admission, timestamp};
use crate::amount::ZERO;
use crate::command::Applied;
use crate::engine::Engine;
use crate::judge::{BudgetCase, Judgement, Outcome, Question, RateCase};
use crate::keys;
use crate::record::DecisionFacts;
use crate::unit::{Write, family};

impl<H> Question<'_, H> {
    /// Whether the answer that the cache has may be given: the route keeps answers, and the model may take the call now. An
    /// answer that was made before policy lowered the output could be longer than policy allows, so it is not given then;
    /// nor is one of a call that people have to agree to.
    pub(crate) fn is_hit(&self, decision: &PlanDecision) -> bool {
        let model = self.cached.and_then(|name| self.compiled.model_id(name));
        let may_answer = model.is_some_and(|model| decision.plan.iter().any(|planned| planned.model == model));
        let keeps_answers = decision
            .route
            .and_then(|id| self.compiled.route(id))
            .is_some_and(|route| route.cache_ttl.is_some());
        may_answer && keeps_answers && !decision.policy_clamped && decision.approval.is_none()
    }
}

impl Judgement {
    /// The call is answered from the cache: there is nobody to ask.
    pub(crate) fn cached(decision: PlanDecision) -> Self {
        Self {
            reason: format!("{}; the response cache has the answer", decision.reason),
            decision,
            plan: Vec::new(),
            downgraded_to: None,
            over: Vec::new(),
            outcome: Outcome::Cached,
        }
    }
}

impl Engine {
    /// Admits and settles a call that is answered from the cache, in one unit.
    pub(crate) fn answer_from_cache(
        &mut self,
        compiled: &Compiled,
        admission: &Admission<'_>,
        judgement: &Judgement,
        budgets: &[BudgetCase],
        rates: &[RateCase],
        mut reply: AdmitResponse,
    ) -> Applied<AdmitResponse> {
        let (now, tenant) = (admission.now, admission.facts.tenant);
        reply.admitted_at = Some(timestamp(now));
        for case in rates {
            self.rates
                .take_request(case.id, tenant, case.instance.as_str(), UnixNanos(now));
        }
        let mut unit = self.begin();
        let decided = DecisionFacts {
            held: Some(ZERO),
            ..admission.decided(compiled, judgement, budgets, rates, &reply)
        };
        self.append_decision(&mut unit, admission, &decided);
        let cached = admission.cached.unwrap_or_default();
        let mut audit = self.record(now, EventKind::InvocationSettled, admission.caller, &reply.invocation);
        audit.body = Some(Body::Settlement(SettlementRecord {
            charged: Some(ZERO),
            released: Some(ZERO),
            model: cached.model.to_owned(),
            content_digest: cached.content_digest.to_vec(),
            content_bytes: cached.content_bytes,
            ..SettlementRecord::default()
        }));
        unit.append(&mut self.chain, audit);
        unit.writes
            .extend(self.sessions.touch(now, tenant, admission.facts.session));
        let request_key = admission
            .request
            .map(|hash| self.remember(&mut unit, admission, &hash, &reply.invocation));
        let record = InvocationRecord {
            invocation: reply.invocation.clone(),
            tenant: tenant.to_owned(),
            agent: admission.caller.agent.to_owned(),
            state: InvocationState::Settled as i32,
            create_time_unix_nanos: now,
            sequences: unit.sequences.clone(),
            admitted: Some(reply.clone()),
            request_key: request_key.unwrap_or_default(),
            settled: Some(SettleResponse {
                charged: Some(ZERO),
                released: Some(ZERO),
                ..SettleResponse::default()
            }),
            config_version: self.compiled.version().to_owned(),
            settled_by_sidecar: true,
            ..InvocationRecord::default()
        };
        let key = keys::invocation(tenant, &admission.id);
        unit.writes
            .push(Write::put(family::INVOCATIONS, key, record.encode_to_vec()));
        Applied::done(reply, Some(unit.done(self.is_power())))
    }
}
