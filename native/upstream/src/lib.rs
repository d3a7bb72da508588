//! Fairlead `upstream`: see the crate's modules.
