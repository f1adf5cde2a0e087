//! What the machine made of its image's `/etc`, and what waits for a person. Pure.

use super::kept::{is_waiting, is_waiting_top};
use super::{is_at_or_below, kept_of, parent, shown, Change, Item, Listing};
use crate::model::etc::{Changed, Waiting};

/// Every path that the machine changed, sorted. Of what it removed the topmost path stands for all below.
pub fn diff(base: &Listing, machine: &Listing) -> Vec<(Vec<u8>, Change)> {
    let added = |path: &Vec<u8>| !base.contains_key(path);
    let removed = |path: &[u8]| base.contains_key(path) && !machine.contains_key(path);
    let mut changes: Vec<(Vec<u8>, Change)> =
        machine.keys().filter(|path| added(path)).map(|path| (path.clone(), Change::Added)).collect();
    for (path, old) in base {
        let change = match machine.get(path) {
            Some(new) => changed(old, new),
            None => (!parent(path).is_some_and(removed)).then_some(Change::Removed),
        };
        changes.extend(change.map(|change| (path.clone(), change)));
    }
    changes.sort_by(|one, two| one.0.cmp(&two.0));
    changes
}

fn changed(old: &Item, new: &Item) -> Option<Change> {
    match () {
        () if old.kind != new.kind => Some(Change::Content),
        () if !old.same_metadata(new) => Some(Change::Metadata),
        () => None,
    }
}

/// The same for people: kept versions stand apart, and nothing is said about what cannot be read.
pub fn report(base: &Listing, machine: &Listing, unreadable: &[Vec<u8>]) -> (Vec<Changed>, Vec<Waiting>) {
    let known = |path: &[u8]| !unreadable.iter().any(|top| is_at_or_below(path, top));
    let only_known = |listing: &Listing| -> Listing {
        listing.iter().filter(|(path, _)| known(path)).map(|(path, item)| (path.clone(), item.clone())).collect()
    };
    let (base, machine) = (only_known(base), only_known(machine));
    let (kept, own): (Vec<_>, Vec<_>) =
        diff(&base, &machine).into_iter().partition(|(path, _)| is_waiting(path, &base, &machine));
    let changes = own.into_iter().map(|(path, change)| Changed { path: shown(&path), change }).collect();
    let tops = kept.iter().filter(|(path, _)| is_waiting_top(path, &base, &machine));
    let waiting = |path: &[u8]| Some(Waiting { path: shown(path), of: shown(kept_of(path)?) });
    (changes, tops.filter_map(|(path, _)| waiting(path)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{directory, file, listing, mode};
    use super::*;

    #[test]
    fn every_kind_of_change_has_its_name() {
        let base = listing(&[
            ("kept", file(1)),
            ("edited", file(1)),
            ("gone", directory()),
            ("gone/below", file(1)),
            ("chmod", file(1)),
            ("type", directory()),
            ("both", file(1)),
        ]);
        let machine = listing(&[
            ("kept", file(1)),
            ("edited", file(2)),
            ("chmod", mode(file(1), 0o600)),
            ("type", file(1)),
            ("both", mode(file(2), 0o600)),
            ("new", directory()),
            ("new/below", file(3)),
        ]);
        let found: Vec<(String, Change)> = diff(&base, &machine)
            .into_iter()
            .map(|(path, change)| (String::from_utf8(path).unwrap(), change))
            .collect();
        let wanted = [
            ("both", Change::Content),
            ("chmod", Change::Metadata),
            ("edited", Change::Content),
            ("gone", Change::Removed),
            ("new", Change::Added),
            ("new/below", Change::Added),
            ("type", Change::Content),
        ];
        assert_eq!(found, wanted.map(|(path, change)| (path.to_owned(), change)));
        assert!(diff(&base, &base).is_empty());
    }

    #[test]
    fn kept_versions_are_named_once_and_apart() {
        let base = listing(&[("a", file(1)), ("theirs.cfs-new", file(1))]);
        let machine = listing(&[
            ("a", file(2)),
            ("a.cfs-new", file(1)),
            ("theirs.cfs-new", file(2)),
            ("d.cfs-new", directory()),
            ("d.cfs-new/x", file(1)),
        ]);
        let (changes, waiting) = report(&base, &machine, &[]);
        let paths: Vec<_> = changes.into_iter().map(|changed| changed.path).collect();
        assert_eq!(paths, ["/etc/a", "/etc/theirs.cfs-new"]);
        let waiting: Vec<_> = waiting.into_iter().map(|waiting| (waiting.path, waiting.of)).collect();
        let wanted = [("/etc/a.cfs-new", "/etc/a"), ("/etc/d.cfs-new", "/etc/d")];
        assert_eq!(waiting, wanted.map(|(path, of)| (path.to_owned(), of.to_owned())));
    }

    #[test]
    fn nothing_is_said_about_what_cannot_be_read() {
        let base = listing(&[("shadow", file(1)), ("ssl", directory()), ("ssl/key", file(1)), ("sslx", file(1))]);
        let machine = listing(&[("sslx", file(2))]);
        let (changes, _) = report(&base, &machine, &[b"shadow".to_vec(), b"ssl".to_vec()]);
        assert_eq!(changes, [Changed { path: "/etc/sslx".into(), change: Change::Content }]);
    }
}
