//! Random sequences of verbs, restarts and failures against a model of a few lines: what boots next, and what must never
//! happen. And a soak: many updates leave nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::collections::BTreeSet;
use std::fs;

use fixture::base;
use fixture::host::{Lab, TestHost};
use serde_json::Value;

const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];
const SEQUENCES: u64 = 24;
const LENGTH: usize = 20;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.publish("v2", "Example OS 2", base());
    // One UKI for two images: it goes when both have gone.
    lab.publish("v3", "Example OS 2", base());
    lab
}

/// How a trial ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Good,
    PowerCut,
    DamagedUki,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Switch { version: &'static str, force: bool },
    Restart(Ending),
    PowerCut,
    Rollback { discard: bool },
    Pin,
    Prune,
    Upgrade,
}

/// What should be: versions stand for deployments.
#[derive(Debug)]
struct Model {
    /// Promoted, the default last.
    good: Vec<&'static str>,
    running: &'static str,
    staged: Option<&'static str>,
    denied: BTreeSet<&'static str>,
    /// Denied because somebody went back from them.
    left: BTreeSet<&'static str>,
}

/// SplitMix64: the same sequence everywhere, from one printed number.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn step(&mut self) -> Step {
        match self.below(14) {
            0..=3 => Step::Switch { version: VERSIONS[self.below(3)], force: self.below(3) == 0 },
            4..=6 => Step::Restart(Ending::Good),
            7 => Step::Restart(Ending::PowerCut),
            8 => Step::Restart(Ending::DamagedUki),
            9 => Step::PowerCut,
            10 => Step::Rollback { discard: self.below(2) == 0 },
            11 => Step::Pin,
            12 => Step::Prune,
            _ => Step::Upgrade,
        }
    }
}

impl Model {
    fn default(&self) -> &'static str {
        self.good[self.good.len() - 1]
    }

    /// Does the step on both; what each allows and refuses has to agree.
    fn act(&mut self, step: Step, lab: &Lab, host: &TestHost) {
        match step {
            Step::Switch { version, force } => self.switch(version, force, lab, host),
            Step::Restart(ending) => self.restart(ending, host),
            Step::PowerCut => {
                host.boot().unwrap();
                (self.staged, self.running) = (None, self.default());
            }
            Step::Rollback { discard } => self.rollback(discard, host),
            Step::Pin => drop(host.ok(&["pin"])),
            Step::Prune => drop(host.ok(&["prune"])),
            Step::Upgrade => drop(host.ok(&["upgrade"])),
        }
    }

    fn switch(&mut self, version: &'static str, force: bool, lab: &Lab, host: &TestHost) {
        let reference = lab.reference(version);
        let known = self.running == version || self.staged == Some(version);
        if self.denied.contains(version) && !force && !known {
            assert!(!host.cfs_host(&["switch", &reference], None).status.success(), "{version} is denied");
            return;
        }
        host.ok(if force { vec!["switch", &reference, "--force"] } else { vec!["switch", &reference] }.as_slice());
        if self.running == version && self.staged != Some(version) {
            self.staged = None;
        } else if self.staged != Some(version) {
            self.staged = Some(version);
            self.denied.remove(version);
            self.left.remove(version);
        }
    }

    fn restart(&mut self, ending: Ending, host: &TestHost) {
        host.ok(&["internals", "finalize"]);
        let Some(trial) = self.staged.take() else {
            host.boot().unwrap();
            self.running = self.default();
            return;
        };
        let fails = |model: &mut Self| {
            assert_eq!(host.version(&host.boot().unwrap()), model.default(), "after a failed trial");
            model.denied.insert(trial);
            model.left.remove(trial);
            model.running = model.default();
        };
        if let Ending::DamagedUki = ending {
            if let Some(mend) = damage(host) {
                fails(self);
                mend();
                return;
            }
        }
        assert_eq!(host.version(&host.boot().unwrap()), trial, "the trial boots");
        if let Ending::PowerCut = ending {
            return fails(self);
        }
        host.ok(&["internals", "health"]);
        host.ok(&["internals", "promote"]);
        self.good.push(trial);
        self.running = trial;
    }

    fn rollback(&mut self, discard: bool, host: &TestHost) {
        let before = self.good.len().checked_sub(2);
        let arguments = if discard { vec!["rollback", "--discard-staged"] } else { vec!["rollback"] };
        let done = host.cfs_host(&arguments, None).status.success();
        match before {
            Some(before) if self.staged.is_none() || discard => {
                assert!(done, "rollback was refused");
                let (target, default) = (self.good.remove(before), self.default());
                if target != default && !self.left.contains(target) && !self.denied.contains(target) {
                    self.left.insert(default);
                    self.denied.remove(default);
                }
                self.left.remove(target);
                self.denied.remove(target);
                self.good.push(target);
                self.staged = None;
            }
            _ => assert!(!done, "rollback should have been refused"),
        }
    }

    /// What holds whatever was done.
    fn check(&mut self, host: &TestHost) {
        let status: Value = serde_json::from_str(&host.ok(&["status", "--json"])).unwrap();
        let ids = fs::read_dir(host.path("sysroot/cfs/deploy")).unwrap().map(|entry| entry.unwrap().file_name());
        let ids: BTreeSet<String> = ids.map(|name| name.into_string().unwrap()).collect();
        let entries = host.entries();
        for entry in &entries {
            assert!(ids.contains(&entry.name.deployment.to_string()), "{} leads nowhere", entry.name);
            assert!(host.path("esp/EFI/cfs").join(&entry.uki).exists(), "{} has no UKI", entry.name);
        }
        let default = entries.iter().max_by_key(|entry| entry.name.order).unwrap();
        assert_eq!(host.version(&default.name.deployment), self.default(), "the default");
        assert_eq!(host.version(&status["booted"]["deployment"].as_str().unwrap().parse().unwrap()), self.running);
        let staged = status["staged"]["reference"].as_str().map(|reference| reference.rsplit(':').next().unwrap());
        assert_eq!(staged, self.staged, "{status}");
        let denied = status["denied"].as_array().unwrap().iter();
        let denied = denied.map(|image| image["reference"].as_str().unwrap().rsplit(':').next().unwrap().to_owned());
        let expected = self.denied.union(&self.left).map(|version| version.to_string());
        assert_eq!(denied.collect::<BTreeSet<_>>(), expected.collect());
        // The two newest good ones are always there; of the others nobody promises anything.
        let promoted = entries.iter().filter(|entry| entry.name.order > 0).count();
        assert!(promoted >= self.good.len().min(2), "{promoted} entries for {:?}", self.good);
        let forgotten = self.good.len() - promoted.min(self.good.len());
        self.good.drain(..forgotten);
    }
}

/// Damages the UKI of the trial, if no other entry needs it; gives how to mend it.
fn damage(host: &TestHost) -> Option<impl Fn()> {
    let entries = host.entries();
    let trial = entries.iter().find(|entry| entry.name.order == 0).unwrap();
    if entries.iter().filter(|entry| entry.uki == trial.uki).count() > 1 {
        return None;
    }
    let path = host.path("esp/EFI/cfs").join(&trial.uki);
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[1..]).unwrap();
    // Whether a later run removed it or not, it is not good again by itself.
    Some(move || {
        if path.exists() {
            fs::write(&path, &good).unwrap();
        }
    })
}

#[test]
fn whatever_is_done_in_whatever_order_the_right_deployment_boots() {
    let lab = lab();
    let begin = std::env::var("UPDATE_SEED").map_or(1, |text| text.parse().unwrap());
    for seed in begin..begin + SEQUENCES {
        let host = lab.host();
        let mut random = Random(seed);
        let mut model =
            Model { good: vec!["v1"], running: "v1", staged: None, denied: BTreeSet::new(), left: BTreeSet::new() };
        let mut done = Vec::new();
        for _ in 0..LENGTH {
            let step = random.step();
            done.push(step);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                model.act(step, &lab, &host);
                model.check(&host);
            }));
            assert!(outcome.is_ok(), "UPDATE_SEED={seed}: {done:?}\n{model:?}");
        }
    }
}

/// Files and directories below these places, and bytes in the store.
fn footprint(host: &TestHost) -> (Vec<usize>, u64) {
    let count = |place: &str| fixture::host::files(&host.path(place)).len();
    let places = ["esp", "sysroot/cfs/deploy", "sysroot/composefs", "run", "sys/firmware/efi/efivars"];
    let objects = fixture::host::files(&host.path("sysroot/composefs/objects"));
    let bytes = objects.iter().map(|path| fs::symlink_metadata(path).unwrap().len()).sum();
    (places.map(count).to_vec(), bytes)
}

#[test]
fn a_hundred_updates_leave_nothing_behind() {
    let lab = lab();
    let host = lab.host();
    let mut model =
        Model { good: vec!["v1"], running: "v1", staged: None, denied: BTreeSet::new(), left: BTreeSet::new() };
    let mut first = None;
    for round in 0..50 {
        for version in ["v2", "v3"] {
            model.switch(version, false, &lab, &host);
            model.restart(Ending::Good, &host);
        }
        model.check(&host);
        host.ok(&["prune"]);
        let now = footprint(&host);
        let first = first.get_or_insert_with(|| now.clone());
        assert_eq!(*first, now, "round {round}");
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let inside = host.root().display().to_string();
    assert_eq!(mounts.lines().filter(|line| line.contains(&inside)).count(), 1, "mounts are left over");
}
