//! Generates the services that the front serves itself; the messages come from `fairlead-wire`.
use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = "../../proto/descriptor.binpb";
    println!("cargo:rerun-if-changed={path}");
    let mut set = prost_types::FileDescriptorSet::decode(std::fs::read(path)?.as_slice())?;
    set.file.retain(|file| {
        matches!(
            file.name(),
            "fairlead/v1/gate_service.proto"
                | "fairlead/v1/model_service.proto"
                | "fairlead/v1/worker_service.proto"
                | "fairlead/v1/workflow_service.proto"
        )
    });
    let services = set.file.iter_mut().flat_map(|file| &mut file.service);
    for service in services.filter(|service| service.name.as_deref() == Some("WorkflowService")) {
        // The rest of it is Python's.
        service.method.retain(|method| method.name() == "StartRun");
    }
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .extern_path(".fairlead.v1", "::fairlead_wire::v1")
        .compile_fds(set)?;
    Ok(())
}
