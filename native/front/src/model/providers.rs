//! The provider clients and route rules of the configuration in force.
//!
//! Made when the first call sees a new configuration. Clients of providers that did not change keep their connections.
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use fairlead_upstream::{
    Dialect, FallbackOn, ProviderSettings, ProxySettings, RetryPolicy, Secret, Timeouts, Upstream, Vendor,
};
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
    /// What each provider speaks.
    spoken: Vec<Vec<Dialect>>,
}

/// What a route says about attempts.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) retry: RetryPolicy,
    pub(super) fallback: FallbackOn,
    pub(super) timeout: Option<Duration>,
    pub(super) drop_untranslatable: bool,
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
            .collect::<Vec<_>>();
        let spoken = settings.iter().map(|one| one.dialects.clone()).collect();
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
            rules: rules(running),
            spoken,
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

    /// The dialects that a request in `own` may have to be translated to: those of providers that do not speak it.
    pub(super) fn translations(&self, own: Dialect) -> BTreeSet<Dialect> {
        self.spoken
            .iter()
            .filter(|spoken| !spoken.contains(&own))
            .flatten()
            .copied()
            .collect()
    }
}

fn rules(running: &Running) -> HashMap<Arc<str>, Rules> {
    let leave_out: BTreeSet<&str> = running
        .config
        .routes
        .iter()
        .filter(|route| route.drop_untranslatable)
        .map(|route| route.name.as_str())
        .collect();
    running
        .compiled
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
                    drop_untranslatable: leave_out.contains(&*route.name),
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
        dialects: dialects(provider),
        base_url: provider.base_url.clone(),
        api_version: Some(provider.api_version.clone()).filter(|version| !version.is_empty()),
        api_key: key.map(|key| Secret::new(key.as_str())),
        headers: provider
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        secret_headers: secret_headers(provider, secrets),
        proxy: provider.proxy.as_ref().map(|proxy| ProxySettings {
            url: proxy.url.clone(),
            authorization: secrets
                .values
                .get(&format!("providers/{}/proxy/authorization", provider.name))
                .filter(|value| !value.is_empty())
                .map(|value| Secret::new(value.as_str())),
            no_proxy: proxy.no_proxy.clone(),
        }),
        ca_pem: Some(provider.ca_pem.clone()).filter(|pem| !pem.is_empty()),
        timeouts: timeouts(provider.timeouts.as_ref()),
        max_idle_connections: match provider.max_idle_connections {
            0 => IDLE_CONNECTIONS,
            most => usize::try_from(most).unwrap_or(IDLE_CONNECTIONS),
        },
    }
}

/// What a provider speaks, the preferred dialect first; one that says nothing speaks Chat Completions.
fn dialects(provider: &internal::Provider) -> Vec<Dialect> {
    let mut dialects: Vec<Dialect> = provider.dialects().filter_map(super::dialect::of_wire).collect();
    if dialects.is_empty() {
        dialects.push(Dialect::OpenAiChat);
    }
    dialects
}

/// Headers whose value is a secret: `providers/{name}/headers/{header}`.
fn secret_headers(provider: &internal::Provider, secrets: &Secrets) -> Vec<(String, Secret)> {
    let prefix = format!("providers/{}/headers/", provider.name);
    let mut headers: Vec<(String, Secret)> = secrets
        .values
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), Secret::new(value.as_str()))))
        .collect();
    // The secrets come in no order; the settings are compared with those of before.
    headers.sort_by(|one, other| one.0.cmp(&other.0));
    headers
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
    use fairlead_wire::v1;

    fn secrets(values: &[(&str, &str)]) -> Secrets {
        Secrets {
            values: values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn a_provider_gets_its_own_secrets_only() {
        let provider = internal::Provider {
            name: "p".to_owned(),
            headers: [("x-team".to_owned(), "blue".to_owned())].into(),
            proxy: Some(internal::Proxy {
                url: "http://proxy:3128".to_owned(),
                no_proxy: vec![".corp".to_owned()],
            }),
            ..internal::Provider::default()
        };
        let settings = settings(
            &provider,
            &secrets(&[
                ("providers/p/headers/x-key", "k"),
                ("providers/q/headers/x-key", "other"),
                ("providers/p/proxy/authorization", "Basic abc"),
            ]),
        );
        assert_eq!(settings.headers, [("x-team".to_owned(), "blue".to_owned())]);
        assert_eq!(settings.secret_headers, [("x-key".to_owned(), Secret::new("k"))]);
        let proxy = settings.proxy.unwrap();
        assert_eq!(proxy.authorization, Some(Secret::new("Basic abc")));
        assert_eq!(proxy.no_proxy, [".corp"]);
        assert_eq!(settings.api_key, None);
    }

    #[test]
    fn dialects_keep_their_order_and_chat_is_the_default() {
        let mut provider = internal::Provider::default();
        assert_eq!(dialects(&provider), [Dialect::OpenAiChat]);
        provider.dialects = vec![
            v1::Dialect::AnthropicMessages.into(),
            v1::Dialect::OpenaiChat.into(),
            99,
        ];
        assert_eq!(dialects(&provider), [Dialect::AnthropicMessages, Dialect::OpenAiChat]);
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
        let settings = settings(&provider, &secrets(&[("providers/openai", "sk")]));
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
