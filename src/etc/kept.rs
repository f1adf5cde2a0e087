//! Where the image's version of a conflict is kept: `NAME.cfs-new`, or `NAME.cfs-new.1` and so on if that name is taken. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::merge::Source;
use super::{is_at_or_below, parent, same, Listing};

/// What the names end with.
const SUFFIX: &str = ".cfs-new";
/// The longest name of the file systems that we run on.
const NAME_MAX: usize = 255;

/// What the image has where the machine's version stands: the highest such path, and all that is to be kept of it.
#[derive(Debug, Default)]
pub(super) struct Blocked<'a>(BTreeMap<&'a [u8], BTreeSet<&'a [u8]>>);

impl<'a> Blocked<'a> {
    /// Adds `path`, with the directories that lead to it from `top`.
    pub(super) fn add(&mut self, top: &'a [u8], path: &'a [u8]) {
        let paths = self.0.entry(top).or_default();
        let mut next = Some(path).filter(|path| paths.insert(path));
        while let Some(above) = next.and_then(parent).filter(|above| is_at_or_below(above, top)) {
            next = Some(above).filter(|above| paths.insert(above));
        }
    }
}

/// Gives all of it names that are free; an older kept version that nobody touched makes room.
pub(super) fn place(
    blocked: Blocked<'_>,
    base: &Listing,
    machine: &Listing,
    image: &Listing,
    paths: &mut BTreeMap<Vec<u8>, Source>,
) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut kept: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for (top, origins) in blocked.0 {
        let is_free = |name: &Vec<u8>| {
            let known = base.contains_key(name) || image.contains_key(name) || kept.contains_key(name);
            !known && is_untouched(name, top, base, machine, image)
        };
        let Some(name) = names(top).find(is_free) else { continue };
        for old in at_or_below(machine, &name) {
            paths.remove(old);
        }
        for origin in origins {
            kept.insert([&name[..], &origin[top.len()..]].concat(), origin.to_vec());
        }
    }
    kept
}

/// Whether all that the machine has under this name is the old or the new image's version, as an earlier merge kept it.
fn is_untouched(name: &[u8], top: &[u8], base: &Listing, machine: &Listing, image: &Listing) -> bool {
    at_or_below(machine, name).all(|path| {
        let origin = [top, &path[name.len()..]].concat();
        let item = machine.get(path);
        same(item, base.get(&origin)) || same(item, image.get(&origin))
    })
}

fn at_or_below<'a>(listing: &'a Listing, top: &'a [u8]) -> impl Iterator<Item = &'a Vec<u8>> {
    let below = listing.range(top.to_vec()..).map(|(path, _)| path).take_while(move |path| path.starts_with(top));
    below.filter(move |path| is_at_or_below(path, top))
}

/// The names to try, in order. A name that would be too long loses its end.
fn names(top: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0u32..).map(move |number| {
        let suffix = if number == 0 { SUFFIX.to_owned() } else { format!("{SUFFIX}.{number}") };
        let folder = parent(top).map_or(0, |above| if above.is_empty() { 0 } else { above.len() + 1 });
        let (folder, name) = top.split_at(folder);
        [folder, &name[..name.len().min(NAME_MAX - suffix.len())], suffix.as_bytes()].concat()
    })
}

/// The path that a kept version is of, by its name; `None` for any other name.
pub fn kept_of(path: &[u8]) -> Option<&[u8]> {
    let text = path.rsplit(|byte| *byte == b'/').next()?;
    let at = text.windows(SUFFIX.len()).rposition(|part| part == SUFFIX.as_bytes()).filter(|at| *at > 0)?;
    let number = match &text[at + SUFFIX.len()..] {
        [] => true,
        [b'.', b'1'..=b'9', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    number.then(|| &path[..path.len() - text.len() + at])
}

/// Whether an image's version is kept at this path of the machine's `/etc` or above it.
pub(super) fn is_waiting(path: &[u8], base: &Listing, machine: &Listing) -> bool {
    let mut next = Some(path);
    while let Some(path) = next {
        if kept_of(path).is_some() && !base.contains_key(path) && machine.contains_key(path) {
            return true;
        }
        next = parent(path);
    }
    false
}

/// Whether this is one of the topmost kept paths.
pub(super) fn is_waiting_top(path: &[u8], base: &Listing, machine: &Listing) -> bool {
    is_waiting(path, base, machine) && !parent(path).is_some_and(|above| is_waiting(above, base, machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_names_are_told_from_others() {
        let of = |path: &str| kept_of(path.as_bytes()).map(|of| String::from_utf8_lossy(of).into_owned());
        for (path, wanted) in [
            ("a.cfs-new", Some("a")),
            ("d/a.cfs-new.12", Some("d/a")),
            ("a.cfs-new.cfs-new", Some("a.cfs-new")),
            ("d.cfs-new/a", None),
            ("a.cfs-new.0", None),
            ("a.cfs-new.x", None),
            ("a.cfs-newer", None),
            (".cfs-new", None),
            ("d/.cfs-new", None),
            ("", None),
        ] {
            assert_eq!(of(path).as_deref(), wanted, "{path}");
        }
    }

    #[test]
    fn a_name_never_gets_too_long() {
        let long = [b"d/".to_vec(), vec![b'x'; 255]].concat();
        for name in names(&long).take(12) {
            assert_eq!(name.len(), 2 + 255);
        }
        assert_eq!(names(b"a/b").take(2).collect::<Vec<_>>(), [b"a/b.cfs-new".to_vec(), b"a/b.cfs-new.1".to_vec()]);
    }
}
