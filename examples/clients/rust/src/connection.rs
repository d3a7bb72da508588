//! Connections to the two endpoints of a sidecar. Nothing is dialled before the first call, and again when it is gone.
use std::env;
use std::error::Error;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::Failed;
use crate::api::approval_ticket_service_client::ApprovalTicketServiceClient;
use crate::api::audit_service_client::AuditServiceClient;
use crate::api::gate_service_client::GateServiceClient;
use crate::api::worker_service_client::WorkerServiceClient;
use crate::api::workflow_service_client::WorkflowServiceClient;

pub const TIMEOUT: Duration = Duration::from_secs(30);
const LARGEST_ANSWER_BYTES: usize = 64 << 20;

/// What an agent calls, and the audit log as an operator reads it. Clones share the connections.
#[derive(Clone)]
pub struct Connection {
    agent: Channel,
    operator: Channel,
    bearer: MetadataValue<Ascii>,
}

impl Connection {
    pub fn from_environment() -> Result<Self, Failed> {
        // The sidecar is on the loopback of the same pod; access to the operators' socket is the credential.
        let agent = Endpoint::from_shared(format!("http://{}", env::var("FAIRLEAD_ENDPOINT")?))?;
        let operator = Endpoint::from_shared(format!("unix://{}", env::var("FAIRLEAD_OPERATOR_SOCKET")?))?;
        Ok(Self {
            agent: agent.connect_lazy(),
            operator: operator.connect_lazy(),
            bearer: bearer(&env::var("FAIRLEAD_TOKEN")?)?,
        })
    }

    pub fn gate(&self) -> GateServiceClient<Channel> {
        GateServiceClient::new(self.agent.clone())
    }

    pub fn tickets(&self) -> ApprovalTicketServiceClient<Channel> {
        ApprovalTicketServiceClient::new(self.agent.clone())
    }

    pub fn runs(&self) -> WorkflowServiceClient<Channel> {
        WorkflowServiceClient::new(self.agent.clone()).max_decoding_message_size(LARGEST_ANSWER_BYTES)
    }

    pub fn work(&self) -> WorkerServiceClient<Channel> {
        WorkerServiceClient::new(self.agent.clone()).max_decoding_message_size(LARGEST_ANSWER_BYTES)
    }

    pub fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.operator.clone()).max_decoding_message_size(LARGEST_ANSWER_BYTES)
    }

    /// A call of the agent: who asks, and its deadline.
    pub fn call<T>(&self, message: T) -> Request<T> {
        with(message, self.bearer.clone(), TIMEOUT)
    }

    /// The same with another deadline.
    pub fn call_within<T>(&self, message: T, limit: Duration) -> Request<T> {
        with(message, self.bearer.clone(), limit)
    }
}

/// A call with another token.
pub fn call_as<T>(token: &str, message: T) -> Result<Request<T>, Failed> {
    Ok(with(message, bearer(token)?, TIMEOUT))
}

/// The code of a refused call. tonic says CANCELLED where the client's own clock ended it, and UNKNOWN where the
/// connection was lost: both are what other languages call them.
pub fn code_of(status: &Status) -> Code {
    match status.code() {
        Code::Cancelled if status.message() == "Timeout expired" => Code::DeadlineExceeded,
        Code::Unknown if is_lost(status) => Code::Unavailable,
        code => code,
    }
}

fn is_lost(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::transport::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn with<T>(message: T, bearer: MetadataValue<Ascii>, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer);
    request.set_timeout(limit);
    request
}

fn bearer(token: &str) -> Result<MetadataValue<Ascii>, Failed> {
    Ok(format!("Bearer {token}").parse()?)
}
