//! The binary: what it prints, how it ends, and what it says to a mistake.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::fs;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::process::Command;

use distr_chat::wire::Heartbeat;
use rustix::process::Signal;
use support::beating::{Beating, heartbeat, send};
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

/// A terminal that was closed says SIGHUP, and the shell in it too.
#[test]
fn a_closed_terminal_has_a_server_drain() {
    let port = free_ports(1)[0];
    let mut app =
        Running::start(&mut distr_chat(&format!("app --listen 127.0.0.1:{port} --drain-seconds 0")));
    app.await_live(at(port));
    let mut client = Client::connect(at(port));
    client.join("lobby", "ann");
    app.signal(Signal::HUP);
    client.expect("move");
    app.signal(Signal::HUP);
    client.say("lobby", "1", "the second one changes nothing");
    client.close();
    assert_eq!(app.await_end().code(), Some(0), "{}", app.stderr());
    assert!(app.stderr().contains("draining: 1 clients"), "{}", app.stderr());
}

#[test]
fn nohup_is_respected() {
    let port = free_ports(1)[0];
    let mut command = Command::new("sh");
    let listen = at(port).to_string();
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", BINARY, "app", "--listen", &listen]);
    let mut app = Running::start(&mut command);
    app.await_live(at(port));
    let status = fs::read_to_string(format!("/proc/{}/status", app.pid())).unwrap();
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap() & 1
    };
    assert_eq!((mask("SigIgn:"), mask("SigCgt:")), (1, 0), "SIGHUP is the first bit");
    app.signal(Signal::HUP);
    Client::connect(at(port)).join("lobby", "ann");
    app.signal(Signal::TERM);
    assert_eq!(app.await_end().code(), Some(0), "{}", app.stderr());
}

/// `distr-chat token key | true`
#[test]
fn what_cannot_be_written_is_an_error_where_it_was_all_that_was_asked_for() {
    let closed = || io::pipe().unwrap().1;
    let mut token = distr_chat("token key");
    let output = token.stdout(closed()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("distr-chat: cannot write to standard output: Broken pipe"), "{stderr}");

    let port = free_ports(1)[0];
    let mut app = Running::start(&mut distr_chat(&format!("app --listen 127.0.0.1:{port}")));
    app.await_live(at(port));
    let mut health = distr_chat(&format!("health http://127.0.0.1:{port}/ready"));
    assert_eq!(health.stdout(closed()).stderr(closed()).status().unwrap().code(), Some(0));
    let mut missing = distr_chat(&format!("health http://127.0.0.1:{port}/missing"));
    assert_eq!(missing.stdout(closed()).stderr(closed()).status().unwrap().code(), Some(1));
}

#[test]
fn servers_and_balancers_without_a_name_get_different_ones() {
    let ports = free_ports(4);
    let lbs = [at(ports[0]), at(ports[1])];
    let start = |arguments: String| Running::start(&mut distr_chat(&arguments));
    let mut running: Vec<_> = lbs.iter().map(|lb| start(format!("lb --listen {lb}"))).collect();
    running.extend(
        ports[2..]
            .iter()
            .map(|port| start(format!("app --listen 127.0.0.1:{port} --balancers {},{}", lbs[0], lbs[1]))),
    );
    running.iter_mut().zip(&ports).for_each(|(node, port)| node.await_live(at(*port)));
    let names = |lb| -> Vec<String> {
        let status = status(lb);
        let servers = status["servers"].as_array().unwrap();
        servers.iter().map(|server| server["name"].as_str().unwrap().to_owned()).collect()
    };
    eventually("both servers are known", || names(lbs[0]).len() == 2);
    for port in &ports[2..] {
        let end = format!("-{port}");
        assert!(names(lbs[0]).iter().any(|name| name.starts_with("app-") && name.ends_with(&end)), "{port}");
    }
    for (lb, port) in lbs.iter().zip(&ports) {
        let told = running.iter().any(|node| node.stderr().contains(&format!("-{port} listens at {lb}")));
        assert!(told, "{port}");
    }
}

#[test]
fn two_servers_of_one_name_are_told_once_with_their_addresses() {
    let ports = free_ports(3);
    let lb = at(ports[0]);
    let mut balancer = Running::start(&mut distr_chat(&format!("lb --listen {lb}")));
    balancer.await_live(lb);
    let twin = |port: u16| {
        let listen = at(port);
        let mut app =
            Running::start(&mut distr_chat(&format!("app --name twin --listen {listen} --balancers {lb}")));
        app.await_live(listen);
        app
    };
    let _twins = [twin(ports[1]), twin(ports[2])];
    eventually("they are noticed more than once", || {
        metric(lb, "distr_lb_heartbeats_refused_total{rule=\"namesake\"}") > 5
    });
    let told = format!(
        "two servers are named twin: the one at ws://127.0.0.1:{}/ws gets clients, the one at ws://127.0.0.1:{}/ws does not",
        ports[2], ports[1]
    );
    eventually("it is logged", || balancer.stderr().contains(&told));
    let log = balancer.stderr();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("two servers")).collect();
    assert!(lines.len() == 1 && lines[0].contains("WARN"), "{log}");
}

/// What happens to servers has lines of its own; clients are counted.
#[test]
fn a_balancer_logs_states_one_by_one_and_clients_by_the_second() {
    const CLIENTS: usize = 300;
    let lb = at(free_ports(1)[0]);
    let mut balancer = Running::start(&mut distr_chat(&format!("lb --listen {lb} --name lb-9")));
    balancer.await_live(lb);
    let beating = Beating::start(lb, vec![heartbeat("good", 0)]);
    eventually("it is up", || http_get(lb, "/ready").status == 200);
    for _ in 0..CLIENTS {
        assert_eq!(http_get(lb, "/assign").status, 200);
    }
    let sent = |log: &str| -> Vec<usize> {
        let counts = log.lines().filter_map(|line| line.split_once(" to good")?.0.rsplit(' ').next());
        counts.map(|count| count.parse().unwrap()).collect()
    };
    eventually("all are counted", || sent(&balancer.stderr()).iter().sum::<usize>() == CLIENTS);
    assert!(sent(&balancer.stderr()).len() < CLIENTS / 10, "{}", balancer.stderr());
    drop(beating);
    let states = [(true, false), (false, false), (false, true), (false, false)];
    for (number, (draining, deaf)) in (1 << 20..).zip(states) {
        send(lb, &Heartbeat { number, draining, deaf, ..heartbeat("good", 0) }.encode(None));
        let server = || status(lb)["servers"][0].clone();
        eventually("it is heard", || {
            let server = server();
            server["draining"] == draining && server["deaf"] == deaf
        });
    }
    for line in [
        "INFO  distr_chat::lb::ear] lb-9: good is draining",
        "INFO  distr_chat::lb::ear] lb-9: good is no longer draining",
        "WARN  distr_chat::lb::ear] lb-9: good is deaf: its backplane does not carry, or a thread of it hangs",
        "INFO  distr_chat::lb::ear] lb-9: good is no longer deaf",
        "WARN  distr_chat::lb::ear] lb-9: good is gone",
    ] {
        eventually(line, || balancer.stderr().contains(line));
    }
    assert_eq!(http_get(lb, "/assign").status, 503);
    let unavailable = "lb-9: Client attempted to connect while all app servers were unavailable";
    eventually("it is logged", || balancer.stderr().contains(unavailable));
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
    eventually("it is logged", || balancer.stderr().contains(" to app-9"));

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
        ("app --backplane redis-1:1,redis-1:1", "redis-1:1 is there twice"),
        ("app --log foo", "'foo' is none of the levels off, error, warn, info, debug and trace"),
        ("up --log info,distr_chat=loud", "'loud' is none of the levels"),
        ("app --balancers lb-1", "'lb-1' is not HOST:PORT"),
        ("app --public-url http://here/ws", "not a URL that begins with ws:// or wss://"),
        ("web --balancers lb-1:7001", "not a URL that begins with http:// or https://"),
        ("app --keep-alive 0s", "not between 1s and 1h"),
        ("lb --keep-alive soon", "invalid value 'soon' for '--keep-alive"),
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
        ("up --app-ports 5001,5001", "--app-ports: port 5001 is there twice"),
        ("up --lb-ports 7001,7001", "--lb-ports: port 7001 is there twice"),
        ("up --app-ports 5001 --lb-ports 5001", "port 5001 is in --app-ports and in --lb-ports"),
        ("up --frontend-port 5002", "port 5002 is in --frontend-port and in --app-ports"),
        ("up --backplane redis --redis-ports 6401,6401", "--redis-ports: port 6401 is there twice"),
        (
            "up --backplane redis --redis-ports 6401,16401",
            "port 16401 is in --redis-ports and in --redis-ports and the 10000 above them",
        ),
        ("backplane --nodes redis-1:1,redis-1:1", "--nodes: redis-1:1 is there twice"),
        (
            "token enter app-1 --cluster-key a-key-for-the-tests --life 10m",
            "--life: no server takes a ticket for more than 300 s",
        ),
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
