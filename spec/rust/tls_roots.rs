//! The system's roots: what is found, and what happens where nothing is.
//!
//! Not here: roots that are given. They are read once per process, so each case is a process: the
//! tests marked `ignore` are run by the others, with an environment of their own.
#![allow(clippy::unwrap_used)]

mod tls_kit;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, process};

use evsock::error::Code;
use evsock::tls::{Config, Session, Settings, roots};

use tls_kit::{Ca, End, Identity, Pair, any_key, ca_params, leaf_params, server_of};

const HOST: &str = "a.example";
const KEY: &str = "EVSOCK_TEST_KEY";
const WAIT: Duration = Duration::from_secs(20);

/// Runs the test `name` alone, in a process that finds `file` in the place of the system's roots.
fn run(name: &str, file: &Path, key: &str) {
    let done = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--ignored"])
        .env("SSL_CERT_FILE", file)
        .env_remove("SSL_CERT_DIR")
        .env(KEY, key)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
}

fn temporary(name: &str) -> PathBuf {
    env::temp_dir().join(format!("evsock-{}-{name}", process::id()))
}

/// Waits for the roots.
fn ready(config: &Config) {
    let (done, told) = mpsc::channel();
    config.when_ready(Box::new(move || done.send(()).unwrap()));
    told.recv_timeout(WAIT).unwrap();
    assert!(config.is_ready());
}

fn client() -> std::sync::Arc<Config> {
    Config::client(&Settings::default()).unwrap()
}

#[test]
fn the_environment_says_where_the_roots_are() {
    let key = any_key();
    let file = temporary("roots.pem");
    let ca = Ca::with(ca_params("root"), rcgen::KeyPair::from_pem(&key.serialize_pem()).unwrap());
    fs::write(&file, &ca.pem).unwrap();
    run("child_believes_the_file", &file, &key.serialize_pem());
    fs::remove_file(file).unwrap();
}

#[test]
#[ignore = "run by another test"]
fn child_believes_the_file() {
    let key = rcgen::KeyPair::from_pem(&env::var(KEY).unwrap()).unwrap();
    // The same authority: what counts is its name and its key.
    let ca = Ca::with(ca_params("root"), key);
    let config = client();
    assert!(!config.is_ready(), "nobody asked for the roots yet");
    let server = Config::server(&server_of(&ca.leaf(&[HOST]))).unwrap();
    let mut early = Pair::of(&config, &server, HOST);
    early.pass();
    assert_eq!(early.client.failure.unwrap().code(), Code::Internal, "verified by nothing");
    ready(&config);
    ready(&config);
    Pair::of(&config, &server, HOST).shake_hands();
    let stranger = Ca::new("other").sign(&leaf_params(&[HOST]), &any_key());
    let mut pair = Pair::of(&config, &Config::server(&server_of(&stranger)).unwrap(), HOST);
    pair.pass();
    assert_eq!(pair.client.failure.unwrap().code(), Code::TlsUnknownIssuer);
}

#[test]
fn a_device_among_the_roots_is_no_authority() {
    let key = any_key();
    let file = temporary("device.pem");
    let device = leaf_params(&[HOST]).self_signed(&key).unwrap();
    fs::write(&file, device.pem()).unwrap();
    run("child_believes_the_device_alone", &file, &key.serialize_pem());
    fs::remove_file(file).unwrap();
}

#[test]
#[ignore = "run by another test"]
fn child_believes_the_device_alone() {
    let key = env::var(KEY).unwrap();
    let chain = fs::read_to_string(env::var("SSL_CERT_FILE").unwrap()).unwrap();
    let config = client();
    ready(&config);
    let device = Config::server(&server_of(&Identity { chain, key: key.clone() })).unwrap();
    Pair::of(&config, &device, HOST).shake_hands();
    let thief = Ca::with(leaf_params(&[]), rcgen::KeyPair::from_pem(&key).unwrap());
    let forged = Config::server(&server_of(&thief.leaf(&["b.example"]))).unwrap();
    let mut pair = Pair::of(&config, &forged, "b.example");
    pair.pass();
    assert!(!pair.client.session.is_secured());
    // Both are called "leaf".
    assert_eq!(pair.client.failure.unwrap().code(), Code::TlsSelfSigned);
}

#[test]
fn a_machine_without_roots_believes_nobody() {
    run("child_finds_no_roots", &temporary("there is none"), "");
}

#[test]
#[ignore = "run by another test"]
fn child_finds_no_roots() {
    let config = client();
    ready(&config);
    let server = server_of(&Ca::new("root").leaf(&[HOST]));
    let mut pair = Pair::of(&config, &Config::server(&server).unwrap(), HOST);
    pair.pass();
    let failure = pair.client.failure.unwrap();
    assert_eq!(failure.code(), Code::TlsNoRoots);
    assert!(failure.message().contains("this machine has no trusted roots"), "{failure}");
    assert_eq!(pair.client.plain, b"");
}

#[test]
fn who_waits_is_told_even_if_another_panics() {
    run("child_panics_once", &temporary("there is none"), "");
}

#[test]
#[ignore = "run by another test"]
fn child_panics_once() {
    roots::spawn_with(|name, body| {
        assert_eq!(name, "evsock roots");
        std::thread::spawn(move || {
            std::thread::yield_now();
            body();
        });
        Ok(())
    });
    let config = client();
    config.when_ready(Box::new(|| panic!("on purpose")));
    ready(&config);
}

#[test]
fn the_roots_load_even_without_a_thread() {
    run("child_has_no_thread", &temporary("there is none"), "");
}

#[test]
#[ignore = "run by another test"]
fn child_has_no_thread() {
    roots::spawn_with(|_, _| Err(std::io::ErrorKind::WouldBlock.into()));
    ready(&client());
}

#[test]
fn nothing_is_loaded_for_who_needs_none() {
    let given =
        Settings { ca: Some(tls_kit::pem("cafile", &Ca::new("root").pem)), ..Settings::default() };
    let anyone = Settings { verify: false, ..Settings::default() };
    for settings in [given, anyone] {
        let config = Config::client(&settings).unwrap();
        assert!(config.is_ready());
        let (done, told) = mpsc::channel();
        config.when_ready(Box::new(move || done.send(()).unwrap()));
        told.try_recv().unwrap();
        drop(End::new(Session::client(&config, HOST).unwrap()));
    }
}
