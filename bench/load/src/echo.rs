//! A bare tonic server that answers an admission with a constant of the real answer's size: what the transport costs.

use std::io::Read;

use fairlead_wire::v1::{
    AdmitRequest, AdmitResponse, Amount, AuthorizeToolRequest, AuthorizeToolResponse, CompleteToolRequest,
    CompleteToolResponse, Decision, PlannedTarget, ReleaseRequest, ReleaseResponse, Reservation, SettleRequest,
    SettleResponse,
};
use tonic::{Request, Response, Status};

use crate::Outcome;

mod service {
    #![allow(missing_docs, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/fairlead.v1.rs"));
}
use service::gate_service_server::{GateService, GateServiceServer};

struct Echo(AdmitResponse);

#[tonic::async_trait]
impl GateService for Echo {
    async fn admit(&self, _: Request<AdmitRequest>) -> Result<Response<AdmitResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn settle(&self, _: Request<SettleRequest>) -> Result<Response<SettleResponse>, Status> {
        Ok(Response::new(SettleResponse::default()))
    }

    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        Ok(Response::new(ReleaseResponse::default()))
    }

    async fn authorize_tool(
        &self,
        _: Request<AuthorizeToolRequest>,
    ) -> Result<Response<AuthorizeToolResponse>, Status> {
        Ok(Response::new(AuthorizeToolResponse::default()))
    }

    async fn complete_tool(&self, _: Request<CompleteToolRequest>) -> Result<Response<CompleteToolResponse>, Status> {
        Ok(Response::new(CompleteToolResponse::default()))
    }
}

/// Serves on a free port of 127.0.0.1 until standard input closes.
pub async fn serve() -> Outcome<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tonic::transport::Server::builder()
        .add_service(GateServiceServer::new(Echo(typical_answer())))
        .serve_with_incoming_shutdown(incoming, async {
            let _ = closed.await;
        })
        .await?;
    Ok(())
}

/// An answer of the size a real admission has with a two-model plan.
fn typical_answer() -> AdmitResponse {
    let target = |model: &str| PlannedTarget {
        model: model.into(),
        provider: "provider-primary".into(),
        upstream_model: model.into(),
        timeout: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        max_output_tokens: 256,
    };
    AdmitResponse {
        invocation: "inv_019aa2b3c4d5e6f708192a3b4c5d6e7f".into(),
        decision: Some(Decision {
            config_version: "0".repeat(64),
            route: "classification".into(),
            rules: vec!["rule-000".into()],
            deciding_rule: String::new(),
            reason: "allowed by default; route `classification` chose `dev-large`".into(),
            ..Decision::default()
        }),
        plan: vec![target("dev-large"), target("dev-small")],
        reservation: Some(Reservation {
            amount: Some(Amount {
                nano_usd: 1_234_567,
                tokens: 1_000,
                requests: 1,
            }),
            expires_at: None,
        }),
        max_output_tokens: 256,
        ..AdmitResponse::default()
    }
}
