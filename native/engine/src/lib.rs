//! Fairlead `engine`: see the crate's modules.
