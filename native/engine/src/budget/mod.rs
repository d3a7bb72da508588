//! Budgets: all instances of all budgets, in configuration order, with those of removed budgets behind.
mod book;
mod instance;
mod order;
mod rule;
mod window;

use std::collections::BTreeMap;

use fairlead_plan::{BudgetId, Compiled};
use fairlead_wire::internal::{BudgetKey, BudgetRecord, BudgetView};
use fairlead_wire::v1::BudgetCharge;

use crate::share::Bound;
use crate::unit::Write;

pub(crate) use book::{Book, Slot};
pub(crate) use instance::{InWindow, Instance, View};
pub(crate) use order::Filter;
use order::Order;
pub(crate) use rule::{Limit, Rule, is_hard};
pub(crate) use window::code as window_code;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    books: Vec<Book>,
    /// Position of the book of every `BudgetId` of the configuration in force.
    current: Vec<usize>,
    by_name: BTreeMap<String, usize>,
    /// INVARIANT: has exactly the instances of active books.
    order: Order,
    /// For keys of instances; kept for its capacity.
    scratch: String,
}

impl Ledger {
    /// The books of a configuration, all empty.
    pub(crate) fn new(compiled: &Compiled) -> Self {
        let mut ledger = Self::default();
        ledger.follow(compiled, 0, &mut Vec::new());
        ledger
    }

    /// Takes a new configuration over, with what that writes. Returns the names of budgets whose open holds have to be put
    /// back.
    pub(crate) fn follow(&mut self, compiled: &Compiled, now: i64, writes: &mut Vec<Write>) -> Vec<String> {
        let mut again = Vec::new();
        self.current.clear();
        let were_active: Vec<bool> = self.books.iter().map(|book| book.active).collect();
        let mut kept = vec![false; self.books.len()];
        for budget in compiled.budgets() {
            let rule = Rule::of(budget);
            let at = if let Some(at) = self.by_name.get(&*budget.name).copied() {
                if let Some(book) = self.books.get_mut(at)
                    && book.follow(rule, now, writes)
                {
                    again.push(budget.name.to_string());
                }
                at
            } else {
                self.open(Book::new(rule, true))
            };
            if let Some(kept) = kept.get_mut(at) {
                *kept = true;
            }
            self.current.push(at);
        }
        for (book, _) in self.books.iter_mut().zip(kept).filter(|(_, kept)| !kept) {
            // What a run may cost is its own definition's: no configuration takes it away.
            if !book.rule.is_of_runs() {
                book.retire();
            }
        }
        self.reorder(&were_active);
        again
    }

    /// Takes the instances of retired books out of the order, and those of books that are back in.
    fn reorder(&mut self, were_active: &[bool]) {
        let Self { books, order, .. } = self;
        let changed = |to: bool| {
            let both = books.iter().zip(were_active).enumerate();
            both.filter(move |(_, (book, was))| book.active == to && **was != to)
        };
        if changed(false).next().is_some() {
            order.retain(|at| books.get(at).is_some_and(|book| book.active));
        }
        for (at, (book, _)) in changed(true) {
            for (slot, instance) in book.slots() {
                order.insert(instance.tenant(), &book.rule.name, instance.name(), (at, slot));
            }
        }
    }

    fn open(&mut self, book: Book) -> usize {
        let at = self.books.len();
        self.by_name.insert(book.rule.name.to_string(), at);
        self.books.push(book);
        at
    }

    /// The book of what a workflow's definition allows its runs, which is in no configuration. Made on first use.
    pub(crate) fn keep(&mut self, rule: Rule) -> usize {
        let Some(at) = self.position_of(&rule.name) else {
            return self.open(Book::new(rule, true));
        };
        let Self { books, order, .. } = self;
        if let Some(book) = books.get_mut(at).filter(|book| !book.active) {
            // It came back from the store before its definition was asked for.
            book.rule = rule;
            book.active = true;
            for (slot, instance) in book.slots() {
                order.insert(instance.tenant(), &book.rule.name, instance.name(), (at, slot));
            }
        }
        at
    }

    /// Forgets an instance in which nothing is held; gives what that deletes.
    pub(crate) fn forget(&mut self, name: &str, tenant: &str, instance: &str) -> Option<Write> {
        let (at, slot) = self.find(tenant, name, instance)?;
        let Self { books, order, .. } = self;
        let book = books.get_mut(at)?;
        let dropped = book.forget(slot)?;
        if book.active {
            order.remove(dropped.tenant(), &book.rule.name, dropped.name());
        }
        dropped.deletion(&book.rule)
    }

    /// The book of a budget of the configuration in force.
    pub(crate) fn position(&self, id: BudgetId) -> Option<usize> {
        self.current.get(id.index()).copied()
    }

    /// The book of a name, also of a removed budget.
    pub(crate) fn position_of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// A book.
    pub(crate) fn book(&self, at: usize) -> Option<&Book> {
        self.books.get(at)
    }

    /// A book.
    pub(crate) fn book_mut(&mut self, at: usize) -> Option<&mut Book> {
        self.books.get_mut(at)
    }

    /// All books.
    pub(crate) fn books(&self) -> impl Iterator<Item = &Book> {
        self.books.iter()
    }

    /// An instance by its names.
    pub(crate) fn find(&mut self, tenant: &str, budget: &str, instance: &str) -> Option<(usize, Slot)> {
        let at = self.position_of(budget)?;
        Some((at, self.find_in(at, tenant, instance)?))
    }

    /// An instance of a book.
    pub(crate) fn find_in(&mut self, at: usize, tenant: &str, instance: &str) -> Option<Slot> {
        Book::key(&mut self.scratch, tenant, instance);
        self.books.get(at)?.find(&self.scratch)
    }

    /// An instance of a book, made on first use.
    pub(crate) fn ensure(&mut self, at: usize, tenant: &str, instance: &str, now: i64) -> Option<Slot> {
        Book::key(&mut self.scratch, tenant, instance);
        let book = self.books.get_mut(at)?;
        if let Some(slot) = book.find(&self.scratch) {
            return Some(slot);
        }
        let slot = book.create(&self.scratch, now);
        if book.active {
            self.order.insert(tenant, &book.rule.name, instance, (at, slot));
        }
        Some(slot)
    }

    /// Makes room for one more instance of a book.
    ///
    /// # Errors
    /// There is none; the tenant has so many.
    pub(crate) fn make_room(
        &mut self,
        at: usize,
        tenant: &str,
        bound: &Bound,
        now: i64,
        writes: &mut Vec<Write>,
    ) -> Result<(), usize> {
        let Self { books, order, .. } = self;
        books.get_mut(at).map_or(Ok(()), |book| {
            book.make_room(tenant, bound, now, |rule, dropped| {
                order.remove(dropped.tenant(), &rule.name, dropped.name());
                writes.extend(dropped.deletion(rule));
            })
        })
    }

    /// Position of the book of a name, made for a removed budget when there is none.
    fn ensure_book(&mut self, name: &str, window_code: i64) -> usize {
        match self.position_of(name) {
            Some(at) => at,
            None => self.open(Book::new(Rule::removed(name, window_code), false)),
        }
    }

    /// Takes an instance from the store.
    pub(crate) fn restore(&mut self, record: &BudgetRecord, now: i64) {
        let at = self.ensure_book(&record.budget, record.window_millis);
        if let Some(slot) = self.ensure(at, &record.tenant, &record.instance, now)
            && let Some(book) = self.books.get_mut(at)
        {
            book.restore(slot, record, now);
        }
    }

    /// Puts back a hold of an open invocation.
    pub(crate) fn restore_hold(&mut self, tenant: &str, charge: &BudgetCharge, now: i64) {
        let at = self.ensure_book(&charge.budget, charge.window_millis);
        if let Some(slot) = self.ensure(at, tenant, &charge.instance, now)
            && let Some(book) = self.books.get_mut(at)
        {
            book.restore_hold(slot, charge, now);
        }
    }

    /// Number of instances of all budgets.
    pub(crate) fn instances(&self) -> usize {
        self.books.iter().map(Book::len).sum()
    }

    /// Times that INVARIANT (I1) did not hold.
    pub(crate) fn breaches(&self) -> u64 {
        self.books.iter().map(Book::breaches).sum()
    }

    /// Visits instances of the budgets in force, in order, at most `limit`, behind `after`. Returns where to go on.
    pub(crate) fn walk(
        &self,
        filter: Filter<'_>,
        after: Option<&BudgetKey>,
        limit: usize,
        mut visit: impl FnMut(&Rule, &Instance),
    ) -> Option<BudgetKey> {
        self.order.walk(filter, after, limit, |(at, slot)| {
            if let Some(book) = self.books.get(at)
                && let Some(instance) = book.get(slot)
            {
                visit(&book.rule, instance);
            }
        })
    }

    /// An instance of a budget in force.
    pub(crate) fn one(&self, tenant: &str, budget: &str, instance: &str) -> Option<(&Rule, &Instance)> {
        let book = self.books.get(self.position_of(budget)?).filter(|book| book.active)?;
        let mut key = String::new();
        Book::key(&mut key, tenant, instance);
        Some((&book.rule, book.get(book.find(&key)?)?))
    }

    /// The order has exactly the instances of active books.
    pub(crate) fn check_order(&self) -> Result<(), String> {
        let active = || self.books.iter().filter(|book| book.active);
        let instances: usize = active().map(Book::len).sum();
        if self.order.len() != instances {
            return Err(format!(
                "{} of {instances} budget instances are in order",
                self.order.len()
            ));
        }
        for (at, book) in self.books.iter().enumerate().filter(|(_, book)| book.active) {
            for (slot, instance) in book.slots() {
                if self.order.find(instance.tenant(), &book.rule.name, instance.name()) != Some((at, slot)) {
                    return Err(format!("{:?} of {} is not in order", instance.name(), book.rule.name));
                }
            }
        }
        Ok(())
    }
}

/// An instance for the control services.
pub(crate) fn view(rule: &Rule, instance: &Instance, now: i64) -> BudgetView {
    let view = instance.view(rule.window, now);
    BudgetView {
        budget: rule.name.to_string(),
        tenant: instance.tenant().to_owned(),
        instance: instance.name().to_owned(),
        scope: fairlead_plan::InstanceKey(instance.name().to_owned())
            .values()
            .unwrap_or_default(),
        limit: Some(rule.limit.to_amount()),
        spent: Some(view.spent),
        reserved: Some(view.reserved),
        window_start_unix_nanos: view.window_start,
        resets_at_unix_nanos: view.resets_at,
        hard: rule.hard,
    }
}
