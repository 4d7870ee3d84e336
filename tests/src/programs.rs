//! The programs under test, next to this one in cargo's target folder.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context, ensure};

/// The path of one of the workspace's programs.
///
/// # Errors
/// It was not built; the message names the command that builds it.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let me = std::env::current_exe().context("finding this program")?;
    // A test binary lies in `deps/`, one below the programs.
    let folder = me
        .ancestors()
        .skip(1)
        .find(|folder| folder.file_name().is_some_and(|name| name != "deps"))
        .context("finding the folder of this program")?;
    let path = folder.join(name);
    ensure!(
        path.exists(),
        "{} is not built: run `cargo build --workspace --bins` (make test and make demo do)",
        path.display()
    );
    Ok(path)
}

/// An address of this machine that is the caller's own, to be listened at now or later, again and again: of the many of `127.0.0.0/8`, all of which are
/// Linux's loopback, one that chance gives to nobody else. A free port of `127.0.0.1` may be another's by the time that it is listened at.
///
/// # Errors
/// The system has no port left.
pub fn own_address() -> anyhow::Result<SocketAddr> {
    let [one, two, three, ..] = uuid::Uuid::new_v4().into_bytes();
    // Neither 127.0.0.0/16, in which the addresses of everybody lie, nor the last of all.
    let own = Ipv4Addr::new(127, one.clamp(1, 254), two, three.clamp(1, 254));
    let listener = TcpListener::bind((own, 0)).context("looking for a free port")?;
    listener.local_addr().context("looking for a free port")
}

/// The most memory that a process has had, in KiB: `VmHWM` of `/proc/<pid>/status` (`man 5 proc`).
///
/// # Errors
/// It has ended, or this is no Linux.
pub fn peak_kib(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).with_context(|| format!("no VmHWM in {path}"))?;
    Ok(peak.trim().trim_end_matches("kB").trim().parse()?)
}
