//! Which entry the loader takes, by their orders alone: pure, for `status` and for `rollback`.

use crate::model::EntryName;

/// The default: the highest order above 0. Two of one order: the one that [`super::running_esp::RunningEsp::entries`] lists last.
pub fn default(entries: &[EntryName]) -> Option<&EntryName> {
    promoted(entries).max_by_key(|entry| (entry.order, entry.deployment.clone()))
}

/// What was the default before: the highest order of another deployment.
pub fn previous(entries: &[EntryName]) -> Option<&EntryName> {
    let now = &default(entries)?.deployment;
    let others = promoted(entries).filter(|entry| entry.deployment != *now);
    others.max_by_key(|entry| (entry.order, entry.deployment.clone()))
}

/// Whether a promotion of the default was interrupted before its old entry went.
pub fn half_promoted(entries: &[EntryName]) -> bool {
    default(entries).is_some_and(|now| promoted(entries).any(|e| e.deployment == now.deployment && e != now))
}

/// Those that are no trials.
pub fn promoted(entries: &[EntryName]) -> impl Iterator<Item = &EntryName> {
    entries.iter().filter(|entry| entry.order > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "cfs-aaaaaaaaaaaaaaaa.0";
    const B: &str = "cfs-bbbbbbbbbbbbbbbb.0";
    const C: &str = "cfs-cccccccccccccccc.0";

    fn entries(list: &[(&str, u32)]) -> Vec<EntryName> {
        list.iter().map(|(id, order)| format!("{id}.{order}").parse().unwrap()).collect()
    }

    fn both(list: &[(&str, u32)]) -> (Option<String>, Option<String>) {
        let entries = entries(list);
        (default(&entries).map(ToString::to_string), previous(&entries).map(ToString::to_string))
    }

    fn some(id: &str, order: u32) -> Option<String> {
        Some(format!("{id}.{order}"))
    }

    #[test]
    fn the_highest_order_is_the_default_and_the_next_deployment_was_it_before() {
        assert_eq!(both(&[(A, 1), (B, 3), (C, 2)]), (some(B, 3), some(C, 2)));
        assert_eq!(both(&[(A, 1), (B, 3), (B, 2)]), (some(B, 3), some(A, 1)));
        assert_eq!(both(&[(A, 1)]), (some(A, 1), None));
    }

    #[test]
    fn a_trial_is_neither() {
        assert_eq!(both(&[(A, 1), (B, 0)]), (some(A, 1), None));
        assert_eq!(both(&[(B, 0)]), (None, None));
    }

    #[test]
    fn a_second_entry_of_the_default_tells_of_an_interrupted_promotion() {
        assert!(half_promoted(&entries(&[(A, 1), (B, 2), (A, 3)])));
        assert!(!half_promoted(&entries(&[(A, 1), (B, 2), (A, 0)])));
        assert!(!half_promoted(&entries(&[(A, 1), (A, 2), (B, 3)])));
    }
}
