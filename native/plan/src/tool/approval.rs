//! Who has to agree, and who still has to.

use fairlead_wire::internal;
use fairlead_wire::v1::{ApprovalDecision, ApprovalQuorum, ApprovalVote};

/// Most people that a tier may ask for.
pub(crate) const MOST_PEOPLE: u32 = 64;

/// A tier of approval.
#[derive(Clone, Debug)]
pub struct Tier {
    /// As configured.
    pub(crate) source: internal::ApprovalTier,
}

impl Tier {
    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// How long there is to decide, nanoseconds.
    #[must_use]
    pub fn expires_after_nanos(&self) -> i64 {
        crate::units::millis_to_nanos(self.source.expires_after_millis)
    }

    /// Name of the tier that is asked when nobody decided in time; empty: nobody is.
    #[must_use]
    pub fn escalates_to(&self) -> &str {
        &self.source.escalate_to
    }

    /// Who has to agree.
    #[must_use]
    pub fn require(&self) -> Vec<ApprovalQuorum> {
        let quorum = |one: &internal::Quorum| ApprovalQuorum {
            role: one.role.clone(),
            count: i32::try_from(one.count).unwrap_or(i32::MAX),
        };
        self.source.require.iter().map(quorum).collect()
    }

    /// How many people that are.
    pub(crate) fn people(&self) -> u32 {
        self.source
            .require
            .iter()
            .map(|one| one.count)
            .fold(0, u32::saturating_add)
    }
}

/// Who is missing from `require`, given the votes: different people, each counted once and for one role, such that as few
/// as possible are missing. A person with two roles takes the place that helps.
#[must_use]
pub fn missing(require: &[ApprovalQuorum], votes: &[ApprovalVote]) -> Vec<ApprovalQuorum> {
    let places: Vec<&str> = require
        .iter()
        .flat_map(|one| std::iter::repeat_n(one.role.as_str(), usize::try_from(one.count).unwrap_or(0)))
        .collect();
    let mut people: Vec<&ApprovalVote> = Vec::new();
    for vote in votes.iter().filter(|vote| vote.decision() == ApprovalDecision::Approve) {
        if !people.iter().any(|one| one.operator == vote.operator) {
            people.push(vote);
        }
    }
    // Who takes which place: a bipartite matching by augmenting paths (Kuhn).
    let mut taken: Vec<Option<usize>> = vec![None; places.len()];
    for person in 0..people.len() {
        seat(person, &people, &places, &mut taken, &mut vec![false; places.len()]);
    }
    let mut missing: Vec<ApprovalQuorum> = Vec::new();
    for (role, _) in places.iter().zip(&taken).filter(|(_, person)| person.is_none()) {
        match missing.iter_mut().find(|one| one.role == *role) {
            Some(one) => one.count += 1,
            None => missing.push(ApprovalQuorum {
                role: (*role).to_owned(),
                count: 1,
            }),
        }
    }
    missing
}

/// Finds a place for a person, moving others where that helps.
fn seat(
    person: usize,
    people: &[&ApprovalVote],
    places: &[&str],
    taken: &mut [Option<usize>],
    seen: &mut [bool],
) -> bool {
    let Some(vote) = people.get(person) else { return false };
    for (at, role) in places.iter().enumerate() {
        if !vote.roles.iter().any(|one| one == role) {
            continue;
        }
        match seen.get_mut(at) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        let sitting = taken.get(at).copied().flatten();
        if sitting.is_none_or(|other| seat(other, people, places, taken, seen)) {
            if let Some(place) = taken.get_mut(at) {
                *place = Some(person);
            }
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn require(roles: &[(&str, i32)]) -> Vec<ApprovalQuorum> {
        let quorum = |(role, count): &(&str, i32)| ApprovalQuorum {
            role: (*role).to_owned(),
            count: *count,
        };
        roles.iter().map(quorum).collect()
    }

    fn approves(operator: &str, roles: &[&str]) -> ApprovalVote {
        ApprovalVote {
            operator: operator.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            decision: ApprovalDecision::Approve as i32,
            ..ApprovalVote::default()
        }
    }

    #[test]
    fn a_person_counts_once_and_for_one_role() {
        let both = require(&[("finance", 1), ("legal", 1)]);
        let asha = approves("asha", &["finance", "legal"]);
        assert_eq!(missing(&both, &[asha.clone(), asha.clone()]), require(&[("legal", 1)]));
        assert_eq!(missing(&both, &[]), both);
    }

    #[test]
    fn a_person_with_two_roles_takes_the_place_that_helps() {
        let both = require(&[("finance", 1), ("legal", 1)]);
        let votes = [approves("asha", &["finance", "legal"]), approves("ben", &["finance"])];
        assert_eq!(missing(&both, &votes), []);
        let two = require(&[("finance", 2), ("legal", 1)]);
        assert_eq!(missing(&two, &votes).iter().map(|one| one.count).sum::<i32>(), 1);
    }

    #[test]
    fn who_refuses_or_has_another_role_does_not_count() {
        let one = require(&[("finance", 1)]);
        let refusal = ApprovalVote {
            decision: ApprovalDecision::Reject as i32,
            ..approves("asha", &["finance"])
        };
        assert_eq!(missing(&one, &[refusal, approves("ben", &["legal"])]), one);
    }
}
