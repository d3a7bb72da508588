//! Fairlead `front`: see the crate's modules.
