//! stub
use std::sync::Arc;
use crate::error::{Error, Result, Code};
use super::config::Config;
#[derive(Clone, Copy, Debug)] pub enum Verified { Yes, No, Chain }
#[derive(Clone, Debug)] pub struct Facts { pub version: &'static str, pub cipher: &'static str, pub alpn: Option<Vec<u8>>, pub server_name: Option<String>, pub verified: Verified }
#[derive(Debug)] pub struct Session;
impl Session { pub fn client(_: &Arc<Config>, _: &str) -> Result<Session> { Ok(Session) } pub fn server(_: &Arc<Config>) -> Result<Session> { Ok(Session) }
 pub fn start(&mut self, _: &mut Vec<u8>) -> Result<()> { Ok(()) } pub fn receive(&mut self, _: &mut Vec<u8>, _: &mut Vec<u8>, _: &mut Vec<u8>) -> Result<()> { Ok(()) }
 pub fn is_secured(&self) -> bool { false } pub fn has_ended(&self) -> bool { false } pub fn cut(&self) -> Error { Error::new(Code::Io, "") }
 pub fn encrypt(&mut self, _: &[&[u8]], _: &mut Vec<u8>) -> Result<()> { Ok(()) } pub fn close(&mut self, _: &mut Vec<u8>) {} pub fn facts(&self) -> Facts { Facts { version: "", cipher: "", alpn: None, server_name: None, verified: Verified::No } } }
