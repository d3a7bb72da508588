//! Bounds that all tenants share.
//!
//! When several tenants are configured none of them may have more than half of such a bound, rounded up: whatever one
//! tenant does, or does wrong, the others have the other half. A tenant that is alone has all of it.
use std::collections::HashMap;
use std::sync::Arc;

use fairlead_plan::Compiled;

use crate::rejection::{Reason, Rejection};

/// A bound of the configuration's `limits`, and what of it one tenant may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    name: &'static str,
    most: u64,
    share: u64,
}

impl Bound {
    pub(crate) fn new(compiled: &Compiled, name: &'static str, most: u64) -> Self {
        Self {
            name,
            most,
            share: share(most, compiled.tenants().nth(1).is_some()),
        }
    }

    /// Room for one more, when there are `all` and the tenant has `own` of them.
    pub(crate) fn has_room(&self, all: usize, own: usize) -> bool {
        (all as u64) < self.most && self.has_share(own)
    }

    /// As far as the tenant alone is concerned.
    pub(crate) fn has_share(&self, own: usize) -> bool {
        (own as u64) < self.share
    }

    /// There is no room for a tenant that has `own`.
    pub(crate) fn reached(&self, own: usize) -> Rejection {
        let Self { name, most, share } = self;
        let message = if self.has_share(own) || share == most {
            format!("limits.{name} is reached ({most}), try again later or raise it")
        } else {
            format!(
                "the tenant has its half ({share}) of limits.{name} ({most}), which it shares with others; try again \
                 later or raise it"
            )
        };
        Rejection::new(Reason::QueueFull, message)
            .with("bound", format!("limits.{name}"))
            .with("limit", most)
            .with("tenant_limit", share)
    }
}

fn share(most: u64, is_shared: bool) -> u64 {
    if is_shared { most.div_ceil(2) } else { most }
}

/// How many of something each tenant has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PerTenant(HashMap<Arc<str>, usize>);

impl PerTenant {
    pub(crate) fn of(&self, tenant: &str) -> usize {
        self.0.get(tenant).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, tenant: &str) {
        match self.0.get_mut(tenant) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                self.0.insert(Arc::from(tenant), 1);
            }
        }
    }

    pub(crate) fn remove(&mut self, tenant: &str) {
        if let Some(count) = self.0.get_mut(tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(tenant);
            }
        }
    }
}

impl<'a> FromIterator<&'a str> for PerTenant {
    fn from_iter<T: IntoIterator<Item = &'a str>>(tenants: T) -> Self {
        let mut counted = Self::default();
        tenants.into_iter().for_each(|tenant| counted.add(tenant));
        counted
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    impl Bound {
        /// A bound that nobody shares.
        pub(crate) fn alone(most: u64) -> Self {
            Self {
                name: "sessions",
                most,
                share: most,
            }
        }
    }

    #[test]
    fn several_tenants_have_at_most_half_each_and_one_has_all() {
        assert_eq!(
            [(10, true), (9, true), (1, true), (0, true), (10, false)].map(|(most, is_shared)| share(most, is_shared)),
            [5, 5, 1, 0, 10]
        );
    }

    #[test]
    fn the_refusal_names_the_bound_and_the_share() {
        let bound = Bound {
            name: "openReservations",
            most: 10,
            share: 5,
        };
        assert!(bound.has_room(9, 4) && !bound.has_room(10, 4) && !bound.has_room(9, 5));
        let own = bound.reached(5);
        assert!(
            own.message.contains("its half (5) of limits.openReservations (10)"),
            "{}",
            own.message
        );
        assert_eq!(
            (own.metadata["bound"].as_str(), own.metadata["tenant_limit"].as_str()),
            ("limits.openReservations", "5")
        );
        assert!(
            bound
                .reached(4)
                .message
                .starts_with("limits.openReservations is reached (10)")
        );
    }

    #[test]
    fn what_a_tenant_gave_back_is_not_counted() {
        let mut counted: PerTenant = ["acme", "globex", "acme"].into_iter().collect();
        assert_eq!((counted.of("acme"), counted.of("initech")), (2, 0));
        counted.remove("globex");
        counted.remove("acme");
        counted.remove("initech");
        assert_eq!(counted, ["acme"].into_iter().collect());
    }
}
