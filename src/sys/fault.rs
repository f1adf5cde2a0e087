//! Planned faults: what a crash test asks for.

use std::io;

/// What happens at the chosen step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process ends at once, as in a power cut: nothing is cleaned up.
    Stop,
    /// The operation fails with this errno.
    Errno(i32),
    /// It and all that follow fail, so nothing is taken back: a power cut as a test inside one process can have it.
    Gone,
}

/// One fault at one step; steps count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// The step that is hit instead of done.
    pub at: u64,
    /// How.
    pub fault: Fault,
}

impl FaultPlan {
    /// Parses `stop:K` or `errno:N:K`, the form of the environment variable `CFS_HOST_FAULT`,
    /// which only builds with debug assertions look at.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, at) = text.rsplit_once(':')?;
        let fault = match kind.split_once(':') {
            None if kind == "stop" => Fault::Stop,
            Some(("errno", number)) => Fault::Errno(number.parse().ok()?),
            _ => return None,
        };
        Some(Self { at: at.parse().ok()?, fault })
    }

    pub(super) fn strike(&self, step: u64) -> Option<io::Error> {
        match self.fault {
            Fault::Stop if step == self.at => std::process::abort(),
            Fault::Errno(number) if step == self.at => Some(io::Error::from_raw_os_error(number)),
            Fault::Gone if step >= self.at => Some(io::Error::other("the power is gone")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_parsed_strictly() {
        assert_eq!(FaultPlan::parse("stop:7"), Some(FaultPlan { at: 7, fault: Fault::Stop }));
        assert_eq!(FaultPlan::parse("errno:28:3"), Some(FaultPlan { at: 3, fault: Fault::Errno(28) }));
        for bad in ["", "stop", "stop:", "stop:x", "errno:3", "errno::3", "panic:3"] {
            assert_eq!(FaultPlan::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_planned_step_is_hit() {
        let plan = FaultPlan { at: 2, fault: Fault::Errno(28) };
        assert!(plan.strike(1).is_none());
        assert_eq!(plan.strike(2).unwrap().raw_os_error(), Some(28));
        assert!(plan.strike(3).is_none());
        let gone = FaultPlan { at: 2, fault: Fault::Gone };
        assert_eq!([1, 2, 3].map(|step| gone.strike(step).is_some()), [false, true, true]);
    }
}
