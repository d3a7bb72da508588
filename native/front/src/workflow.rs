//! `StartRun` for agents: decodes who, asks the core, encodes the answer. No logic. The rest of `WorkflowService` is
//! Python's, as is all of it for operators.
use fairlead_wire::v1::{StartRunRequest, StartRunResponse};
use tonic::{Request, Response, Status};

use crate::core::Core;
use crate::gate::identity;
use crate::grpc::workflow_service_server::WorkflowService;
use crate::status;

/// Path of the one method that is served here.
pub(crate) const START_RUN: &str = "/fairlead.v1.WorkflowService/StartRun";

/// The servicer.
pub struct Starts {
    core: Core,
}

impl Starts {
    /// A servicer of this core.
    pub fn new(core: Core) -> Self {
        Self { core }
    }
}

#[tonic::async_trait]
impl WorkflowService for Starts {
    async fn start_run(&self, request: Request<StartRunRequest>) -> Result<Response<StartRunResponse>, Status> {
        let identity = identity(&request)?;
        match self.core.start_run(identity.caller(), request.get_ref()).await {
            Ok(run) => Ok(Response::new(StartRunResponse { run: Some(run) })),
            Err(rejection) => Err(status::of(&rejection)),
        }
    }
}
