//! The state, its clock and its records. Commands are in the modules named after them.
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use fairlead_plan::{AttemptReport, Compiled, Durability, HealthBook, Pinned, Probe, UnixNanos, millis_to_nanos};
use fairlead_wire::internal::InvocationRecord;
use fairlead_wire::v1::{AuditRecord, BudgetEvent, EventKind, audit_record::Body};
use prost::Message;

use crate::approval::ApprovalBook;
use crate::budget::{Ledger, Slot};
use crate::chain::Chain;
use crate::command::Caller;
use crate::erasable::Salts;
use crate::keys::InvocationId;
use crate::rates::Rates;
use crate::recover::Recovering;
use crate::rejection::{Reason, Rejection};
use crate::requests::RequestIndex;
use crate::session::SessionBook;
use crate::share::PerTenant;
use crate::tool::ToolBook;
use crate::unit::{Unit, Write};
use crate::workflow::{RunBook, Wakes, Workflows};

/// Nanoseconds in a millisecond.
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Hashes invocation ids. Most of their bits come from SHA-256 of the log and no caller chooses which ids are in the map,
/// so a multiplication (the constant of FxHash) spreads them well enough.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            self.0 = (u64::from_be_bytes(*first) ^ u64::from_be_bytes(*last)).wrapping_mul(0xf135_7aea_2e62_a9c5);
        }
    }

    // The length of the array, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        // The table takes the low bits; the product's high bits are the mixed ones.
        self.0.rotate_left(26)
    }
}

/// An open invocation.
#[derive(Debug)]
pub(crate) struct Open {
    pub tenant: Arc<str>,
    pub expires_at: i64,
    /// The probe of its first model, when it has taken one. Not kept over a restart, as health is not.
    pub probe: Option<Probe>,
    /// The `InvocationRecord` as it is stored. Decoding it at the end costs less than keeping it decoded: a sidecar may
    /// hold hundreds of thousands.
    pub record: Box<[u8]>,
}

impl Open {
    /// The record; `None` never happens, since only encoded and recovered (hence decoded) records get here.
    pub(crate) fn decode(&self) -> Option<InvocationRecord> {
        InvocationRecord::decode(&*self.record).ok()
    }
}

/// The state machine; see the crate.
#[derive(Debug)]
pub struct Engine {
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) health: HealthBook,
    pub(crate) ledger: Ledger,
    pub(crate) rates: Rates,
    /// Only looked up; in order it is walked by `expiries`.
    pub(crate) open: HashMap<InvocationId, Open, BuildHasherDefault<IdHasher>>,
    /// How many of the open invocations each tenant has.
    pub(crate) held_by: PerTenant,
    /// INVARIANT (I3): has exactly the open invocations, so that every hold ends.
    pub(crate) expiries: BTreeSet<(i64, InvocationId)>,
    pub(crate) requests: RequestIndex,
    pub(crate) sessions: SessionBook,
    pub(crate) tools: ToolBook,
    pub(crate) approvals: ApprovalBook,
    pub(crate) runs: RunBook,
    pub(crate) chain: Chain,
    /// For texts that can be erased. Not kept over a restart: each has its own random bytes.
    pub(crate) salts: Salts,
    /// Latest time that was applied, Unix nanoseconds.
    pub(crate) last_time: i64,
    /// Configuration of the last recovered record: what ran before this start; empty at the first one.
    pub(crate) ran_before: String,
    /// Deletions of dropped, empty instances; the next unit begins with them.
    pub(crate) deletions: Vec<Write>,
    /// For encoding records; kept for its capacity.
    pub(crate) scratch: Vec<u8>,
    /// What recovery has gathered so far.
    pub(crate) recovering: Recovering,
}

impl Engine {
    /// An empty engine. The salts are its only source of anything random: the same ones give the same bytes.
    #[must_use]
    pub fn new(compiled: Arc<Compiled>, salts: Salts) -> Self {
        Self {
            health: HealthBook::new(&compiled),
            ledger: Ledger::new(&compiled),
            rates: Rates::new(&compiled),
            open: HashMap::default(),
            held_by: PerTenant::default(),
            expiries: BTreeSet::new(),
            requests: RequestIndex::default(),
            tools: ToolBook::default(),
            approvals: ApprovalBook::default(),
            sessions: SessionBook::new(millis_to_nanos(compiled.reservations().session_ttl_millis)),
            runs: RunBook::default(),
            chain: Chain::default(),
            salts,
            last_time: 0,
            ran_before: String::new(),
            deletions: Vec::new(),
            scratch: Vec::new(),
            recovering: Recovering::default(),
            compiled,
        }
    }

    /// The configuration in force.
    #[must_use]
    pub fn compiled(&self) -> &Arc<Compiled> {
        &self.compiled
    }

    /// Last audit sequence handed out.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.chain.sequence()
    }

    /// Hash of the last audit record; zeros when there is none.
    #[must_use]
    pub fn head(&self) -> &[u8; 32] {
        self.chain.head()
    }

    /// Open holds.
    #[must_use]
    pub fn open_reservations(&self) -> usize {
        self.open.len()
    }

    /// Instances of all budgets.
    #[must_use]
    pub fn budget_instances(&self) -> usize {
        self.ledger.instances()
    }

    /// Request ids remembered.
    #[must_use]
    pub fn request_ids(&self) -> usize {
        self.requests.len()
    }

    /// Sessions that are remembered.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Tool calls that are granted and not completed.
    #[must_use]
    pub fn open_tool_calls(&self) -> usize {
        self.tools.granted()
    }

    /// Approvals that are pending, or approved and not used yet.
    #[must_use]
    pub fn open_approvals(&self) -> usize {
        self.approvals.len()
    }

    /// Runs that have not ended.
    #[must_use]
    pub fn open_runs(&self) -> usize {
        self.runs.len()
    }

    /// Steps of runs that may be leased.
    #[must_use]
    pub fn ready_steps(&self) -> usize {
        self.runs.ready_steps()
    }

    /// Steps of runs that are leased.
    #[must_use]
    pub fn leased_steps(&self) -> usize {
        self.runs.leased_steps()
    }

    /// The workflows of the configuration in force from now on; open runs keep to their own.
    pub fn set_workflows(&mut self, workflows: Arc<Workflows>) {
        self.runs.set_workflows(workflows);
    }

    /// What the surroundings have to be told of since the last call.
    pub fn take_wakes(&mut self) -> Wakes {
        self.runs.take_wakes()
    }

    /// When the next hold, grant of a tool call or approval ends by itself, or a session is to be forgotten.
    #[must_use]
    pub fn next_expiry(&self) -> Option<UnixNanos> {
        let holds = self.expiries.first().map(|(at, _)| *at);
        let tools = self.tools.next_expiry().map(|(at, _)| at);
        let approvals = self.approvals.next_expiry().map(|(at, _)| at);
        let runs = self.runs.next_due().map(|(at, _)| at);
        let all = [holds, tools, approvals, runs, self.sessions.next_expiry()];
        all.into_iter().flatten().min().map(UnixNanos)
    }

    /// What a session or run keeps to, by route.
    pub(crate) fn pinned(&self, now: i64, tenant: &str, name: &str) -> Pinned {
        let known = self.sessions.get(now, tenant, name);
        known.map(|known| known.pins.clone()).unwrap_or_default()
    }

    /// Feeds health with one attempt. Not durable, no unit. A model that is not configured any more is ignored.
    pub fn report_attempt(&mut self, now: UnixNanos, model: &str, report: &AttemptReport<'_>) {
        if let Some(id) = self.compiled.model_id(model) {
            self.health.report(id, report, now);
        }
    }

    /// Asks before one attempt whether it may go out; takes the probe of a half-open breaker. A model that is not
    /// configured any more may be tried: its plan was made with the configuration that had it.
    pub fn may_try(&mut self, now: UnixNanos, model: &str) -> bool {
        self.compiled
            .model_id(model)
            .is_none_or(|id| self.health.may_try(id, now))
    }

    /// The time to use for a command that arrives at `now`. Time never runs backwards in the state and in the log: a
    /// small step back is bridged by standing still, after a large one commands are refused until it has caught up.
    pub(crate) fn tick(&mut self, now: UnixNanos) -> Result<i64, Rejection> {
        let behind = self.last_time.saturating_sub(now.0);
        let millis = self.compiled.limits().clock_skew_millis;
        let bridged = i64::try_from(millis)
            .unwrap_or(i64::MAX)
            .saturating_mul(NANOS_PER_MILLI);
        if behind > bridged {
            let message = format!(
                "the clock is {} s behind the last record: it was set back, set it right or wait",
                behind / 1_000_000_000
            );
            return Err(Rejection::new(Reason::NotReady, message)
                .with("cause", "clock_set_back")
                .with("behind_millis", behind / NANOS_PER_MILLI)
                .retry_after(behind));
        }
        Ok(self.stand(now))
    }

    /// The time to use for a command that cannot be refused.
    pub(crate) fn stand(&mut self, now: UnixNanos) -> i64 {
        self.last_time = self.last_time.max(now.0);
        self.last_time
    }

    /// True when model calls are acknowledged only after an fsync.
    pub(crate) fn is_power(&self) -> bool {
        self.compiled.durability("model.call") == Durability::Power
    }

    /// A new unit. It begins with the deletions that are pending: an instance that is made again may be stored by any
    /// later unit, and a deletion must not come after that.
    pub(crate) fn begin(&mut self) -> UnitBuilder {
        let mut unit = UnitBuilder::new();
        unit.writes.append(&mut self.deletions);
        unit
    }

    /// An audit record without its body.
    pub(crate) fn record(&self, now: i64, kind: EventKind, caller: Caller<'_>, invocation: &str) -> AuditRecord {
        AuditRecord {
            sequence: 0,
            time_unix_nanos: now,
            kind: kind as i32,
            tenant: caller.tenant.to_owned(),
            agent: caller.agent.to_owned(),
            operator: caller.operator.to_owned(),
            invocation: invocation.to_owned(),
            config_version: self.compiled.version().to_owned(),
            traceparent: caller.traceparent.to_owned(),
            body: None,
        }
    }
}

/// Gathers the writes and records of one command.
#[derive(Debug)]
pub(crate) struct UnitBuilder {
    pub writes: Vec<Write>,
    pub sequences: Vec<u64>,
}

impl UnitBuilder {
    pub(crate) fn new() -> Self {
        Self {
            writes: Vec::with_capacity(8),
            sequences: Vec::new(),
        }
    }

    /// Appends an audit record.
    pub(crate) fn append(&mut self, chain: &mut Chain, record: AuditRecord) {
        self.writes.push(chain.append(record));
        self.sequences.push(chain.sequence());
    }

    /// Appends an audit record that is encoded already.
    pub(crate) fn append_encoded(&mut self, chain: &mut Chain, value: Vec<u8>) {
        self.writes.push(chain.append_encoded(value));
        self.sequences.push(chain.sequence());
    }

    pub(crate) fn done(self, power: bool) -> Unit {
        Unit {
            first_sequence: self.sequences.first().copied().unwrap_or(0),
            last_sequence: self.sequences.last().copied().unwrap_or(0),
            writes: self.writes,
            power,
        }
    }
}

/// What to say about a budget instance in a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BudgetSays<'a> {
    pub kind: EventKind,
    pub percent: u32,
    pub amount: fairlead_wire::v1::Amount,
    pub reason: &'a str,
}

impl Engine {
    /// Appends a record about a budget instance, with its state after the event.
    pub(crate) fn append_budget_event(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        invocation: &str,
        (book, slot): (usize, Slot),
        says: BudgetSays<'_>,
    ) {
        let Some(book) = self.ledger.book(book) else { return };
        let Some(instance) = book.get(slot) else { return };
        let view = instance.view(book.rule.window, now);
        let event = BudgetEvent {
            budget: book.rule.name.to_string(),
            instance: instance.name().to_owned(),
            limit: Some(book.rule.limit.to_amount()),
            spent: Some(view.spent),
            reserved: Some(view.reserved),
            threshold_percent: i32::try_from(says.percent).unwrap_or(i32::MAX),
            amount: Some(says.amount),
            reason: says.reason.to_owned(),
            window_start_unix_nanos: view.window_start,
        };
        // The record belongs to the tenant of the instance, also when an operator acts.
        let tenant = instance.tenant().to_owned();
        let mut record = self.record(
            now,
            says.kind,
            Caller {
                tenant: &tenant,
                ..caller
            },
            invocation,
        );
        record.body = Some(Body::Budget(event));
        unit.append(&mut self.chain, record);
    }

    /// Appends alerts for thresholds that an instance has passed. True when there was one.
    pub(crate) fn append_alerts(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        invocation: &str,
        at: (usize, Slot),
        including_held: bool,
    ) -> bool {
        let fired = self
            .ledger
            .book_mut(at.0)
            .map(|book| book.fire(at.1, including_held))
            .unwrap_or_default();
        for percent in &fired {
            let says = BudgetSays {
                kind: EventKind::BudgetAlert,
                percent: *percent,
                amount: crate::amount::ZERO,
                reason: if including_held {
                    "a call is let through over the limit"
                } else {
                    ""
                },
            };
            self.append_budget_event(unit, now, caller, invocation, at, says);
        }
        !fired.is_empty()
    }
}
