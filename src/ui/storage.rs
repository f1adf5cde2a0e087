//! What the store and podman's storage take, for people: as `podman system df` has it.

use super::{bytes, plain};
use crate::model::storage::{Part, StorageUse};

/// A row for each kind of user, and what sharing saves.
pub fn usage(all: &StorageUse) -> String {
    let mut text = row("TYPE", "TOTAL", "SIZE");
    let users = [
        ("Deployments", all.deployments),
        ("Bound images", all.bound),
        ("Pulled images", all.images),
        ("podman's layers", all.podman),
    ];
    for (name, Part { count, bytes: size }) in users {
        text += &row(name, &count.to_string(), &bytes(size));
    }
    text += &row("Apart", "", &bytes(all.bytes_apart));
    text += &row("Stored", "", &bytes(all.bytes_stored));
    let Part { count, bytes: size } = all.objects;
    text += &format!("\n{count} objects of {}, of these\n", bytes(size));
    text += &format!("  {} by hard link with podman ({} objects)\n", bytes(all.linked.bytes), all.linked.count);
    text += &format!("  {} by reflink with others\n", bytes(all.cloned_bytes));
    text += &match &all.podman_storage {
        Some(path) => format!("podman's storage is {}\n", plain(path)),
        None => "podman has no storage here\n".to_owned(),
    };
    text
}

fn row(name: &str, total: &str, size: &str) -> String {
    format!("{name:<17}{total:<8}{size}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_rows_and_what_is_shared_is_told() {
        let part = |count, bytes| Part { count, bytes };
        let all = StorageUse {
            deployments: part(2, 4096),
            bound: part(1, 1024),
            images: part(1, 2048),
            podman: part(12, 3072),
            podman_storage: Some("/var/lib/containers/storage".into()),
            objects: part(7, 3000),
            linked: part(3, 2048),
            cloned_bytes: 0,
            bytes_apart: 10240,
            bytes_stored: 4024,
        };
        let expected = "\
TYPE             TOTAL   SIZE
Deployments      2       4.0 KiB
Bound images     1       1.0 KiB
Pulled images    1       2.0 KiB
podman's layers  12      3.0 KiB
Apart                    10.0 KiB
Stored                   3.9 KiB

7 objects of 2.9 KiB, of these
  2.0 KiB by hard link with podman (3 objects)
  0 bytes by reflink with others
podman's storage is /var/lib/containers/storage
";
        assert_eq!(usage(&all), expected);
        assert!(usage(&StorageUse::default()).contains("no storage here"));
    }
}
