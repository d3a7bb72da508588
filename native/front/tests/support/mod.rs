//! A front on loopback with a store in memory, whose writer can be told to hold back, fail or recover.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fairlead_front::core::{Core, UnixNanos};
use fairlead_front::options::Options;
use fairlead_front::runtime::{Ports, Runtime};
use fairlead_wire::internal::{
    Agent, EngineConfig, Limits, Model, Price, Provider, ProviderKind, Reservations, Secrets, Tenant,
};
use fairlead_wire::v1::{AdmitRequest, admit_request::Input};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

pub const TOKEN: &str = "s3cret";
pub const KEY: &str = "front-key";

/// One tenant, one agent, one model, generous bounds.
pub fn config() -> EngineConfig {
    EngineConfig {
        version: "a".repeat(64),
        tenants: vec![Tenant {
            name: "acme".into(),
            agents: vec![Agent {
                name: "bot".into(),
                ..Agent::default()
            }],
        }],
        providers: vec![Provider {
            name: "local".into(),
            kind: ProviderKind::OpenaiCompatible as i32,
            base_url: "http://127.0.0.1:1/v1".into(),
            timeouts: Some(fairlead_wire::internal::ProviderTimeouts {
                connect_millis: 1_000,
                first_byte_millis: 1_000,
                idle_millis: 1_000,
                attempt_millis: 10_000,
            }),
            breaker: Some(fairlead_wire::internal::Breaker {
                consecutive_failures: 5,
                failure_rate_per_mille: 500,
                minimum_calls: 20,
                window_millis: 30_000,
                open_millis: 5_000,
                max_open_millis: 60_000,
                ramp_millis: 10_000,
            }),
            max_idle_connections: 4,
            ..Provider::default()
        }],
        models: vec![Model {
            name: "small".into(),
            provider: "local".into(),
            upstream: "small-1".into(),
            price: Some(Price {
                input_pico: 1_000_000,
                cached_input_pico: 500_000,
                cache_write_pico: 1_000_000,
                output_pico: 2_000_000,
                ..Default::default()
            }),
            context_tokens: 100_000,
            max_output_tokens: 4_096,
            quality_per_mille: 500,
            ..Model::default()
        }],
        defaults: BTreeMap::from([("model.call".into(), "allow".into())]),
        limits: Some(Limits {
            request_bytes: 64 << 10,
            queue_depth: 1_024,
            budget_instances: 1_000,
            streams: 256,
            open_reservations: 10_000,
            request_ids: 100_000,
            waiting_calls: 64,
            kept_answer_bytes: 64 << 10,
            clock_skew_millis: 1_000,
            ..Default::default()
        }),
        reservations: Some(Reservations {
            ttl_millis: 60_000,
            charge_on_expiry: true,
            ..Default::default()
        }),
        audit_content: "digest".into(),
        ..EngineConfig::default()
    }
}

pub fn limits(config: &mut EngineConfig) -> &mut Limits {
    config.limits.get_or_insert_default()
}

pub fn secrets() -> Secrets {
    Secrets {
        values: BTreeMap::from([("tenants/acme/agents/bot".into(), TOKEN.into())]),
    }
}

pub fn admit_request(id: &str) -> AdmitRequest {
    AdmitRequest {
        request_id: id.into(),
        model: "small".into(),
        input: Some(Input::InputTokens(100)),
        max_output_tokens: 100,
        ..AdmitRequest::default()
    }
}

pub fn now() -> UnixNanos {
    UnixNanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64)
}

type Records = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

/// The store and its writer thread.
pub struct Store {
    core: Core,
    records: Arc<Mutex<Records>>,
    /// Held by the writer during one round: who has it knows that no batch is on its way.
    held_back: Arc<parking_lot::Mutex<bool>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    pub fn start(core: &Core) -> Self {
        let records = Arc::new(Mutex::new(Records::new()));
        let held_back = Arc::new(parking_lot::Mutex::new(false));
        let stop = Arc::new(AtomicBool::new(false));
        core.recover(std::iter::empty(), true, now()).unwrap();
        let thread = std::thread::spawn({
            let (core, records, held_back, stop) = (core.clone(), records.clone(), held_back.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::SeqCst) {
                    let round = held_back.lock();
                    if *round {
                        parking_lot::MutexGuard::unlock_fair(round);
                        std::thread::park_timeout(Duration::from_millis(1));
                        continue;
                    }
                    let Some(batch) = core.next_batch(64, Duration::from_millis(5)) else {
                        parking_lot::MutexGuard::unlock_fair(round);
                        continue;
                    };
                    let mut records = records.lock().unwrap();
                    for write in batch.writes.iter().cloned() {
                        match write.value {
                            Some(value) => records.insert((write.family, write.key), value),
                            None => records.remove(&(write.family, write.key)),
                        };
                    }
                    drop(records);
                    core.acknowledge(
                        batch.last,
                        batch.last,
                        Duration::from_micros(5),
                        Duration::from_micros(7),
                    );
                    parking_lot::MutexGuard::unlock_fair(round);
                }
            }
        });
        Self {
            core: core.clone(),
            records,
            held_back,
            stop,
            thread: Some(thread),
        }
    }

    /// From now on nothing is taken or acknowledged.
    pub fn hold_back(&self) {
        *self.held_back.lock() = true;
    }

    pub fn go_on(&self) {
        *self.held_back.lock() = false;
    }

    /// A new engine from what is stored.
    pub fn recover(&self) {
        let records = self.records.lock().unwrap();
        let records = records
            .iter()
            .map(|((family, key), value)| (*family, key.as_slice(), value.as_slice()));
        self.core.recover(records, true, now()).unwrap();
    }

    pub fn get(&self, family: u32, key: &[u8]) -> Option<Vec<u8>> {
        self.records.lock().unwrap().get(&(family, key.to_vec())).cloned()
    }

    pub fn reader(&self) -> impl Fn(u32, &[u8]) -> Option<Vec<u8>> + Clone + Send + Sync + 'static {
        let records = self.records.clone();
        move |family, key| records.lock().unwrap().get(&(family, key.to_vec())).cloned()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A running front.
pub struct Daemon {
    pub runtime: Arc<Runtime>,
    pub core: Core,
    pub store: Store,
    pub ports: Ports,
    pub control_socket: PathBuf,
    directory: PathBuf,
}

impl Daemon {
    pub fn start(config: EngineConfig) -> Self {
        let core = Core::new(config, secrets()).unwrap();
        let store = Store::start(&core);
        let directory = directory();
        let control_socket = directory.join("control.sock");
        let runtime = Arc::new(Runtime::new(core.clone()));
        let options = Options {
            agent: "127.0.0.1:0".into(),
            health: "127.0.0.1:0".into(),
            control_socket: control_socket.clone(),
            control_key: KEY.into(),
            worker_threads: 2,
        };
        let ports = runtime.start(&options).unwrap();
        runtime.set_serving(true);
        Self {
            runtime,
            core,
            store,
            ports,
            control_socket,
            directory,
        }
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.ports.agent, Some(TOKEN)).await
    }

    pub async fn stranger(&self, token: Option<&'static str>) -> Client {
        Client::connect(self.ports.agent, token).await
    }

    /// Shuts down on another thread, as the daemon does.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        let runtime = Arc::clone(&self.runtime);
        tokio::task::spawn_blocking(move || runtime.shutdown(grace))
            .await
            .unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.runtime.shutdown(Duration::ZERO);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn directory() -> PathBuf {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let name = format!(
        "fairlead-front-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path).unwrap();
    Path::new(&path).to_path_buf()
}

/// A gRPC client that can call any method.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    token: Option<&'static str>,
}

impl Client {
    pub async fn connect(port: u16, token: Option<&'static str>) -> Self {
        let channel = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self { channel, token }
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub async fn call<Q, A>(&self, path: &'static str, request: Q) -> Result<Response<A>, Status>
    where
        Q: Message + Default + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.call_with(path, Request::new(request)).await
    }

    pub async fn call_with<Q, A>(&self, path: &'static str, mut request: Request<Q>) -> Result<Response<A>, Status>
    where
        Q: Message + Default + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        if let Some(token) = self.token {
            let value = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        grpc.unary(
            request,
            PathAndQuery::from_static(path),
            tonic_prost::ProstCodec::default(),
        )
        .await
    }

    pub async fn admit(&self, request: AdmitRequest) -> Result<fairlead_wire::v1::AdmitResponse, Status> {
        self.call("/fairlead.v1.GateService/Admit", request)
            .await
            .map(Response::into_inner)
    }

    pub async fn settle(
        &self,
        request: fairlead_wire::v1::SettleRequest,
    ) -> Result<fairlead_wire::v1::SettleResponse, Status> {
        self.call("/fairlead.v1.GateService/Settle", request)
            .await
            .map(Response::into_inner)
    }

    pub async fn release(
        &self,
        request: fairlead_wire::v1::ReleaseRequest,
    ) -> Result<fairlead_wire::v1::ReleaseResponse, Status> {
        self.call("/fairlead.v1.GateService/Release", request)
            .await
            .map(Response::into_inner)
    }

    pub async fn authorize_tool(
        &self,
        request: fairlead_wire::v1::AuthorizeToolRequest,
    ) -> Result<fairlead_wire::v1::AuthorizeToolResponse, Status> {
        self.call("/fairlead.v1.GateService/AuthorizeTool", request)
            .await
            .map(Response::into_inner)
    }

    pub async fn complete_tool(
        &self,
        request: fairlead_wire::v1::CompleteToolRequest,
    ) -> Result<fairlead_wire::v1::CompleteToolResponse, Status> {
        self.call("/fairlead.v1.GateService/CompleteTool", request)
            .await
            .map(Response::into_inner)
    }
}

/// Reason of the one ErrorInfo; checks what holds for every error.
pub fn reason(status: &Status) -> String {
    use tonic_types::StatusExt;
    assert!(
        status.details().len() < 4096,
        "details take {} bytes",
        status.details().len()
    );
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "fairlead");
    info.reason
}

/// A plain GET: status and body.
pub async fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}
