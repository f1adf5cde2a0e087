//! The host with podman's images: taken by hard link on ext4 with fs-verity, and podman keeps working on what is its own.

use anyhow::{ensure, Result};

use super::{Act, Day, Visit, APP};

/// The machine of this file.
pub(super) const DAY: Day = Day {
    name: "from-podman",
    about: "the host takes an image of podman's",
    logged: false,
    acts: &[
        Act {
            name: "linked",
            promise: "the host takes podman's image by hard link, and its objects get fs-verity",
            go: linked,
        },
        Act {
            name: "unchanged",
            promise: "podman's files keep mode, owner and times; system check finds nothing",
            go: unchanged,
        },
        Act { name: "sealed", promise: "a write to a file of podman's layer is EPERM", go: sealed },
        Act { name: "working", promise: "run, build, commit and rmi of that image stay right", go: working },
        Act { name: "closed", promise: "no user reaches an object, set-user-ID or not", go: closed },
        Act { name: "removed", promise: "rmi, system prune and reset leave the host's image whole", go: removed },
    ],
};

/// What podman's files are, and what a write changes.
const FILES: &str =
    "cd /var/lib/containers/storage/overlay && find . -path '*/diff/*' -printf '%p %i %m %U:%G %s %T@\\n' | sort | sha256sum";

/// Files of podman's that are no object, though too large to be part of a stream, and objects that have no fs-verity.
const ODD: &str = "cd /var/lib/containers/storage/overlay && \
    find . -path '*/diff/*' -type f -size +64c -links 1 -printf 'one name: %f\\n'; \
    find . -path '*/diff/*' -type f -links +1 | xargs lsattr | awk '$1 !~ /V/' | sed 's,.*/,no verity: ,'";
/// The content that a lower layer has already; what a later layer removes, so that no image reads it.
const ODD_FILES: &str = "one name: file-2\nno verity: gone";

fn linked(visit: &mut Visit) -> Result<String> {
    visit.check("podman load --quiet --input /run/media/app.tar && podman tag $(podman images --filter readonly=false -q) localhost/app:v1")?;
    visit.check(&format!("{FILES} >/var/tmp/before"))?;
    let before = visit.used()?;
    let taken = visit.ask(&format!("image pull containers-storage:{APP}"))?;
    let cost = visit.used()? - before;
    let count = |field: &str| taken[field].as_u64().unwrap_or(0);
    ensure!(count("objectsLinked") > 200 && taken["copiedBecause"].is_null(), "not by hard link: {taken}");
    let odd = visit.check(ODD)?;
    ensure!(odd == ODD_FILES, "files of podman's that are no object, and objects without fs-verity: {odd:?}");
    ensure!(cost < 2 << 20, "the host took {cost} bytes more");
    Ok(format!(
        "{} objects by hard link, {} kB not written, {} kB more on disk; each that is read has fs-verity",
        count("objectsLinked"),
        count("bytesShared") >> 10,
        cost >> 10
    ))
}

fn unchanged(visit: &mut Visit) -> Result<String> {
    let same = visit.check(&format!("{FILES} | cmp - /var/tmp/before && echo same"))?;
    ensure!(same == "same", "podman's files have changed");
    let found = visit.run("podman system check 2>&1")?;
    ensure!(
        found.code == 0 && found.output.trim().is_empty(),
        "podman system check ({}): {}",
        found.code,
        found.output
    );
    Ok("inode, mode, owner, size and time of every file as before; podman system check says nothing".to_owned())
}

fn sealed(visit: &mut Visit) -> Result<String> {
    let said = visit.refused(
        "for file in /var/lib/containers/storage/overlay/*/diff/usr/share/app/large; do echo x >>$file; done",
    )?;
    ensure!(said.contains("Operation not permitted"), "{said}");
    visit.whole(APP)?;
    Ok(said)
}

fn working(visit: &mut Visit) -> Result<String> {
    visit.whole(APP)?;
    visit.check(&format!(
        "printf 'FROM {APP}\\nRUN chmod 600 /usr/share/app/large && mv /usr/bin/as-root /usr/bin/root\\n' >/var/tmp/Own && \
         podman build --quiet --network=none -t localhost/own:v1 -f /var/tmp/Own /var/tmp"
    ))?;
    let large = super::media::large()?.0;
    let expected = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&large));
    let built = visit.container(
        "localhost/own:v1",
        "sha256sum </usr/share/app/large; stat -c %a /usr/share/app/large /usr/bin/root",
    )?;
    ensure!(built == format!("{expected}  -\n600\n4755"), "the build on it has {built:?}");
    visit.check(&format!(
        "podman run --name changed --network=none {APP} sh -c 'echo more >>/usr/share/app/large; rm /usr/share/app/file-1' && \
         podman commit --quiet changed localhost/committed:v1 && podman rm changed"
    ))?;
    let committed =
        visit.container("localhost/committed:v1", "tail -n 1 /usr/share/app/large; test ! -e /usr/share/app/file-1")?;
    ensure!(committed == "more", "the commit has {committed:?}");
    visit.check("podman rmi localhost/own:v1 localhost/committed:v1")?;
    visit.whole(APP)?;
    visit.sound()?;
    Ok("built, committed, removed; podman's image and the host's are whole".to_owned())
}

fn closed(visit: &mut Visit) -> Result<String> {
    let found = visit.check(
        "find /sysroot/composefs/objects -type f -perm -4000 | wc -l; stat -c %a /sysroot/composefs; \
         one=$(find /sysroot/composefs/objects -type f -perm -4000 | head -n 1); \
         setpriv --reuid=65534 --regid=65534 --clear-groups sh -c \"$one true\" 2>&1; echo $?; \
         setpriv --reuid=65534 --regid=65534 --clear-groups ls /sysroot/composefs/objects /run/cfs-host/containers/overlay 2>&1; echo $?",
    )?;
    let lines: Vec<&str> = found.lines().collect();
    ensure!(
        lines.first().is_some_and(|count| *count != "0"),
        "no object is set-user-ID: nothing is shown by this: {found}"
    );
    ensure!(lines.get(1) == Some(&"700") && lines.get(3) == Some(&"126") && lines.last() == Some(&"2"), "{found}");
    ensure!(found.matches("Permission denied").count() == 3, "{found}");
    Ok(format!("{} objects are set-user-ID; a user gets: Permission denied", lines[0]))
}

fn removed(visit: &mut Visit) -> Result<String> {
    visit.check(&format!("podman rmi {APP} && podman system prune --all --force && podman system reset --force"))?;
    let left = visit.check("find /var/lib/containers/storage -path '*/diff/*' -type f | wc -l")?;
    ensure!(left == "0", "podman kept {left} files");
    visit.sound()?;
    visit.check("cfs-host prune")?;
    // The host shows podman what it took from it.
    visit.check(&format!("cfs-host image share containers-storage:{APP} && echo 3 >/proc/sys/vm/drop_caches"))?;
    visit.whole(APP)?;
    visit.sound()?;
    Ok("podman has no file of it any more; the host's is whole, shown to podman again".to_owned())
}
