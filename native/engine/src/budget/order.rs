//! Budget instances in the order of lists: by the bytes of tenant, budget and instance. Beside the look-ups of the books,
//! which calls use; touched only when an instance comes or goes.
use std::collections::BTreeMap;
use std::ops::Bound;

use fairlead_wire::internal::BudgetKey;

use super::book::Slot;

/// Position of a book, and of the instance in it.
pub(crate) type Place = (usize, Slot);

/// Most tenants without the wanted budget that one walk passes.
const MOST_PASSED: usize = 1_000;

/// Which instances; an empty name is any.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filter<'a> {
    pub tenant: &'a str,
    pub budget: &'a str,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// By tenant, NUL, budget, NUL, instance. No name has control characters, so bytes compare like the three names.
    places: BTreeMap<Box<str>, Place>,
}

impl Order {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn insert(&mut self, tenant: &str, budget: &str, instance: &str, place: Place) {
        self.places.insert(key(tenant, budget, instance).into(), place);
    }

    pub(super) fn remove(&mut self, tenant: &str, budget: &str, instance: &str) {
        self.places.remove(key(tenant, budget, instance).as_str());
    }

    pub(super) fn find(&self, tenant: &str, budget: &str, instance: &str) -> Option<Place> {
        self.places.get(key(tenant, budget, instance).as_str()).copied()
    }

    /// Keeps the instances of the books for which `keep` is true.
    pub(super) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        self.places.retain(|_, (at, _)| keep(*at));
    }

    /// Visits at most `limit` instances behind `after`. Returns behind which one to go on; `None` at the end.
    pub(super) fn walk(
        &self,
        filter: Filter<'_>,
        after: Option<&BudgetKey>,
        limit: usize,
        mut visit: impl FnMut(Place),
    ) -> Option<BudgetKey> {
        // A name with NUL, which nothing has, would be taken for two.
        if limit == 0 || filter.tenant.contains('\0') || filter.budget.contains('\0') {
            return None;
        }
        let prefix = match (filter.tenant, filter.budget) {
            ("", _) => String::new(),
            (tenant, "") => format!("{tenant}\0"),
            (tenant, budget) => format!("{tenant}\0{budget}\0"),
        };
        let mut from = Bound::Included(prefix.clone());
        if let Some(after) = after {
            let after = key(&after.tenant, &after.budget, &after.instance);
            if after >= prefix {
                from = Bound::Excluded(after);
            }
        }
        let (mut taken, mut passed) = (0, 0);
        let mut last = "";
        loop {
            let mut seek = None;
            let start = from.as_ref().map(String::as_str);
            for (key, place) in self.places.range::<str, _>((start, Bound::Unbounded)) {
                if !key.starts_with(&prefix) {
                    return None;
                }
                let (tenant, budget, _) = names(key);
                if filter.budget.is_empty() || budget == filter.budget {
                    if taken == limit {
                        return Some(named(last));
                    }
                    visit(*place);
                    (taken, last) = (taken + 1, key);
                } else {
                    (passed, last) = (passed + 1, key);
                    // To the budget of this tenant, or behind all that the tenant has.
                    seek = Some(if budget < filter.budget {
                        self::key(tenant, filter.budget, "")
                    } else {
                        format!("{tenant}\u{1}")
                    });
                    break;
                }
            }
            from = Bound::Included(seek?);
            if passed >= MOST_PASSED {
                return Some(named(last));
            }
        }
    }
}

fn key(tenant: &str, budget: &str, instance: &str) -> String {
    let mut key = String::with_capacity(tenant.len() + budget.len() + instance.len() + 2);
    for part in [tenant, "\0", budget, "\0", instance] {
        key.push_str(part);
    }
    key
}

fn names(key: &str) -> (&str, &str, &str) {
    let (tenant, rest) = key.split_once('\0').unwrap_or((key, ""));
    let (budget, instance) = rest.split_once('\0').unwrap_or((rest, ""));
    (tenant, budget, instance)
}

fn named(key: &str) -> BudgetKey {
    let (tenant, budget, instance) = names(key);
    BudgetKey {
        tenant: tenant.to_owned(),
        budget: budget.to_owned(),
        instance: instance.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    type Names = (String, String, String);

    fn filled(instances: &[Names]) -> Order {
        let mut order = Order::default();
        for (slot, (tenant, budget, instance)) in (0..).zip(instances) {
            order.insert(tenant, budget, instance, (0, slot));
        }
        order
    }

    /// All pages, and how many there were.
    fn pages(order: &Order, instances: &[Names], filter: Filter<'_>, limit: usize) -> (Vec<Names>, usize) {
        let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let before = found.len();
            after = order.walk(filter, after.as_ref(), limit, |(_, slot)| {
                found.push(instances[slot as usize].clone());
            });
            pages += 1;
            assert!(found.len() - before <= limit);
            if after.is_none() {
                return (found, pages);
            }
        }
    }

    #[test]
    fn pages_have_every_wanted_instance_once_and_in_order() {
        // `a`, `a b` and `a-b`: what follows a name must not count in its comparison.
        let mut instances = Vec::new();
        for tenant in ["a", "a b", "a-b", "b", "é"] {
            for budget in ["run", "run 2", "day", "run-3"] {
                if tenant != "b" || budget != "run" {
                    instances.extend((0..3).map(|n| (tenant.to_owned(), budget.to_owned(), format!("run=r-{n}"))));
                }
            }
        }
        let order = filled(&instances);
        for tenant in ["", "a", "a b", "b", "none", "a\0run"] {
            for budget in ["", "run", "run-3", "day", "none", "zzz"] {
                let mut wanted: Vec<_> = instances
                    .iter()
                    .filter(|one| ["", &one.0].contains(&tenant) && ["", &one.1].contains(&budget))
                    .cloned()
                    .collect();
                wanted.sort();
                for limit in [1, 2, 3, 7, 1_000] {
                    let (found, pages) = pages(&order, &instances, Filter { tenant, budget }, limit);
                    assert_eq!(found, wanted, "{tenant:?} {budget:?} {limit}");
                    assert_eq!(pages, wanted.len().div_ceil(limit).max(1));
                }
            }
        }
    }

    #[test]
    fn a_page_ends_when_it_has_passed_too_many_tenants() {
        let mut instances: Vec<Names> = (0..2_500)
            .map(|n| (format!("t-{n:04}"), "day".to_owned(), "-".to_owned()))
            .collect();
        instances.push(("u".to_owned(), "run".to_owned(), "-".to_owned()));
        let order = filled(&instances);
        let (tenant, budget) = ("", "run");
        let (found, pages) = pages(&order, &instances, Filter { tenant, budget }, 10);
        assert_eq!(found, instances[2_500..]);
        assert_eq!(pages, 2_500 / MOST_PASSED + 1);
    }
}
