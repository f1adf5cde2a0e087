//! Which form a store is published in: pure, from what the machine can do.
//!
//! A form is used only where podman can neither read wrong content through it nor change what the host reads.

use crate::model::share::{Considered, Form};

/// What the choice depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// Major and minor number of the kernel that runs.
    pub kernel: (u32, u32),
    /// Whether the store lies in memory (tmpfs).
    pub in_memory: bool,
    /// Whether this is root.
    pub root: bool,
    /// Whether the store's objects can have fs-verity.
    pub verity: bool,
    /// Whether the store's file system shares blocks between files (xfs, btrfs).
    pub reflinks: bool,
    /// Major and minor number of podman, if there is one.
    pub podman: Option<(u32, u32)>,
    /// What podman of a user needs beside, if it is not root's.
    pub user: Option<GroundOfUser>,
}

/// What the choice depends on for a user's podman.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroundOfUser {
    /// The user's name.
    pub name: String,
    /// Why nobody knows whose the files would be.
    pub no_owners: Option<String>,
    /// The driver of the user's storage, if it is not overlay.
    pub other_driver: Option<String>,
    /// A program that mounts the user's containers in the kernel's place.
    pub mount_program: Option<String>,
}

/// EROFS is mounted out of a file since then, and overlayfs keeps whiteouts apart since 6.7.
const KERNEL: (u32, u32) = (6, 12);
/// The oldest that was tried.
const PODMAN: (u32, u32) = (4, 3);

/// Every form with a verdict; at most one is chosen.
pub fn consider(ground: &Ground) -> Vec<Considered> {
    let (chosen, why) = match mounts(ground) {
        Ok(why) => (true, why),
        Err(why) => (false, why),
    };
    let no = |form, why: &str| Considered { form, chosen: false, why: why.to_owned() };
    vec![
        Considered { form: Form::Mounts, chosen, why },
        no(
            Form::Blobs,
            match ground.user {
                Some(_) => "podman would mount the EROFS image itself, which the kernel allows root alone",
                None => {
                    "a chmod in a derived build commits zeros with podman's default options, and cfs-host cannot see to it that no \
                     other options are ever used"
                }
            },
        ),
        no(
            Form::Reflinks,
            match ground.reflinks {
                true => "not offered: they share no page cache, and fs-verity does not cover them",
                false => "the store's file system does not share blocks between files",
            },
        ),
        no(Form::HardLinks, "never: mode and owner are the object's own, so a chmod of one name changes all images"),
    ]
}

/// Why mounts are used, or cannot be.
fn mounts(ground: &Ground) -> Result<String, String> {
    if !ground.root {
        return Err("only root can mount layers: run it as root".to_owned());
    }
    if ground.kernel < KERNEL {
        let (major, minor) = ground.kernel;
        return Err(format!("the kernel is {major}.{minor}, and mounts an EROFS image out of a file since 6.12"));
    }
    if ground.in_memory {
        return Err("the store lies in memory, and no EROFS image is mounted out of a file there".to_owned());
    }
    if let Some((major, minor)) = ground.podman.filter(|podman| *podman < PODMAN) {
        return Err(format!("podman is {major}.{minor}, and the oldest that was tried is 4.3"));
    }
    let owners = match &ground.user {
        Some(user) => of_user(user)?,
        None => String::new(),
    };
    Ok(match ground.verity {
        true => format!("nothing is copied, one page cache, and fs-verity checks what is read{owners}"),
        false => format!(
            "nothing is copied, one page cache; nothing checks what is read, as the file system has no fs-verity{owners}"
        ),
    })
}

/// Whose the files are, or why a user's podman would not see what the image has.
fn of_user(user: &GroundOfUser) -> Result<String, String> {
    let name = &user.name;
    if let Some(why) = &user.no_owners {
        return Err(format!("{name} has no subordinate ids, which the image's owners would be: {why}"));
    }
    if let Some(driver) = &user.other_driver {
        return Err(format!(
            "podman of {name} stores with the driver {driver}, and only overlay reads mounted layers (podman system reset, then overlay)"
        ));
    }
    if let Some(program) = &user.mount_program {
        return Err(format!(
            "podman of {name} mounts with {program}, which does not know removed files as the kernel's overlayfs does: take \
             mount_program out of storage.conf (and podman system reset, where it was in use)"
        ));
    }
    Ok(format!("; owners are mapped to {name} and the subordinate ids"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Ground = Ground {
        kernel: (6, 12),
        in_memory: false,
        root: true,
        verity: true,
        reflinks: false,
        podman: Some((5, 4)),
        user: None,
    };

    fn chosen(ground: &Ground) -> Option<Form> {
        consider(ground).into_iter().find(|considered| considered.chosen).map(|considered| considered.form)
    }

    #[test]
    fn layers_are_mounted_where_that_is_safe_and_else_nothing_is_published() {
        for (ground, form) in [
            (GOOD, Some(Form::Mounts)),
            (Ground { verity: false, podman: None, ..GOOD }, Some(Form::Mounts)),
            (Ground { kernel: (7, 0), ..GOOD }, Some(Form::Mounts)),
            (Ground { kernel: (6, 11), reflinks: true, ..GOOD }, None),
            (Ground { root: false, ..GOOD }, None),
            (Ground { in_memory: true, ..GOOD }, None),
            (Ground { podman: Some((3, 4)), ..GOOD }, None),
        ] {
            assert_eq!(chosen(&ground), form, "{ground:?}");
        }
    }

    #[test]
    fn a_user_gets_mounts_where_podman_shows_them_right_and_else_a_reason() {
        let good = GroundOfUser { name: "alice".into(), no_owners: None, other_driver: None, mount_program: None };
        let ground = |user: GroundOfUser| Ground { user: Some(user), ..GOOD };
        assert_eq!(chosen(&ground(good.clone())), Some(Form::Mounts));
        assert!(consider(&ground(good.clone()))[0].why.contains("mapped to alice"));
        let some = |text: &str| Some(text.to_owned());
        for (user, word) in [
            (GroundOfUser { no_owners: some("no line"), ..good.clone() }, "no line"),
            (GroundOfUser { other_driver: some("vfs"), ..good.clone() }, "driver vfs"),
            (GroundOfUser { mount_program: some("/bin/fuse"), ..good.clone() }, "/bin/fuse"),
        ] {
            assert_eq!(chosen(&ground(user.clone())), None, "{user:?}");
            assert!(consider(&ground(user.clone()))[0].why.contains(word), "{user:?}");
        }
    }

    #[test]
    fn every_form_says_why() {
        let all = consider(&GOOD);
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|considered| !considered.why.is_empty()));
        assert!(consider(&Ground { kernel: (6, 1), ..GOOD })[0].why.contains("6.12"));
    }
}
