//! Budgets: all instances of all budgets, in configuration order, with those of removed budgets behind.
mod book;
mod instance;
mod rule;
mod window;

use std::collections::BTreeMap;

use fairlead_plan::{BudgetId, Compiled};
use fairlead_wire::internal::BudgetView;
use fairlead_wire::v1::BudgetCharge;

use crate::unit::Write;

pub(crate) use book::{Book, Slot};
pub(crate) use instance::{InWindow, Instance, View};
pub(crate) use rule::{Limit, Rule, is_hard};
pub(crate) use window::code as window_code;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    books: Vec<Book>,
    /// Position of the book of every `BudgetId` of the configuration in force.
    current: Vec<usize>,
    by_name: BTreeMap<String, usize>,
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
            book.retire();
        }
        again
    }

    fn open(&mut self, book: Book) -> usize {
        let at = self.books.len();
        self.by_name.insert(book.rule.name.to_string(), at);
        self.books.push(book);
        at
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
        Some(self.books.get_mut(at)?.ensure(&self.scratch, now))
    }

    /// The book of a name, made for a removed budget when there is none.
    pub(crate) fn ensure_book(&mut self, name: &str, window_code: i64) -> Option<&mut Book> {
        let at = match self.position_of(name) {
            Some(at) => at,
            None => self.open(Book::new(Rule::removed(name, window_code), false)),
        };
        self.books.get_mut(at)
    }

    /// Puts back a hold of an open invocation.
    pub(crate) fn restore_hold(&mut self, tenant: &str, charge: &BudgetCharge, now: i64) {
        let mut key = std::mem::take(&mut self.scratch);
        Book::key(&mut key, tenant, &charge.instance);
        if let Some(book) = self.ensure_book(&charge.budget, charge.window_millis) {
            book.restore_hold(charge, &key, now);
        }
        self.scratch = key;
    }

    /// Number of instances of all budgets.
    pub(crate) fn instances(&self) -> usize {
        self.books.iter().map(Book::len).sum()
    }

    /// Times that INVARIANT (I1) did not hold.
    pub(crate) fn breaches(&self) -> u64 {
        self.books.iter().map(Book::breaches).sum()
    }

    /// Instances of the budgets in force, in tenant, budget, instance order.
    pub(crate) fn views(&self, now: i64) -> Vec<BudgetView> {
        let mut views: Vec<BudgetView> = self
            .books
            .iter()
            .filter(|book| book.active)
            .flat_map(|book| book.iter().map(|instance| view(&book.rule, instance, now)))
            .collect();
        views.sort_by(|a, b| (&a.tenant, &a.budget, &a.instance).cmp(&(&b.tenant, &b.budget, &b.instance)));
        views
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
