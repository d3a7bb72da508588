//! Connections to providers.

mod address;
mod connect;
mod headers;
mod provider;
mod redaction;
mod settings;
mod stream;
mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use headers::FORWARDED_HEADERS;
pub(crate) use provider::{Outgoing, Provider, SendError};
pub use settings::{ProviderSettings, ProxySettings, Secret, SettingsError, Timeouts};
pub use trust::warm_up;

/// The clients of all configured providers. Cheap to clone; one value per configuration.
#[derive(Clone, Debug, Default)]
pub struct Upstream {
    providers: Arc<BTreeMap<String, Arc<Provider>>>,
}

impl Upstream {
    /// Builds a client for every provider.
    ///
    /// # Errors
    /// The first base URL or header that is not valid, named without any secret.
    pub fn new(settings: Vec<ProviderSettings>) -> Result<Self, SettingsError> {
        let (upstream, errors) = Self::default().rebuilt(settings);
        errors.into_iter().next().map_or(Ok(upstream), Err)
    }

    /// The clients for a new configuration. A provider whose settings did not change keeps its client, and with it
    /// its pooled connections; calls in flight keep the client they began with. Providers whose settings cannot be
    /// used are left out and named.
    #[must_use]
    pub fn rebuilt(&self, settings: Vec<ProviderSettings>) -> (Self, Vec<SettingsError>) {
        let mut providers = BTreeMap::new();
        let mut errors = Vec::new();
        for one in settings {
            let kept = self
                .providers
                .get(&one.name)
                .filter(|provider| *provider.settings() == one)
                .cloned();
            let made = kept.map_or_else(|| Provider::new(one).map(Arc::new), Ok);
            match made {
                Ok(provider) => {
                    providers.insert(provider.settings().name.clone(), provider);
                }
                Err(error) => errors.push(error),
            }
        }
        (
            Self {
                providers: Arc::new(providers),
            },
            errors,
        )
    }

    /// The client of a provider.
    pub(crate) fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }
}
