//! Fairlead `plan`: see the crate's modules.
