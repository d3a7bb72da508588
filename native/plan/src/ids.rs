//! Positions in one [`Compiled`](crate::Compiled). They mean nothing in another one; names do.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The position as an index.
            #[must_use]
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// The id of an index. Past four thousand million there is nothing, so the last id stands for nothing too.
            #[must_use]
            pub fn at(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }
        }
    };
}

id! {
    /// A physical model.
    ModelId
}
id! {
    /// A provider.
    ProviderId
}
id! {
    /// A route.
    RouteId
}
id! {
    /// A budget.
    BudgetId
}
id! {
    /// A rate limit.
    RateLimitId
}
id! {
    /// A policy rule.
    PolicyId
}
id! {
    /// A tier of approval.
    TierId
}
