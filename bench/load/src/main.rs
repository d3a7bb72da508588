//! The load side of the benchmark: a bare echo server to compare with, and clients that measure.
//!
//! ```text
//! fairlead-load echo                                      serves until stdin closes; prints its address
//! fairlead-load admit ADDRESS TOKEN CONNECTIONS STREAMS SECONDS [LABEL]
//! fairlead-load settle ADDRESS TOKEN CALLS                CALLS admissions, each settled
//! fairlead-load hold ADDRESS TOKEN CALLS                  CALLS admissions that stay open
//! fairlead-load chat ADDRESS TOKEN CALLS MODEL unary|stream
//! ```
//! Every measuring command prints one JSON object; latencies are in microseconds.

mod chat;
mod echo;
mod gate;
mod report;

use std::error::Error;

/// Errors end the program with their text: a benchmark that failed has no numbers.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        match words.as_slice() {
            ["echo"] => echo::serve().await,
            ["admit", address, token, connections, streams, seconds] => {
                gate::flood(address, token, connections.parse()?, streams.parse()?, seconds.parse()?).await
            }
            ["settle", address, token, calls] => gate::sequence(address, token, calls.parse()?, true).await,
            ["hold", address, token, calls] => gate::sequence(address, token, calls.parse()?, false).await,
            ["chat", address, token, calls, model, mode @ ("unary" | "stream")] => {
                chat::sequence(address, token, calls.parse()?, model, *mode == "stream").await
            }
            _ => {
                Err("usage: fairlead-load echo | admit | settle | hold | chat …; see the module's documentation".into())
            }
        }
    })
}
