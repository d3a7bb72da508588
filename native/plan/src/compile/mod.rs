//! Configuration → [`Compiled`], or every violation at once.

use fairlead_wire::internal;

use crate::compiled::{Compiled, Violation};

impl Compiled {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// Every violation, with its path in YAML spelling.
    pub fn compile(_config: &internal::EngineConfig) -> Result<Self, Vec<Violation>> {
        Err(Vec::new())
    }
}
