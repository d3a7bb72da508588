//! The load side of the benchmark: a bare echo server to compare with, and clients that measure.
//!
//! ```text
//! fairlead-load echo                                      serves until stdin closes; prints its address
//! fairlead-load admit ADDRESS TOKEN CONNECTIONS STREAMS SECONDS [LABEL]
//! fairlead-load settle ADDRESS TOKEN CALLS                CALLS admissions, each settled
//! fairlead-load hold ADDRESS TOKEN CALLS                  CALLS admissions that stay open
//! fairlead-load provider MILLISECONDS                    a provider without delay; parts of its streams come apart
//! fairlead-load chat URL TOKEN CALLS MODEL unary|stream TOKENS [HEADER…]
//! fairlead-load chats URL TOKEN CONNECTIONS CALLS MODEL unary|stream TOKENS [HEADER…]    CALLS on each, at once
//! fairlead-load chains ADDRESS TOKEN WORKFLOW CONCURRENT RUNS BYTES    runs of five steps of the queue `noop`, and their worker
//! fairlead-load start ADDRESS TOKEN WORKFLOW CONCURRENT RUNS BYTES     runs that nobody does
//! fairlead-load collect SOCKET READERS STALLED MAX_EVENTS    collectors of the audit log, until stdin closes
//! ```
//! URL is `HOST:PORT[/PATH]`; the path is `v1/chat/completions` when there is none.
//! Every measuring command prints one JSON object; latencies are in microseconds.

mod chat;
mod collect;
mod echo;
mod gate;
mod grpc;
mod provider;
mod report;
mod steps;

use std::error::Error;
use std::time::Duration;

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
            ["provider", interval] => provider::serve(Duration::from_millis(interval.parse()?)).await,
            ["chat", url, token, calls, model, mode @ ("unary" | "stream"), tokens, headers @ ..] => {
                let target = chat::Target::new(url, token, model, *mode == "stream", tokens.parse()?, headers)?;
                chat::sequence(target, calls.parse()?).await
            }
            ["chats", url, token, connections, calls, model, mode @ ("unary" | "stream"), tokens, headers @ ..] => {
                let target = chat::Target::new(url, token, model, *mode == "stream", tokens.parse()?, headers)?;
                chat::side_by_side(target, connections.parse()?, calls.parse()?).await
            }
            ["collect", socket, readers, stalled, max_events] => {
                collect::collect(socket, readers.parse()?, stalled.parse()?, max_events.parse()?).await
            }
            [what @ ("chains" | "start"), address, token, workflow, concurrent, runs, bytes] => {
                let (concurrent, runs, bytes) = (concurrent.parse()?, runs.parse()?, bytes.parse()?);
                match *what {
                    "chains" => steps::chains(address, token, workflow, concurrent, runs, bytes).await,
                    _ => steps::start(address, token, workflow, concurrent, runs, bytes).await,
                }
            }
            _ => {
                Err("usage: fairlead-load echo | provider | admit | settle | hold | chat | chats | chains | start | collect …; see the module's documentation".into())
            }
        }
    })
}
