//! Connections to providers.

mod connect;
mod provider;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use provider::{Provider, SendError};
pub use settings::{ProviderKind, ProviderSettings, Secret, SettingsError, Timeouts};

/// The clients of all configured providers. Cheap to clone; one value per configuration.
#[derive(Clone, Debug, Default)]
pub struct Upstream {
    providers: Arc<BTreeMap<String, Arc<Provider>>>,
}

impl Upstream {
    /// Builds a client for every provider.
    ///
    /// # Errors
    /// A base URL or header that is not valid, named without any secret.
    pub fn new(settings: Vec<ProviderSettings>) -> Result<Self, SettingsError> {
        Self::default().rebuilt(settings)
    }

    /// The clients for a new configuration. A provider whose settings did not change keeps its client, and with it
    /// its pooled connections; calls in flight keep the client they began with.
    ///
    /// # Errors
    /// As [`Upstream::new`].
    pub fn rebuilt(&self, settings: Vec<ProviderSettings>) -> Result<Self, SettingsError> {
        let mut providers = BTreeMap::new();
        for one in settings {
            let kept = self
                .providers
                .get(&one.name)
                .filter(|provider| *provider.settings() == one)
                .cloned();
            let provider = match kept {
                Some(provider) => provider,
                None => Arc::new(Provider::new(one)?),
            };
            providers.insert(provider.settings().name.clone(), provider);
        }
        Ok(Self {
            providers: Arc::new(providers),
        })
    }

    /// The client of a provider.
    pub(crate) fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }
}
