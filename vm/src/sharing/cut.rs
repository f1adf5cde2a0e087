//! Power cuts in the middle of `image share`, unflushed writes lost: podman works, and shows a whole image or none.

use std::fs::OpenOptions;

use anyhow::{ensure, Context, Result};

use super::visit::LOG;
use super::{Act, Day, Visit, APP};
use crate::random::Random;
use crate::writelog::{self, Log, Survivors};

/// The machine of this file.
pub(super) const DAY: Day = Day {
    name: "cut",
    about: "the power goes while an image is being shared",
    logged: true,
    acts: &[
        Act {
            name: "cut-some",
            promise: "as cut-none, with some of the unflushed writes",
            go: |visit| cut(visit, 0, Survivors::Some(3)),
        },
        Act {
            name: "cut-none",
            promise: "podman works, and shows a whole image or none",
            go: |visit| cut(visit, 1, Survivors::None),
        },
        Act {
            name: "cut-all",
            promise: "as cut-none, with all of the unflushed writes",
            go: |visit| cut(visit, 2, Survivors::All),
        },
    ],
};

/// What was recorded, for all cuts of the day: the machine's first boot is logged, and `image share` in it.
#[derive(Clone, Copy)]
pub(super) struct Recorded {
    /// How many requests had been made before it.
    from: usize,
    /// And after it.
    to: usize,
}

fn record(visit: &mut Visit) -> Result<Recorded> {
    visit.check("cfs-host image pull --quiet oci:/run/media/app:v1 && sync")?;
    let log = visit.machine.write_log.clone().context("this day is not recorded")?;
    let from = writelog::position(&log)?;
    visit.check("cfs-host image share oci:/run/media/app:v1")?;
    let to = writelog::position(&log)?;
    ensure!(to > from, "image share wrote nothing to the disk");
    visit.power_off()?;
    Ok(Recorded { from, to })
}

/// Makes the disk as a cut in the middle of `image share` left it, and boots it.
fn cut(visit: &mut Visit, number: u64, survivors: Survivors) -> Result<String> {
    let Recorded { from, to } = match visit.recorded {
        Some(recorded) => {
            visit.power_off()?;
            recorded
        }
        None => {
            let recorded = record(visit)?;
            *visit.recorded.insert(recorded)
        }
    };
    let log = Log::open(&visit.dir.path().join(LOG))?;
    visit.machine.write_log = None;
    let at = from + 1 + Random::new(u64::from(std::process::id()) * 3 + number).below(to - from);
    let disk = visit.before.copy_to(visit.disk.path())?;
    let file = OpenOptions::new().read(true).write(true).open(disk.path())?;
    let lost = log.cut(&file, at, survivors)?.lost;
    visit.power_on()?;
    came_up(visit, &format!("request {} of {}, {} kB lost", at - from, to - from, lost >> 10))
}

fn came_up(visit: &mut Visit, said: &str) -> Result<String> {
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
