//! The gateway over loopback, with raw requests: what partners, strangers and slow or hostile clients get.
#![allow(clippy::unwrap_used, reason = "tests")]

mod access;
mod clients;
mod contract;
mod files;
mod life;
mod logs;
mod pages;
mod process;
mod support;
mod traps;
