//! What `prune` removed or would remove, for people.

use super::bytes;
use super::table::Table;
use crate::model::prune::{Because, Pruned};

/// A line each: what goes and why, what stays and why, the room that it gives, what was left alone.
pub fn pruned(pruned: &Pruned) -> String {
    let mut table = Table::default();
    let each = |table: &mut Table, name: &'static str, list: &[Because]| {
        for (number, one) in list.iter().enumerate() {
            table.row(if number == 0 { name } else { "" }, format!("{}: {}", one.deployment, one.why));
        }
    };
    let done = if pruned.dry_run { "would remove" } else { "removed" };
    if pruned.remove.is_empty() {
        table.row(done, "no deployment");
    }
    each(&mut table, done, &pruned.remove);
    each(&mut table, "stays", &pruned.stay);
    let ukis = format!("{} in {} UKIs", bytes(pruned.uki_bytes), pruned.ukis.len());
    let objects = format!("{} in {} objects", bytes(pruned.object_bytes), pruned.objects);
    table.row("esp", ukis).row("store", objects);
    for why in &pruned.left_alone {
        table.row("left alone", why);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_what_stays_and_what_is_left_alone_are_told_with_the_reason() {
        let because = |id: &str, why: &str| Because { deployment: id.into(), why: why.into() };
        let all = Pruned {
            dry_run: true,
            remove: vec![because("a.0", "old"), because("b.0", "old too")],
            stay: vec![because("c.0", "it runs")],
            ukis: vec!["x.efi".into()],
            uki_bytes: 2048,
            objects: 3,
            object_bytes: 4096,
            left_alone: vec!["no UKI is removed: odd".into()],
            ..Pruned::default()
        };
        let expected = "would remove  a.0: old\n              b.0: old too\nstays         c.0: it runs\n\
                        esp           2.0 KiB in 1 UKIs\nstore         4.0 KiB in 3 objects\nleft alone    no UKI is removed: odd\n";
        assert_eq!(pruned(&all), expected);
        assert!(pruned(&Pruned::default()).starts_with("removed  no deployment\n"));
    }
}
