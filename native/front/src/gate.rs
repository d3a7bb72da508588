//! `GateService`: decodes who and when, asks the core, encodes the answer. No logic.
use fairlead_engine::{AdmitExtra, EndExtra, Reason};
use fairlead_wire::v1::{
    AdmitRequest, AdmitResponse, AuthorizeToolRequest, AuthorizeToolResponse, CompleteToolRequest,
    CompleteToolResponse, ReleaseRequest, ReleaseResponse, SettleRequest, SettleResponse,
};
use tonic::{Request, Response, Status};

use crate::auth::Identity;
use crate::core::Core;
use crate::deadline::Deadline;
use crate::grpc::gate_service_server::GateService;
use crate::refusal;
use crate::status;

/// The servicer.
pub struct Gate {
    core: Core,
}

impl Gate {
    /// A servicer of this core.
    pub fn new(core: Core) -> Self {
        Self { core }
    }
}

#[tonic::async_trait]
impl GateService for Gate {
    async fn admit(&self, request: Request<AdmitRequest>) -> Result<Response<AdmitResponse>, Status> {
        let identity = identity(&request)?;
        let deadline = request.extensions().get::<Deadline>().map(|deadline| deadline.0);
        let extra = AdmitExtra {
            remember: true,
            ..AdmitExtra::default()
        };
        let admitted = self
            .core
            .admit(identity.caller(), request.get_ref(), extra, deadline)
            .await;
        admitted
            .map(|admitted| Response::new(admitted.response))
            .map_err(|rejection| status::of(&rejection))
    }

    async fn settle(&self, request: Request<SettleRequest>) -> Result<Response<SettleResponse>, Status> {
        let identity = identity(&request)?;
        let settled = self
            .core
            .settle(identity.caller(), request.get_ref(), EndExtra::default())
            .await;
        settled.map(Response::new).map_err(|rejection| status::of(&rejection))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        let identity = identity(&request)?;
        let released = self
            .core
            .release(identity.caller(), request.get_ref(), EndExtra::default())
            .await;
        released.map(Response::new).map_err(|rejection| status::of(&rejection))
    }

    async fn authorize_tool(
        &self,
        request: Request<AuthorizeToolRequest>,
    ) -> Result<Response<AuthorizeToolResponse>, Status> {
        let identity = identity(&request)?;
        let authorized = self.core.authorize_tool(identity.caller(), request.get_ref()).await;
        authorized
            .map(Response::new)
            .map_err(|rejection| status::of(&rejection))
    }

    async fn complete_tool(
        &self,
        request: Request<CompleteToolRequest>,
    ) -> Result<Response<CompleteToolResponse>, Status> {
        let identity = identity(&request)?;
        let completed = self.core.complete_tool(identity.caller(), request.get_ref()).await;
        completed.map(Response::new).map_err(|rejection| status::of(&rejection))
    }
}

/// Who passed the door. The dispatcher puts it there; a request without is one that came another way.
pub(crate) fn identity<T>(request: &Request<T>) -> Result<Identity, Status> {
    request
        .extensions()
        .get::<Identity>()
        .cloned()
        .ok_or_else(|| status::of(&refusal::of(Reason::CredentialMissing, "the call has no credential")))
}
