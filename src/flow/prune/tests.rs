use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::boot::one_shot;
use crate::deploy::layout::REPOSITORY;
use crate::deploy::origin::Origin;
use crate::deploy::records::{self, PINNED, STAGED, TRIAL};
use crate::flow::import::stored_tree;
use crate::flow::testing::stored::{HostDir, InMemory};
use crate::model::update::{Phase, Staged, Trial};
use crate::model::EntryName;
use crate::store::Store;
use crate::sys::{Fault, FaultPlan};

/// An image with a layer that all share and one of its own.
fn image(number: usize) -> InMemory {
    let own = format!("usr/own-{number}");
    InMemory::new(&[&[("usr/shared", 5000)], &[(&own, 3000 + number)]])
}

/// Deployments number 0, 1, … with these orders; even ones share a UKI with the one after them.
fn host_of(orders: &[Option<u32>]) -> (HostDir, Vec<DeploymentId>) {
    let host = HostDir::new();
    let deploy = |(number, order): (usize, &Option<u32>)| {
        host.deploy(&mut image(number), format!("uki {}", number / 2).as_bytes(), *order)
    };
    let ids = orders.iter().enumerate().map(deploy).collect();
    (host, ids)
}

fn directory(host: &HostDir, id: &DeploymentId) -> std::path::PathBuf {
    layout::deployment(&host.sysroot(), id)
}

fn origin(host: &HostDir, id: &DeploymentId) -> Origin {
    Origin::read(&directory(host, id).join(layout::ORIGIN)).unwrap()
}

fn pin(host: &HostDir, id: &DeploymentId) {
    fs::write(directory(host, id).join(PINNED), "").unwrap();
}

fn stage(host: &HostDir, id: &DeploymentId) {
    let origin = origin(host, id);
    let staged = Staged {
        version: 1,
        deployment: id.clone(),
        reference: origin.reference,
        manifest_digest: origin.manifest_digest,
        image: origin.image,
        uki: cfs_init::names::uki_file_name(origin.uki.as_bytes()),
        system: "Example".into(),
        image_version: None,
        etc_conflicts: Vec::new(),
        download_only: true,
        at: "2026-01-01T00:00:00Z".into(),
        unknown: Default::default(),
    };
    records::write(&Sys::real(), &host.root().join(STAGED), &staged).unwrap();
}

fn try_out(host: &HostDir, id: &DeploymentId) {
    let origin = origin(host, id);
    let trial = Trial {
        version: 1,
        deployment: id.clone(),
        entry: EntryName { deployment: id.clone(), order: 0 },
        reference: origin.reference,
        manifest_digest: origin.manifest_digest,
        image: origin.image,
        phase: Phase::Armed,
        why: None,
        at: "2026-01-01T00:00:00Z".into(),
        unknown: Default::default(),
    };
    records::write(&Sys::real(), &host.sysroot().join(TRIAL), &trial).unwrap();
}

fn mount(host: &HostDir, id: &DeploymentId) {
    fs::create_dir_all(host.root().join("proc/self")).unwrap();
    let line = format!("30 22 254:2 /cfs/deploy/{id}/etc /etc rw - ext4 /dev/vda2 rw\n");
    fs::write(host.root().join("proc/self/mountinfo"), line).unwrap();
}

fn left(host: &HostDir) -> Vec<DeploymentId> {
    layout::list(&host.sysroot())
}

/// Object names below a store.
fn objects(store: &Path) -> BTreeSet<String> {
    let folders = fs::read_dir(store.join("objects")).unwrap().map(|folder| folder.unwrap().path());
    let names = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    names.map(|path| path.strip_prefix(store).unwrap().display().to_string()).collect()
}

/// Every deployment that is there can be started and can be the base of an update; every entry leads to one.
fn whole(host: &HostDir) {
    let store = Store::open(&host.sysroot().join(REPOSITORY)).unwrap();
    for id in left(host) {
        let origin = origin(host, &id);
        let image = store.read(&origin.image).unwrap();
        for object in cfs_init::objects::objects(&image).unwrap() {
            assert!(store.has(&object.digest, object.size), "{id} lost an object");
        }
        stored_tree(&store, &origin.manifest_digest).unwrap();
    }
    for entry in host.esp().entries().unwrap() {
        assert!(host.esp().read_uki(&entry.uki).unwrap().is_some(), "{} lost its UKI", entry.name);
        assert!(directory(host, &entry.name.deployment).is_dir(), "{} lost its directory", entry.name);
    }
}

fn strings(ids: &[&DeploymentId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn removed(pruned: &Pruned) -> Vec<String> {
    pruned.remove.iter().map(|one| one.deployment.clone()).collect()
}

#[test]
fn what_is_old_goes_with_all_that_only_it_used() {
    let (host, ids) = host_of(&[Some(1), Some(2), Some(3), Some(4), None]);
    let running = host.running(&ids[3]);
    let foreseen = look(&running, &host.esp(), &Wish::default()).unwrap();
    let done = prune(&running, &Sys::real(), &host.esp(), &Wish::default()).unwrap();
    // First what nobody can start, then the oldest.
    assert_eq!(removed(&done), strings(&[&ids[4], &ids[0], &ids[1]]));
    assert_eq!(Pruned { dry_run: false, ..foreseen }, done);
    assert_eq!((done.ukis.len(), done.uki_bytes), (2, 10), "of 0 and 1, and of 4");
    let mut expected = vec![ids[2].clone(), ids[3].clone()];
    expected.sort();
    assert_eq!(left(&host), expected);
    assert_eq!(host.esp().ukis().unwrap().len(), 1);
    whole(&host);
    let (only, _) = host_of(&[]);
    [2, 3].into_iter().for_each(|number| drop(only.deploy(&mut image(number), b"x", None)));
    assert_eq!(objects(&host.sysroot().join(REPOSITORY)), objects(&only.sysroot().join(REPOSITORY)));
    let published = fs::read_to_string(host.root().join(crate::flow::host::ENTRIES_NOW)).unwrap();
    assert!(published.contains(&ids[3].to_string()) && !published.contains(&ids[0].to_string()));
    let again = prune(&running, &Sys::real(), &host.esp(), &Wish::default()).unwrap();
    assert!(again.remove.is_empty() && again.objects == 0 && again.ukis.is_empty(), "{again:?}");
}

#[test]
fn chosen_ones_go_and_what_must_stay_is_refused_with_the_reason() {
    let (host, ids) = host_of(&[Some(1), Some(2), Some(3), Some(4)]);
    let running = host.running(&ids[3]);
    let only = |id: &DeploymentId| Wish { only: vec![id.clone()], ..Wish::default() };
    let refused = prune(&running, &Sys::real(), &host.esp(), &only(&ids[2])).unwrap_err().to_string();
    assert!(refused.contains("one of the two newest good ones"), "{refused}");
    let refused = prune(&running, &Sys::real(), &host.esp(), &only(&ids[3])).unwrap_err().to_string();
    assert!(refused.contains("it runs, it is the default"), "{refused}");
    let unknown: DeploymentId = "0000000000000000.7".parse().unwrap();
    assert!(prune(&running, &Sys::real(), &host.esp(), &only(&unknown))
        .unwrap_err()
        .to_string()
        .contains("no deployment"));
    assert_eq!(left(&host).len(), 4);
    let done = prune(&running, &Sys::real(), &host.esp(), &only(&ids[1])).unwrap();
    assert_eq!(removed(&done), strings(&[&ids[1]]));
    assert_eq!(left(&host).len(), 3);
    whole(&host);
}

#[test]
fn whatever_step_fails_nothing_is_half_gone_and_a_second_run_finishes() {
    let (template, ids) = host_of(&[Some(1), None, Some(3), Some(4)]);
    fs::create_dir(template.sysroot().join("cfs/deploy/.tmp-0123456789abcdef.0")).unwrap();
    let counted = Sys::real();
    let complete = template.copy();
    prune(&complete.running(&ids[3]), &counted, &complete.esp(), &Wish::default()).unwrap();
    assert!(counted.steps() > 20 && !complete.sysroot().join("cfs/deploy/.tmp-0123456789abcdef.0").exists());
    for at in 1..=counted.steps() {
        let host = template.copy();
        let running = host.running(&ids[3]);
        let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(5) });
        assert!(prune(&running, &sys, &host.esp(), &Wish::default()).is_err(), "step {at}");
        whole(&host);
        prune(&running, &Sys::real(), &host.esp(), &Wish::default()).unwrap();
        whole(&host);
        assert_eq!(left(&host), left(&complete), "step {at}");
        let store = |host: &HostDir| objects(&host.sysroot().join(REPOSITORY));
        assert_eq!(store(&host), store(&complete), "step {at}");
        assert_eq!(host.esp().ukis().unwrap(), complete.esp().ukis().unwrap(), "step {at}");
    }
}

#[test]
fn an_entry_that_cannot_be_read_keeps_all_ukis_and_an_origin_all_objects() {
    let (host, ids) = host_of(&[Some(1), None, Some(3), Some(4)]);
    let strange = host.root().join("esp/loader/entries").join(format!("cfs-{}.9.conf", ids[1]));
    fs::write(&strange, "linux /EFI/cfs/0123456789abcdef.efi\n").unwrap();
    fs::write(directory(&host, &ids[2]).join(layout::ORIGIN), "{").unwrap();
    let before = (objects(&host.sysroot().join(REPOSITORY)), host.esp().ukis().unwrap());
    let running = host.running(&ids[3]);
    let foreseen = look(&running, &host.esp(), &Wish::default()).unwrap();
    let done = prune(&running, &Sys::real(), &host.esp(), &Wish::default()).unwrap();
    assert_eq!(Pruned { dry_run: false, ..foreseen }, done);
    assert_eq!(done.left_alone.len(), 2, "{:?}", done.left_alone);
    assert!(done.left_alone[0].contains(&ids[1].to_string()) && done.left_alone[1].contains("origin.json"));
    assert_eq!((objects(&host.sysroot().join(REPOSITORY)), host.esp().ukis().unwrap()), before);
    assert!(strange.exists());
    // Once both are mended the rest goes.
    fs::remove_file(&strange).unwrap();
    fs::remove_dir_all(directory(&host, &ids[2])).unwrap();
    assert!(prune(&running, &Sys::real(), &host.esp(), &Wish::default()).unwrap().left_alone.is_empty());
    assert!(objects(&host.sysroot().join(REPOSITORY)).len() < before.0.len());
}

#[test]
fn records_that_cannot_be_read_stop_all_of_it() {
    let (template, ids) = host_of(&[Some(1), Some(2), Some(3), None]);
    for record in [STAGED.to_owned(), format!("sysroot/{TRIAL}")] {
        let host = template.copy();
        fs::write(host.root().join(&record), "{").unwrap();
        let error = prune(&host.running(&ids[2]), &Sys::real(), &host.esp(), &Wish::default()).unwrap_err();
        assert!(error.to_string().contains(&record), "{error}");
        assert_eq!(left(&host).len(), 4);
    }
}

#[test]
fn while_another_program_uses_the_store_objects_stay_and_that_is_told() {
    let (host, ids) = host_of(&[Some(1), Some(2), Some(3)]);
    let other = Store::open(&host.sysroot().join(REPOSITORY)).unwrap();
    let before = objects(other.path());
    let running = host.running(&ids[2]);
    let done = prune(&running, &Sys::real(), &host.esp(), &Wish::default()).unwrap();
    assert!(done.left_alone[0].contains("used by another program"), "{:?}", done.left_alone);
    assert_eq!((left(&host).len(), objects(other.path())), (2, before.clone()));
    drop(other);
    assert!(prune(&running, &Sys::real(), &host.esp(), &Wish::default()).unwrap().objects > 0);
}

#[test]
fn an_update_takes_the_surplus_first_and_says_exactly_what_is_missing() {
    let (host, ids) = host_of(&[Some(1), Some(2), Some(3), Some(4), None]);
    pin(&host, &ids[0]);
    let (running, store) = (host.running(&ids[3]), Store::open(&host.sysroot().join(REPOSITORY)).unwrap());
    let observed = Observed::of(&running, &host.esp()).unwrap();
    let plan = |free: Free, need: &Need, keep| room::plan(observed.clone(), &store, free, need, keep);
    let gone = |plan: &Plan| plan.gone.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    let need = |esp, store| Need { esp, store, keep: Also::default() };
    let free = Free { esp: 100, store: 1000 };
    // Enough: what is kept by number stays.
    assert_eq!(gone(&plan(free, &need(100, 1000), 3).unwrap()), [ids[4].clone()]);
    // The UKI of 4, 5 bytes, goes with it; more room only comes from 1, which shares its UKI with the pinned 0.
    assert_eq!(gone(&plan(free, &need(105, 1000), 3).unwrap()), [ids[4].clone()]);
    let refused = plan(free, &need(106, 1000), 3).unwrap_err().to_string();
    for text in ["105 bytes free and 106 are needed", &format!("pin of {}", ids[0]), &format!("{} (it runs", ids[3])] {
        assert!(refused.contains(text), "{refused}");
    }
    // The store: what only 4 uses, then what only 1 uses.
    let roots = |ids: &[&DeploymentId]| {
        observed.roots(&ids.iter().map(|id| (*id).clone()).collect(), &Also::default()).unwrap()
    };
    let (first, second) = (
        store.garbage(&roots(&[&ids[4]])).unwrap().bytes(),
        store.garbage(&roots(&[&ids[4], &ids[1]])).unwrap().bytes(),
    );
    assert!(0 < first && first < second);
    assert_eq!(gone(&plan(free, &need(0, 1000 + first), 3).unwrap()), [ids[4].clone()]);
    assert_eq!(gone(&plan(free, &need(0, 1001 + first), 3).unwrap()), [ids[4].clone(), ids[1].clone()]);
    let refused = plan(free, &need(0, 1001 + second), 3).unwrap_err().to_string();
    assert!(refused.contains(&format!("{} bytes free and {} are needed", 1000 + second, 1001 + second)), "{refused}");
}

#[test]
fn room_for_an_update_is_made_as_it_was_foreseen_and_keeps_what_the_update_builds_on() {
    let (host, ids) = host_of(&[Some(1), Some(2), Some(3), Some(4), None]);
    stage(&host, &ids[4]);
    let running = host.running(&ids[3]);
    // A layer of an import that was cut off, and one that nobody wants.
    let store = running.store().unwrap();
    let mut wanted = image(7);
    let stranded = image(8).import(&store, &|_| ()).unwrap().meta;
    wanted.import(&store, &|_| ()).unwrap();
    let streams = crate::flow::import::known_layers(crate::fetch::Source::image(&wanted), &store).unwrap();
    drop(store);
    let need = Need { keep: Also { streams: streams.clone(), ..Also::default() }, ..Need::default() };
    let foreseen = room_for(&running, &host.esp(), &need).unwrap();
    assert_eq!(strings(&foreseen.iter().collect::<Vec<_>>()), strings(&[&ids[4], &ids[0], &ids[1]]));
    crate::flow::stage::unstage(&running, &host.esp(), &Sys::real()).unwrap();
    let done = make_room(&running, &Sys::real(), &host.esp(), &need).unwrap();
    assert_eq!(removed(&done), strings(&[&ids[0], &ids[1]]));
    assert_eq!(left(&host).len(), 2);
    let store = running.store().unwrap();
    assert!(streams.iter().all(|name| store.stream(name).unwrap().is_some()));
    assert_eq!(crate::flow::import::unknown_layers(&stranded, &store).unwrap().len(), 1, "its own layer");
    drop(store);
    whole(&host);
    let huge = Need { store: u64::MAX, ..Need::default() };
    let refused = make_room(&running, &Sys::real(), &host.esp(), &huge).unwrap_err();
    assert!(refused.downcast_ref::<crate::flow::Refused>().is_some(), "{refused:#}");
}

/// Anything that can be the case on a host of a few deployments.
#[derive(Clone, Debug)]
struct Case {
    orders: Vec<Option<u32>>,
    pinned: Vec<bool>,
    running: usize,
    staged: Option<usize>,
    trial: Option<usize>,
    one_shot: Option<usize>,
    mounted: Option<usize>,
    keep: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    (2usize..6).prop_flat_map(|count| {
        let one = move || prop::option::weighted(0.3, 0..count);
        let orders = prop::collection::vec(prop::option::weighted(0.8, 0u32..6), count);
        let pinned = prop::collection::vec(prop::bool::weighted(0.2), count);
        (orders, pinned, 0..count, one(), one(), one(), one(), 0usize..4).prop_map(
            |(orders, pinned, running, staged, trial, one_shot, mounted, keep)| Case {
                orders,
                pinned,
                running,
                staged,
                trial,
                one_shot,
                mounted,
                keep,
            },
        )
    })
}

impl Case {
    fn make(&self) -> (HostDir, Vec<DeploymentId>) {
        let (host, ids) = host_of(&self.orders);
        for (id, _) in ids.iter().zip(&self.pinned).filter(|(_, pinned)| **pinned) {
            pin(&host, id);
        }
        self.staged.iter().for_each(|n| stage(&host, &ids[*n]));
        self.trial.iter().for_each(|n| try_out(&host, &ids[*n]));
        self.mounted.iter().for_each(|n| mount(&host, &ids[*n]));
        if let Some(n) = self.one_shot {
            let entry = EntryName { deployment: ids[n].clone(), order: 0 };
            one_shot::set(&Sys::real(), host.root(), &entry).unwrap();
        }
        (host, ids)
    }

    /// The rules, told once more: numbers of those that stay.
    fn stay(&self, ids: &[DeploymentId]) -> BTreeSet<usize> {
        // Highest order first; of equal ones the later id, as the list of entries has it.
        let mut promoted: Vec<usize> = (0..ids.len()).filter(|n| self.orders[*n].unwrap_or(0) > 0).collect();
        promoted.sort_by_key(|n| std::cmp::Reverse((self.orders[*n], ids[*n].clone())));
        let highest = promoted.first().map(|n| self.orders[*n]);
        let unpinned = promoted.iter().filter(|n| !self.pinned[**n]).take(self.keep);
        let default = promoted.iter().filter(|n| Some(self.orders[**n]) == highest);
        let named = [Some(self.running), self.staged, self.trial, self.one_shot, self.mounted].into_iter().flatten();
        let pinned = (0..ids.len()).filter(|n| self.pinned[*n]);
        named.chain(pinned).chain(promoted.iter().take(2).chain(unpinned).chain(default).copied()).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_must_stay_stays_and_all_else_goes(case in cases()) {
        let (host, ids) = case.make();
        let running = host.running(&ids[case.running]);
        let wish = Wish { keep: case.keep, only: Vec::new() };
        let foreseen = look(&running, &host.esp(), &wish).unwrap();
        let done = prune(&running, &Sys::real(), &host.esp(), &wish).unwrap();
        prop_assert_eq!(Pruned { dry_run: false, ..foreseen }, done.clone());
        let numbers: BTreeMap<&DeploymentId, usize> = ids.iter().enumerate().map(|(n, id)| (id, n)).collect();
        let stay: BTreeSet<usize> = left(&host).iter().map(|id| numbers[id]).collect();
        prop_assert_eq!(&stay, &case.stay(&ids));
        whole(&host);
        for n in &stay {
            let uki = cfs_init::names::uki_file_name(origin(&host, &ids[*n]).uki.as_bytes());
            prop_assert!(host.esp().read_uki(&uki).unwrap().is_some(), "{} lost its UKI", n);
            let orders: Vec<u32> = host.esp().entries().unwrap().iter()
                .filter(|entry| entry.name.deployment == ids[*n]).map(|entry| entry.name.order).collect();
            prop_assert_eq!(orders, case.orders[*n].into_iter().collect::<Vec<_>>());
        }
        // No more than what those need is left.
        let (only, _) = host_of(&[]);
        stay.iter().for_each(|n| drop(only.deploy(&mut image(*n), b"x", None)));
        prop_assert_eq!(objects(&host.sysroot().join(REPOSITORY)), objects(&only.sysroot().join(REPOSITORY)));
        let ukis: BTreeSet<usize> = stay.iter().map(|n| n / 2).collect();
        prop_assert_eq!(host.esp().ukis().unwrap().len(), ukis.len());
        prop_assert!(prune(&running, &Sys::real(), &host.esp(), &wish).unwrap().remove.is_empty());
    }
}

#[test]
fn each_reason_to_stay_is_enough_and_is_told() {
    let (template, ids) = host_of(&[Some(1), Some(2), Some(3), Some(4)]);
    type Give = fn(&HostDir, &DeploymentId);
    let reasons: [(&str, Give); 5] = [
        ("it is pinned", pin),
        ("it is staged", stage),
        ("it is on trial", try_out),
        ("something of it is mounted", mount),
        ("the loader starts it next", |host, id| {
            let entry = EntryName { deployment: id.clone(), order: 0 };
            one_shot::set(&Sys::real(), host.root(), &entry).unwrap();
        }),
    ];
    for (why, give) in reasons {
        let host = template.copy();
        let running = host.running(&ids[3]);
        assert_eq!(look(&running, &host.esp(), &Wish::default()).unwrap().remove.len(), 2, "without a reason it goes");
        give(&host, &ids[0]);
        let done = prune(&running, &Sys::real(), &host.esp(), &Wish::default()).unwrap();
        assert_eq!(removed(&done), strings(&[&ids[1]]), "{why}");
        let told = done.stay.iter().find(|one| one.deployment == ids[0].to_string()).unwrap();
        assert_eq!(told.why, why);
    }
}

#[test]
fn what_unstage_will_drop_counts_as_gone() {
    let (host, ids) = host_of(&[Some(1), Some(0)]);
    stage(&host, &ids[1]);
    try_out(&host, &ids[1]);
    let observed = Observed::of(&host.running(&ids[0]), &host.esp()).unwrap();
    assert_eq!(observed.all().len(), 2);
    let (after, dropped) = observed.after_unstage();
    assert_eq!((after.all(), dropped), (BTreeSet::from([ids[0].clone()]), Some(ids[1].clone())));
    assert!(after.staged.is_none() && after.trial.is_none());
}
