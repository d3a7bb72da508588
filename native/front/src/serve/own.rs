//! The gRPC services that the front serves itself for everybody, without a credential: health and reflection.
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fairlead_wire::FILE_DESCRIPTOR_SET;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use prost::Message;
use prost_types::FileDescriptorSet;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::front::Front;
use crate::refusal;
use crate::serve::body::Interruptible;
use crate::serving::Phase;
use crate::status;

/// Package whose services and messages stay inside the daemon.
const INTERNAL: &str = "fairlead.internal";
/// Services of the public package that only operators reach, on their own socket.
const OPERATOR_ONLY: [&str; 5] = [
    "fairlead.v1.ApprovalService",
    "fairlead.v1.AuditService",
    "fairlead.v1.BackupService",
    "fairlead.v1.ConfigService",
    "fairlead.v1.NotificationService",
];

/// How long the end of a stream waits for the health to be said: it takes no time, unless the task is gone that says it.
const SAYING_LIMIT: Duration = Duration::from_secs(1);

/// A service without its type.
pub type Erased = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// Forgets the type of a tonic service.
pub fn erase<S>(service: S) -> Erased
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    Arc::new(move |request| {
        let response = service.clone().call(request);
        Box::pin(async move {
            match response.await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        })
    })
}

/// The two services.
pub struct Own {
    reporter: HealthReporter,
    health: Erased,
    reflection: Erased,
    reflection_alpha: Erased,
    names: Vec<String>,
    /// The health of a front that stops has been said.
    said_stopping: watch::Sender<bool>,
}

impl Own {
    /// Builds both. Call [`Own::begin`] before anybody can ask.
    pub fn new() -> Result<Self, String> {
        let reporter = HealthReporter::new();
        let descriptors = public_descriptors()?;
        let names = agent_services(&descriptors);
        let builder = || {
            let builder = tonic_reflection::server::Builder::configure()
                .register_file_descriptor_set(descriptors.clone())
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .with_service_name("grpc.health.v1.Health");
            names
                .iter()
                .fold(builder, |builder, name| builder.with_service_name(name))
        };
        let failed = |error: tonic_reflection::server::Error| format!("reflection cannot be set up: {error}");
        Ok(Self {
            health: erase(HealthServer::new(HealthService::from_health_reporter(reporter.clone()))),
            reflection: erase(builder().build_v1().map_err(failed)?),
            reflection_alpha: erase(builder().build_v1alpha().map_err(failed)?),
            reporter,
            names,
            said_stopping: watch::Sender::new(false),
        })
    }

    /// The response, when the path is one of these services'. Streams end when the front stops; whoever watches its
    /// health is told before that.
    pub async fn respond(
        &self,
        front: &Front,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Request<Incoming>> {
        let service = match request.uri().path().split('/').nth(1) {
            Some("grpc.health.v1.Health") => &self.health,
            Some("grpc.reflection.v1.ServerReflection") => &self.reflection,
            Some("grpc.reflection.v1alpha.ServerReflection") => &self.reflection_alpha,
            _ => return Err(request),
        };
        let serving = front.serving.clone();
        let mut said = self.said_stopping.subscribe();
        let stopped = async move {
            // An error means that the sender is gone: nothing serves any more.
            let _ = serving.subscribe().wait_for(|phase| *phase == Phase::Stopping).await;
            // The end of the stream must not overtake its last message.
            let _ = tokio::time::timeout(SAYING_LIMIT, said.wait_for(|said| *said)).await;
            tokio::task::yield_now().await;
            status::of(&refusal::draining())
        };
        let response = service(request).await;
        let lost = || status::of(&refusal::draining());
        Ok(response.map(|body| Body::new(Interruptible::new(body, Some(Box::pin(stopped)), lost))))
    }

    /// Keeps the health of every service equal to the front's, for ever.
    pub async fn follow(&self, front: &Front) {
        let mut phase = front.serving.subscribe();
        let mut store = front.core.store_available();
        let mut faulted = front.tasks.faulted();
        loop {
            let is_stopping = *phase.borrow_and_update() == Phase::Stopping;
            self.say(if front.is_healthy() {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            })
            .await;
            if is_stopping {
                self.said_stopping.send_replace(true);
            }
            let changed = tokio::select! {
                changed = phase.changed() => changed,
                changed = store.changed() => changed,
                changed = faulted.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Says NOT_SERVING, before anybody can ask.
    pub async fn begin(&self) {
        self.say(ServingStatus::NotServing).await;
    }

    async fn say(&self, status: ServingStatus) {
        self.reporter.set_service_status("", status).await;
        for name in &self.names {
            self.reporter.set_service_status(name, status).await;
        }
    }
}

fn public_descriptors() -> Result<FileDescriptorSet, String> {
    let mut set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)
        .map_err(|error| format!("the built-in descriptor cannot be read: {error}"))?;
    set.file.retain(|file| !file.package().starts_with(INTERNAL));
    Ok(set)
}

fn agent_services(descriptors: &FileDescriptorSet) -> Vec<String> {
    descriptors
        .file
        .iter()
        .flat_map(|file| {
            file.service
                .iter()
                .map(move |service| format!("{}.{}", file.package(), service.name()))
        })
        .filter(|name| !OPERATOR_ONLY.contains(&name.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn agents_see_what_agents_may_call() {
        let descriptors = public_descriptors().unwrap();
        assert!(descriptors.file.iter().all(|file| !file.package().contains("internal")));
        let names = agent_services(&descriptors);
        assert!(names.contains(&"fairlead.v1.GateService".to_owned()));
        assert!(names.contains(&"fairlead.v1.ApprovalTicketService".to_owned()));
        for name in OPERATOR_ONLY {
            assert!(!names.contains(&name.to_owned()), "{name}");
        }
    }
}
