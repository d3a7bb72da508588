//! Generates the message types from the checked-in descriptor, so that no `protoc` is needed.
use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = "../../proto/descriptor.binpb";
    println!("cargo:rerun-if-changed={path}");
    let set = prost_types::FileDescriptorSet::decode(std::fs::read(path)?.as_slice())?;
    // Maps are ordered: records are hashed by their bytes and must encode the same every time.
    prost_build::Config::new().btree_map(["."]).compile_fds(set)?;
    Ok(())
}
