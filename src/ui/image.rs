//! Images of a store, for people.

use super::table::Table;
use super::{bytes, plain};
use crate::model::image::{Change, Compared, Difference, Listed, Pulled};

/// What was pulled, and what it took.
pub fn pulled(pulled: &Pulled) -> String {
    let mut table = Table::default();
    table
        .row("image", &pulled.reference)
        .row("  manifest", &pulled.manifest_digest)
        .row("  digest", pulled.image_digest.to_hex());
    match (pulled.bootable_digest, &pulled.not_bootable) {
        (Some(digest), _) => table.row("  bootable", digest.to_hex()),
        (None, why) => table.row("  bootable", format!("no: {}", why.as_deref().unwrap_or("not known"))),
    };
    let (fetched, written) = (bytes(pulled.bytes_fetched), bytes(pulled.bytes_written));
    let objects = format!("{} of {} objects new", pulled.objects_new, pulled.objects_total);
    table.row("took", format!("{fetched} fetched, {written} written, {objects}"));
    if let Some(text) = pulled.shared.text() {
        table.row("shared", format!("{text}, {} not written again", bytes(pulled.shared.bytes_shared)));
    }
    table.render()
}

/// A row for each reference, and for each name by which a deployment binds an image, and for each image that deployments alone keep.
pub fn list(images: &[Listed]) -> String {
    let mut rows = vec![["REFERENCE", "MANIFEST", "IMAGE", "SIZE", "OWN", "KEPT BY"].map(str::to_owned)];
    for image in images {
        let bound = image.bound_as.iter().filter(|name| !image.references.contains(name));
        let tagged = image.references.iter().map(|name| (&**name, true));
        let mut names: Vec<(&str, bool)> = tagged.chain(bound.map(|name| (&**name, false))).collect();
        if names.is_empty() {
            names.push(("-", false));
        }
        rows.extend(names.into_iter().map(|(name, is_tag)| row(name, is_tag, image)));
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let pad = |row: &[String; 6]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(pad).collect()
}

fn row(name: &str, is_tag: bool, image: &Listed) -> [String; 6] {
    let digest = image.manifest_digest.trim_start_matches("sha256:");
    let short = |text: &str| plain(&text.chars().take(12).collect::<String>());
    let of = image.bootable_digest.or(image.image_digest).map_or("-".to_owned(), |digest| short(&digest.to_hex()));
    let tag = is_tag.then_some("tag");
    let bound: Vec<String> = image.bound_by.iter().map(|id| format!("bound by {id}")).collect();
    let published: Vec<String> = image.published.iter().map(|name| plain(&format!("podman: {name}"))).collect();
    let others = image.deployments.iter().chain(&bound).chain(&published).map(String::as_str);
    let kept: Vec<&str> = tag.into_iter().chain(others).collect();
    let kept = match &image.problem {
        Some(problem) => format!("{}: NOT WHOLE: {}", kept.join(", "), plain(problem)),
        None => kept.join(", "),
    };
    [plain(name), short(digest), of, bytes(image.bytes), bytes(image.unique_bytes), kept]
}

/// `+ path`, `- path`, or `~ path: what from -> to, …`; at the end how many.
pub fn compared(compared: &Compared) -> String {
    let mut text: String = compared.differences.iter().map(line).collect();
    text += &match compared.differences.len() {
        0 => "no difference\n".to_owned(),
        1 => "1 path differs\n".to_owned(),
        more => format!("{more} paths differ\n"),
    };
    text
}

fn line(difference: &Difference) -> String {
    let path = plain(&difference.path);
    match difference.change {
        Change::Added => format!("+ {path}\n"),
        Change::Removed => format!("- {path}\n"),
        Change::Changed => {
            let aspects = difference.differs.iter();
            let aspects = aspects.map(|one| plain(&format!("{} {} -> {}", one.what, one.from, one.to)));
            format!("~ {path}: {}\n", aspects.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image::Aspect;
    use crate::model::Digest;

    #[test]
    fn each_reference_has_a_row_and_what_is_broken_says_so() {
        let image = |references: &[&str], deployments: &[&str], problem: Option<&str>| Listed {
            references: references.iter().map(|text| text.to_string()).collect(),
            manifest_digest: format!("sha256:{}", "ab".repeat(32)),
            image_digest: Some(Digest::new([1; 32])),
            bootable_digest: None,
            objects: 3,
            bytes: 2048,
            unique_bytes: 1024,
            deployments: deployments.iter().map(|text| text.to_string()).collect(),
            bound_as: Vec::new(),
            bound_by: Vec::new(),
            published: Vec::new(),
            problem: problem.map(str::to_owned),
        };
        let bound = Listed { bound_as: vec!["oci:c".into()], bound_by: vec!["x.0".into()], ..image(&[], &[], None) };
        let text = list(&[image(&["oci:a", "oci:bb\x1b"], &["x.0"], None), image(&[], &["y.0"], Some("gone")), bound]);
        let expected = "\
REFERENCE  MANIFEST      IMAGE         SIZE     OWN      KEPT BY
oci:a      abababababab  010101010101  2.0 KiB  1.0 KiB  tag, x.0
oci:bb     abababababab  010101010101  2.0 KiB  1.0 KiB  tag, x.0
-          abababababab  010101010101  2.0 KiB  1.0 KiB  y.0: NOT WHOLE: gone
oci:c      abababababab  010101010101  2.0 KiB  1.0 KiB  bound by x.0
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_difference_is_a_line() {
        let aspect = Aspect { what: "mode".into(), from: "0644".into(), to: "0755".into() };
        let difference = |path: &str, change, differs| Difference { path: path.into(), change, differs };
        let all = Compared {
            from: "a".into(),
            to: "b".into(),
            differences: vec![
                difference("/x", Change::Added, vec![]),
                difference("/y\n", Change::Removed, vec![]),
                difference("/z", Change::Changed, vec![aspect]),
            ],
        };
        assert_eq!(compared(&all), "+ /x\n- /y \n~ /z: mode 0644 -> 0755\n3 paths differ\n");
        assert_eq!(compared(&Compared { differences: vec![], ..all }), "no difference\n");
    }
}
