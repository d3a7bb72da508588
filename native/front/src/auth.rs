//! Who calls: a token, looked up by its SHA-256.
//!
//! It comes as `authorization: Bearer TOKEN`, or in the header in which an SDK sends its API key: `x-api-key` (Anthropic),
//! `api-key` (Azure OpenAI). `authorization` wins.
//!
//! Tokens are hashed when the secrets are loaded and never kept. The look-up compares digests, so its time says nothing
//! about how much of a token was right. No token is ever part of a message or a log line.
use std::collections::HashMap;
use std::sync::Arc;

use fairlead_engine::{Caller, Reason, Rejection};
use fairlead_wire::internal::{EngineConfig, Secrets};
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

use crate::refusal;
use crate::trace;

/// Headers in which SDKs send their API key.
const API_KEYS: [&str; 2] = ["x-api-key", "api-key"];

/// The agent behind a credential; in the extensions of every request past the door.
#[derive(Debug, Clone)]
pub struct Identity {
    agent: Arc<Agent>,
    /// W3C trace context of its call.
    trace: Option<Arc<str>>,
}

#[derive(Debug)]
struct Agent {
    tenant: String,
    agent: String,
    tenant_header: HeaderValue,
    agent_header: HeaderValue,
}

impl Identity {
    /// The sidecar acting for an agent of a tenant, or for an operator's run, which has no agent.
    pub(crate) fn of(tenant: &str, agent: &str, traceparent: &str) -> Option<Self> {
        let agent = Arc::new(Agent {
            tenant_header: HeaderValue::from_str(tenant).ok()?,
            agent_header: HeaderValue::from_str(agent).ok()?,
            tenant: tenant.to_owned(),
            agent: agent.to_owned(),
        });
        let trace = trace::checked(traceparent).map(Arc::from);
        Some(Self { agent, trace })
    }

    /// As the engine takes it.
    pub fn caller(&self) -> Caller<'_> {
        Caller {
            traceparent: self.trace.as_deref().unwrap_or_default(),
            ..Caller::agent(&self.agent.tenant, &self.agent.agent)
        }
    }

    /// Tenant, as a header for the control services.
    pub fn tenant_header(&self) -> HeaderValue {
        self.agent.tenant_header.clone()
    }

    /// Agent, as a header for the control services.
    pub fn agent_header(&self) -> HeaderValue {
        self.agent.agent_header.clone()
    }
}

/// All credentials of one configuration.
#[derive(Default)]
pub struct Credentials {
    by_digest: HashMap<[u8; 32], Arc<Agent>>,
}

impl Credentials {
    /// Hashes the agents' tokens. An agent whose secret is missing or empty cannot call; the configuration's own checks
    /// report that.
    pub fn load(config: &EngineConfig, secrets: &Secrets) -> Self {
        let mut by_digest = HashMap::new();
        for tenant in &config.tenants {
            for agent in &tenant.agents {
                let name = format!("tenants/{}/agents/{}", tenant.name, agent.name);
                let Some(token) = secrets.values.get(&name).filter(|token| !token.is_empty()) else {
                    continue;
                };
                let (Ok(tenant_header), Ok(agent_header)) =
                    (HeaderValue::from_str(&tenant.name), HeaderValue::from_str(&agent.name))
                else {
                    continue;
                };
                let identity = Agent {
                    tenant: tenant.name.clone(),
                    agent: agent.name.clone(),
                    tenant_header,
                    agent_header,
                };
                by_digest.insert(digest(token.as_bytes()), Arc::new(identity));
            }
        }
        Self { by_digest }
    }

    /// The agent of a request.
    pub fn identify(&self, headers: &HeaderMap) -> Result<Identity, Rejection> {
        let value = |name: &str| headers.get(name).map_or(b"".as_slice(), HeaderValue::as_bytes);
        let authorization = value(header::AUTHORIZATION.as_str());
        let token = if authorization.is_empty() {
            API_KEYS
                .into_iter()
                .map(|name| value(name).trim_ascii())
                .find(|key| !key.is_empty())
                .or(Some(b""))
        } else {
            bearer(authorization)
        };
        // A client whose token variable is empty sends `Bearer ` and nothing else.
        if token.is_some_and(<[u8]>::is_empty) {
            return Err(refusal::of(
                Reason::CredentialMissing,
                "the call has no credential: send `authorization: Bearer TOKEN`",
            ));
        }
        let agent = token
            .and_then(|token| self.by_digest.get(&digest(token)))
            .ok_or_else(|| refusal::of(Reason::CredentialInvalid, "the credential is not one of an agent"))?;
        Ok(Identity {
            agent: Arc::clone(agent),
            trace: trace::of(headers),
        })
    }
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let separated = rest.first().is_none_or(u8::is_ascii_whitespace);
    (separated && scheme.eq_ignore_ascii_case(b"bearer")).then(|| rest.trim_ascii())
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use fairlead_wire::internal::{Agent, Tenant};

    fn credentials() -> Credentials {
        let agent = |name: &str| Agent {
            name: name.into(),
            ..Agent::default()
        };
        let config = EngineConfig {
            tenants: vec![Tenant {
                name: "acme".into(),
                agents: vec![agent("support-bot"), agent("no-secret")],
            }],
            ..EngineConfig::default()
        };
        let values = [
            ("tenants/acme/agents/support-bot".to_owned(), "s3cret".to_owned()),
            ("tenants/acme/agents/no-secret".to_owned(), String::new()),
            ("providers/openai".to_owned(), "sk-upstream".to_owned()),
        ];
        Credentials::load(&config, &Secrets { values: values.into() })
    }

    fn identify(value: &str) -> Result<Identity, Rejection> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        credentials().identify(&headers)
    }

    #[test]
    fn a_token_names_its_agent() {
        for value in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret "] {
            let identity = identify(value).unwrap();
            assert_eq!(identity.caller(), Caller::agent("acme", "support-bot"));
        }
    }

    #[test]
    fn an_sdks_own_header_is_read_where_there_is_no_other() {
        let identify = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            credentials().identify(&headers).map_err(|rejection| rejection.reason)
        };
        assert!(identify(&[("x-api-key", "s3cret")]).is_ok());
        assert!(identify(&[("api-key", " s3cret")]).is_ok());
        assert!(identify(&[("x-api-key", ""), ("api-key", "s3cret")]).is_ok());
        assert!(identify(&[("x-api-key", "placeholder"), ("authorization", "Bearer s3cret")]).is_ok());
        assert_eq!(
            identify(&[("x-api-key", "s3cret"), ("authorization", "Bearer other")]).unwrap_err(),
            Reason::CredentialInvalid
        );
        assert_eq!(identify(&[("x-api-key", "")]).unwrap_err(), Reason::CredentialMissing);
    }

    #[test]
    fn a_missing_and_a_wrong_credential_are_told_apart_and_not_repeated() {
        let missing = credentials().identify(&HeaderMap::new()).unwrap_err();
        assert_eq!(missing.reason, Reason::CredentialMissing);
        for value in ["", "Bearer", "Bearer "] {
            assert_eq!(
                identify(value).unwrap_err().reason,
                Reason::CredentialMissing,
                "{value}"
            );
        }
        for value in [
            "Bearer wrong",
            "Bearers3cret",
            "Basic s3cret",
            "s3cret",
            "Bearer sk-upstream",
        ] {
            let invalid = identify(value).unwrap_err();
            assert_eq!(invalid.reason, Reason::CredentialInvalid, "{value}");
            assert!(!invalid.message.contains("wrong") && !invalid.message.contains("sk-"));
        }
    }
}
