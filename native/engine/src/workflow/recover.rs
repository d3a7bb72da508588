//! Open runs come back as they were.
use std::collections::HashMap;
use std::sync::Arc;

use fairlead_wire::internal::{PayloadRecord, RunRecord, StepRecord, WorkflowDefinition};
use fairlead_workflow::run::Run;

use super::RunBook;
use crate::keys::RunId;

/// What the store has of an open run.
#[derive(Debug, Default)]
pub(crate) struct StoredRun {
    pub(crate) record: Option<RunRecord>,
    pub(crate) steps: Vec<StepRecord>,
    pub(crate) payloads: HashMap<[u8; 32], Vec<u8>>,
}

impl RunBook {
    /// Takes a stored definition.
    ///
    /// # Errors
    /// It cannot be understood.
    pub(crate) fn restore_definition(&mut self, source: &WorkflowDefinition) -> Result<(), String> {
        self.kept.restore(source)
    }

    /// Takes a stored run; definitions have come before.
    ///
    /// # Errors
    /// A part of it is missing.
    pub(crate) fn restore(&mut self, id: RunId, stored: StoredRun, now: i64) -> Result<(), String> {
        let StoredRun {
            record,
            mut steps,
            payloads,
        } = stored;
        let Some(mut record) = record else {
            return Err("steps of a run are stored without the run: the data directory is damaged".to_owned());
        };
        if fairlead_workflow::run::is_terminal_run(record.state()) {
            return Ok(());
        }
        let Some(definition) = self.kept.get(&record.workflow_version).map(Arc::clone) else {
            return Err(format!(
                "run {} keeps to definition {} of workflow `{}`, which is not stored: the data directory is damaged",
                record.run, record.workflow_version, record.workflow
            ));
        };
        let fill = |payload: &mut Option<PayloadRecord>| -> Result<(), String> {
            let Some(payload) = payload.as_mut().filter(|payload| !payload.run.is_empty()) else {
                return Ok(());
            };
            let digest: Option<[u8; 32]> = payload.digest.as_slice().try_into().ok();
            let json = digest.and_then(|digest| payloads.get(&digest));
            payload.json = json
                .cloned()
                .ok_or("a payload of a run is not stored: the data directory is damaged")?;
            payload.run.clear();
            Ok(())
        };
        fill(&mut record.input)?;
        fill(&mut record.output)?;
        for signal in &mut record.signals {
            fill(&mut signal.payload)?;
        }
        for step in &mut steps {
            fill(&mut step.input)?;
            fill(&mut step.output)?;
        }
        let run = Run::restore(definition, record, steps, now);
        let digests = payloads.into_keys().collect();
        self.insert(id, run, digests);
        Ok(())
    }
}
