//! Everything a served call may use, in one place.
use std::sync::Arc;

use crate::core::Core;
use crate::forward::Forwarder;
use crate::gate::Gate;
use crate::grpc::gate_service_server::GateServiceServer;
use crate::grpc::model_service_server::ModelServiceServer;
use crate::grpc::worker_service_server::WorkerServiceServer;
use crate::grpc::workflow_service_server::WorkflowServiceServer;
use crate::metrics::Metrics;
use crate::metrics::scrape::Watch;
use crate::model::Model;
use crate::options::Options;
use crate::serve::entry::Door;
use crate::serve::own::Own;
use crate::serving::{Phase, Serving};
use crate::tasks::Tasks;
use crate::worker::{self, Worker};
use crate::workflow::Starts;

/// Shared by every call; made once per start.
pub struct Front {
    /// Decisions and their commits.
    pub core: Core,
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    /// The phase.
    pub serving: Serving,
    /// The supervisor of tasks.
    pub tasks: Tasks,
    pub(crate) forwarder: Arc<Forwarder>,
    pub(crate) own: Own,
    pub(crate) door: Door,
    /// What scrapes remember.
    pub(crate) watch: Watch,
    gate: Arc<Gate>,
    worker: Arc<Worker>,
    starts: Arc<Starts>,
    /// Also the provider clients of the HTTP dialects.
    pub(crate) model: Arc<Model>,
}

impl Front {
    /// Wires the parts; nothing runs yet. The error names the option that is wrong.
    pub fn new(core: Core, serving: Serving, tasks: Tasks, options: &Options) -> Result<Arc<Self>, String> {
        let metrics = Arc::clone(core.metrics());
        let forwarder = Arc::new(Forwarder::new(
            options.control_socket.clone(),
            &options.control_key,
            serving.clone(),
            Arc::clone(&metrics),
            &tasks,
        )?);
        let own = Own::new()?;
        Ok(Arc::new_cyclic(|front| Self {
            gate: Arc::new(Gate::new(core.clone())),
            worker: Arc::new(Worker::new(core.clone(), serving.clone())),
            starts: Arc::new(Starts::new(core.clone())),
            model: Arc::new(Model::new(front.clone())),
            core,
            metrics,
            serving,
            tasks,
            forwarder,
            own,
            door: Door::default(),
            watch: Watch::default(),
        }))
    }

    /// Serving, able to commit, and without a fault: what health and readiness say.
    pub fn is_healthy(&self) -> bool {
        self.serving.phase() == Phase::Serving && *self.core.store_available().borrow() && self.tasks.panics() == 0
    }

    /// `GateService` for a request of at most this many bytes; the bound changes with the configuration.
    pub(crate) fn gate(&self, request_bytes: u64) -> GateServiceServer<Gate> {
        let most = usize::try_from(request_bytes).unwrap_or(usize::MAX);
        GateServiceServer::from_arc(Arc::clone(&self.gate)).max_decoding_message_size(most)
    }

    /// `ModelService`, likewise.
    pub(crate) fn model(&self, request_bytes: u64) -> ModelServiceServer<Model> {
        let most = usize::try_from(request_bytes).unwrap_or(usize::MAX);
        ModelServiceServer::from_arc(Arc::clone(&self.model)).max_decoding_message_size(most)
    }

    /// `WorkerService`. What workers send is bounded by the largest payload, not by the largest request.
    pub(crate) fn worker(&self) -> WorkerServiceServer<Worker> {
        WorkerServiceServer::from_arc(Arc::clone(&self.worker)).max_decoding_message_size(self.most_payload())
    }

    /// The part of `WorkflowService` that starts runs, likewise.
    pub(crate) fn starts(&self) -> WorkflowServiceServer<Starts> {
        WorkflowServiceServer::from_arc(Arc::clone(&self.starts)).max_decoding_message_size(self.most_payload())
    }

    /// Bytes of a message that carries a payload: twice the largest, so that one that is too large is still read, and the
    /// core can end its step for good instead of having it tried again.
    fn most_payload(&self) -> usize {
        let payload = self.core.running().limits().payload_bytes;
        let message = payload.saturating_mul(2).saturating_add(worker::ENVELOPE_BYTES);
        usize::try_from(message).unwrap_or(usize::MAX)
    }
}
