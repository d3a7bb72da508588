//! The front's own tokio runtime in its own thread, from `start` to `shutdown`.
//!
//! | state | `start` | `shutdown` |
//! |---|---|---|
//! | idle | binds, serves → running | → stopped |
//! | running | refused | drains → stopped |
//! | stopped | refused | answers as the first time |
//!
//! No signal handler is installed: signals are Python's. The thread is joined before `shutdown` returns, so that nothing
//! of the front runs when the interpreter goes away.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::core::Core;
use crate::front::Front;
use crate::options::{self, Options};
use crate::serving::Serving;
use crate::tasks::Tasks;
use crate::{model, monitor, serve};

/// How often holds that have run out are ended.
const EXPIRY_TICK: Duration = Duration::from_millis(250);
/// How often runs are compared with what is derived from them.
const RECONCILIATION_TICK: Duration = Duration::from_secs(600);
/// When that is tried again that could not be done.
const RECONCILIATION_RETRY: Duration = Duration::from_secs(5);
/// How often keys of steps that could not be looked up are tried again.
const KEYS_TICK: Duration = Duration::from_secs(1);
/// After the drain: what the runtime gets to drop its tasks.
const RUNTIME_GRACE: Duration = Duration::from_secs(1);

/// Why the front did not start.
#[derive(Debug)]
pub enum StartError {
    /// An option is wrong.
    Options(String),
    /// An address could not be bound, or the runtime not be made.
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// It was started before, or is shut down.
    Closed,
}

/// Ports that were bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Agent endpoint.
    pub agent: u16,
    /// Health endpoint.
    pub health: u16,
}

/// See the module.
pub struct Runtime {
    core: Core,
    serving: Serving,
    state: Mutex<State>,
}

enum State {
    Idle,
    Running(Running),
    Stopped { clean: bool },
}

struct Running {
    stop: oneshot::Sender<Duration>,
    thread: JoinHandle<bool>,
}

impl Runtime {
    /// Not started.
    pub fn new(core: Core) -> Self {
        Self {
            core,
            serving: Serving::default(),
            state: Mutex::new(State::Idle),
        }
    }

    /// Binds both endpoints and begins to serve them. Health says NOT_SERVING until [`Self::set_serving`].
    pub fn start(&self, options: &Options) -> Result<Ports, StartError> {
        let mut state = self.state.lock();
        if !matches!(*state, State::Idle) {
            return Err(StartError::Closed);
        }
        let agent = bind("agent", &options.agent)?;
        let health = bind("health", &options.health)?;
        let ports = Ports {
            agent: port(&agent)?,
            health: port(&health)?,
        };
        let tasks = Tasks::default();
        let front = Front::new(self.core.clone(), self.serving.clone(), tasks, options).map_err(StartError::Options)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.worker_threads)
            .thread_name("fairlead-io")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| StartError::Io {
                what: "start the runtime".to_owned(),
                error,
            })?;
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = thread::Builder::new()
            .name("fairlead-front".to_owned())
            .spawn(move || {
                let clean = runtime.block_on(run(front, agent, health, ready, stopped));
                runtime.shutdown_timeout(RUNTIME_GRACE);
                clean
            })
            .map_err(|error| StartError::Io {
                what: "start the front's thread".to_owned(),
                error,
            })?;
        *state = State::Running(Running { stop, thread });
        drop(state);
        match is_ready.recv() {
            Ok(Ok(())) => Ok(ports),
            Ok(Err(error)) => Err(StartError::Io {
                what: "listen".to_owned(),
                error,
            }),
            Err(error) => Err(StartError::Io {
                what: "start the front".to_owned(),
                error: io::Error::other(error.to_string()),
            }),
        }
    }

    /// Serves, or stops taking new calls.
    pub fn set_serving(&self, serving: bool) {
        self.serving.set(serving);
    }

    /// The phase, for whoever wants to follow it.
    pub fn serving(&self) -> &Serving {
        &self.serving
    }

    /// Stops accepting, says GOAWAY, gives the calls in flight `grace`, cuts the rest and joins the runtime. True when
    /// nothing was cut. The commit queue has to be served until this returns. Later calls return the same answer.
    pub fn shutdown(&self, grace: Duration) -> bool {
        self.serving.stop();
        let mut state = self.state.lock();
        let clean = match std::mem::replace(&mut *state, State::Stopped { clean: true }) {
            State::Idle => true,
            State::Stopped { clean } => clean,
            State::Running(running) => {
                // The receiver is gone only when the thread has ended by itself.
                let _ = running.stop.send(grace);
                running.thread.join().unwrap_or(false)
            }
        };
        *state = State::Stopped { clean };
        clean
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shutdown(Duration::ZERO);
    }
}

fn bind(what: &str, address: &str) -> Result<std::net::TcpListener, StartError> {
    options::bind(address).map_err(|error| StartError::Io {
        what: format!("listen on {address} ({what} endpoint)"),
        error,
    })
}

fn port(listener: &std::net::TcpListener) -> Result<u16, StartError> {
    listener
        .local_addr()
        .map(|address: SocketAddr| address.port())
        .map_err(|error| StartError::Io {
            what: "read the bound address".to_owned(),
            error,
        })
}

/// The life of the front inside its runtime. Answers whether everything ended within the grace.
async fn run(
    front: Arc<Front>,
    agent: std::net::TcpListener,
    health: std::net::TcpListener,
    ready: std::sync::mpsc::Sender<io::Result<()>>,
    stopped: oneshot::Receiver<Duration>,
) -> bool {
    let (agent, health) = match (TcpListener::from_std(agent), TcpListener::from_std(health)) {
        (Ok(agent), Ok(health)) => (agent, health),
        (Err(error), _) | (_, Err(error)) => {
            // Nobody waits any more only if `start` itself was cut.
            let _ = ready.send(Err(error));
            return false;
        }
    };
    front.own.begin().await;
    front.core.attach_reader(Arc::clone(&front.forwarder) as _);
    let (drained, drain) = watch::channel(false);
    let follower = Arc::clone(&front);
    front
        .tasks
        .spawn("health", async move { follower.own.follow(&follower).await });
    front.tasks.spawn("expiry", expire(front.core.clone()));
    front.tasks.spawn("model steps", model::step::serve(Arc::clone(&front)));
    front.tasks.spawn("reconciliation", reconcile(front.core.clone()));
    front.tasks.spawn("step keys", resolve_keys(front.core.clone()));
    front.tasks.spawn(
        "health endpoint",
        monitor::serve(health, Arc::clone(&front), Box::pin(becomes_true(drain.clone()))),
    );
    let agents = front
        .tasks
        .spawn("agent endpoint", serve::agents(agent, Arc::clone(&front)));
    let _ = ready.send(Ok(()));

    // A dropped sender means that the owner is gone: stop without grace.
    let grace = stopped.await.unwrap_or(Duration::ZERO);
    front.serving.stop();
    let clean = timeout(grace, async {
        // The accept loop returns when its last connection is done.
        let _ = agents.await;
        front.tasks.finished().await;
    })
    .await
    .is_ok();
    if !clean {
        tracing::warn!(
            grace_millis = grace.as_millis() as u64,
            "calls were still in flight at the end of the grace: they are cut"
        );
    }
    drained.send_replace(true);
    front.core.detach_reader();
    clean
}

async fn becomes_true(mut signal: watch::Receiver<bool>) {
    // An error means that the sender is gone: the end as well.
    let _ = signal.wait_for(|now| *now).await;
}

/// Ends what has its time behind it: soon after it is due, and at least every tick, in case the clock jumped.
async fn expire(core: Core) {
    loop {
        core.wait_for_due(EXPIRY_TICK).await;
        core.expire();
    }
}

/// Compares runs with what is derived from them, at the start and from time to time. Each repair is in the audit log.
async fn reconcile(core: Core) {
    loop {
        match core.reconcile() {
            Ok(0) => {}
            Ok(repaired) => tracing::warn!(repaired, "runs were not as they have to be and were repaired"),
            Err(rejection) => {
                tracing::debug!(reason = rejection.reason.as_str(), "runs cannot be compared now");
                tokio::time::sleep(RECONCILIATION_RETRY).await;
                continue;
            }
        }
        tokio::time::sleep(RECONCILIATION_TICK).await;
    }
}

/// Looks up the idempotency keys of steps as they come.
async fn resolve_keys(core: Core) {
    loop {
        core.wait_for_keys(KEYS_TICK).await;
        if let Err(rejection) = core.resolve_step_keys().await {
            // They stay where they are, and are looked up with the next tick.
            tracing::debug!(
                reason = rejection.reason.as_str(),
                "keys of steps cannot be looked up now"
            );
        }
    }
}
