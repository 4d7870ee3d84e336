//! The program that runs a command with private servers.

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use passereau_testing::wait_until;
use rustix::process::{Pid, Signal, kill_process};

fn platform() -> Command {
    Command::new(env!("CARGO_BIN_EXE_passereau-platform"))
}

/// Address of the server that a URL names.
fn address(url: &str) -> SocketAddr {
    let url = url::Url::parse(url).expect("URL");
    format!("{}:{}", url.host_str().expect("host"), url.port().expect("port")).parse().expect("address")
}

#[test]
fn a_command_gets_what_the_environment_names_and_its_code_comes_back() {
    let output = platform()
        .args(["run", "--", "sh", "-c", "echo $PASSEREAU_DATABASE_URL $PASSEREAU_AMQP_URL; exit 7"])
        .env("PASSEREAU_DATABASE_URL", "postgres://elsewhere/db")
        .env("PASSEREAU_AMQP_URL", "amqp://elsewhere/%2f")
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "postgres://elsewhere/db amqp://elsewhere/%2f");
}

#[test]
fn a_signal_to_the_platform_reaches_the_command() {
    let mut run = platform()
        .args(["run", "--", "sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done"])
        .env("PASSEREAU_DATABASE_URL", "postgres://elsewhere/db")
        .env("PASSEREAU_AMQP_URL", "amqp://elsewhere/%2f")
        .stdout(Stdio::piped())
        .spawn()
        .expect("run");
    let mut line = String::new();
    BufReader::new(run.stdout.take().expect("output")).read_line(&mut line).expect("line");
    let pid = Pid::from_raw(run.id().cast_signed()).expect("pid");
    kill_process(pid, Signal::TERM).expect("signal");
    assert_eq!(run.wait().expect("end").code(), Some(9));
}

/// Two platforms at once, each with both servers; one ends well, the other is killed. Neither leaves anything.
#[tokio::test]
async fn servers_are_private_and_end_with_the_platform_even_when_it_is_killed() {
    let start = || {
        let mut run = platform()
            .args([
                "run",
                "--",
                "sh",
                "-c",
                "echo $$; echo $PASSEREAU_DATABASE_URL; echo $PASSEREAU_AMQP_URL; exec sleep 600",
            ])
            .env_remove("PASSEREAU_DATABASE_URL")
            .env_remove("PASSEREAU_AMQP_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run");
        let lines = BufReader::new(run.stdout.take().expect("output")).lines();
        (run, lines)
    };
    let (mut killed, killed_lines) = start();
    let (mut stopped, stopped_lines) = start();
    let mut servers = Vec::new();
    let mut commands = Vec::new();
    for mut lines in [killed_lines, stopped_lines] {
        let mut line = || lines.next().expect("a line").expect("text");
        commands.push(Pid::from_raw(line().parse().expect("pid")).expect("pid"));
        servers.extend([address(&line()), address(&line())]);
    }
    for server in &servers {
        assert!(TcpStream::connect(server).is_ok(), "{server}");
    }
    assert_eq!(servers.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);

    killed.kill().expect("kill");
    killed.wait().expect("end");
    kill_process(Pid::from_raw(stopped.id().cast_signed()).expect("pid"), Signal::TERM).expect("signal");
    // 128 and the signal that ended the command.
    assert_eq!(stopped.wait().expect("end").code(), Some(128 + 15));
    wait_until("every server refuses", Duration::from_secs(60), async || {
        servers.iter().all(|server| TcpStream::connect(server).is_err()).then_some(())
    })
    .await;
    // The command of the killed platform is nobody's child now.
    kill_process(commands[0], Signal::KILL).expect("signal");
}
