//! pin: deployments that prune leaves alone. On disk: an empty file in the deployment's directory.

use super::host::Host;
use super::Refused;
use crate::deploy::layout;
use crate::deploy::records::PINNED;
use crate::model::DeploymentId;
use crate::sys::Sys;

/// Pins a deployment, or ends that. Gives whether anything changed. The caller holds the lock.
pub fn pin(host: &Host, sys: &Sys, id: &DeploymentId, pinned: bool) -> anyhow::Result<bool> {
    let directory = layout::deployment(&host.sysroot(), id);
    if !directory.is_dir() {
        return Err(Refused(format!("there is no deployment {id}: `cfs-host status` lists them")).into());
    }
    let marker = directory.join(PINNED);
    if marker.exists() == pinned {
        return Ok(false);
    }
    match pinned {
        true => sys.write_file(&marker, b"", 0o644)?,
        false => {
            sys.remove_file(&marker)?;
            sys.sync_dir(&directory)?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::rollback::testing::Fixture;
    use crate::sys::{Fault, FaultPlan};

    #[test]
    fn a_pin_is_set_once_and_taken_away_once() {
        let (fixture, sys) = (Fixture::new(), Sys::real());
        let id = fixture.deployment('a', 1);
        let host = fixture.boot(&id);
        assert!(pin(&host, &sys, &id, true).unwrap());
        assert!(!pin(&host, &sys, &id, true).unwrap());
        assert!(layout::deployment(&host.sysroot(), &id).join(PINNED).is_file());
        assert!(pin(&host, &sys, &id, false).unwrap());
        assert!(!pin(&host, &sys, &id, false).unwrap());
        let other = "cccccccccccccccc.0".parse().unwrap();
        assert!(pin(&host, &sys, &other, true).unwrap_err().is::<Refused>());
    }

    #[test]
    fn it_is_pinned_or_not_whatever_step_fails_and_the_next_run_gets_through() {
        for pinned in [true, false] {
            let make = || {
                let fixture = Fixture::new();
                let id = fixture.deployment('a', 1);
                let host = fixture.boot(&id);
                pin(&host, &Sys::real(), &id, !pinned).unwrap();
                (fixture, host, id)
            };
            let (counted, (_fixture, host, id)) = (Sys::real(), make());
            pin(&host, &counted, &id, pinned).unwrap();
            assert!(counted.steps() >= 2);
            for at in 1..=counted.steps() {
                let (_fixture, host, id) = make();
                let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(5) });
                pin(&host, &sys, &id, pinned).unwrap_err();
                pin(&host, &Sys::real(), &id, pinned).unwrap();
                let marker = layout::deployment(&host.sysroot(), &id).join(PINNED);
                assert_eq!(marker.exists(), pinned, "step {at}");
            }
        }
    }
}
