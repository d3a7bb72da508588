//! Dynamic fan-out: a list, item by item, joined when all or a quorum have ended.

use std::sync::Arc;

use fairlead_wire::internal::StepRecord;
use fairlead_wire::v1::{EventKind, StepState};

use super::advance::Turn;
use super::begin::CannotBegin;
use super::facts::{Facts, Items, Sight, parse};
use super::record::{failure, payload};
use super::{Run, StepKey, is_terminal_step};
use crate::Json;

/// Items at a time where the definition does not say.
const DEFAULT_PARALLEL: u32 = 16;

impl Run {
    pub(super) fn begin_items(&mut self, turn: &mut Turn, key: StepKey, facts: Facts) {
        let definition = Arc::clone(&self.definition);
        let for_each = definition
            .steps
            .get(key.index())
            .and_then(|step| step.for_each.as_ref());
        let Some(for_each) = for_each else { return };
        let list = match for_each.items.render(&definition, &facts.sight()) {
            Ok(Json::Array(list)) => list,
            Ok(_) => {
                let message = "forEach.in has to be a list".to_owned();
                return self.cannot_begin(
                    turn,
                    key,
                    CannotBegin {
                        code: "EXPRESSION_FAILED",
                        message,
                    },
                );
            }
            Err(error) => return self.cannot_begin(turn, key, error.into()),
        };
        let most = turn.bounds.for_each_items;
        if list.len() > most {
            let message = format!("the list has {} items, limits.forEachItems allows {most}", list.len());
            return self.cannot_begin(
                turn,
                key,
                CannotBegin {
                    code: "TOO_MANY_ITEMS",
                    message,
                },
            );
        }
        let total = u32::try_from(list.len()).unwrap_or(u32::MAX);
        if for_each.quorum > total {
            let message = format!(
                "the list has {total} items, fewer than the quorum of {}",
                for_each.quorum
            );
            return self.cannot_begin(
                turn,
                key,
                CannotBegin {
                    code: "QUORUM_NOT_REACHED",
                    message,
                },
            );
        }
        let list = Json::Array(list);
        let text = list.to_text().into_bytes();
        let Json::Array(list) = list else { return };
        let now = turn.now;
        self.edit(key, |step| {
            step.set_state(StepState::Waiting);
            step.start_time_unix_nanos = now;
            step.items_total = total;
            step.input = Some(payload(text));
        });
        self.edit_run(|run| run.steps_total = run.steps_total.saturating_add(total));
        self.items.insert(key.step, Arc::new(Items { list, facts }));
        self.says(&mut turn.effects, EventKind::StepWaiting, key, |event| {
            event.waits_for = format!("{total} items");
        });
        self.begin_more_items(turn, key);
    }

    /// Begins items up to the bound, and joins when enough have ended. `key` is the forEach.
    pub(super) fn begin_more_items(&mut self, turn: &mut Turn, key: StepKey) {
        let definition = Arc::clone(&self.definition);
        let Some(step_def) = definition.steps.get(key.index()) else {
            return;
        };
        let Some(for_each) = &step_def.for_each else { return };
        let most = if for_each.max_parallel > 0 {
            for_each.max_parallel
        } else {
            DEFAULT_PARALLEL
        };
        loop {
            let Some(step) = self.step(key) else { return };
            if step.state() != StepState::Waiting || !self.may_begin(false) {
                return;
            }
            let quorum = if for_each.quorum > 0 {
                for_each.quorum
            } else {
                step.items_total
            };
            if step.items_succeeded >= quorum {
                return self.join(turn, key);
            }
            if step.items_total - step.items_failed < quorum {
                let last = step.failure.clone().unwrap_or_default();
                let message = format!(
                    "{} of {} items failed, {quorum} have to succeed; the last one: {} {}",
                    step.items_failed, step.items_total, last.code, last.message
                );
                let why = failure("ITEMS_FAILED", message, &self.name(key));
                self.cancel_items(turn, key);
                return self.fail_step(turn, key, why);
            }
            let going = step.items_begun - step.items_succeeded - step.items_failed;
            if going >= most || step.items_begun >= step.items_total {
                return;
            }
            let item = StepKey {
                item: step.items_begun + 1,
                ..key
            };
            self.edit(key, |step| step.items_begun += 1);
            let blocked = StepRecord {
                step: item.step,
                item: item.item,
                state: StepState::Blocked as i32,
                ..StepRecord::default()
            };
            self.insert_step(item, blocked);
            let items = self.items_of(key);
            let index = item.item as usize - 1;
            let value = items.list.get(index).unwrap_or(&Json::Null);
            let sight = Sight {
                facts: &items.facts,
                item: Some((value, index as u64)),
            };
            self.begin_task(turn, item, &step_def.task, &sight);
        }
    }

    /// An item has ended, well or not.
    pub(super) fn item_ended(&mut self, turn: &mut Turn, item: StepKey) {
        let Some((state, why)) = self.step(item).map(|step| (step.state(), step.failure.clone())) else {
            return;
        };
        let key = item.parent();
        self.edit(key, |step| {
            if state == StepState::Succeeded {
                step.items_succeeded += 1;
            } else {
                step.items_failed += 1;
                step.failure = why;
            }
        });
        self.begin_more_items(turn, key);
    }

    fn join(&mut self, turn: &mut Turn, key: StepKey) {
        self.cancel_items(turn, key);
        let total = self.step(key).map_or(0, |step| step.items_total);
        let mut text = Vec::with_capacity(64);
        text.push(b'[');
        for number in 1..=total {
            if number > 1 {
                text.push(b',');
            }
            let item = self.step(StepKey { item: number, ..key });
            let output = item
                .filter(|item| item.state() == StepState::Succeeded)
                .and_then(|item| item.output.as_ref());
            text.extend_from_slice(output.map_or(b"null".as_slice(), |output| &output.json));
        }
        text.push(b']');
        if text.len() > turn.bounds.payload_bytes {
            let message = format!(
                "the results of all items have {} bytes, limits.payloadBytes allows {}: let items return less, or keep \
                 what is large elsewhere and return its name",
                text.len(),
                turn.bounds.payload_bytes
            );
            let why = failure("PAYLOAD_TOO_LARGE", message, &self.name(key));
            return self.fail_step(turn, key, why);
        }
        self.succeed(turn, key, text);
    }

    /// Ends the items that are not needed any more. What is leased goes on until its worker hears of it; its result does
    /// not count.
    fn cancel_items(&mut self, turn: &mut Turn, key: StepKey) {
        let open: Vec<StepKey> = self
            .steps()
            .filter(|(item, step)| item.step == key.step && item.is_item() && !is_terminal_step(step.state()))
            .map(|(item, _)| item)
            .collect();
        for item in open {
            self.cancel_step(turn, item);
        }
        self.items.remove(&key.step);
    }

    /// The list and the facts of a forEach; made again after a restart.
    pub(super) fn items_of(&mut self, key: StepKey) -> Arc<Items> {
        if let Some(items) = self.items.get(&key.step) {
            return Arc::clone(items);
        }
        let list = match parse(self.step(key).and_then(|step| step.input.as_ref())) {
            Json::Array(list) => list,
            _ => Vec::new(),
        };
        let items = Arc::new(Items {
            list,
            facts: self.facts_of(key),
        });
        self.items.insert(key.step, Arc::clone(&items));
        items
    }
}
