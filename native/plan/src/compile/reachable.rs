//! Routes that no call can reach, because a route before them takes everything they fit.
//!
//! A route without `when` takes all calls that its literals fit. It hides a later route when its literals cover the later
//! one's: it is a catch-all, or has the same literals, or broader ones. To find it without comparing all pairs, a *witness*
//! is looked up in an index of the routes without `when`: one call that fits the later route. Whatever covers the route
//! also fits its witness.

use std::collections::BTreeMap;

use super::report::Report;
use crate::compiled::Route;
use crate::index::Index;
use crate::matching::{DIMENSIONS, Matcher, Pattern};

pub(super) fn check(routes: &[Route], report: &mut Report) {
    let unconditional: Vec<(usize, &Route)> = routes
        .iter()
        .enumerate()
        .filter(|(_, route)| route.when.is_none())
        .collect();
    let index = Index::new(unconditional.iter().map(|(_, route)| &route.matcher));
    for (at, route) in routes.iter().enumerate() {
        let hides = |found: u32| {
            let (before, broader) = unconditional.get(usize::try_from(found).ok()?)?;
            (*before < at && broader.matcher.covers(&route.matcher)).then_some(broader)
        };
        let (values, labels) = witness(&route.matcher);
        if let Some(broader) = index.lookup(&values, labels).find_map(hides) {
            let message = format!(
                "is unreachable: the route `{}` before it takes every call it fits",
                broader.name
            );
            report.add(format_args!("routes[{at}]"), message);
        }
    }
}

/// A call that fits. A dimension without pattern is left empty: only a route that fits everything there fits it.
fn witness(matcher: &Matcher) -> ([&str; DIMENSIONS], &BTreeMap<String, String>) {
    let values = matcher.patterns.each_ref().map(|patterns| match patterns.first() {
        Some(Pattern::Literal(text) | Pattern::Prefix(text)) => &**text,
        None => "",
    });
    (values, &matcher.labels)
}
