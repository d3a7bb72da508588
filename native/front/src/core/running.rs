//! The configuration in force, in every form somebody needs.
use std::sync::Arc;

use fairlead_engine::Workflows;
use fairlead_plan::Compiled;
use fairlead_wire::internal::{EngineConfig, Limits, Secrets};

use crate::auth::Credentials;

/// Immutable; replaced as a whole.
pub struct Running {
    /// As the control services gave it.
    pub config: Arc<EngineConfig>,
    /// As the engine uses it.
    pub compiled: Arc<Compiled>,
    /// Its workflows.
    pub workflows: Arc<Workflows>,
    /// Secrets of providers. Never log them.
    pub secrets: Arc<Secrets>,
    /// Credentials of agents.
    pub credentials: Credentials,
}

impl Running {
    /// Hashes the credentials; the rest is kept as it is.
    pub fn new(config: EngineConfig, secrets: Secrets, compiled: Arc<Compiled>, workflows: Arc<Workflows>) -> Self {
        let credentials = Credentials::load(&config, &secrets);
        Self {
            config: Arc::new(config),
            compiled,
            workflows,
            secrets: Arc::new(secrets),
            credentials,
        }
    }

    /// The same configuration with other secrets.
    pub fn with_secrets(&self, secrets: Secrets) -> Self {
        Self {
            config: Arc::clone(&self.config),
            compiled: Arc::clone(&self.compiled),
            workflows: Arc::clone(&self.workflows),
            credentials: Credentials::load(&self.config, &secrets),
            secrets: Arc::new(secrets),
        }
    }

    /// Bounds.
    pub fn limits(&self) -> &Limits {
        self.compiled.limits()
    }
}
