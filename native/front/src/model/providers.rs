//! The provider clients and route rules of the configuration in force.
//!
//! Made when the first call sees a new configuration. Clients of providers that did not change keep their connections.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use fairlead_plan::Compiled;
use fairlead_upstream::{FallbackOn, ProviderSettings, RetryPolicy, Secret, Timeouts, Upstream, Vendor};
use fairlead_wire::internal::{self, Secrets};
use parking_lot::Mutex;

use crate::core::Running;

/// Idle connections to a provider when nothing is configured.
const IDLE_CONNECTIONS: usize = 32;

/// See the module.
#[derive(Default)]
pub(super) struct Providers {
    current: ArcSwapOption<Made>,
    /// One rebuild at a time, so that no client is made twice.
    making: Mutex<()>,
}

/// What was made for one configuration.
pub(super) struct Made {
    running: Arc<Running>,
    /// The clients.
    pub(super) upstream: Upstream,
    rules: HashMap<Arc<str>, Rules>,
    /// Rules of a call that named a model directly.
    direct: Rules,
}

/// What a route says about attempts.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) retry: RetryPolicy,
    pub(super) fallback: FallbackOn,
    pub(super) timeout: Option<Duration>,
}

impl Providers {
    /// The clients and rules for a configuration.
    pub(super) fn of(&self, running: &Arc<Running>) -> Arc<Made> {
        if let Some(made) = self.current_for(running) {
            return made;
        }
        let _making = self.making.lock();
        if let Some(made) = self.current_for(running) {
            return made;
        }
        let before = self
            .current
            .load_full()
            .map(|made| made.upstream.clone())
            .unwrap_or_default();
        let settings = running
            .compiled
            .providers()
            .iter()
            .map(|one| settings(one, &running.secrets))
            .collect();
        let (upstream, errors) = before.rebuilt(settings);
        for error in errors {
            tracing::error!(
                provider = error.provider,
                error = error.message,
                "the provider cannot be called"
            );
        }
        let made = Arc::new(Made {
            running: Arc::clone(running),
            upstream,
            rules: rules(&running.compiled),
            // Nothing declares retries for it, so nothing was reserved for them.
            direct: Rules {
                retry: RetryPolicy {
                    attempts: 1,
                    ..RetryPolicy::default()
                },
                ..Rules::default()
            },
        });
        self.current.store(Some(Arc::clone(&made)));
        made
    }

    fn current_for(&self, running: &Arc<Running>) -> Option<Arc<Made>> {
        self.current
            .load_full()
            .filter(|made| Arc::ptr_eq(&made.running, running))
    }
}

impl Made {
    /// The rules of a route; empty for a call that named its model. A route that is gone after a reload between the
    /// decision and here gets the same rules as no route.
    pub(super) fn rules(&self, route: &str) -> &Rules {
        self.rules.get(route).unwrap_or(&self.direct)
    }
}

fn rules(compiled: &Compiled) -> HashMap<Arc<str>, Rules> {
    compiled
        .routes()
        .iter()
        .map(|route| {
            let fallback = FallbackOn::parse(&route.fallback_on).unwrap_or_else(|unknown| {
                tracing::error!(route = &*route.name, error = %unknown, "the route falls back on nothing");
                FallbackOn::default()
            });
            (
                Arc::clone(&route.name),
                Rules {
                    retry: retry(&route.retry),
                    fallback,
                    timeout: route.timeout,
                },
            )
        })
        .collect()
}

fn retry(retry: &internal::Retry) -> RetryPolicy {
    RetryPolicy {
        attempts: retry.attempts.max(1),
        initial: Duration::from_millis(retry.initial_millis),
        max: Duration::from_millis(retry.max_millis),
        wait_for_retry_after_up_to: Duration::from_millis(retry.wait_for_retry_after_up_to_millis),
    }
}

fn settings(provider: &internal::Provider, secrets: &Secrets) -> ProviderSettings {
    let key = secrets
        .values
        .get(&format!("providers/{}", provider.name))
        .filter(|key| !key.is_empty());
    ProviderSettings {
        name: provider.name.clone(),
        kind: match provider.kind() {
            internal::ProviderKind::Openai => Vendor::OpenAi,
            internal::ProviderKind::Ollama => Vendor::Ollama,
            internal::ProviderKind::Anthropic => Vendor::Anthropic,
            internal::ProviderKind::AzureOpenai => Vendor::AzureOpenAi,
            internal::ProviderKind::OpenaiCompatible | internal::ProviderKind::Unspecified => Vendor::OpenAiCompatible,
        },
        base_url: provider.base_url.clone(),
        api_key: key.map(|key| Secret::new(key.as_str())),
        headers: headers(provider, secrets)
            .map(|(name, value)| (name.to_owned(), Secret::new(value)))
            .collect(),
        timeouts: timeouts(provider.timeouts.as_ref()),
        max_idle_connections: match provider.max_idle_connections {
            0 => IDLE_CONNECTIONS,
            most => usize::try_from(most).unwrap_or(IDLE_CONNECTIONS),
        },
    }
}

/// Headers of the configuration, and those whose value is a secret: `providers/{name}/headers/{header}` in `secrets`.
fn headers<'a>(provider: &'a internal::Provider, secrets: &'a Secrets) -> impl Iterator<Item = (&'a str, &'a str)> {
    let prefix = format!("providers/{}/headers/", provider.name);
    let hidden = secrets
        .values
        .iter()
        .filter_map(move |(name, value)| Some((name.strip_prefix(&prefix)?, value.as_str())));
    let shown = provider
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    shown.chain(hidden)
}

/// Zero means the default.
fn timeouts(configured: Option<&internal::ProviderTimeouts>) -> Timeouts {
    let defaults = Timeouts::default();
    let Some(configured) = configured else { return defaults };
    let or = |millis: u64, default: Duration| {
        if millis == 0 {
            default
        } else {
            Duration::from_millis(millis)
        }
    };
    Timeouts {
        connect: or(configured.connect_millis, defaults.connect),
        first_byte: or(configured.first_byte_millis, defaults.first_byte),
        idle: or(configured.idle_millis, defaults.idle),
        attempt: or(configured.attempt_millis, defaults.attempt),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn headers_that_are_secrets_join_the_others() {
        let provider = internal::Provider {
            name: "p".to_owned(),
            headers: [("x-team".to_owned(), "blue".to_owned())].into(),
            ..internal::Provider::default()
        };
        let value = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let secrets = Secrets {
            values: [
                value("providers/p/headers/x-key", "k"),
                value("providers/q/headers/x-key", "other"),
            ]
            .into(),
        };
        assert_eq!(
            headers(&provider, &secrets).collect::<Vec<_>>(),
            [("x-team", "blue"), ("x-key", "k")]
        );
    }

    #[test]
    fn a_provider_gets_its_key_and_defaults() {
        let provider = internal::Provider {
            name: "openai".to_owned(),
            base_url: "https://host/v1".to_owned(),
            timeouts: Some(internal::ProviderTimeouts {
                idle_millis: 7,
                ..Default::default()
            }),
            ..internal::Provider::default()
        };
        let secrets = Secrets {
            values: [("providers/openai".to_owned(), "sk".to_owned())].into(),
        };
        let settings = settings(&provider, &secrets);
        assert_eq!(settings.api_key, Some(Secret::new("sk")));
        assert_eq!(
            settings.timeouts,
            Timeouts {
                idle: Duration::from_millis(7),
                ..Timeouts::default()
            }
        );
        assert_eq!(settings.max_idle_connections, IDLE_CONNECTIONS);
    }
}
