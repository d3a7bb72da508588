//! `WorkerService`: decodes who and when, asks the core, encodes the answer. No logic.
use std::time::Duration;

use fairlead_engine::Rejection;
use fairlead_wire::v1::{
    CompleteStepRequest, CompleteStepResponse, CompleteStepsRequest, CompleteStepsResponse, FailStepRequest,
    FailStepResponse, HeartbeatStepRequest, HeartbeatStepResponse, LeaseStepsRequest, LeaseStepsResponse,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::core::Core;
use crate::deadline::Deadline;
use crate::gate::identity;
use crate::grpc::worker_service_server::WorkerService;
use crate::refusal;
use crate::serving::{Phase, Serving};
use crate::status;

/// Longest wait for steps.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// What a message has around its payload: a bound well above names, keys and wishes.
pub(crate) const ENVELOPE_BYTES: u64 = 64 << 10;

/// The servicer.
pub struct Worker {
    core: Core,
    serving: Serving,
}

impl Worker {
    /// A servicer of this core. Waiting workers are sent away when the phase says that it stops.
    pub fn new(core: Core, serving: Serving) -> Self {
        Self { core, serving }
    }
}

#[tonic::async_trait]
impl WorkerService for Worker {
    async fn lease_steps(&self, request: Request<LeaseStepsRequest>) -> Result<Response<LeaseStepsResponse>, Status> {
        let identity = identity(&request)?;
        let until = until(&request);
        let wish = request.get_ref().wish.clone().unwrap_or_default();
        let mut phase = self.serving.subscribe();
        // Only the wait is cut off: steps that are leased already are committed, and nobody else would hear of them.
        let waited = async {
            tokio::select! {
                () = tokio::time::sleep_until(until) => Ok(()),
                // An error means that the sender is gone: nothing serves any more.
                _ = phase.wait_for(|phase| *phase == Phase::Stopping) => Err(refusal::draining()),
            }
        };
        let leases = self.core.lease_steps(identity.caller(), &wish, waited).await;
        answered(leases.map(|leases| LeaseStepsResponse { leases }))
    }

    async fn heartbeat_step(
        &self,
        request: Request<HeartbeatStepRequest>,
    ) -> Result<Response<HeartbeatStepResponse>, Status> {
        let identity = identity(&request)?;
        answered(self.core.heartbeat_step(identity.caller(), request.get_ref()).await)
    }

    async fn complete_step(
        &self,
        request: Request<CompleteStepRequest>,
    ) -> Result<Response<CompleteStepResponse>, Status> {
        let identity = identity(&request)?;
        answered(self.core.complete_step(identity.caller(), request.get_ref()).await)
    }

    async fn complete_steps(
        &self,
        request: Request<CompleteStepsRequest>,
    ) -> Result<Response<CompleteStepsResponse>, Status> {
        let identity = identity(&request)?;
        answered(self.core.complete_steps(identity.caller(), request.get_ref()).await)
    }

    async fn fail_step(&self, request: Request<FailStepRequest>) -> Result<Response<FailStepResponse>, Status> {
        let identity = identity(&request)?;
        answered(self.core.fail_step(identity.caller(), request.get_ref()).await)
    }
}

/// When a worker that waits gets its empty answer: as it asked, and in any case before its own deadline is over, which
/// would look like a failure.
fn until(request: &Request<LeaseStepsRequest>) -> Instant {
    let asked = request.get_ref().timeout.as_ref().map_or(LONGEST_WAIT, |asked| {
        let seconds = u64::try_from(asked.seconds).unwrap_or(0);
        let nanos = u32::try_from(asked.nanos).unwrap_or(0);
        Duration::new(seconds, nanos.min(999_999_999)).min(LONGEST_WAIT)
    });
    let until = Instant::now() + asked;
    match request.extensions().get::<Deadline>() {
        Some(Deadline(at)) => until.min(*at - (*at - Instant::now()) / 10),
        None => until,
    }
}

fn answered<T>(outcome: Result<T, Rejection>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|rejection| status::of(&rejection))
}
