//! Message types of the API, the audit log and the store. Maps are ordered, so that the same message always
//! encodes to the same bytes. Services are generated where they are served.
#![allow(missing_docs, clippy::all)]

mod fairlead {
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/fairlead.v1.rs"));
    }
    pub mod internal {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/fairlead.internal.v1.rs"));
        }
    }
}

/// Configuration, commands and stored values, package `fairlead.internal.v1`.
pub use fairlead::internal::v1 as internal;
/// The public API, package `fairlead.v1`.
pub use fairlead::v1;

/// The serialized `FileDescriptorSet`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("../../../proto/descriptor.binpb");
