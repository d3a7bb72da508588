//! The example client in Rust. It goes through the scenes of examples/clients/README.md, one JSON line for each.
mod connection;
mod gate;
mod runs;
mod talk;

/// What is generated from the protos.
#[allow(clippy::all)]
pub mod api {
    tonic::include_proto!("fairlead.v1");
}

type Failed = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let connection = connection::Connection::from_environment()?;
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, count] = arguments.as_slice()
        && mode == "--bench"
    {
        return gate::bench(&connection, count.parse()?).await;
    }
    let invocation = gate::admit(&connection).await?;
    gate::settle(&connection, &invocation).await?;
    gate::refusals(&connection, &invocation).await?;
    gate::tool(&connection).await?;
    let run = runs::run(&connection).await?;
    runs::events(&connection, &run).await?;
    gate::deadline(&connection).await?;
    gate::reconnect(&connection).await
}
