//! One call's way to the cache: what it has, and what becomes of the answer.
use std::sync::Arc;

use fairlead_engine::Cached;
use fairlead_wire::v1::{AdmitResponse, Amount};
use http::{HeaderMap, StatusCode, header};

use super::{Asked, Content, Entry, Key, Recording, ResponseCache};
use crate::auth::Identity;
use crate::core::Running;
use crate::metrics::Metrics;
use crate::model::call::{Answer, Head, Whole};
use crate::model::live::Live;
use crate::model::request::ModelCall;

/// See the module.
pub(crate) struct Lookup {
    cache: Arc<ResponseCache>,
    key: Option<Key>,
    /// Configuration of the key.
    config_version: String,
    /// What the cache has; the engine says whether it may be given.
    found: Option<Arc<Entry>>,
}

impl Lookup {
    /// Looks for the answer of a call. A call with a request id has its own first answer, so it is not looked for; nor is
    /// one of a client that wants a new answer, nor any where no route keeps answers or answers have to pass rules.
    pub(crate) fn new(cache: &Arc<ResponseCache>, running: &Running, identity: &Identity, call: &ModelCall) -> Self {
        let compiled = &running.compiled;
        cache.bound(running.limits().cache_bytes);
        let has_output_rules = running.config.policies.iter().any(|rule| rule.on == "model.output");
        let keeps = compiled.routes().iter().any(|route| route.cache_ttl.is_some());
        let is_on = cache.most() > 0 && keeps && !has_output_rules;
        let key = if is_on && !call.remembered() && !call.wants_new_answer {
            let caller = identity.caller();
            let mut labels = call.context.labels.clone();
            compiled.merge_labels(caller.tenant, caller.agent, &mut labels);
            let asked = Asked {
                tenant: caller.tenant,
                config_version: compiled.version(),
                request: &call.body,
                context: &call.context,
                labels: &labels,
                headers: &call.forward_headers,
            };
            asked.key()
        } else {
            None
        };
        Self {
            cache: Arc::clone(cache),
            found: key.and_then(|key| cache.get(&key)),
            key,
            config_version: compiled.version().to_owned(),
        }
    }

    /// What the cache has, for the engine.
    pub(crate) fn cached(&self) -> Option<Cached<'_>> {
        let found = self.found.as_deref();
        found.map(|entry| entry.cached(&self.config_version))
    }

    /// The cached answer, when the engine has decided that it may be given: then nothing is held for the call.
    pub(crate) fn answer(&self, head: &Head, admitted: &AdmitResponse, metrics: &Metrics) -> Option<Answer> {
        let hit = self.found.as_deref().filter(|_| admitted.reservation.is_none());
        if self.key.is_some() {
            metrics.cache_asked(hit.is_some(), self.cache.bytes());
        }
        hit.map(|entry| given(entry, head))
    }

    /// Records the answer, when the route keeps answers and this one was not cut short.
    pub(crate) fn record(&self, running: &Running, head: &Head, admitted: &AdmitResponse) -> Option<Recording> {
        // A reload came between: what was answered belongs to another key.
        if head.decision.config_version != self.config_version {
            return None;
        }
        let routes = running.compiled.routes();
        let route = routes.iter().find(|route| *route.name == *head.decision.route)?;
        let ttl = route.cache_ttl.filter(|_| !admitted.clamped)?;
        Some(Recording::new(&self.cache, self.key?, ttl))
    }
}

fn given(entry: &Entry, head: &Head) -> Answer {
    let head = Head {
        model: entry.model.clone(),
        cached: Some(entry.age()),
        ..head.clone()
    };
    let headers = entry.headers.clone();
    match &entry.content {
        Content::Whole(body) => Answer::Whole(Box::new(Whole {
            head,
            status: StatusCode::OK,
            headers,
            body: body.clone(),
            attempts: Vec::new(),
            charged: Some(Amount::default()),
            refused: false,
        })),
        Content::Stream(events) => Answer::Stream(Box::new(Live::again(head, headers, events.clone()))),
    }
}

/// True when the client does not want an answer from a cache, by `cache-control`.
pub(crate) fn wants_new_answer(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter();
    let mut directives = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    directives.any(|one| matches!(one.trim().to_ascii_lowercase().as_str(), "no-cache" | "no-store"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_client_may_ask_for_a_new_answer() {
        for (value, wanted) in [("no-cache", true), ("max-age=0, No-Store", true), ("max-age=60", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, value.parse().unwrap());
            assert_eq!(wants_new_answer(&headers), wanted, "{value}");
        }
    }
}
