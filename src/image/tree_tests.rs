use super::*;
use crate::import::{Item, Metadata};

fn entry(path: &str, item: Item) -> Entry {
    Entry { path: path.into(), meta: Metadata { mode: 0o755, mtime: 5, ..Metadata::default() }, item }
}

fn host() -> Vec<Entry> {
    let folders = ["usr", "usr/lib", "boot", "sysroot", "run", "etc"];
    let mut entries: Vec<_> = folders.map(|path| entry(path, Item::Directory)).into();
    entries.push(entry("usr/lib/os-release", Item::Inline(b"ID=test\n".to_vec())));
    entries.push(entry("boot/kernel", Item::Object { digest: Digest::new([1; 32]), size: 100 }));
    entries.push(entry("run/left", Item::Inline(b"x".to_vec())));
    entries.push(entry("etc/os-release", Item::Symlink(b"../usr/lib/os-release".to_vec())));
    entries
}

fn no_contents(_: &Digest) -> std::io::Result<Vec<u8>> {
    Err(std::io::ErrorKind::NotFound.into())
}

#[test]
fn the_tree_is_read_by_path() {
    let tree = Tree::from_layers(vec![host()]).unwrap();
    let (node, stat) = tree.get("usr/lib/os-release").unwrap();
    assert_eq!((node, stat.mode, stat.mtime), (Node::Inline(b"ID=test\n".to_vec()), 0o755, 5));
    assert_eq!(tree.get("/boot").unwrap().0, Node::Directory);
    assert_eq!(tree.get("boot/kernel").unwrap().0, Node::Object { digest: Digest::new([1; 32]), size: 100 });
    assert_eq!(tree.get("").unwrap().1.mode, 0o755, "the root is as /usr");
    for nothing in ["nothing", "usr/lib/os-release/x", "../etc"] {
        assert!(tree.get(nothing).is_none(), "{nothing}");
    }
    assert_eq!(tree.list("etc").unwrap(), [b"os-release"]);
    assert_eq!(tree.list("run").unwrap(), [[0; 0]; 0], "/run is empty in every image");
    assert!(tree.list("usr/lib/os-release").is_none());
    let walked: Vec<_> = tree.walk("usr").into_iter().map(|(path, _, _)| String::from_utf8(path).unwrap()).collect();
    assert_eq!(walked, ["lib", "lib/os-release"]);
}

#[test]
fn an_image_without_the_directories_it_needs_is_refused_by_name() {
    let without = |name: &str| host().into_iter().filter(|entry| !entry.path.starts_with(name.as_bytes())).collect();
    assert!(Tree::from_layers(vec![without("usr")]).unwrap_err().to_string().contains("/usr"));
    for name in ["boot", "sysroot"] {
        let tree = Tree::from_layers(vec![without(name)]).unwrap();
        tree.plain_image().unwrap();
        let error = tree.bootable_image(&no_contents).unwrap_err().to_string();
        assert!(error.contains(&format!("/{name}")), "{error}");
    }
}

#[test]
fn images_are_reproducible_and_differ() {
    let tree = Tree::from_layers(vec![host()]).unwrap();
    let (plain, bootable) = (tree.plain_image().unwrap(), tree.bootable_image(&no_contents).unwrap());
    assert_ne!(plain.digest, bootable.digest);
    let again = Tree::from_layers(vec![host()]).unwrap();
    assert_eq!(again.plain_image().unwrap().bytes, plain.bytes);
    assert_eq!(again.bootable_image(&no_contents).unwrap().digest, bootable.digest);
    assert_eq!(crate::store::verity::Hasher::hash(&bootable.bytes), bootable.digest, "as the store will name it");
}

fn with_policy(config: &str) -> Tree {
    let mut entries = host();
    for folder in ["etc/selinux", "etc/selinux/t", "etc/selinux/t/contexts", "etc/selinux/t/contexts/files"] {
        entries.push(entry(folder, Item::Directory));
    }
    entries.push(entry("etc/selinux/config", Item::Inline(config.into())));
    let contexts = Item::Object { digest: Digest::new([2; 32]), size: 70 };
    entries.push(entry("etc/selinux/t/contexts/files/file_contexts", contexts));
    Tree::from_layers(vec![entries]).unwrap()
}

#[test]
fn labels_come_from_the_images_own_policy() {
    let tree = with_policy("SELINUX=enforcing\nSELINUXTYPE=t\n");
    let contents = |_: &Digest| Ok(b"/usr(/.*)?  system_u:object_r:usr_t:s0\n".to_vec());
    let labelled = tree.bootable_image(&contents).unwrap();
    let label = b"object_r:usr_t:s0";
    assert!(labelled.bytes.windows(label.len()).any(|window| window == label));
    let error = tree.bootable_image(&no_contents).unwrap_err().to_string();
    assert!(error.contains("file_contexts"), "{error}");
}

#[test]
fn a_policy_name_that_leaves_its_folder_is_refused() {
    for name in ["../../../etc/selinux/targeted", "..", ""] {
        let error = with_policy(&format!("SELINUXTYPE={name}\n")).bootable_image(&no_contents).unwrap_err().to_string();
        assert!(error.contains("SELINUXTYPE"), "{error}");
    }
}

#[test]
fn contents_at_the_limits_make_an_image() {
    let mut entries = host();
    entries.push(entry(&format!("usr/{}", "n".repeat(255)), Item::Inline(vec![1; 64])));
    for length in [1, 59, 1024, 4000, 4095] {
        entries.push(entry(&format!("usr/link{length}"), Item::Symlink(vec![b'x'; length])));
    }
    entries.push(entry("usr/device", Item::Special { kind: 0o020000, rdev: u64::from(u32::MAX) }));
    entries.push(entry("usr/whiteout", Item::Special { kind: 0o020000, rdev: 0 }));
    entries.push(entry("usr/big", Item::Object { digest: Digest::new([3; 32]), size: 1 << 50 }));
    let mut deep = "usr".to_owned();
    while deep.matches('/').count() < 255 {
        deep.push_str("/dir-name-of-16");
        entries.push(entry(&deep, Item::Directory));
    }
    entries.push(entry("usr/lib/capable", Item::Inline(vec![])));
    if let Some(last) = entries.last_mut() {
        last.meta.xattrs = vec![(b"security.capability".to_vec(), vec![1; 4096]), (vec![b'u'; 255], vec![2; 65535])];
    }
    Tree::from_layers(vec![entries]).unwrap().bootable_image(&no_contents).unwrap();
}
