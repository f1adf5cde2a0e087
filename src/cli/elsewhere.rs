//! Words of bootc's command line that this one does not have, and what to do instead. `docs/coming-from-bootc.md` says the same.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::Parser;

use super::Cli;

/// The word as it is typed, and the hint.
const ELSEWHERE: &[(&str, &str)] = &[
    ("edit", "there is no specification to edit: `switch`, `upgrade --tag` and `rollback --to` say it directly"),
    ("usr-overlay", "a verified /usr stays as it was signed: build the change into the image, or use a systemd-sysext"),
    ("usroverlay", "a verified /usr stays as it was signed: build the change into the image, or use a systemd-sysext"),
    ("config-diff", "it is called `cfs-host etc diff`"),
    ("completion", "completions come with the package; docs/completions has them"),
    (
        "container",
        "images are made and checked by `cfs-host seal`, `cfs-host image inspect` and `cfs-host image verify`",
    ),
    ("loader-entries", "kernel arguments are part of the signed UKI: `cfs-host seal --karg ARG` in the build"),
    ("fsck", "it is called `cfs-host fsck`"),
    ("cleanup", "it is called `cfs-host prune`"),
    ("composefs-gc", "it is called `cfs-host prune`"),
    (
        "fsverity",
        "fs-verity is turned on by `switch`, `upgrade` and the first boot; `cfs-host status` counts the objects",
    ),
    ("print-json-schema", "the fields are those of docs/formats.md; bootc's document has bootc's schema"),
    ("uki", "it is called `cfs-host uki inspect`"),
    ("copy-to-storage", "podman sees what runs and what is staged by itself; `cfs-host image share` shows it others"),
    ("set-unified", "podman reads the host's store where it is: `cfs-host image pull --share`"),
    ("cmd", "use podman itself"),
    ("to-filesystem", "not there yet: `cfs-host install to-disk` makes a whole disk"),
    ("to-existing-root", "not there yet: `cfs-host install to-disk` makes a whole disk"),
    ("reset", "not there yet: install again with `cfs-host install to-disk`"),
    ("finalize", "`install to-disk` leaves nothing to finish"),
    ("ensure-completion", "`install to-disk` leaves nothing to finish"),
    ("print-configuration", "an image has no install configuration here: the defaults are in `install to-disk --help`"),
    ("docker-daemon", "use --transport registry, or `docker save` and `skopeo copy` to an oci directory"),
    (
        "--soft-reboot",
        "not there yet: every deployment starts through the firmware, so that it is verified; use --apply",
    ),
    ("--karg", "kernel arguments are part of the signed UKI: `cfs-host seal --karg ARG` in the build"),
    ("--karg-delete", "kernel arguments are part of the signed UKI: seal the image without it"),
    ("--source-imgref", "it is called --image"),
    ("--target-transport", "the transport is part of the name: --target-imgref oci:DIR"),
    (
        "--root-ssh-authorized-keys",
        "put the keys into the image, or write them to the deployment's /etc or /var after the first boot",
    ),
    ("--generic-image", "every disk is generic: its own EFI system partition, no firmware variable is written"),
    ("skip", "a deployment without the images that it binds would not be whole: pull, or stored"),
    ("--stateroot", "there is one /var and one set of deployments on a disk"),
    ("--bootloader", "systemd-boot, signed and out of the image, is the only one"),
    ("--block-setup", "not there yet: the disk is not encrypted"),
    ("--filesystem", "the root file system is ext4 with fs-verity: the policy in the UKI names it"),
    ("--via-loopback", "a file as the target needs no loop device: leave it out"),
    ("--root-mount-spec", "the root partition is found by its type on the loader's disk"),
    ("--boot-mount-spec", "there is no /boot: the EFI system partition is found through the loader"),
    ("--replace", "not there yet: `cfs-host install to-disk` makes a whole disk"),
    ("--acknowledge-destructive", "it is called --wipe"),
    ("--skip-finalize", "`install to-disk` leaves nothing to finish"),
    ("--composefs-backend", "composefs is the only backend: leave it out"),
    ("--allow-missing-verity", "fs-verity is never optional: nothing outside the signed UKI can waive a check"),
    ("--uki-addon", "not there yet: addons are not installed"),
    ("--skip-fetch-check", "`install` does not ask the registry for updates: leave it out"),
    ("--disable-selinux", "labels are those of the image: build it without them"),
];

/// The command line of this process. One that cannot be used ends it, with a hint if it is bootc's.
pub fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        let Some(hint) = hint(&error) else { error.exit() };
        // Where the message cannot be printed there is nobody to read it.
        let _ = error.print();
        eprintln!("  do: {hint}");
        std::process::exit(error.exit_code())
    })
}

/// What to do instead, if the word that was not understood is one of bootc's.
pub fn hint(error: &clap::Error) -> Option<&'static str> {
    let kind = match error.kind() {
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidValue => ContextKind::InvalidValue,
        _ => return None,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else { return None };
    ELSEWHERE.iter().find(|(known, _)| known == word).map(|(_, hint)| *hint)
}
