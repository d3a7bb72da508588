//! What the daemon tells the front when it starts it: one small JSON object.
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use serde::Deserialize;

/// Options of one start.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// `host:port` of the agent endpoint; port 0 picks a free one.
    pub agent: String,
    /// `host:port` of the health and metrics endpoint; port 0 picks a free one.
    pub health: String,
    /// Unix socket of the control services.
    pub control_socket: PathBuf,
    /// Secret that proves to the control services that a call came through the front.
    pub control_key: String,
    /// Threads of the runtime. They share the pod's quota with Python, so the default is small.
    #[serde(default = "default_worker_threads")]
    pub worker_threads: usize,
}

fn default_worker_threads() -> usize {
    2
}

// Written by hand: the key must not appear in a log.
impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("agent", &self.agent)
            .field("health", &self.health)
            .field("control_socket", &self.control_socket)
            .field("worker_threads", &self.worker_threads)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Parses the JSON form. The message names the key that is wrong.
    pub fn parse(json: &str) -> Result<Self, String> {
        let options: Self = serde_json::from_str(json).map_err(|error| format!("options: {error}"))?;
        if options.worker_threads == 0 || options.worker_threads > 64 {
            return Err(format!(
                "options: worker_threads must be 1 to 64, not {}",
                options.worker_threads
            ));
        }
        Ok(options)
    }
}

/// Resolves `host:port` and binds it, without blocking mode, ready for tokio.
pub fn bind(address: &str) -> io::Result<std::net::TcpListener> {
    let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
    let listener = std::net::TcpListener::bind(addresses.as_slice())?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_default_is_two_threads_and_the_key_is_never_shown() {
        let options = Options::parse(
            r#"{"agent":"127.0.0.1:0","health":"127.0.0.1:0","control_socket":"c.sock","control_key":"hush"}"#,
        )
        .unwrap();
        assert_eq!(options.worker_threads, 2);
        assert!(!format!("{options:?}").contains("hush"));
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let error = Options::parse(r#"{"agents":"127.0.0.1:0"}"#).unwrap_err();
        assert!(error.contains("agents"), "{error}");
    }
}
