//! The steps as a graph: ids, needs, and what has ended before what.

use std::collections::BTreeMap;

use fairlead_wire::internal::WorkflowDefinition;

use super::{Report, forms};

/// The graph of a definition.
pub(super) struct Graph {
    pub(super) ids: BTreeMap<Box<str>, usize>,
    /// Places of the steps that each one needs, sorted.
    pub(super) needs: Vec<Vec<usize>>,
    /// For each step, whether a step has ended before it begins; `None`: the needs go round in a circle.
    pub(super) ended: Option<Vec<Vec<bool>>>,
}

impl Graph {
    pub(super) fn of(source: &WorkflowDefinition, report: &mut Report) -> Self {
        let mut ids = BTreeMap::new();
        for (at, step) in source.steps.iter().enumerate() {
            let path = format!("steps[{at}].id");
            forms::id(&path, &step.id, report);
            if let Some(first) = ids.get(step.id.as_str()) {
                report.add(path, format!("`{}` is already the id of steps[{first}]", step.id));
            } else {
                ids.insert(Box::from(step.id.as_str()), at);
            }
        }
        let needs = needs(source, &ids, report);
        let order = order(&needs);
        let is_acyclic = order.len() == needs.len();
        if !is_acyclic {
            circle(source, &needs, &order, report);
        }
        Self {
            ended: is_acyclic.then(|| ended(&needs, &order)),
            ids,
            needs,
        }
    }

    /// For each step, the steps that need it, sorted.
    pub(super) fn dependants(&self) -> Vec<Vec<usize>> {
        dependants(&self.needs)
    }
}

fn needs(source: &WorkflowDefinition, ids: &BTreeMap<Box<str>, usize>, report: &mut Report) -> Vec<Vec<usize>> {
    let mut all = Vec::with_capacity(source.steps.len());
    for (at, step) in source.steps.iter().enumerate() {
        let mut needs = Vec::with_capacity(step.needs.len());
        for (need_at, id) in step.needs.iter().enumerate() {
            let path = format_args!("steps[{at}].needs[{need_at}]");
            match ids.get(id.as_str()) {
                None => report.add(path, format!("there is no step `{id}`")),
                Some(need) if needs.contains(need) => report.add(path, format!("`{id}` is named twice")),
                Some(need) => needs.push(*need),
            }
        }
        needs.sort_unstable();
        all.push(needs);
    }
    all
}

fn dependants(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut dependants = vec![Vec::new(); needs.len()];
    for (step, needs) in needs.iter().enumerate() {
        for need in needs {
            if let Some(list) = dependants.get_mut(*need) {
                list.push(step);
            }
        }
    }
    dependants
}

/// The steps that can begin, such that each comes after what it needs (Kahn's algorithm). A step that is in a circle, or
/// needs one that is, is not among them.
fn order(needs: &[Vec<usize>]) -> Vec<usize> {
    let dependants = dependants(needs);
    let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..needs.len()).filter(|step| missing.get(*step) == Some(&0)).collect();
    let mut next = 0;
    while let Some(step) = order.get(next).copied() {
        next += 1;
        for &dependant in dependants.get(step).into_iter().flatten() {
            if let Some(missing) = missing.get_mut(dependant) {
                *missing -= 1;
                if *missing == 0 {
                    order.push(dependant);
                }
            }
        }
    }
    order
}

fn ended(needs: &[Vec<usize>], order: &[usize]) -> Vec<Vec<bool>> {
    let mut ended = vec![Vec::new(); needs.len()];
    for &step in order {
        let mut before = vec![false; needs.len()];
        for &need in needs.get(step).into_iter().flatten() {
            for (mine, its) in before.iter_mut().zip(ended.get(need).into_iter().flatten()) {
                *mine |= *its;
            }
            if let Some(mine) = before.get_mut(need) {
                *mine = true;
            }
        }
        if let Some(place) = ended.get_mut(step) {
            *place = before;
        }
    }
    ended
}

/// Reports one circle, by name.
fn circle(source: &WorkflowDefinition, needs: &[Vec<usize>], order: &[usize], report: &mut Report) {
    // A step that is not in the order needs another such step, so following these comes back to one of them.
    let mut is_stuck = vec![true; needs.len()];
    for &step in order {
        if let Some(stuck) = is_stuck.get_mut(step) {
            *stuck = false;
        }
    }
    let mut way: Vec<usize> = Vec::new();
    let mut step = is_stuck.iter().position(|stuck| *stuck);
    while let Some(here) = step {
        if let Some(from) = way.iter().position(|seen| *seen == here) {
            way.drain(..from);
            break;
        }
        way.push(here);
        let mut needs = needs.get(here).into_iter().flatten().copied();
        step = needs.find(|need| is_stuck.get(*need) == Some(&true));
    }
    // The first of them in the file is where the reader begins.
    let first = (0..way.len()).min_by_key(|at| way.get(*at)).unwrap_or(0);
    way.rotate_left(first);
    let Some(begin) = way.first().copied() else { return };
    way.push(begin);
    let ids: Vec<_> = way
        .iter()
        .filter_map(|step| source.steps.get(*step))
        .map(|step| step.id.as_str())
        .collect();
    report.add(
        format_args!("steps[{begin}].needs"),
        format!("go round in a circle: {}", ids.join(" -> ")),
    );
}
