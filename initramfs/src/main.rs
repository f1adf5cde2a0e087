//! `/init`: the boot as a list of steps. Each step is a function of the library, in the order of `docs/security.md`.

use std::convert::Infallible;
use std::os::fd::AsFd;

use cfs_init::policy::Policy;
use cfs_init::record::{Facts, Progress};
use cfs_init::refusal::Refusal;
use cfs_init::{
    console, deployment, devices, efivars, files, halt, handover, loader, modules, mount, pass, record, section,
};

fn main() {
    if std::process::id() != 1 {
        eprintln!("cfs-init is the /init of an initrd: it does nothing unless it is process 1");
        std::process::exit(2);
    }
    let mut progress = Progress::start();
    match own_policy() {
        Err(refusal) => halt::dead_end(&refusal, None, &progress),
        Ok(policy) => {
            let Err(refusal) = boot(&policy, &mut progress);
            halt::dead_end(&refusal, Some(&policy), &progress)
        }
    }
}

/// Rule 1: the policy is linked into this program.
fn own_policy() -> Result<Policy, Refusal> {
    let json = section::policy_json(section::own())
        .ok_or_else(|| Refusal::new(1, "this /init holds no policy: the UKI was not made by `cfs-host seal`"))?;
    Policy::parse(json).map_err(|error| Refusal::new(1, error.to_string()))
}

fn boot(policy: &Policy, progress: &mut Progress) -> Result<Infallible, Refusal> {
    progress.judge(policy, files::check_rootfs(policy))?;
    mount::system()?;
    halt::reboot_after_panic();
    progress.judge(policy, files::check_command_line(policy))?;
    progress.done("start");
    modules::load(policy)?;
    progress.done("modules");
    mount::efivarfs()?;
    let secure_boot = efivars::secure_boot();
    progress.judge(policy, efivars::check_secure_boot(secure_boot, policy))?;
    progress.earlier = halt::left_behind();
    let claim = loader::claim(&efivars::loader_variables())?;
    progress.entry = Some(claim.entry_file().to_owned());
    progress.done("variables");
    let root = mount::root(&devices::root(claim.esp())?, &policy.root_fs)?;
    progress.done("root");
    let composefs = deployment::repository(&root)?;
    let proven = deployment::prove(root.as_fd(), composefs.as_fd(), &claim.entry().deployment, policy)?;
    progress.judge(policy, proven.signed().map(drop).map_err(Refusal::clone))?;
    progress.done("image");
    let new = mount::composefs(&proven, deployment::objects(composefs.as_fd())?.as_fd())?;
    deployment::modules_for_kernel(&new)?;
    progress.done("mount");
    let objects = pass::for_policy(policy, &proven, composefs.as_fd())?;
    progress.done("objects");
    mount::writable(&root, &claim.entry().deployment, &new)?;
    halt::forget();
    progress.done("writable");
    let facts = Facts { policy, claim: &claim, proven: &proven, secure_boot, objects };
    record::write(&facts, progress)?;
    console::say(&format!("booting {}: {progress}", claim.entry()));
    drop((proven, composefs));
    handover::switch(root, new)
}
