use super::super::testing::{directory, file, item, link, listing, mode};
use super::*;

/// `PATH` for the machine's version, `PATH=image` for the image's, `PATH=content/metadata` for a mixture, `PATH<-ORIGIN` for
/// a kept one; then the conflicts.
fn outcome(merged: &Merged) -> (String, String) {
    let text = |path: &[u8]| String::from_utf8(path.to_vec()).unwrap();
    let name = |side| if side == Side::Machine { "machine" } else { "image" };
    let path = |(path, source): (&Vec<u8>, &Source)| match *source {
        Source::MACHINE => text(path),
        Source::IMAGE => format!("{}=image", text(path)),
        source => format!("{}={}/{}", text(path), name(source.content), name(source.metadata)),
    };
    let paths = merged.paths.iter().filter(|(path, _)| !path.is_empty()).map(path);
    let kept = merged.kept.iter().map(|(path, origin)| format!("{}<-{}", text(path), text(origin)));
    let conflicts: Vec<_> = merged.conflicts.iter().map(|path| text(path)).collect();
    (paths.chain(kept).collect::<Vec<_>>().join(" "), conflicts.join(" "))
}

type Items<'a> = &'a [(&'a str, Item)];

/// One row: base, machine, image; the result and the conflicts.
fn check(what: &str, sides: [Items<'_>; 3], result: &str, conflicts: &str) {
    let [base, machine, image] = sides.map(listing);
    let merged = merge(&base, &machine, &image);
    assert_eq!(outcome(&merged), (result.to_owned(), conflicts.to_owned()), "{what}");
}

fn owned(item: Item, owner: u32) -> Item {
    Item { owner: (owner, owner), ..item }
}

fn tagged(item: Item, name: &str, value: &str) -> Item {
    let mut item = item;
    item.xattrs.push((name.into(), value.into()));
    item
}

fn fifo() -> Item {
    item(Kind::Special(0o010000, 0), 0o600)
}

#[test]
fn what_one_side_changed_is_taken() {
    let rows: [(&str, Items<'_>, Items<'_>, &str, &str); 12] = [
        // What, before, after; the result if the machine did it, and if the image did it.
        ("added", &[], &[("a", file(1))], "a", "a=image"),
        ("removed", &[("a", file(1))], &[], "", ""),
        ("edited", &[("a", file(1))], &[("a", file(2))], "a", "a=image"),
        ("file to link", &[("a", file(1))], &[("a", link("x"))], "a", "a=image"),
        ("link to file", &[("a", link("x"))], &[("a", file(1))], "a", "a=image"),
        ("link to another", &[("a", link("x"))], &[("a", link("y"))], "a", "a=image"),
        ("file to special", &[("a", file(1))], &[("a", fifo())], "a", "a=image"),
        ("owner", &[("a", file(1))], &[("a", owned(file(1), 5))], "a", "a=image"),
        ("mode", &[("a", file(1))], &[("a", mode(file(1), 0o600))], "a", "a=image"),
        ("xattr", &[("a", file(1))], &[("a", tagged(file(1), "user.x", "1"))], "a", "a=image"),
        ("file to directory", &[("a", file(1))], &[("a", directory()), ("a/b", file(2))], "a a/b", "a=image a/b=image"),
        ("directory to file", &[("a", directory()), ("a/b", file(2))], &[("a", file(1))], "a", "a=image"),
    ];
    for (what, before, after, by_machine, by_image) in rows {
        check(what, [before, after, before], by_machine, "");
        check(what, [before, before, after], by_image, "");
        check(what, [before, after, after], by_machine, "");
    }
}

#[test]
fn content_and_metadata_are_merged_each_for_itself() {
    let base: Items<'_> = &[("a", file(1))];
    check("mode here, content there", [base, &[("a", mode(file(1), 0o600))], &[("a", file(2))]], "a=image/machine", "");
    check("owner here, content there", [base, &[("a", owned(file(1), 5))], &[("a", file(2))]], "a=image/machine", "");
    check("content here, mode there", [base, &[("a", file(2))], &[("a", mode(file(1), 0o600))]], "a=machine/image", "");
    check(
        "content there and mode on both",
        [base, &[("a", mode(file(1), 0o600))], &[("a", mode(file(2), 0o640))]],
        "a=image/machine",
        "a",
    );
    check(
        "mode on both, the same",
        [base, &[("a", mode(file(1), 0o600))], &[("a", mode(file(2), 0o600))]],
        "a=image/machine",
        "",
    );
    let directories: [Items<'_>; 3] =
        [&[("d", directory())], &[("d", mode(directory(), 0o700))], &[("d", owned(directory(), 5))]];
    check("metadata of a directory on both", directories, "d", "d");
}

#[test]
fn in_a_conflict_the_machine_wins_and_the_images_version_is_kept() {
    let base: Items<'_> = &[("a", file(1))];
    check("edited on both", [base, &[("a", file(2))], &[("a", file(3))]], "a a.cfs-new<-a", "a");
    check("added on both", [&[], &[("a", file(2))], &[("a", file(3))]], "a a.cfs-new<-a", "a");
    check("edited here, removed there", [base, &[("a", file(2))], &[]], "a", "a");
    check("removed here, edited there", [base, &[], &[("a", file(2))]], "a.cfs-new<-a", "a");
    check(
        "chmod here, a link there",
        [base, &[("a", mode(file(1), 0o600))], &[("a", link("x"))]],
        "a a.cfs-new<-a",
        "a",
    );
    check("a link here, edited there", [base, &[("a", link("x"))], &[("a", file(2))]], "a a.cfs-new<-a", "a");
    check(
        "edited and chmod on both",
        [base, &[("a", mode(file(2), 0o600))], &[("a", mode(file(3), 0o640))]],
        "a a.cfs-new<-a",
        "a",
    );
    check(
        "edited here, a directory there",
        [base, &[("a", file(2))], &[("a", directory()), ("a/b", file(3))]],
        "a a.cfs-new<-a a.cfs-new/b<-a/b",
        "a",
    );
}

#[test]
fn a_directory_that_the_machine_removed_stays_away() {
    let base: Items<'_> = &[("d", directory()), ("d/a", file(1)), ("d/b", file(1))];
    check("and nothing new", [base, &[], base], "", "");
    let image: Items<'_> = &[("d", directory()), ("d/a", file(1)), ("d/b", file(2)), ("d/c", file(3))];
    check("new and edited files", [base, &[], image], "d.cfs-new<-d d.cfs-new/b<-d/b d.cfs-new/c<-d/c", "d");
    check("a file instead", [base, &[("d", file(9))], image], "d d.cfs-new<-d d.cfs-new/b<-d/b d.cfs-new/c<-d/c", "d");
    check("a link instead", [base, &[("d", link("/run/d"))], base], "d", "");
}

#[test]
fn a_directory_that_the_image_removed_stays_for_what_the_machine_has_in_it() {
    let base: Items<'_> = &[("d", directory()), ("d/a", file(1)), ("d/b", file(1))];
    check("nothing", [base, base, &[]], "", "");
    let added: Items<'_> = &[("d", directory()), ("d/a", file(1)), ("d/b", file(1)), ("d/c", file(3))];
    check("an added file", [base, added, &[]], "d d/c", "");
    let edited: Items<'_> = &[("d", directory()), ("d/a", file(2)), ("d/b", file(1))];
    check("an edited file", [base, edited, &[]], "d d/a", "d/a");
    check("a file instead", [base, edited, &[("d", file(9))]], "d d/a d.cfs-new<-d", "d d/a");
    check("a file instead, nothing changed", [base, base, &[("d", file(9))]], "d=image", "");
    let removed: Items<'_> = &[("d", directory()), ("d/a", file(1))];
    check("a removed file", [base, removed, &[]], "", "");
}

#[test]
fn labels_are_not_compared_and_are_those_of_the_machine() {
    let labelled = |item: Item| tagged(item, "security.selinux", "passwd_file_t");
    let sides: [Items<'_>; 3] = [&[("a", file(1))], &[("a", labelled(file(1)))], &[("a", file(2))]];
    check("an edited file", sides, "a=image", "");
    let [base, machine, image] = sides.map(listing);
    let result = merge(&base, &machine, &image).listing(&machine, &image);
    assert_eq!(result[&b"a"[..]], labelled(file(2)));
    let image = listing(&[("a", directory())]);
    let result = merge(&base, &machine, &image).listing(&machine, &image);
    assert_eq!(result[&b"a"[..]], directory(), "the label of a file is none for a directory");
}

#[test]
fn an_older_kept_version_makes_room_unless_somebody_touched_it() {
    let base: Items<'_> = &[("a", file(2))];
    let image: Items<'_> = &[("a", file(3))];
    check("untouched", [base, &[("a", file(9)), ("a.cfs-new", file(2))], image], "a a.cfs-new<-a", "a");
    check("this one already", [base, &[("a", file(9)), ("a.cfs-new", file(3))], image], "a a.cfs-new<-a", "a");
    check("touched", [base, &[("a", file(9)), ("a.cfs-new", file(7))], image], "a a.cfs-new a.cfs-new.1<-a", "a");
    check("no conflict: it stays", [base, &[("a", file(9)), ("a.cfs-new", file(2))], base], "a a.cfs-new", "");
    let theirs: Items<'_> = &[("a", file(3)), ("a.cfs-new", file(4))];
    check("the image's own", [base, &[("a", file(9))], theirs], "a a.cfs-new=image a.cfs-new.1<-a", "a");
    let base: Items<'_> = &[("d", directory()), ("d/a", file(2))];
    let image: Items<'_> = &[("d", directory()), ("d/a", file(3))];
    let kept: Items<'_> = &[("d.cfs-new", directory()), ("d.cfs-new/a", file(2))];
    check("a directory", [base, kept, image], "d.cfs-new<-d d.cfs-new/a<-d/a", "d");
    let more: Items<'_> = &[("d.cfs-new", directory()), ("d.cfs-new/a", file(2)), ("d.cfs-new/mine", file(1))];
    let result = "d.cfs-new d.cfs-new/a d.cfs-new/mine d.cfs-new.1<-d d.cfs-new.1/a<-d/a";
    check("a directory with a file of the machine's", [base, more, image], result, "d");
}

/// `A′`, `link`, `dir(A, –)` or `–` of `docs/etc.md`, under this name.
fn cell(name: &str, text: &str) -> Vec<(String, Item)> {
    let content = |text: &str| match (text, text.chars().next()) {
        ("–", _) => None,
        ("link", _) => Some(link("somewhere")),
        (_, Some(letter @ 'A'..='C')) => Some(match &text[1..] {
            "" => file(letter as u8),
            "′" => mode(file(letter as u8), 0o600),
            "″" => mode(file(letter as u8), 0o640),
            other => panic!("{other} is no mark"),
        }),
        _ => panic!("{text} is no content"),
    };
    let Some(inner) = text.strip_prefix("dir(").and_then(|rest| rest.strip_suffix(')')) else {
        return content(text).map(|item| (name.to_owned(), item)).into_iter().collect();
    };
    let children = inner.split(", ").zip(["x", "y"]);
    let below = children.filter_map(|(text, child)| Some((format!("{name}/{child}"), content(text)?)));
    [(name.to_owned(), directory())].into_iter().chain(below).collect()
}

#[test]
fn the_table_of_the_page_is_true() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/etc.md")).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("| old image ")).skip(2);
    let mut seen = 0;
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let of = |items: Vec<(String, Item)>| {
            listing(&items.iter().map(|(path, item)| (&path[..], item.clone())).collect::<Vec<_>>())
        };
        let [base, machine, image] = [0, 1, 2].map(|at| of(cell("p", cells[at])));
        let (result, kept) = cells[3].split_once(", kept ").unwrap_or((cells[3], "–"));
        let merged = merge(&base, &machine, &image);
        let wanted = of(cell("p", result).into_iter().chain(cell("p.cfs-new", kept)).collect());
        assert_eq!(merged.listing(&machine, &image), wanted, "{row}");
        assert_eq!(if merged.conflicts.is_empty() { "no" } else { "yes" }, cells[4], "{row}");
        seen += 1;
    }
    assert!(seen > 30, "only {seen} rows were found");
}
