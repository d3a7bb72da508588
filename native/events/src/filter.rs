//! Which records are asked for. The same as `matches` of the Python side, which lists use; a test compares the two.
use fairlead_wire::v1::audit_record::Body;
use fairlead_wire::v1::{AuditRecord, EventFilter};

/// What the name of a run begins with.
const RUNS: &str = "runs/";

/// Tells whether records are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter(EventFilter);

impl Filter {
    /// Of the request.
    #[must_use]
    pub fn new(filter: EventFilter) -> Self {
        Self(filter)
    }

    /// True when the record is asked for.
    #[must_use]
    pub fn matches(&self, record: &AuditRecord) -> bool {
        let wanted = &self.0;
        (wanted.tenant.is_empty() || record.tenant == wanted.tenant)
            && (wanted.kinds.is_empty() || wanted.kinds.contains(&record.kind))
            && (wanted.invocation.is_empty() || record.invocation == wanted.invocation)
            && (wanted.run.is_empty() || is_about(record, &wanted.run))
    }
}

/// True when the record is about the run of that resource name.
fn is_about(record: &AuditRecord, name: &str) -> bool {
    let run = match &record.body {
        Some(Body::Run(event)) => &event.run,
        Some(Body::Step(event)) => &event.run,
        _ => return false,
    };
    !run.is_empty() && name.strip_prefix(RUNS) == Some(run.as_str())
}
