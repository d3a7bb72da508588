//! Fairlead `expr`: see the crate's modules.
