//! Given a configuration, when commands come, then the answers and the log say so. The bench plays front and store: it
//! commits units, answers look-ups, and checks the invariants and every decision record after each step.
use std::collections::BTreeMap;
use std::sync::Arc;

use fairlead_engine::{AdmitExtra, Applied, Caller, EndExtra, Engine, Refusal, Rejection, Salts, Write, family};
use fairlead_plan::{Compiled, UnixNanos};
use fairlead_wire::internal::{
    self, AdjustBudget, BudgetView, EngineConfig, InvocationRecord, Known, NeedsRecord, RequestRecord,
};
use fairlead_wire::v1::admit_request::Input;
use fairlead_wire::v1::{
    AdmitRequest, AdmitResponse, Amount, Attempt, AttemptOutcome, AuditRecord, EventKind, ReleaseRequest,
    ReleaseResponse, SettleRequest, SettleResponse, Usage, audit_record::Body,
};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::workflow_bench::workflows_of;

pub const MILLI: i64 = 1_000_000;
pub const SECOND: i64 = 1_000 * MILLI;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// 2026-03-02 10:00:00 UTC, a Monday.
pub const MONDAY: i64 = 1_772_445_600 * SECOND;

/// What every text of people and agents begins with on the bench, so that none gets by (E1).
pub const SAID: &str = "said:";

pub struct Bench {
    pub engine: Engine,
    pub now: i64,
    pub store: BTreeMap<(u32, Vec<u8>), Vec<u8>>,
    pub configs: BTreeMap<String, Arc<Compiled>>,
    config: EngineConfig,
    numbers: u64,
    head: [u8; 32],
    sequence: u64,
    /// Invariants are checked after every so many commands.
    pub check_every: u64,
    commands: u64,
    /// Whether the last unit is acknowledged only after an fsync.
    pub last_power: bool,
}

impl Bench {
    pub fn given(config: EngineConfig) -> Self {
        let compiled = compile(&config);
        let configs = BTreeMap::from([(config.version.clone(), Arc::clone(&compiled))]);
        let mut engine = Engine::new(Arc::clone(&compiled), Salts::new([7; 32]));
        engine.set_workflows(workflows_of(&config));
        let mut bench = Self {
            engine,
            now: MONDAY,
            store: BTreeMap::new(),
            configs,
            config,
            numbers: 0,
            head: [0; 32],
            sequence: 0,
            check_every: 1,
            commands: 0,
            last_power: false,
        };
        let started = bench.engine.start(UnixNanos(bench.now), "test");
        bench.take(started).unwrap();
        bench
    }

    /// The configuration in force.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Time passes.
    pub fn after(&mut self, nanos: i64) -> &mut Self {
        self.now += nanos;
        self
    }

    pub fn admit(&mut self, request: &AdmitRequest) -> Result<AdmitResponse, Rejection> {
        let extra = AdmitExtra {
            remember: true,
            ..AdmitExtra::default()
        };
        self.admit_as(Caller::agent("acme", "bot"), request, extra)
    }

    pub fn admit_as(
        &mut self,
        caller: Caller<'_>,
        request: &AdmitRequest,
        extra: AdmitExtra<'_>,
    ) -> Result<AdmitResponse, Rejection> {
        match self.try_admit(caller, request, extra) {
            Ok(reply) => Ok(reply),
            Err(Refusal::Rejected(rejection)) => Err(rejection),
            Err(other) => panic!("{other:?}"),
        }
    }

    pub fn try_admit(
        &mut self,
        caller: Caller<'_>,
        request: &AdmitRequest,
        extra: AdmitExtra<'_>,
    ) -> Result<AdmitResponse, Refusal> {
        let applied = self.engine.admit(UnixNanos(self.now), caller, request, extra);
        match self.take_any(applied) {
            Err(Refusal::NeedsRecord(needs)) => {
                let known = self.read(&needs);
                let extra = AdmitExtra {
                    known: Some(&known),
                    ..extra
                };
                let applied = self.engine.admit(UnixNanos(self.now), caller, request, extra);
                self.take_any(applied)
            }
            other => other,
        }
    }

    pub fn settle(&mut self, invocation: &str, attempts: Vec<Attempt>) -> Result<SettleResponse, Rejection> {
        let request_id = self.request_id();
        self.settle_as(
            Caller::agent("acme", "bot"),
            &SettleRequest {
                request_id,
                invocation: invocation.to_owned(),
                attempts,
            },
        )
    }

    pub fn settle_as(&mut self, caller: Caller<'_>, request: &SettleRequest) -> Result<SettleResponse, Rejection> {
        self.end(|engine, now, extra| engine.settle(now, caller, request, extra))
    }

    pub fn release(&mut self, invocation: &str) -> Result<ReleaseResponse, Rejection> {
        let request_id = self.request_id();
        let request = ReleaseRequest {
            request_id,
            invocation: invocation.to_owned(),
            reason: format!("{SAID} not sent"),
        };
        self.release_as(Caller::agent("acme", "bot"), &request)
    }

    pub fn release_as(&mut self, caller: Caller<'_>, request: &ReleaseRequest) -> Result<ReleaseResponse, Rejection> {
        self.end(|engine, now, extra| engine.release(now, caller, request, extra))
    }

    fn end<T>(&mut self, apply: impl Fn(&mut Engine, UnixNanos, EndExtra<'_>) -> Applied<T>) -> Result<T, Rejection> {
        let applied = apply(&mut self.engine, UnixNanos(self.now), EndExtra::default());
        match self.take_any(applied) {
            Err(Refusal::NeedsRecord(needs)) => {
                let known = self.read(&needs);
                let extra = EndExtra {
                    known: Some(&known),
                    ..EndExtra::default()
                };
                let applied = apply(&mut self.engine, UnixNanos(self.now), extra);
                self.take(applied)
            }
            Err(Refusal::Rejected(rejection)) => Err(rejection),
            Err(other) => panic!("{other:?}"),
            Ok(reply) => Ok(reply),
        }
    }

    /// Ends all holds whose time has come.
    pub fn expire(&mut self) -> u64 {
        let mut all = 0;
        loop {
            let applied = self.engine.expire(UnixNanos(self.now));
            let ended = self.take(applied).unwrap();
            if ended == 0 {
                return all;
            }
            all += ended;
        }
    }

    pub fn adjust(&mut self, budget: &str, instance: &str, credit: Amount) -> Result<BudgetView, Rejection> {
        let command = AdjustBudget {
            budget: budget.to_owned(),
            tenant: "acme".to_owned(),
            instance: instance.to_owned(),
            credit: Some(credit),
            reason: "refund".to_owned(),
            writes: Vec::new(),
        };
        let applied = self
            .engine
            .adjust_budget(UnixNanos(self.now), Caller::operator("asha"), &command);
        self.take(applied)
    }

    /// A new configuration begins to run.
    pub fn load(&mut self, change: impl FnOnce(&mut EngineConfig)) {
        change(&mut self.config);
        self.config.version = format!("v{}", self.configs.len() + 1);
        let compiled = compile(&self.config);
        self.configs.insert(self.config.version.clone(), Arc::clone(&compiled));
        let applied = self
            .engine
            .load_config(UnixNanos(self.now), Caller::operator("asha"), compiled, "file", &[]);
        self.take(applied).unwrap();
        self.engine.set_workflows(workflows_of(&self.config));
    }

    /// `kill -9`: everything but the store is lost.
    pub fn crash(&mut self) {
        let compiled = Arc::clone(self.engine.compiled());
        self.engine = recovered(compiled, &self.store, self.now);
        self.engine.set_workflows(workflows_of(&self.config));
        assert_eq!(self.engine.sequence(), self.sequence);
        assert_eq!(self.engine.head(), &self.head);
        self.engine.check_invariants().unwrap();
    }

    /// A budget instance as the control services see it.
    pub fn budget(&self, budget: &str, instance: &str) -> BudgetView {
        self.engine
            .budget(UnixNanos(self.now), "acme", budget, instance)
            .unwrap_or_default()
    }

    /// All budget instances as the control services see them.
    pub fn budgets(&self) -> Vec<BudgetView> {
        let (views, next) = self.engine.budgets_page(UnixNanos(self.now), "", "", None, usize::MAX);
        assert_eq!(next, None);
        views
    }

    /// The log from the first record on.
    pub fn log(&self) -> Vec<AuditRecord> {
        self.store
            .iter()
            .filter(|((family, _), _)| *family == family::AUDIT)
            .map(|(_, value)| AuditRecord::decode(&value[32..]).unwrap())
            .collect()
    }

    pub fn kinds(&self) -> Vec<EventKind> {
        self.log().iter().map(AuditRecord::kind).collect()
    }

    pub fn last(&self) -> AuditRecord {
        self.log().pop().unwrap()
    }

    /// The record of an invocation that has ended.
    pub fn ended(&self, invocation: &str) -> InvocationRecord {
        let records = self
            .store
            .iter()
            .filter(|((family, _), _)| *family == family::INVOCATIONS);
        records
            .map(|(_, value)| InvocationRecord::decode(value.as_slice()).unwrap())
            .find(|one| one.invocation == invocation)
            .unwrap()
    }

    pub fn request_id(&mut self) -> String {
        self.numbers += 1;
        format!("r-{}", self.numbers)
    }

    /// Commits the unit, and gives the answer.
    pub fn take<T>(&mut self, applied: Applied<T>) -> Result<T, Rejection> {
        match self.take_any(applied) {
            Ok(reply) => Ok(reply),
            Err(Refusal::Rejected(rejection)) => Err(rejection),
            Err(other) => panic!("{other:?}"),
        }
    }

    pub fn take_any<T>(&mut self, applied: Applied<T>) -> Result<T, Refusal> {
        if let Some(unit) = applied.unit {
            self.last_power = unit.power;
            check_texts(&unit.writes);
            let mut sequences = Vec::new();
            for write in unit.writes {
                if write.family == family::AUDIT {
                    sequences.push(self.check_record(&write.key, write.value.as_deref().unwrap()));
                }
                if write.family == family::STATE
                    && write.key.get(6) == Some(&b'o')
                    && let Some(value) = &write.value
                {
                    let open = InvocationRecord::decode(value.as_slice()).unwrap();
                    assert_eq!(&open.encode_to_vec(), value, "the encoding is prost's");
                    assert_eq!(open.admitted.as_ref().unwrap().invocation, open.invocation);
                }
                match write.value {
                    Some(value) => self.store.insert((write.family, write.key), value),
                    None => self.store.remove(&(write.family, write.key)),
                };
            }
            assert_eq!(unit.first_sequence, sequences.first().copied().unwrap_or(0));
            assert_eq!(unit.last_sequence, sequences.last().copied().unwrap_or(0));
        }
        self.commands += 1;
        if self.commands.is_multiple_of(self.check_every) {
            self.engine.check_invariants().unwrap();
        }
        applied.reply
    }

    /// Every record continues the chain, and every decision can be made again from it.
    fn check_record(&mut self, key: &[u8], value: &[u8]) -> u64 {
        let (hash, bytes) = value.split_at(32);
        let mut link = Sha256::new();
        link.update(self.head);
        link.update(bytes);
        assert_eq!(hash, link.finalize().as_slice());
        self.head = hash.try_into().unwrap();
        self.sequence += 1;
        let record = AuditRecord::decode(bytes).unwrap();
        assert_eq!(
            (record.sequence, key),
            (self.sequence, self.sequence.to_be_bytes().as_slice())
        );
        assert_eq!(record.encode_to_vec(), bytes, "the encoding is prost's");
        if let Some(Body::Decision(decision)) = &record.body {
            let again = Engine::recompute(&self.configs[&record.config_version], &record).unwrap();
            assert_eq!(&again, decision);
        }
        if let Some(Body::Tool(decision)) = &record.body {
            let again = Engine::recompute_tool(&self.configs[&record.config_version], &record, b"", b"").unwrap();
            assert_eq!(&again, decision);
        }
        self.sequence
    }

    /// What the store has, as the control services answer.
    pub fn read(&self, needs: &NeedsRecord) -> Known {
        let mut known = crate::tool_bench::known(&self.store, needs);
        for key in &needs.request_keys {
            if let Some(value) = self.store.get(&(family::REQUESTS, key.clone())) {
                let record = RequestRecord::decode(value.as_slice()).unwrap();
                known.invocation = self
                    .store
                    .iter()
                    .filter(|((family, _), _)| *family == family::INVOCATIONS)
                    .map(|(_, value)| InvocationRecord::decode(value.as_slice()).unwrap())
                    .find(|one| one.invocation == record.invocation);
                known.invocation_found = known.invocation.is_some();
                known.request_found = true;
                known.request = Some(record);
                return known;
            }
        }
        if let Some(value) = self.store.get(&(family::INVOCATIONS, needs.invocation_key.clone())) {
            known.invocation = Some(InvocationRecord::decode(value.as_slice()).unwrap());
            known.invocation_found = true;
        }
        known
    }
}

/// What people and agents wrote is only where it can be erased, and a record of the same unit says so (E1): by it people
/// find what to erase.
fn check_texts(writes: &[Write]) {
    let has = |value: &[u8], what: &str| String::from_utf8_lossy(value).contains(what);
    let (texts, others): (Vec<_>, Vec<_>) = writes.iter().partition(|write| write.family == family::SEALS);
    let of_value = |write: &&Write, what: &str| write.value.as_deref().is_some_and(|value| has(value, what));
    assert!(!others.iter().any(|write| of_value(write, SAID)), "{others:?}");
    for kept in texts {
        let value = internal::ErasableValueRecord::decode(kept.value.as_deref().unwrap()).unwrap();
        let digest = Sha256::new()
            .chain_update(&value.salt)
            .chain_update(&value.value)
            .finalize();
        assert_eq!(kept.key[1..], digest[..]);
        let commitment = format!("erasable:sha256:{digest:x}");
        let mut records = others.iter().filter(|write| write.family == family::AUDIT);
        assert!(records.any(|write| of_value(write, &commitment)), "{value:?}");
    }
}

/// A new engine from the store.
pub fn recovered(compiled: Arc<Compiled>, store: &BTreeMap<(u32, Vec<u8>), Vec<u8>>, now: i64) -> Engine {
    let mut engine = Engine::new(compiled, Salts::new([7; 32]));
    for ((family, key), value) in store {
        engine.recover(*family, key, value).unwrap();
    }
    engine.recover_end(UnixNanos(now)).unwrap();
    engine
}

pub fn compile(config: &EngineConfig) -> Arc<Compiled> {
    Arc::new(Compiled::compile(config).unwrap_or_else(|violations| panic!("{violations:#?}")))
}

/// One tenant, two models: `small` costs 1 and 2 nano-USD per token, `large` ten times as much.
pub fn config() -> EngineConfig {
    let agent = |name: &str| internal::Agent {
        name: name.to_owned(),
        labels: BTreeMap::new(),
        queues: Vec::new(),
    };
    let tenant = |name: &str| internal::Tenant {
        name: name.to_owned(),
        agents: vec![agent("bot"), agent("other")],
    };
    EngineConfig {
        version: "v1".to_owned(),
        tenants: vec![tenant("acme"), tenant("globex")],
        providers: vec![internal::Provider {
            name: "local".to_owned(),
            kind: internal::ProviderKind::OpenaiCompatible as i32,
            base_url: "http://127.0.0.1:9/v1".to_owned(),
            failed_attempts_cost_input: true,
            timeouts: Some(internal::ProviderTimeouts {
                connect_millis: 1_000,
                first_byte_millis: 10_000,
                idle_millis: 10_000,
                attempt_millis: 60_000,
            }),
            breaker: Some(internal::Breaker {
                consecutive_failures: 5,
                failure_rate_per_mille: 500,
                minimum_calls: 20,
                window_millis: 30_000,
                open_millis: 1_000,
                max_open_millis: 30_000,
                ramp_millis: 1_000,
            }),
            max_idle_connections: 8,
            ..internal::Provider::default()
        }],
        models: vec![model("small", 1), model("large", 10)],
        defaults: BTreeMap::from([("model.call".to_owned(), "allow".to_owned())]),
        limits: Some(internal::Limits {
            request_bytes: 8 << 20,
            queue_depth: 4096,
            budget_instances: 100_000,
            streams: 2048,
            open_reservations: 1_000_000,
            request_ids: 1_000_000,
            waiting_calls: 1024,
            kept_answer_bytes: 1 << 18,
            clock_skew_millis: 5_000,
            ..Default::default()
        }),
        reservations: Some(internal::Reservations {
            ttl_millis: 600_000,
            charge_on_expiry: true,
            ..Default::default()
        }),
        audit_content: "digest".to_owned(),
        durability: BTreeMap::from([("model.call".to_owned(), "process".to_owned())]),
        ..EngineConfig::default()
    }
}

pub fn model(name: &str, factor: i64) -> internal::Model {
    internal::Model {
        name: name.to_owned(),
        provider: "local".to_owned(),
        upstream: format!("{name}-upstream"),
        price: Some(internal::Price {
            input_pico: 1_000 * factor,
            cached_input_pico: 500 * factor,
            cache_write_pico: 1_000 * factor,
            output_pico: 2_000 * factor,
            ..Default::default()
        }),
        context_tokens: 0,
        max_output_tokens: 1_000,
        quality_per_mille: 500,
        ..internal::Model::default()
    }
}

pub fn budget(name: &str, scope: &[&str], window: internal::WindowKind) -> internal::Budget {
    internal::Budget {
        name: name.to_owned(),
        scope: scope.iter().map(|one| (*one).to_owned()).collect(),
        window: window as i32,
        on_exceed: internal::OnExceed::Deny as i32,
        count_cached: true,
        ..internal::Budget::default()
    }
}

pub fn route(name: &str, target: &str, chain: &[&str], attempts: u32) -> internal::Route {
    internal::Route {
        name: name.to_owned(),
        targets: vec![internal::Target {
            model: target.to_owned(),
            weight: 1,
        }],
        fallback: (!chain.is_empty()).then(|| internal::Fallback {
            chain: chain.iter().map(|one| (*one).to_owned()).collect(),
            on: vec!["429".to_owned(), "5xx".to_owned()],
        }),
        retry: Some(internal::Retry {
            attempts,
            initial_millis: 100,
            max_millis: 1_000,
            wait_for_retry_after_up_to_millis: 1_000,
        }),
        ..internal::Route::default()
    }
}

/// A call of `small` with so many tokens of input and at most so many of output.
pub fn call(id: &str, input: i64, output: i64) -> AdmitRequest {
    AdmitRequest {
        request_id: id.to_owned(),
        model: "small".to_owned(),
        run: "r-1".to_owned(),
        input: Some(Input::InputTokens(input)),
        max_output_tokens: output,
        ..AdmitRequest::default()
    }
}

pub fn used(model: &str, input: i64, output: i64) -> Attempt {
    Attempt {
        model: model.to_owned(),
        outcome: AttemptOutcome::Succeeded as i32,
        status_code: 200,
        usage: Some(Usage {
            input,
            output,
            ..Usage::default()
        }),
        ..Attempt::default()
    }
}

pub fn failed(model: &str, outcome: AttemptOutcome) -> Attempt {
    Attempt {
        model: model.to_owned(),
        outcome: outcome as i32,
        detail: format!("{SAID} it fell over"),
        ..Attempt::default()
    }
}

pub fn usd(nano_usd: i64) -> Amount {
    Amount {
        nano_usd,
        ..Amount::default()
    }
}

pub fn money(amount: Option<Amount>) -> i64 {
    amount.unwrap_or_default().nano_usd
}
