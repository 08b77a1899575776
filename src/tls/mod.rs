//! stub
pub mod config;
pub mod session;
