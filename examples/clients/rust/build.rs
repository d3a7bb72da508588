//! Generates the client from the compiled protos that are checked in, so that no `protoc` is needed.
use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = "../../../proto/descriptor.binpb";
    println!("cargo:rerun-if-changed={path}");
    let mut set = prost_types::FileDescriptorSet::decode(std::fs::read(path)?.as_slice())?;
    set.file.retain(|file| file.package() != "fairlead.internal.v1");
    tonic_prost_build::configure().build_server(false).compile_fds(set)?;
    Ok(())
}
