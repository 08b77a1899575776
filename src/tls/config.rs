//! stub
use std::sync::Arc;
#[derive(Clone, Debug)] pub struct Pem { pub source: String, pub text: Vec<u8> }
#[derive(Clone, Copy, Debug)] pub enum Version { Tls12, Tls13 }
#[derive(Clone, Copy, Debug)] pub enum ClientAuth { None, Request, Require }
#[derive(Clone, Debug)] pub struct Settings { pub verify: bool, pub insecure_name: bool, pub server_name: Option<String>, pub ca: Option<Pem>, pub cert: Option<Pem>, pub key: Option<Pem>, pub alpn: Vec<Vec<u8>>, pub min_version: Version, pub client_auth: ClientAuth }
#[derive(Debug)] pub struct Config;
impl Config { pub fn client(_: &Settings) -> Result<Arc<Config>, String> { Ok(Arc::new(Config)) } pub fn server(_: &Settings) -> Result<Arc<Config>, String> { Ok(Arc::new(Config)) }
 pub fn is_ready(&self) -> bool { true } pub fn when_ready(&self, f: Box<dyn FnOnce() + Send>) { f() } }
