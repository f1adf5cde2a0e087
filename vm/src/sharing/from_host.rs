//! podman with the host's images: run, built on, pushed, and taken by neither side from the other; the same after a restart.

use anyhow::{ensure, Context, Result};

use super::{Act, Day, Visit, APP};

/// The machine of this file.
pub(super) const DAY: Day = Day {
    name: "from-host",
    about: "podman sees the images of the host",
    logged: false,
    acts: &[
        Act { name: "published", promise: "after the boot podman lists the host's image, read-only", go: published },
        Act {
            name: "verity",
            promise: "every layer is a mount that requires fs-verity, and all its files have it",
            go: verity,
        },
        Act { name: "run", promise: "a container of the host's image, by crun, reads what the host reads", go: run },
        Act { name: "build", promise: "a build on it stores its own layer; chmod and mv keep contents", go: build },
        Act { name: "push", promise: "what podman pushes is byte by byte what was pulled", go: push },
        Act { name: "rmi", promise: "rmi, system prune and system reset take nothing from the host", go: rmi },
        Act { name: "prune", promise: "prune takes nothing from a container whose image was withdrawn", go: prune },
        Act { name: "restart", promise: "after a restart all is published again", go: restart },
    ],
};

/// The name of the host's own image.
fn own(visit: &mut Visit) -> Result<String> {
    let names = visit.check("podman images --filter readonly=true --format '{{.Repository}}:{{.Tag}}'")?;
    let mut hosts = names.lines().filter(|name| name.starts_with("localhost/cfs-host:"));
    let name = hosts.next().with_context(|| format!("podman does not list the host's image: {names:?}"))?;
    Ok(name.to_owned())
}

fn published(visit: &mut Visit) -> Result<String> {
    let unit = visit.check(
        "systemctl show -p Result -p ExecMainStatus -p ExecMainExitTimestampMonotonic --value cfs-host-share.service",
    )?;
    let unit: Vec<&str> = unit.lines().collect();
    ensure!(unit.contains(&"success") && !unit.contains(&"0\n0"), "cfs-host-share.service: {unit:?}");
    let name = own(visit)?;
    let images = visit.images()?;
    ensure!(images == [format!("{name} true")], "podman images shows {images:?}");
    let shared = visit.ask("image shared")?;
    ensure!(shared["images"][0]["because"][0] == "booted", "image shared says {shared}");
    let layers = shared["images"][0]["layers"].to_string();
    Ok(format!("{name}, read-only, because it is booted; {layers} layers"))
}

/// Each layer's mount, and each object that one of them could show.
const MOUNTS: &str = "findmnt -rn -t overlay -o TARGET,OPTIONS | grep ^/run/cfs-host/containers/";
/// Every file of every layer is opened, which fails for an object without fs-verity, or with another digest.
const OPENED: &str =
    "cd /run/cfs-host/containers/overlay && find */diff -type f | xargs -d '\\n' head -q -c 1 | wc -c && \
    find */diff -type f -size +0 | wc -l";
/// Objects that have no fs-verity.
const WITHOUT: &str = "cd /sysroot/composefs/objects && find . -type f | xargs lsattr | awk '$1 !~ /V/' | wc -l";

fn verity(visit: &mut Visit) -> Result<String> {
    let mounts = visit.check(MOUNTS)?;
    for mount in mounts.lines() {
        ensure!(mount.contains("verity=require") && mount.contains("ro,"), "a layer is mounted otherwise: {mount}");
    }
    let opened = visit.check(OPENED)?;
    let (read, files) = opened.split_once('\n').with_context(|| format!("no counts: {opened}"))?;
    ensure!(read == files && files != "0", "of {files} files of layers {read} could be read");
    let without = visit.check(WITHOUT)?;
    let layers = mounts.lines().count();
    Ok(format!("{layers} layers with verity=require, {files} files of them opened; {without} objects without fs-verity, none of them a file of a layer"))
}

/// Programs and libraries of the host.
const PART: &str = "find /usr/bin /usr/lib/x86_64-linux-gnu -xdev -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1";

fn run(visit: &mut Visit) -> Result<String> {
    let runtime = visit.check("podman info --format '{{.Host.OCIRuntime.Name}}'")?;
    ensure!(runtime == "crun", "podman's runtime is {runtime}");
    let name = own(visit)?;
    let outside = visit.check(PART)?;
    let inside = visit.container(&name, PART)?;
    ensure!(inside == outside, "the container reads {inside}, the host {outside}");
    Ok(format!("/usr/bin and the libraries have one digest inside and outside: {}", &inside[..12]))
}

fn build(visit: &mut Visit) -> Result<String> {
    let name = own(visit)?;
    let before = visit.used()?;
    let script = "chmod 600 /usr/bin/cfs-host && mv /usr/share/cfs-host /usr/share/moved && echo new >/usr/share/new";
    visit.check(&format!(
        "mkdir -p /var/tmp/b && printf 'FROM {name}\\nRUN {script}\\n' >/var/tmp/b/Containerfile && \
         podman build --quiet --network=none -t localhost/derived:v1 /var/tmp/b"
    ))?;
    let cost = visit.used()? - before;
    let size: i64 = visit.check("stat -c %s /usr/bin/cfs-host")?.parse()?;
    let look = "sha256sum </usr/bin/cfs-host; stat -c %a /usr/bin/cfs-host; ls /usr/share/moved; cat /usr/share/new; test ! -e /usr/share/cfs-host";
    let inside = visit.container("localhost/derived:v1", look)?;
    let outside = visit.check("sha256sum </usr/bin/cfs-host; echo 600; ls /usr/share/cfs-host; echo new")?;
    ensure!(inside == outside, "the derived image has {inside:?}, not {outside:?}");
    ensure!(cost < size + (4 << 20), "a build that copies {size} bytes up took {cost} bytes of disk");
    Ok(format!(
        "contents right; {} kB more on disk, of which the file that was copied up has {} kB",
        cost >> 10,
        size >> 10
    ))
}

fn push(visit: &mut Visit) -> Result<String> {
    let name = own(visit)?;
    // Plain tar files: to compress the whole host takes minutes here.
    visit.check(&format!("rm -rf /var/tmp/push && podman push --quiet {name} dir:/var/tmp/push"))?;
    let layers = same_layers(visit, &name, "dir:", "sha256sum", "/var/tmp/push")?;
    visit.check(
        "rm -rf /var/tmp/push && cfs-host image pull --quiet --share oci:/run/media/app:v1 && \
         podman push --quiet localhost/app:v1 oci:/var/tmp/push:v1",
    )?;
    let compressed = same_layers(visit, APP, "oci:", "gzip -dc | sha256sum", "/var/tmp/push/blobs/sha256")?;
    Ok(format!("{layers} layers of the host and {compressed} of an image, each with the diff ID that its config names"))
}

/// Every layer that the config names is among the pushed files.
fn same_layers(visit: &mut Visit, name: &str, to: &str, digest: &str, files: &str) -> Result<usize> {
    let wanted = visit.check(&format!(
        "podman image inspect --format '{{{{range .RootFS.Layers}}}}{{{{println .}}}}{{{{end}}}}' {name}"
    ))?;
    let pushed =
        visit.check(&format!("cd {files} && for file in *; do cat $file | {digest} 2>/dev/null; done; true"))?;
    let wanted: Vec<&str> = wanted.lines().filter_map(|line| line.trim().strip_prefix("sha256:")).collect();
    ensure!(!wanted.is_empty(), "{name} has no layers");
    for layer in &wanted {
        ensure!(pushed.contains(layer), "{to} has no layer {layer}, but {pushed}");
    }
    Ok(wanted.len())
}

fn rmi(visit: &mut Visit) -> Result<String> {
    let name = own(visit)?;
    let said = visit.refused(&format!("podman rmi --force {name}"))?;
    visit.check("podman system prune --all --force")?;
    visit.check("podman system reset --force")?;
    let images = visit.images()?;
    ensure!(images.contains(&format!("{name} true")), "after the reset podman images shows {images:?}");
    visit.sound()?;
    visit.container(&name, "true")?;
    Ok(format!(
        "podman: {}; after prune and reset it is listed and runs, fsck is clean",
        said.lines().last().unwrap_or_default()
    ))
}

fn prune(visit: &mut Visit) -> Result<String> {
    visit.check("cfs-host image pull --quiet --share oci:/run/media/app:v1")?;
    visit.check(&format!("podman run -d --name long --network=none {APP} sleep 10000"))?;
    let said = visit.refused(&format!("cfs-host image unshare {APP}"))?;
    ensure!(said.contains("long"), "the refusal does not name the container: {said}");
    // Its name goes to another image, and so does the tag of the pull.
    visit.check(&format!(
        "printf 'FROM {APP}\\nRUN echo next >/usr/share/next\\n' >/var/tmp/Next && podman build --quiet --network=none -t localhost/next:v1 -f /var/tmp/Next /var/tmp/b && \
         rm -rf /var/tmp/app && podman push --quiet localhost/next:v1 oci:/var/tmp/app:v1 && podman rmi localhost/next:v1 && \
         cfs-host image pull --quiet --share oci:/var/tmp/app:v1 && cfs-host image rm oci:/run/media/app:v1"
    ))?;
    let next = visit.container(APP, "cat /usr/share/next")?;
    ensure!(next == "next", "the name did not move on: {next}");
    visit.check("cfs-host prune && sync && echo 3 >/proc/sys/vm/drop_caches")?;
    let found = visit.check(&format!("podman exec long sh -c \"{}\"", super::media::TREE.replace('$', "\\$")))?;
    ensure!(found == visit.media.tree, "after the prune the container reads {found}");
    visit.check("podman rm --force --time 0 long && cfs-host image share && cfs-host prune")?;
    let shared = visit.ask("image shared")?;
    let kept = shared["images"].as_array().map_or(0, Vec::len);
    ensure!(kept == 2, "the former image stays although nothing needs it: {shared}");
    Ok(format!(
        "refused while it runs ({}); its name moved on and prune ran: every file read as before",
        said.lines().next().unwrap_or_default()
    ))
}

fn restart(visit: &mut Visit) -> Result<String> {
    let before = visit.images()?;
    visit.restart()?;
    let after = visit.images()?;
    ensure!(before == after && before.len() >= 2, "before {before:?}, after {after:?}");
    let name = own(visit)?;
    visit.container(&name, "true")?;
    let next = visit.container(APP, "cat /usr/share/next")?;
    ensure!(next == "next", "{APP} has {next:?}");
    visit.sound()?;
    Ok(format!("{} images as before, both run", after.len()))
}
