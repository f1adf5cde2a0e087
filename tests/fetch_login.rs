//! How a registry lets us in or sends us on: tokens, users, redirects. Credentials stay where they belong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::sync::{Arc, Mutex};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use cfs_host::fault::Class;
use cfs_host::fetch::{self, Options};
use fixture::bench::{options, Bench};
use fixture::import_into;
use fixture::liar::{Liar, Reply};
use serde_json::json;

#[test]
fn a_redirect_is_followed_but_credentials_stay_behind() {
    let bench = Bench::new();
    let storage = bench.liar(|_, honest| honest);
    let to = storage.address.clone();
    let file = bench.dir.path().join("auth.json");
    let liar = bench.liar(move |asked, honest| match &asked.authorization {
        None => Reply::status(401).with("WWW-Authenticate", "Basic realm=\"r\""),
        Some(_) if asked.path.contains("/blobs/") => {
            Reply::status(307).with("Location", &format!("http://{to}{}", asked.path))
        }
        Some(_) => honest,
    });
    let auths = json!({"auths": {&liar.address: {"auth": STANDARD.encode("user:secret")}}});
    std::fs::write(&file, auths.to_string()).unwrap();
    let options = Options { authfile: Some(file), ..options() };
    import_into(&bench.dir.path().join("store"), &liar.reference(), &options).unwrap();
    assert_eq!(storage.count("/blobs/"), 3);
    assert!(storage.asked().iter().all(|asked| asked.authorization.is_none()));
}

#[test]
fn redirects_that_lead_in_a_circle_or_out_of_http_are_refused() {
    let bench = Bench::new();
    for (location, why) in
        [("/v2/", "without an end"), ("file:///etc/passwd", "neither https nor http"), ("http://u:p@x/", "user")]
    {
        let liar = bench.about_large(move |asked, _| {
            let location = if location == "/v2/" { asked.path.clone() } else { location.to_owned() };
            Reply::status(302).with("Location", &location)
        });
        let (class, words) = bench.fails_but_keeps_the_first_layer(&liar);
        assert!(class == Class::Network && words.contains(why), "{words}");
        assert!(liar.count(&bench.layers[1]) <= 11, "it is not tried again");
    }
}

/// A registry that wants a token, good for so many requests, from a token server that wants a user.
fn with_tokens(bench: &Bench, good_for: usize) -> Liar {
    let given = Arc::new(Mutex::new((0, 0)));
    bench.liar(move |asked, honest| {
        let mut given = given.lock().unwrap();
        if asked.path.starts_with("/token?") {
            assert!(asked.path.contains("scope=repository%3Ahost%3Apull") && asked.path.contains("service=s"));
            if asked.authorization != Some(format!("Basic {}", STANDARD.encode("user:secret"))) {
                return Reply::status(401);
            }
            *given = (given.0 + 1, 0);
            return Reply::json(&json!({"token": format!("t{}", given.0), "expires_in": 60}));
        }
        let sent = asked.authorization == Some(format!("Bearer t{}", given.0));
        if sent && given.1 < good_for {
            given.1 += 1;
            return honest;
        }
        let challenge =
            format!("Bearer realm=\"http://{}/token\",service=\"s\",scope=\"repository:host:pull\"", asked.host);
        Reply::status(401).with("WWW-Authenticate", &challenge)
    })
}

fn authfile(bench: &Bench, liar: &Liar, user: &str) -> Options {
    let file = bench.dir.path().join("auth.json");
    let auths = json!({"auths": {format!("{}/host", liar.address): {"auth": STANDARD.encode(user)}}});
    std::fs::write(&file, auths.to_string()).unwrap();
    Options { authfile: Some(file), ..options() }
}

#[test]
fn a_token_is_fetched_once_and_anew_when_it_has_ended() {
    let bench = Bench::new();
    for (good_for, tokens) in [(99, 1), (1, 4)] {
        let liar = with_tokens(&bench, good_for);
        let options = authfile(&bench, &liar, "user:secret");
        let source = fetch::open(&liar.reference().parse().unwrap(), &options).unwrap();
        for index in 0..2 {
            std::io::copy(&mut source.layer(index).unwrap().reader, &mut std::io::sink()).unwrap();
        }
        assert_eq!(liar.count("/token?"), tokens);
    }
}

#[test]
fn who_is_not_let_in_is_told_which_credentials_were_tried() {
    let bench = Bench::new();
    let liar = with_tokens(&bench, 99);
    let (class, words) = bench.refused(&liar, &authfile(&bench, &liar, "user:wrong"));
    assert!(
        class == Class::Network && words.contains("with the credentials in") && words.contains("auth.json"),
        "{words}"
    );
    assert_eq!(liar.count("/token?"), 1, "it is not tried again");
    let (_, words) = bench.refused(&liar, &options());
    assert!(words.contains("there are none for 127.0.0.1") && words.contains("podman login"), "{words}");
    assert!(words.contains("/.docker/config.json") && words.contains("/etc/ostree/auth.json"), "{words}");
    for status in [401, 403, 404] {
        let liar = bench.liar(move |_, _| Reply::status(status));
        let (class, words) = bench.refused(&liar, &options());
        assert!(class == Class::Network && words.contains("/etc/ostree/auth.json"), "{words}");
    }
}
