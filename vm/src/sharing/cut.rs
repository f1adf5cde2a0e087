//! Power cuts in the middle of `image share`, unflushed writes lost: podman works, and shows a whole image or none.

use std::fs::OpenOptions;

use anyhow::{ensure, Result};

use super::{Act, Day, Visit};
use crate::random::Random;
use crate::writelog::{self, Log, Survivors};

/// The machine of this file.
pub(super) const DAY: Day = Day {
    name: "cut",
    about: "the power goes while an image is being shared",
    acts: &[
        Act {
            name: "cut-some",
            promise: "as cut-none, with some of the unflushed writes",
            go: |visit| cut(visit, Survivors::Some(3)),
        },
        Act {
            name: "cut-none",
            promise: "podman works, and shows a whole image or none",
            go: |visit| cut(visit, Survivors::None),
        },
        Act {
            name: "cut-all",
            promise: "as cut-none, with all of the unflushed writes",
            go: |visit| cut(visit, Survivors::All),
        },
    ],
};

const APP: &str = "localhost/app:v1";

/// Shares the image with every write logged, takes the disk as it was in the middle, and boots it.
fn cut(visit: &mut Visit, survivors: Survivors) -> Result<String> {
    let before = visit.dir.path().join("before.img");
    let log = visit.dir.path().join("log");
    if !before.exists() {
        visit.check("cfs-host image pull --quiet oci:/run/media/app:v1")?;
    } else {
        visit.check(&format!("cfs-host image unshare {APP} && cfs-host prune"))?;
    }
    visit.shut_down()?;
    let start = visit.disk.copy_to(&before)?;
    std::fs::write(&log, b"")?;
    visit.machine.write_log = Some(log.clone());
    visit.power_on()?;
    let from = writelog::position(&log)?;
    visit.check("cfs-host image share oci:/run/media/app:v1")?;
    let to = writelog::position(&log)?;
    ensure!(to > from, "image share wrote nothing to the disk");
    visit.power_off()?;
    visit.machine.write_log = None;
    let at = from + 1 + Random::new(std::process::id().into()).below(to - from);
    let file = OpenOptions::new().read(true).write(true).open(start.copy_to(visit.disk.path())?.path())?;
    let lost = Log::open(&log)?.cut(&file, at, survivors)?.lost;
    visit.power_on()?;
    let said = format!("request {} of {}, {} kB lost", at - from, to - from, lost >> 10);
    came_up(visit, said)
}

fn came_up(visit: &mut Visit, said: String) -> Result<String> {
    let images = visit.images()?;
    let shown = images.contains(&format!("{APP} true"));
    if shown {
        visit.whole(APP)?;
    }
    visit.sound()?;
    visit.check("cfs-host image share oci:/run/media/app:v1")?;
    visit.whole(APP)?;
    visit.sound()?;
    Ok(format!(
        "{said}: {}; shared once more it is whole",
        if shown { "the whole image was there" } else { "it was not there" }
    ))
}
