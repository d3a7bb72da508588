//! Every task of the front runs under this supervisor: a panic is caught, counted and turns the front unhealthy, and a
//! drain can wait for the work that outlives its client (a settlement after a disconnect).
use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Shared by everything that spawns.
#[derive(Clone)]
pub struct Tasks {
    shared: Arc<Shared>,
}

struct Shared {
    panics: AtomicU64,
    faulted: watch::Sender<bool>,
    must_finish: watch::Sender<u64>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                panics: AtomicU64::new(0),
                faulted: watch::Sender::new(false),
                must_finish: watch::Sender::new(0),
            }),
        }
    }
}

impl Tasks {
    /// Runs a task that a shutdown may simply cut.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = self.clone();
        tokio::spawn(async move { tasks.supervise(name, task).await })
    }

    /// Runs a task that a drain waits for, because it holds something that must be given back.
    pub fn spawn_to_the_end<F>(&self, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let guard = MustFinish::enter(Arc::clone(&self.shared));
        self.spawn(name, async move {
            task.await;
            drop(guard);
        })
    }

    /// Panics so far.
    pub fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    /// True from the first panic on.
    pub fn faulted(&self) -> watch::Receiver<bool> {
        self.shared.faulted.subscribe()
    }

    /// Returns when no task of [`Self::spawn_to_the_end`] runs.
    pub async fn finished(&self) {
        // An error means that the sender is gone, which `self` rules out.
        let _ = self
            .shared
            .must_finish
            .subscribe()
            .wait_for(|running| *running == 0)
            .await;
    }

    async fn supervise<F: Future<Output = ()>>(&self, name: &'static str, task: F) {
        if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
            self.report(name, panic.as_ref());
        }
    }

    fn report(&self, name: &'static str, panic: &(dyn Any + Send)) {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        self.shared.panics.fetch_add(1, Ordering::Relaxed);
        self.shared.faulted.send_replace(true);
        tracing::error!(
            task = name,
            message,
            "a task panicked: the front is not healthy any more"
        );
    }
}

/// Counts one running task; the drop also runs when it panics or is cut.
struct MustFinish(Arc<Shared>);

impl MustFinish {
    fn enter(shared: Arc<Shared>) -> Self {
        shared.must_finish.send_modify(|running| *running += 1);
        Self(shared)
    }
}

impl Drop for MustFinish {
    fn drop(&mut self) {
        self.0.must_finish.send_modify(|running| *running -= 1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[tokio::test]
    async fn a_panic_is_counted_and_reported() {
        let tasks = Tasks::default();
        let mut faulted = tasks.faulted();
        tasks.spawn("unlucky", async { panic!("boom") }).await.unwrap();
        faulted.wait_for(|faulted| *faulted).await.unwrap();
        assert_eq!(tasks.panics(), 1);
    }

    #[tokio::test]
    async fn a_drain_waits_for_work_that_must_finish_even_when_it_panics() {
        let tasks = Tasks::default();
        let (go, gate) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn_to_the_end("settle", async move {
            gate.await.unwrap();
            panic!("late")
        });
        assert!(tasks.finished().now_or_never().is_none());
        go.send(()).unwrap();
        tasks.finished().await;
    }
}
