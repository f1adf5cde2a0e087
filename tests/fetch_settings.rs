//! What a host says of registries, through the real program: authorities, credentials, mirrors, short names, proxies,
//! policy; each as podman reads it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use fixture::liar::{Liar, Reply, Shelf};
use fixture::registry::{certify, Registry};
use fixture::run;
use fixture::stores::{host, Lab};
use serde_json::json;

/// A user without settings.
struct User {
    lab: Lab,
}

impl User {
    fn new() -> Self {
        Self { lab: Lab::new() }
    }

    /// A file below `~/.config/containers`.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.lab.path("home/.config/containers").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    }

    fn trusts(&self, host: &str, certificate: &str) {
        self.file(&format!("certs.d/{host}/ca.crt"), &fs::read_to_string(self.lab.path(certificate)).unwrap());
    }

    fn has_password(&self, host: &str) {
        let auths = json!({"auths": {host: {"auth": STANDARD.encode("user:secret")}}});
        self.file("auth.json", &auths.to_string());
    }

    fn pull(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let _ = fs::remove_dir_all(self.lab.path("store"));
        let arguments = [&["image", "pull", "--json", "--retry", "1", "--retry-delay", "5ms"], arguments].concat();
        let mut command = self.lab.command("store", &arguments);
        for name in
            ["XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "HTTPS_PROXY", "https_proxy"]
        {
            command.env_remove(name);
        }
        command.env("HOME", self.lab.path("home")).envs(environment.iter().copied()).output().unwrap()
    }

    fn pulls(&self, name: &str) {
        let output = self.pull(&[name], &[]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Exit code and words.
    fn refused(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
        let output = self.pull(arguments, environment);
        assert!(!output.status.success(), "{arguments:?}");
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// docker-registry with TLS and a password, and `host:v1` in it.
    fn registry(&self, clients: Option<&str>) -> Registry {
        let plain = Registry::start(&self.lab.path(""));
        let (from, to) = (self.lab.image("image", &host()), format!("docker://{}/host:v1", plain.address));
        run(Command::new("skopeo").args(["copy", "-q", "--dest-tls-verify=false", &from, &to]));
        drop(plain);
        let clients = clients.map(|name| self.lab.path(name));
        Registry::start_secure(&self.lab.path(""), clients.as_deref())
    }

    /// An honest registry without TLS, and its address.
    fn liar(&self) -> Liar {
        self.lab.image("image", &host());
        Liar::start(Shelf::of(&self.lab.path("image")), |_, honest| honest)
    }
}

#[test]
fn a_private_authority_and_a_password_are_what_a_real_registry_asks_for() {
    let user = User::new();
    let registry = user.registry(None);
    let name = format!("{}/host:v1", registry.address);
    let (code, words) = user.refused(&[&name], &[]);
    let place = format!("/etc/containers/certs.d/{}/ca.crt", registry.address);
    assert!(code == 4 && words.contains(&place) && words.contains("certificate"), "{words}");
    user.trusts(&registry.address, "registry.crt");
    let (code, words) = user.refused(&[&name], &[]);
    assert!(code == 4 && words.contains("there are none for 127.0.0.1"), "{words}");
    assert!(words.contains(&user.lab.text("home/.config/containers/auth.json")), "{words}");
    user.has_password(&registry.address);
    user.pulls(&name);
    let no_such = user.refused(&[&format!("{}/host:v2", registry.address)], &[]).1;
    assert!(no_such.contains("manifest unknown") && no_such.contains("with the credentials in"), "{no_such}");
    // The named file alone counts.
    let empty = user.file("empty.json", "{}").display().to_string();
    let (_, words) = user.refused(&["--authfile", &empty, &name], &[]);
    assert!(words.contains(&empty) && !words.contains(".docker"), "{words}");
    let (_, words) = user.refused(&[&name], &[("REGISTRY_AUTH_FILE", &empty)]);
    assert!(words.contains(&empty) && !words.contains(".docker"), "{words}");
    let (code, words) = user.refused(&["--authfile", "/none.json", &name], &[]);
    assert!(code == 3 && words.contains("/none.json"), "{words}");
    // No certificate is needed where none is looked at.
    fs::remove_dir_all(user.lab.path("home/.config/containers/certs.d")).unwrap();
    assert!(user.pull(&["--insecure-transport", &name], &[]).status.success());
}

#[test]
fn a_registry_that_wants_our_certificate_gets_it() {
    let user = User::new();
    let (key, certificate) = certify(&user.lab.path(""), "client");
    let registry = user.registry(Some("client.crt"));
    user.trusts(&registry.address, "registry.crt");
    user.has_password(&registry.address);
    let name = format!("{}/host:v1", registry.address);
    assert_eq!(user.refused(&[&name], &[]).0, 4);
    let folder = user.lab.path("home/.config/containers/certs.d").join(&registry.address);
    fs::copy(certificate, folder.join("client.cert")).unwrap();
    let (code, words) = user.refused(&[&name], &[]);
    assert!(code == 3 && words.contains("client.key"), "{words}");
    fs::copy(key, folder.join("client.key")).unwrap();
    user.pulls(&name);
}

#[test]
fn a_credential_helper_is_asked_for_the_host() {
    let user = User::new();
    let registry = user.registry(None);
    user.trusts(&registry.address, "registry.crt");
    user.file("auth.json", &json!({"credHelpers": {&registry.address: "test"}}).to_string());
    let name = format!("{}/host:v1", registry.address);
    let helper = user.lab.path("bin/docker-credential-test");
    fs::create_dir(user.lab.path("bin")).unwrap();
    let answer = r#"{"ServerURL":"x","Username":"user","Secret":"secret"}"#;
    let text = format!("#!/bin/sh\nread host\n[ \"$1 $host\" = \"get {}\" ] && echo '{answer}'\n", registry.address);
    fs::write(&helper, text).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", user.lab.text("bin"), std::env::var("PATH").unwrap());
    let output = user.pull(&[&name], &[("PATH", &path)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (code, words) = user.refused(&[&name], &[]);
    assert!(code == 3 && words.contains("docker-credential-test"), "{words}");
    // A helper for all registries is missing: without it, as without a login.
    user.file("auth.json", r#"{"credsStore": "test"}"#);
    let (code, words) = user.refused(&[&name], &[]);
    assert!(code == 4 && words.contains("auth.json (docker-credential-test: "), "{words}");
    assert!(user.pull(&[&name], &[("PATH", &path)]).status.success());
}

#[test]
fn a_proxy_is_asked_for_the_registry_unless_the_host_is_excepted() {
    let user = User::new();
    let registry = user.registry(None);
    user.trusts("registry.example", "registry.crt");
    user.has_password("registry.example");
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = format!("http://{}", proxy.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in proxy.incoming().flatten() {
            let target = TcpStream::connect(&registry.address).unwrap();
            std::thread::spawn(move || tunnel(client, target));
        }
    });
    let name = "registry.example/host:v1";
    let output = user.pull(&[name], &[("HTTPS_PROXY", &way)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (code, words) = user.refused(&[name], &[("HTTPS_PROXY", &way), ("NO_PROXY", ".example")]);
    assert!(code == 4 && words.contains("lookup address"), "{words}");
}

/// Takes `CONNECT registry.example:443`, and leads elsewhere.
fn tunnel(mut client: TcpStream, mut target: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"CONNECT registry.example:443 "));
    client.write_all(b"HTTP/1.1 200 Go on\r\n\r\n").unwrap();
    let (mut from_client, mut to_target) = (client.try_clone().unwrap(), target.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_target));
    let _ = std::io::copy(&mut target, &mut client);
}

#[test]
fn mirrors_are_tried_first_and_passed_over_when_they_fail() {
    let user = User::new();
    let (mirror, broken) = (user.liar(), Liar::start(Shelf::default(), |_, _| Reply::status(503)));
    let rule = |mirrors: &[&Liar], more: &str| {
        let mirror = |liar: &&Liar| format!("[[registry.mirror]]\nlocation = \"{}\"\ninsecure = true\n", liar.address);
        let mirrors: String = mirrors.iter().map(mirror).collect();
        format!("[[registry]]\nprefix = \"registry.example/team\"\nlocation = \"127.0.0.1:1\"\n{more}\n{mirrors}")
    };
    let name = "registry.example/team/host:v1";
    user.file("registries.conf", &rule(&[&broken, &mirror], ""));
    user.pulls(name);
    assert_eq!((broken.asked().len(), mirror.count("/v2/host/manifests/v1")), (1, 1));
    // All fail: each is told.
    user.file("registries.conf", &rule(&[&broken], ""));
    let (code, words) = user.refused(&[name], &[]);
    assert!(code == 4 && words.contains(&format!("{}/host", broken.address)) && words.contains("503"), "{words}");
    assert!(words.contains("refused"), "{words}");
    user.file("registries.conf", &rule(&[&mirror], "mirror-by-digest-only = true"));
    assert_eq!(user.refused(&[name], &[]).0, 4);
    user.file("registries.conf", &rule(&[&mirror], "blocked = true"));
    let (code, words) = user.refused(&[name], &[]);
    assert!(code == 3 && words.contains("blocks registry.example/team"), "{words}");
}

#[test]
fn a_short_name_means_what_podman_takes_it_for() {
    let user = User::new();
    let liar = user.liar();
    let insecure = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", liar.address);
    user.file("registries.conf", ""); // not the machine's
    let (code, words) = user.refused(&["host:v1"], &[]);
    assert!(code == 3 && words.contains("docker.io/library/host:v1"), "{words}");
    user.file("registries.conf", &format!("unqualified-search-registries = [\"{}\"]\n{insecure}", liar.address));
    user.pulls("host:v1");
    user.file("registries.conf", &insecure);
    user.file("registries.conf.d/names.conf", &format!("[aliases]\nshort = \"{}/host\"\n", liar.address));
    user.pulls("short:v1");
    assert_eq!(liar.count("/v2/host/manifests/v1"), 2);
    user.file("registries.conf.d/old.conf", "[registries.search]\nregistries = [\"x\"]\n");
    let (code, words) = user.refused(&["short:v1"], &[]);
    assert!(code == 3 && words.contains("old.conf") && words.contains("version 1"), "{words}");
}

#[test]
fn a_policy_that_rejects_or_wants_signatures_is_obeyed() {
    let user = User::new();
    let liar = user.liar();
    let name = format!("{}/host:v1", liar.address);
    let pull = ["--insecure-transport", &name];
    let scope = |kind: &str| {
        let rules =
            json!({"default": [{"type": "reject"}], "transports": {"docker": {&liar.address: [{"type": kind}]}}});
        rules.to_string()
    };
    let file = user.file("policy.json", &scope("insecureAcceptAnything")).display().to_string();
    assert!(user.pull(&pull, &[]).status.success());
    let asked = liar.asked().len();
    for (policy, why) in
        [(scope("reject"), "rejected"), (scope("sigstoreSigned"), "sigstoreSigned"), ("{".into(), "EOF")]
    {
        user.file("policy.json", &policy);
        let (code, words) = user.refused(&pull, &[]);
        assert!(code == 3 && words.contains(&file) && words.contains(why), "{words}");
    }
    assert_eq!(liar.asked().len(), asked, "nothing was asked for");
}

#[test]
fn names_that_would_be_other_paths_are_refused() {
    let user = User::new();
    for name in ["a.example/../x", "a.example/x?y", "a.example/X:v1", "a.example/x:"] {
        let (code, words) = user.refused(&[name], &[]);
        assert!(code == 3 && words.contains("is no image name"), "{words}");
    }
}
