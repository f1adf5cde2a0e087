//! Whose files those of an image are to a user's podman: the user's own id for root, the subordinate ids for the others.
//!
//! Pure, out of the text of `/etc/subuid` and `/etc/subgid`, exactly as podman reads them: an owner that it maps in another way would
//! be somebody else in the container.

use crate::sys::Extent;

/// The ids of one kind (users or groups) as a user's podman maps them, `own` being the user's.
pub fn extents(text: &str, (name, uid): (&str, u32), own: u32) -> Result<Vec<Extent>, String> {
    let mut ranges = ranges(text, name, uid)?;
    if ranges.is_empty() {
        return Err(format!(
            "it has no line for {name} (usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name})"
        ));
    }
    ranges.sort_unstable();
    let mut extents = vec![Extent { inside: 0, outside: own, count: 1 }];
    let mut inside = 1u32;
    for (outside, count) in ranges {
        let last = outside.checked_add(count - 1).ok_or_else(|| format!("{outside}:{count} has ids beyond 32 bits"))?;
        if let Some(other) = extents.iter().find(|one| one.outside <= last && outside < one.outside + one.count) {
            return Err(format!(
                "{outside}:{count} has ids that {name} has already ({}:{})",
                other.outside, other.count
            ));
        }
        extents.push(Extent { inside, outside, count });
        inside = inside.checked_add(count).ok_or_else(|| format!("{name} has more ids than 32 bits hold"))?;
    }
    Ok(extents)
}

/// The lines of this user, by name or by number: the first id, and how many.
fn ranges(text: &str, name: &str, uid: u32) -> Result<Vec<(u32, u32)>, String> {
    let uid = uid.to_string();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(':').collect();
        let [whose, start, count] = fields[..] else { return Err(format!("{line:?} is not NAME:FIRST:COUNT")) };
        if whose != name && whose != uid {
            continue;
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_| format!("{text:?} in {line:?} is no id"));
        let (start, count) = (number(start)?, number(count)?);
        if count == 0 || start == 0 {
            return Err(format!("{line:?} gives no ids, or root's"));
        }
        found.push((start, count));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALICE: (&str, u32) = ("alice", 1000);

    fn triplets(text: &str) -> Result<Vec<(u32, u32, u32)>, String> {
        let all = extents(text, ALICE, 1000)?;
        Ok(all.iter().map(|one| (one.inside, one.outside, one.count)).collect())
    }

    #[test]
    fn ids_are_mapped_as_podman_maps_them() {
        // Seen: `podman unshare cat /proc/self/uid_map`.
        assert_eq!(triplets("alice:100000:65536\n"), Ok(vec![(0, 1000, 1), (1, 100_000, 65536)]));
        // The lowest first, whatever the order of the lines; by number too; others' lines and comments are not ours.
        let text = "# x\nbob:1:5\n 1000:300000:10 \n\nalice:200000:20\nalicex:9:9";
        assert_eq!(triplets(text), Ok(vec![(0, 1000, 1), (1, 200_000, 20), (21, 300_000, 10)]));
    }

    #[test]
    fn what_podman_would_refuse_is_refused_with_the_reason() {
        for (text, word) in [
            ("", "no line for alice"),
            ("bob:100000:5", "no line for alice"),
            ("alice:100000", "NAME:FIRST:COUNT"),
            ("alice:x:5", "no id"),
            ("alice:-1:5", "no id"),
            ("alice:100000:0", "no ids"),
            ("alice:0:5", "root's"),
            ("alice:4294967295:2", "32 bits"),
            ("alice:4294967290:5\nalice:1:4294967000", "already"),
            ("alice:900:200", "already"),
            ("alice:5000:10\nalice:5009:10", "already"),
        ] {
            let why = triplets(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_map_without_overlaps_or_a_reason(text in "((alice|1000|bob|#)?:?[0-9]{0,10}:?[0-9]{0,7}\n){0,6}") {
            if let Ok(all) = extents(&text, ALICE, 1000) {
                prop_assert_eq!(all[0], Extent { inside: 0, outside: 1000, count: 1 });
                let mut next = 0u64;
                for one in &all {
                    prop_assert_eq!(u64::from(one.inside), next);
                    next += u64::from(one.count);
                }
                let mut outside: Vec<(u64, u64)> =
                    all.iter().map(|one| (one.outside.into(), u64::from(one.outside) + u64::from(one.count))).collect();
                outside.sort_unstable();
                prop_assert!(outside.windows(2).all(|two| two[0].1 <= two[1].0));
            }
        }

        #[test]
        fn ranges_that_do_not_touch_are_all_there(starts in proptest::collection::btree_set(2u32..30_000, 1..8), turn in 0usize..8) {
            let mut lines: Vec<String> = starts.iter().map(|start| format!("alice:{}:100000\n", start * 100_000)).collect();
            let by = turn % lines.len();
            lines.rotate_left(by);
            let all = extents(&lines.concat(), ALICE, 1000).unwrap();
            let found: Vec<u32> = all[1..].iter().map(|one| one.outside / 100_000).collect();
            prop_assert_eq!(found, starts.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn it_never_panics(text in "\\PC*") {
            let _ = extents(&text, ALICE, 1000);
        }
    }
}
