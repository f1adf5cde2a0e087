//! What a registry may do wrong, one test for each: the image arrives all the same, or an error says what it was, and
//! complete layers stay.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::io::Read;
use std::time::{Duration, Instant};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use cfs_host::fault::Class;
use cfs_host::fetch::{self, Options, Patience};
use fixture::bench::{options, Bench, IDLE, MIDDLE};
use fixture::import_into;
use fixture::liar::{End, Liar, Reply};
use serde_json::json;

#[test]
fn an_honest_registry_is_asked_for_each_thing_once() {
    let bench = Bench::new();
    let liar = bench.liar(|_, honest| honest);
    bench.arrives(&liar);
    let paths: Vec<_> = liar.asked().iter().map(|asked| asked.path.clone()).collect();
    assert_eq!(paths.len(), 4, "manifest, configuration, two layers: {paths:?}");
    assert!(liar.asked().iter().all(|asked| asked.from.is_none() && asked.authorization.is_none()));
}

#[test]
fn what_fails_for_a_moment_is_asked_for_again() {
    let bench = Bench::new();
    for status in [500, 502, 503, 504, 429] {
        let liar = bench.liar(move |asked, honest| if asked.before < 2 { Reply::status(status) } else { honest });
        bench.arrives(&liar);
        assert_eq!(liar.asked().len(), 12, "{status}");
    }
}

#[test]
fn what_stays_broken_is_given_up_and_complete_layers_stay() {
    let bench = Bench::new();
    let liar = bench.about_large(|_, _| Reply::status(503));
    let (class, words) = bench.fails_but_keeps_the_first_layer(&liar);
    assert_eq!((class, liar.count(&bench.layers[1])), (Class::Network, 4));
    assert!(words.contains("503") && words.contains("4 attempts"), "{words}");
}

#[test]
fn a_registry_that_asks_for_time_gets_it() {
    let bench = Bench::new();
    let busy = || Reply::status(429).with("Retry-After", "1");
    let liar = bench.about_large(move |asked, honest| if asked.before == 0 { busy() } else { honest });
    let started = Instant::now();
    bench.arrives(&liar);
    assert!(started.elapsed() > Duration::from_secs(1));
}

#[test]
fn a_connection_that_breaks_is_taken_up_at_the_byte_where_it_broke() {
    let bench = Bench::new();
    for end in [End::Cut(MIDDLE), End::Reset(MIDDLE), End::Stall(MIDDLE, 3 * IDLE)] {
        let liar = bench.about_large(move |asked, honest| if asked.before == 0 { honest.ending(end) } else { honest });
        bench.arrives(&liar);
        let from: Vec<_> = liar.asked().iter().filter_map(|asked| asked.from).collect();
        // What a reset leaves unread in the kernel is lost.
        assert!(from.len() == 1 && (1..=MIDDLE).contains(&from[0]), "{from:?}");
        assert!(matches!(end, End::Reset(_)) || from[0] == MIDDLE, "{from:?}");
    }
}

#[test]
fn a_connection_may_break_often_as_long_as_something_comes() {
    let bench = Bench::new();
    // Every megabyte or so, which is more often than it may fail in a row.
    let liar = Liar::start(bench.shelf.clone(), |asked, honest| {
        let large = honest.body.len() > 2_000_000 || asked.from.is_some();
        if large {
            honest.ending(End::Cut(1_100_000))
        } else {
            honest
        }
    });
    let strict = Options { patience: Patience { retries: 1, ..options().patience }, ..options() };
    let image = import_into(&bench.dir.path().join("s"), &liar.reference(), &strict).unwrap();
    assert_eq!(image.stats.bytes_fetched, (bench.sizes[0] + bench.sizes[1]) as u64);
}

#[test]
fn a_registry_without_ranges_is_read_anew_and_what_came_twice_is_counted() {
    let bench = Bench::new();
    let (large, shelf) = (bench.layers[1].clone(), bench.shelf.clone());
    let liar = bench.about_large(move |asked, honest| match asked.before {
        0 => honest.ending(End::Cut(MIDDLE)),
        _ => Reply { body: shelf.bytes(&large).to_vec(), ..Reply::status(200) },
    });
    bench.arrives(&liar);
    let source = fetch::open(&liar.reference().parse().unwrap(), &options()).unwrap();
    assert_eq!(source.bytes_again(), 0);
    let liar = bench.about_large(move |asked, honest| {
        if asked.from.is_some() {
            Reply { status: 200, ..honest }
        } else {
            honest.ending(End::Cut(MIDDLE))
        }
    });
    // The rest as if it were the whole: it is too short.
    let (class, words) = bench.fails_but_keeps_the_first_layer(&liar);
    assert!(class == Class::Network && words.contains("attempts"), "{words}");
}

#[test]
fn bytes_that_came_twice_are_in_the_report() {
    let bench = Bench::new();
    let (large, shelf) = (bench.layers[1].clone(), bench.shelf.clone());
    let liar = bench.about_large(move |asked, honest| match asked.before {
        0 => honest.ending(End::Cut(MIDDLE)),
        _ => Reply { body: shelf.bytes(&large).to_vec(), ..Reply::status(200) },
    });
    let lab = fixture::stores::Lab::new();
    let pull = ["image", "pull", "--insecure-transport", "--retry-delay", "5ms", &liar.reference()];
    let pulled = lab.json("store", &pull);
    assert_eq!(pulled["bytesFetched"], bench.sizes[0] + bench.sizes[1] + MIDDLE);
}

#[test]
fn a_part_that_was_not_asked_for_is_not_taken() {
    let bench = Bench::new();
    let liar = bench.about_large(|asked, honest| match asked.from {
        None => honest.ending(End::Cut(MIDDLE)),
        Some(_) => honest.with("Content-Range", "bytes 7-9/3000000"),
    });
    let (class, words) = bench.fails_but_keeps_the_first_layer(&liar);
    assert!(class == Class::Damage && words.contains("bytes 7-9"), "{words}");
}

#[test]
fn silence_is_a_time_out() {
    let bench = Bench::new();
    let liar = bench.about_large(|_, honest| honest.ending(End::Stall(0, 4 * IDLE)));
    let started = Instant::now();
    let (class, words) = bench.fails_but_keeps_the_first_layer(&liar);
    assert!(class == Class::Network && words.contains("nothing came for 400ms"), "{words}");
    assert!(started.elapsed() < 40 * IDLE);
}

#[test]
fn wrong_bytes_are_refused_with_the_layers_name() {
    let bench = Bench::new();
    let wrong = |change: fn(&mut Vec<u8>)| {
        bench.about_large(move |asked, mut honest| {
            if asked.from.is_none() {
                change(&mut honest.body);
            }
            honest
        })
    };
    for (liar, why) in
        [(wrong(|body| body[MIDDLE] ^= 1), "digest"), (wrong(|body| body.push(0)), "longer than the manifest says")]
    {
        let (class, words) = bench.fails_but_keeps_the_first_layer(&liar);
        assert!(class == Class::Damage && words.contains(why), "{why}: {words}");
    }
}

#[test]
fn a_blob_that_is_shorter_than_its_manifest_says_is_cut_off() {
    let bench = Bench::new();
    let liar = bench.about_large(|asked, mut honest| match asked.from {
        None => {
            honest.body.truncate(MIDDLE);
            honest
        }
        Some(_) => Reply::status(416),
    });
    let (_, words) = bench.fails_but_keeps_the_first_layer(&liar);
    assert!(words.contains("416"), "{words}");
}

#[test]
fn a_manifest_that_lies_about_sizes_is_found_out() {
    let bench = Bench::new();
    let manifest = bench.shelf.manifest();
    for (size, why) in [(bench.sizes[1] as u64 - 1, "longer"), (u64::MAX / 4, "416"), (0, "longer")] {
        let (mut manifest, mut shelf) = (manifest.clone(), bench.shelf.clone());
        manifest["layers"][1]["size"] = json!(size);
        shelf.tag(&manifest);
        let (_, words) = bench.fails_but_keeps_the_first_layer(&Liar::start(shelf, |_, honest| honest));
        assert!(words.contains(why), "{size}: {words}");
    }
}

#[test]
fn what_is_no_manifest_is_refused() {
    let bench = Bench::new();
    let manifest = |lie: fn(Reply) -> Reply| {
        bench.liar(move |asked, honest| if asked.path.contains("/manifests/") { lie(honest) } else { honest })
    };
    for (liar, why) in [
        (manifest(|honest| honest.with("Content-Type", "text/html")), "text/html"),
        (manifest(|honest| honest.with("Content-Type", "application/vnd.oci.image.index.v1+json")), "its type"),
        (manifest(|honest| Reply { body: b"<html>".to_vec(), ..honest }), "no manifest"),
        (manifest(|honest| Reply { body: vec![b' '; 5 << 20], ..honest }), "larger than"),
    ] {
        let (class, words) = bench.refused(&liar, &options());
        assert!(class == Class::Damage && words.contains(why), "{why}: {words}");
    }
    let cut = manifest(|honest| honest.ending(End::Cut(20)));
    assert_eq!(bench.refused(&cut, &options()).0, Class::Network);
}

#[test]
fn heads_without_an_end_and_answers_that_are_no_http_are_refused() {
    let bench = Bench::new();
    let endless = bench.about_large(|_, honest| honest.with("X-Long", &"x".repeat(300_000)));
    let (class, words) = bench.fails_but_keeps_the_first_layer(&endless);
    assert!(class == Class::Network && words.contains("header"), "{words}");
    let odd = bench.about_large(|_, honest| Reply { status: 9, ..honest });
    assert_eq!(bench.fails_but_keeps_the_first_layer(&odd).0, Class::Network);
}

#[test]
fn dockers_own_types_are_taken_too() {
    let bench = Bench::new();
    let (mut shelf, mut manifest) = (bench.shelf.clone(), bench.shelf.manifest());
    manifest["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
    manifest["config"]["mediaType"] = json!("application/vnd.docker.container.image.v1+json");
    for layer in manifest["layers"].as_array_mut().unwrap() {
        layer["mediaType"] = json!("application/vnd.docker.image.rootfs.diff.tar");
    }
    let digest = shelf.tag(&manifest);
    let entry = json!({"mediaType": manifest["mediaType"], "digest": digest, "size": manifest.to_string().len(),
                       "platform": {"os": "linux", "architecture": "amd64"}});
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    shelf.tag(&json!({"schemaVersion": 2, "mediaType": list, "manifests": [entry]}));
    let liar = Liar::start(shelf, |_, honest| honest);
    let options = Options { architecture: Some("amd64".to_owned()), ..options() };
    import_into(&bench.dir.path().join("store"), &liar.reference(), &options).unwrap();
    assert_eq!(liar.count("/manifests/"), 2);
}

#[test]
fn by_a_digest_nothing_else_is_taken() {
    let bench = Bench::new();
    let liar = bench.liar(|asked, mut honest| {
        if asked.path.contains("/manifests/") {
            honest.body.push(b'\n');
        }
        honest
    });
    let mut shelf = bench.shelf.clone();
    let digest = shelf.tag(&bench.shelf.manifest());
    let reference = format!("docker://{}/host@{digest}", liar.address);
    let error = fetch::open(&reference.parse().unwrap(), &options()).err().unwrap().to_string();
    assert!(error.contains(&digest) && error.contains("it has the digest"), "{error}");
    let honest = Liar::start(shelf, |_, honest| honest);
    let reference = format!("docker://{}/host:other@{digest}", honest.address);
    let image = fetch::open(&reference.parse().unwrap(), &options()).unwrap();
    assert_eq!(image.image().manifest_digest.as_ref(), digest);
}

#[test]
fn an_index_leads_to_the_platform_and_what_it_carries_itself_is_not_asked_for() {
    let bench = Bench::new();
    let mut shelf = bench.shelf.clone();
    let mut manifest = shelf.manifest();
    let config = manifest["config"]["digest"].as_str().unwrap().to_owned();
    manifest["config"]["data"] = json!(STANDARD.encode(shelf.bytes(&config)));
    manifest["layers"][0]["data"] = json!(STANDARD.encode(shelf.bytes(&bench.layers[0])));
    let digest = shelf.tag(&manifest);
    let entry = |architecture: &str, digest: &str| {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": manifest.to_string().len(),
               "platform": {"os": "linux", "architecture": architecture}})
    };
    let mut mine = entry("amd64", &digest);
    mine["data"] = json!(STANDARD.encode(manifest.to_string()));
    let other = entry("arm64", &format!("sha256:{}", "07".repeat(32)));
    shelf.tag(&json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [other, mine]}));
    let liar = Liar::start(shelf, |_, honest| honest);
    let options = Options { architecture: Some("amd64".to_owned()), ..options() };
    import_into(&bench.dir.path().join("store"), &liar.reference(), &options).unwrap();
    let paths: Vec<_> = liar.asked().iter().map(|asked| asked.path.clone()).collect();
    assert_eq!(paths, ["/v2/host/manifests/v1".to_owned(), format!("/v2/host/blobs/{}", bench.layers[1])]);
    let wanted = Options { architecture: Some("riscv64".to_owned()), ..options };
    assert!(bench.refused(&liar, &wanted).1.contains("linux/arm64, linux/amd64"));
}

#[test]
fn a_layer_that_is_not_distributed_comes_from_where_its_descriptor_says() {
    let bench = Bench::new();
    let elsewhere = bench.liar(|_, honest| honest);
    let (mut shelf, mut manifest) = (bench.shelf.clone(), bench.shelf.manifest());
    let layer = &mut manifest["layers"][1];
    layer["mediaType"] = json!("application/vnd.oci.image.layer.nondistributable.v1.tar");
    let place = |name: &str| format!("http://{}/any/{name}", elsewhere.address);
    layer["urls"] = json!([place("gone"), place(&bench.layers[1])]);
    shelf.tag(&manifest);
    let liar = Liar::start(shelf, |_, honest| honest);
    bench.arrives(&liar);
    assert_eq!((liar.count(&bench.layers[1]), elsewhere.count("/any/")), (0, 2));
}

#[test]
fn layers_are_read_from_several_threads_at_once() {
    let bench = Bench::new();
    let liar = bench.liar(|_, honest| Reply { chunked: true, ..honest });
    let source = fetch::open(&liar.reference().parse().unwrap(), &options()).unwrap();
    let read = |index: usize| {
        let mut bytes = Vec::new();
        source.layer(index).unwrap().reader.read_to_end(&mut bytes).unwrap();
        bytes
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..8).map(|index| scope.spawn(move || (index % 2, read(index % 2)))).collect();
        for thread in running {
            let (index, bytes) = thread.join().unwrap();
            assert_eq!(bytes, bench.shelf.bytes(&bench.layers[index]));
        }
    });
}

#[test]
fn nobody_there_is_a_matter_of_the_network() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reference = format!("docker://{free}/host:v1").parse().unwrap();
    let error = fetch::open(&reference, &options()).err().unwrap().to_string();
    assert!(
        error.contains("refused") && error.contains("check the network") && error.contains("4 attempts"),
        "{error}"
    );
}
