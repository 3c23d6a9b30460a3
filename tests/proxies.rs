//! nginx and HAProxy in front of `distr-chat up`, by the configurations that people paste: the
//! page, where to go, chat, health and draining. Skipped with a word where a program is not
//! installed.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use distr_chat::serve::assets;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::http::Answer;
use support::process::{Folder, Process};
use support::raw::Raw;
use support::redis::free_redis_ports;
use support::running::{Running, at, distr_chat, free_ports};
use support::{Client, eventually, http_get};

/// `up` with two servers, a balancer and the frontend, each a process.
struct Up {
    running: Running,
    web: u16,
    apps: [u16; 2],
    lb: u16,
}

impl Up {
    fn start() -> Self {
        let (ports, redis) = (free_ports(4), free_redis_ports(1));
        let [web, app_1, app_2, lb] = ports[..] else { panic!("four ports") };
        let mut running = Running::start(&mut distr_chat(&format!(
            "up --frontend-port {web} --app-ports {app_1},{app_2} --lb-ports {lb} --redis-ports {} --drain-seconds 0",
            redis[0]
        )));
        eventually("it is up", || {
            running.assert_runs();
            running.stdout().contains("Ctrl-C ends everything") && ready_servers(lb) == 2
        });
        Self { running, web, apps: [app_1, app_2], lb }
    }

    /// Has a server leave as a rolling restart does.
    fn drain(&self, name: &str) {
        let stdout = self.running.stdout();
        let row = stdout.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        let pid = row.split_whitespace().nth(3).unwrap().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    }
}

fn ready_servers(lb: u16) -> usize {
    if TcpStream::connect(at(lb)).is_err() {
        return 0;
    }
    let status = http_get(at(lb), "/status").json();
    let servers = status["servers"].as_array().unwrap();
    servers.iter().filter(|server| server["state"] == "up" && server["draining"] == false).count()
}

/// Whether these are installed; says which is not.
fn are_installed(programs: &[&str]) -> bool {
    let missing: Vec<_> =
        programs.iter().filter(|program| Command::new(program).arg("-v").output().is_err()).collect();
    if !missing.is_empty() {
        println!("skipped: {missing:?} not installed; apt-get install nginx haproxy openssl");
    }
    missing.is_empty()
}

/// A program with a configuration of its own, once it listens there.
fn start(name: &str, folder: &Path, config: &str, ports: &[u16]) -> Process {
    let file = folder.join(format!("{name}.conf"));
    fs::write(&file, config).unwrap();
    let mut command = Command::new(name);
    match name {
        "nginx" => command.arg("-p").arg(folder).arg("-c").arg(&file).arg("-e").arg(folder.join("error.log")),
        _ => command.arg("-db").arg("-f").arg(&file),
    };
    let mut process = Process::new(name, command, folder);
    process.start();
    for port in ports {
        eventually(&format!("{name} listens at {port}"), || {
            process.assert_runs();
            TcpStream::connect(at(*port)).is_ok()
        });
    }
    process
}

/// A certificate of our own, with its key, in the two forms that the programs want.
fn make_certificate(folder: &Path) {
    let (key, certificate) = (folder.join("key.pem"), folder.join("cert.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "1", "-subj", "/CN=chat.example"]);
    let output = openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let both = [fs::read(certificate).unwrap(), fs::read(key).unwrap()].concat();
    fs::write(folder.join("both.pem"), both).unwrap();
}

fn nginx_config(up: &Up, [bare_web, bare_lb, bare_app, chat, tls]: [u16; 5]) -> String {
    let Up { web, lb, apps: [app, _], .. } = up;
    // As on every page about nginx and WebSockets.
    let locations = format!(
        "location /ws {{ proxy_pass http://127.0.0.1:{lb}; proxy_http_version 1.1; \
           proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; \
           proxy_set_header Host $host; }}\n\
         location /assign {{ proxy_pass http://127.0.0.1:{lb}; }}\n\
         location / {{ proxy_pass http://127.0.0.1:{web}; }}"
    );
    let bare = |listen, to: &u16| {
        format!(
            "server {{ listen 127.0.0.1:{listen}; location / {{ proxy_pass http://127.0.0.1:{to}; }} }}\n"
        )
    };
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log error.log;\n\
         events {{ worker_connections 256; }}\n\
         http {{ access_log off; client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t;\n\
           uwsgi_temp_path t; scgi_temp_path t;\n\
           {}{}{}\
           server {{ listen 127.0.0.1:{chat};\n{locations} }}\n\
           server {{ listen 127.0.0.1:{tls} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;\n\
             {locations} }}\n\
         }}\n",
        bare(bare_web, web),
        bare(bare_lb, lb),
        bare(bare_app, app),
    )
}

fn haproxy_config(
    up: &Up,
    folder: &Path,
    [chat, tls, plain, stats, unwrap]: [u16; 5],
    nginx_tls: u16,
) -> String {
    let Up { web, lb, apps: [one, two], .. } = up;
    let routes = "acl is_ws path_beg /ws\n  acl is_assign path_beg /assign\n  use_backend lb_http11 if is_ws\n  \
                  use_backend lb_http10 if is_assign\n  default_backend page\n";
    let certificate = folder.join("both.pem");
    let backend = |name: &str, check: &str, port: &u16| {
        format!("backend {name}\n  {check}\n  server one 127.0.0.1:{port} check inter 100ms\n")
    };
    let mut config = format!(
        "global\n  maxconn 256\ndefaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  \
         timeout server 60s\n  timeout tunnel 1h\n\
         frontend chat\n  bind 127.0.0.1:{chat}\n  {routes}\
         frontend tls\n  bind 127.0.0.1:{tls} ssl crt {}\n  {routes}\
         listen stats\n  bind 127.0.0.1:{stats}\n  stats enable\n  stats uri /stats\n\
         listen plain\n  mode tcp\n  bind 127.0.0.1:{plain}\n  server tls 127.0.0.1:{tls} ssl verify none\n\
         listen unwrap\n  mode tcp\n  bind 127.0.0.1:{unwrap}\n  server tls 127.0.0.1:{nginx_tls} ssl verify none\n",
        certificate.display()
    );
    // Each way in which a health check is written.
    config += &backend("page", "option httpchk", web);
    config += &backend("lb_http10", "option httpchk GET /ready", lb);
    config += &backend("lb_http11", "option httpchk GET /ready HTTP/1.1\\r\\nHost:\\ chat.example", lb);
    config += &backend("app_http10", "option httpchk HEAD /ready HTTP/1.0", one);
    config += "backend app_http11\n  option httpchk\n  \
               http-check send meth GET uri /ready ver HTTP/1.1 hdr Host chat.example\n";
    config += &format!("  server two 127.0.0.1:{two} check inter 100ms\n");
    config
}

/// The page and where to go, by way of a proxy.
fn assert_page_and_assign(proxy: SocketAddr, up: &Up) {
    let page = get(proxy, "/");
    let (status, kind) = match assets::are_embedded() {
        true => (200, "text/html; charset=utf-8"),
        false => (503, "text/plain; charset=utf-8"),
    };
    assert_eq!((page.status, page.header("content-type")), (status, Some(kind)));
    assert!(get(proxy, "/config.json").json()["balancers"][0].is_string());
    let url = get(proxy, "/assign").json()["url"].as_str().unwrap().to_owned();
    assert!(up.apps.iter().any(|port| url.contains(&format!(":{port}/ws"))), "{url}");
}

fn get(proxy: SocketAddr, path: &str) -> Answer {
    let mut raw = Raw::connect(proxy);
    raw.write(format!("GET {path} HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n"));
    raw.chunked_answer()
}

/// Two clients chat by way of a proxy, while the server of one of them leaves.
fn assert_chats_through_a_drain(proxies: [SocketAddr; 2], up: &Up, drained: Option<&str>) {
    let [mut ann, mut bob] = proxies.map(Client::connect);
    let room = format!("room {}", proxies[0].port());
    ann.join(&room, "ann");
    bob.join(&room, "bob");
    ann.say(&room, "1", "hello");
    bob.messages_until(&room, "1");
    let Some(name) = drained else { return };
    up.drain(name);
    let mut moved = 0;
    for (client, user) in [(&mut ann, "ann"), (&mut bob, "bob")] {
        if client.welcome["node"] == name {
            client.expect("resume");
            client.join(&room, user);
            moved += 1;
        }
    }
    assert!(moved > 0, "the balancer spreads two clients over two servers");
    ann.say(&room, "2", "still here");
    bob.messages_until(&room, "2");
}

#[test]
fn nginx_by_the_configurations_that_people_paste() {
    if !are_installed(&["nginx", "haproxy", "openssl"]) {
        return;
    }
    let (folder, up) = (Folder::new(), Up::start());
    make_certificate(folder.path());
    let ports: [u16; 5] = free_ports(5).try_into().unwrap();
    let [bare_web, bare_lb, bare_app, chat, tls] = ports;
    let _nginx = start("nginx", folder.path(), &nginx_config(&up, ports), &ports);
    // TLS is taken off again by another proxy, so that the clients of the tests need none.
    let haproxy: [u16; 5] = free_ports(5).try_into().unwrap();
    let config = haproxy_config(&up, folder.path(), haproxy, tls);
    let _haproxy = start("haproxy", folder.path(), &config, &haproxy);

    // `proxy_pass` alone speaks HTTP/1.0, with `Connection: close` and the upstream's own `Host`.
    for (port, paths) in [
        (bare_web, &["/live", "/config.json"][..]),
        (bare_lb, &["/live", "/ready", "/status", "/metrics", "/assign"]),
        (bare_app, &["/live", "/ready", "/status", "/metrics"]),
    ] {
        for path in paths {
            assert_eq!(get(at(port), path).status, 200, "{path}");
        }
    }
    let mut raw = Raw::connect(at(bare_lb));
    raw.write(support::raw::UPGRADE);
    let answer = raw.answer();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (426, Some("upgrade_required")));
    assert!(answer.body.contains("proxy_http_version 1.1"), "{}", answer.body);

    assert_page_and_assign(at(chat), &up);
    assert_page_and_assign(at(haproxy[4]), &up);
    assert_chats_through_a_drain([at(haproxy[4]); 2], &up, None);
    assert_chats_through_a_drain([at(chat), at(haproxy[4])], &up, Some("app-2"));
}

#[test]
fn haproxy_by_the_configurations_that_people_paste() {
    if !are_installed(&["haproxy", "openssl"]) {
        return;
    }
    let (folder, up) = (Folder::new(), Up::start());
    make_certificate(folder.path());
    let ports: [u16; 5] = free_ports(5).try_into().unwrap();
    let [chat, _, plain, stats, _] = ports;
    let config = haproxy_config(&up, folder.path(), ports, 1);
    let _haproxy = start("haproxy", folder.path(), &config, &ports);
    let state = |backend: &str, server: &str| {
        let answer = get(at(stats), "/stats;csv");
        let mut rows = answer.body.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let row = rows.find(|row| row[0] == backend && row.get(1) == Some(&server)).unwrap();
        (row[17].to_owned(), row[36].to_owned())
    };
    let checks = [
        ("page", "one"),
        ("lb_http10", "one"),
        ("lb_http11", "one"),
        ("app_http10", "one"),
        ("app_http11", "two"),
    ];
    for (backend, server) in checks {
        eventually(&format!("{backend} is checked and well"), || {
            let (status, check) = state(backend, server);
            status == "UP" && check.ends_with("L7OK")
        });
    }
    assert_page_and_assign(at(chat), &up);
    assert_page_and_assign(at(plain), &up);
    assert_chats_through_a_drain([at(plain); 2], &up, None);
    assert_chats_through_a_drain([at(chat), at(plain)], &up, Some("app-2"));
    eventually("the server that left is known to have left", || state("app_http11", "two").0 == "DOWN");
    assert_eq!(state("app_http10", "one").0, "UP");
    let status: Value = get(at(chat), "/assign").json();
    assert_eq!(status["node"], "app-1");
}
