//! The binary: what it prints, how it ends, and what it says to a mistake.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::net::{TcpListener, UdpSocket};
use std::process::Command;

use rustix::process::Signal;
use support::raw::Raw;
use support::redis::Nodes;
use support::running::{BINARY, Running, at, distr_chat, free_ports, run};
use support::{Client, eventually, http_get, metric, status};

fn up(ports: &[u16]) -> Command {
    let [web, app_1, app_2, app_3, lb_1, lb_2, lb_3] = ports else { panic!("seven ports") };
    let mut command = distr_chat(&format!(
        "up --frontend-port {web} --app-ports {app_1},{app_2},{app_3} --lb-ports {lb_1},{lb_2},{lb_3}"
    ));
    command.env("DISTR_BACKPLANE", "embedded");
    command
}

#[test]
fn up_starts_everything_and_ctrl_c_ends_it() {
    let ports = free_ports(7);
    let mut cluster = Running::start(&mut up(&ports));
    eventually("it is up", || cluster.stdout().contains("Ctrl-C ends everything"));
    for &port in &ports {
        assert!(cluster.stdout().contains(&format!("http://localhost:{port} ")), "{}", cluster.stdout());
        assert_eq!(http_get(at(port), "/live").status, 200);
    }
    let balancer = at(ports[4]);
    eventually("servers are known", || http_get(balancer, "/ready").status == 200);
    let mut client = Client::open(http_get(balancer, "/assign").json()["url"].as_str().unwrap());
    client.join("lobby", "ann");
    client.say("lobby", "1", "hi");

    cluster.signal(Signal::INT);
    assert_eq!(client.close_code(), 1001);
    assert_eq!(cluster.await_end().code(), Some(0), "{}", cluster.stderr());
    assert!(!cluster.stderr().contains("ERROR"), "{}", cluster.stderr());
    for &port in &ports {
        TcpListener::bind(at(port)).unwrap();
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let port = free_ports(1)[0];
    let mut app = Running::start(&mut distr_chat(&format!("app --listen 127.0.0.1:{port}")));
    app.await_live(at(port));
    // Its goodbyes are never answered, so the server waits for a while.
    let mut silent: Vec<_> = (0..2).map(|_| Raw::open(at(port))).collect();
    app.signal(Signal::INT);
    assert_eq!(silent[0].close_code(), 1001);
    app.signal(Signal::INT);
    assert_eq!(app.await_end().code(), Some(130));
}

#[test]
fn each_part_runs_alone_and_ends_on_sigterm() {
    let ports = free_ports(3);
    let (app, lb, web) = (at(ports[0]), at(ports[1]), at(ports[2]));
    let mut balancer = Running::start(&mut distr_chat(&format!("lb --listen {lb} --name lb-9")));
    balancer.await_live(lb);
    assert_eq!(http_get(lb, "/assign").status, 503);
    let unavailable = "Client attempted to connect while all app servers were unavailable";
    eventually("it is logged", || balancer.stderr().contains(unavailable));

    // Flags are environment variables too.
    let mut command = distr_chat("app");
    command
        .env("DISTR_LISTEN", app.to_string())
        .env("DISTR_NAME", "app-9")
        .env("DISTR_BALANCERS", lb.to_string());
    let mut server = Running::start(&mut command);
    server.await_live(app);
    eventually("the server is known", || http_get(lb, "/assign").status == 200);
    assert_eq!(http_get(lb, "/assign").json()["node"], "app-9");
    eventually("it is logged", || balancer.stderr().contains("Client sent to app-9"));

    let mut frontend = Running::start(&mut distr_chat(&format!(
        "web --listen {web} --balancers http://{{host}}:{}",
        lb.port()
    )));
    frontend.await_live(web);
    let config = http_get(web, "/config.json").json();
    assert_eq!(config["balancers"][0], format!("http://127.0.0.1:{}", lb.port()));

    for part in [&mut frontend, &mut balancer, &mut server] {
        part.signal(Signal::TERM);
        assert_eq!(part.await_end().code(), Some(0), "{}", part.stderr());
    }
}

#[test]
fn every_taken_port_is_named_and_nothing_is_left_running() {
    let ports = free_ports(7);
    let _web = TcpListener::bind(at(ports[0])).unwrap();
    let _app = TcpListener::bind(at(ports[2])).unwrap();
    let _lb = UdpSocket::bind(at(ports[5])).unwrap();
    let (code, stdout, stderr) = run(&mut up(&ports));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    let lines: Vec<_> = stderr.lines().filter(|line| line.starts_with("distr-chat: ")).collect();
    assert_eq!(lines.len(), 3, "{stderr}");
    for (line, name, port) in
        [(lines[0], "web", ports[0]), (lines[1], "lb-2", ports[5]), (lines[2], "app-2", ports[2])]
    {
        assert!(line.contains(name) && line.contains(&format!("port {port} is taken")), "{line}");
    }
    for index in [1, 3, 4, 6] {
        TcpListener::bind(at(ports[index])).unwrap();
    }
}

#[test]
fn a_taken_port_is_told_by_each_part() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for part in ["app", "lb", "web"] {
        let (code, _, stderr) = run(&mut distr_chat(&format!("{part} --listen {address}")));
        assert_eq!(code, Some(1), "{part}");
        let told = format!("distr-chat: {part}: port {} is taken", address.port());
        assert!(stderr.lines().any(|line| line.starts_with(&told)), "{part}: {stderr}");
    }
    let (code, _, stderr) = run(&mut distr_chat("web --listen 192.0.2.1:0"));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("192.0.2.1 is no address of this machine"), "{stderr}");
}

#[test]
fn two_servers_do_not_share_a_port_in_silence() {
    let port = free_ports(1)[0];
    let arguments = format!("app --listen 127.0.0.1:{port}");
    let mut first = Running::start(&mut distr_chat(&arguments));
    first.await_live(at(port));
    let (code, _, stderr) = run(&mut distr_chat(&arguments));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("is taken"), "{stderr}");
}

#[test]
fn mistakes_in_flags_are_explained() {
    for (arguments, told) in [
        ("", "Usage: distr-chat"),
        ("fly", "unrecognized subcommand 'fly'"),
        ("app --wings 2", "unexpected argument '--wings'"),
        ("app --listen here", "invalid value 'here' for '--listen"),
        ("app --name a/b", "a name has 1 to 64 of the characters"),
        ("app --reactors 0", "invalid value '0' for '--reactors"),
        ("app --frames-per-second 0", "0 is not in 1..=1000000"),
        ("app --max-connections -1", "-1"),
        ("up --app-ports 5001,x", "invalid value 'x' for '--app-ports"),
        ("up --lb-ports 70000", "70000 is not in 0..=65535"),
        ("up --backplane nothing", "'nothing' is not HOST:PORT"),
        ("up --restart soon", "invalid value 'soon' for '--restart"),
        ("up --redis-ports 60000", "60000 is not in 1..=55535"),
        ("app --backplane redis", "'redis' is not HOST:PORT"),
        ("lb --cors-origin \u{e9}", "only visible ASCII characters"),
        ("health", "the following required arguments were not provided"),
        ("health ftp://here:1", "neither http://HOST:PORT/PATH nor redis://HOST:PORT"),
    ] {
        let (code, _, stderr) = run(&mut distr_chat(arguments));
        assert_eq!(code, Some(2), "{arguments}: {stderr}");
        assert!(stderr.contains(told), "{arguments}: {stderr}");
    }
}

#[test]
fn what_does_not_go_together_is_explained() {
    for (arguments, told) in [
        ("up --backplane embedded --restart 5s", "--restart is for nodes that are processes"),
        (
            "up --backplane redis --backplane-user ann",
            "--backplane-user: the Redis nodes that are started here",
        ),
    ] {
        let (code, _, stderr) = run(&mut distr_chat(arguments));
        assert_eq!(code, Some(1), "{arguments}: {stderr}");
        assert!(stderr.contains(told), "{arguments}: {stderr}");
    }
}

#[test]
fn without_redis_all_servers_are_in_one_process_and_up_says_why() {
    let ports = free_ports(7);
    let mut command = up(&ports);
    let mut cluster = Running::start(command.env_remove("DISTR_BACKPLANE").env("PATH", "/nowhere"));
    eventually("it is up", || cluster.stdout().contains("Ctrl-C ends everything"));
    assert!(cluster.stdout().contains("backplane: embedded"), "{}", cluster.stdout());
    assert!(cluster.stdout().contains("redis-server is not installed"), "{}", cluster.stdout());
    cluster.signal(Signal::INT);
    assert_eq!(cluster.await_end().code(), Some(0));
}

#[test]
fn health_waits_until_all_are_well_or_says_which_is_not() {
    let port = free_ports(1)[0];
    let ready = format!("http://127.0.0.1:{port}/ready");
    let (code, stdout, stderr) = run(&mut distr_chat(&format!("health {ready}")));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.starts_with(&format!("distr-chat: {ready}: Connection refused")), "{stderr}");

    let mut waiting = Running::start(&mut distr_chat(&format!("health --wait 20s {ready}")));
    let mut app = Running::start(&mut distr_chat(&format!("app --listen 127.0.0.1:{port}")));
    assert_eq!(waiting.await_end().code(), Some(0), "{}", waiting.stderr());
    assert_eq!(waiting.stdout(), format!("{ready} is well\n"));
    app.assert_runs();

    let missing = format!("http://127.0.0.1:{port}/nothing");
    let (code, stdout, stderr) = run(&mut distr_chat(&format!("health {ready} {missing}")));
    assert_eq!((code, stdout), (Some(1), format!("{ready} is well\n")));
    assert_eq!(stderr, format!("distr-chat: {missing}: it answers \"HTTP/1.1 404 Not Found\"\n"));

    let mut nodes = Nodes::start_all(1);
    let redis = format!("redis://127.0.0.1:{}", nodes.ports[0]);
    assert_eq!(run(&mut distr_chat(&format!("health {redis}"))).0, Some(0));
    nodes.process(0).kill();
    assert_eq!(run(&mut distr_chat(&format!("health {redis}"))).0, Some(1));
}

#[test]
fn help_names_every_subcommand_and_every_flag_its_variable() {
    let (code, help, _) = run(&mut distr_chat("--help"));
    assert_eq!(code, Some(0));
    for subcommand in ["app", "lb", "web", "backplane", "up"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{subcommand} "))), "{help}");
        let (code, help, _) = run(&mut distr_chat(&format!("{subcommand} --help")));
        assert_eq!(code, Some(0));
        let flags = help.matches("      --").count();
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words.matches("[env: DISTR_").count(), flags, "{help}");
    }
}

#[test]
fn a_low_limit_of_descriptors_is_raised() {
    let port = free_ports(1)[0];
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -Sn 256; exec \"$0\" \"$@\"",
        BINARY,
        "app",
        "--listen",
        &at(port).to_string(),
    ]);
    let mut app = Running::start(&mut command);
    app.await_live(at(port));
    let told = status(at(port))["connections_max"].as_u64().unwrap();
    assert!(told > 256, "connections_max is {told}");
    let clients: Vec<_> = (0..300).map(|_| Client::connect(at(port))).collect();
    assert_eq!(metric(at(port), "distr_websockets"), clients.len() as u64);
}

#[test]
fn a_hard_limit_of_descriptors_is_told_and_kept() {
    let port = free_ports(1)[0];
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -n 256; exec \"$0\" \"$@\"",
        BINARY,
        "app",
        "--listen",
        &at(port).to_string(),
    ]);
    let mut app = Running::start(&mut command);
    app.await_live(at(port));
    let connections_max = status(at(port))["connections_max"].as_u64().unwrap();
    assert!(connections_max < 256, "connections_max is {connections_max}");
    assert!(app.stderr().contains("only 256 descriptors"), "{}", app.stderr());
    // More than it has descriptors for: those without a place are told so or closed, and it lives.
    let mut crowd: Vec<_> = (0..300).map(|_| Raw::connect(at(port))).collect();
    crowd.iter_mut().for_each(|raw| raw.write(support::raw::UPGRADE));
    drop(crowd);
    eventually("it serves again", || {
        std::panic::catch_unwind(|| http_get(at(port), "/live").status == 200).unwrap_or(false)
    });
    Client::connect(at(port)).join("lobby", "ann");
}
