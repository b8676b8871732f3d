//! The way to the size classes: how often a server is asked, and when not.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use redis_frag::config::address::Address;
use redis_frag::config::job::Job;
use redis_frag::config::reference::Template;
use redis_frag::source::size_classes::{Answer, Desk, EVERY, Untold};
use redis_frag::source::trouble::Trouble;
use tokio::runtime::Runtime;

use crate::support::process::short_dir;
use crate::support::{Kind, Server, eventually};

const PATIENCE: Duration = Duration::from_secs(5);

fn job(server: &Server) -> Job {
    let (address, ..) = Address::parse(&server.unix_address()).unwrap();
    Job::new("a", address)
}

fn desk(job: Job) -> Desk {
    Desk::new(Arc::new(job))
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

fn ask(desk: &Desk) -> Result<Answer, Untold> {
    runtime().block_on(desk.ask(PATIENCE))
}

/// How often MEMORY MALLOC-STATS came, or was refused.
fn asked(server: &Server) -> u64 {
    let stats = server.ok(&["INFO", "commandstats"]);
    let lines = stats
        .lines()
        .filter(|line| line.starts_with("cmdstat_memory"));
    let number = |line: &str, name: &str| -> u64 {
        let (_, rest) = line.split_once(name).unwrap_or_default();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().unwrap_or(0)
    };
    lines
        .map(|line| number(line, "calls=") + number(line, "rejected_calls="))
        .sum()
}

#[test]
fn many_may_ask_and_the_server_is_asked_once() {
    let server = Server::start(Kind::Redis82);
    let desk = desk(job(&server));
    let first = ask(&desk).unwrap();
    assert_eq!(first.age, Duration::ZERO);
    assert!(first.told.classes.wasted.is_some());
    thread::sleep(Duration::from_millis(50));
    let answers = runtime().block_on(async {
        let mut answers = Vec::new();
        for _ in 0..200 {
            answers.push(desk.ask(PATIENCE).await.unwrap());
        }
        answers
    });
    for answer in answers {
        assert!(Arc::ptr_eq(&answer.told, &first.told));
        assert!(answer.age >= Duration::from_millis(50));
    }
    assert_eq!(asked(&server), 1);
    thread::sleep(EVERY);
    let next = ask(&desk).unwrap();
    assert!(next.age.is_zero() && !Arc::ptr_eq(&next.told, &first.told));
    assert_eq!(asked(&server), 2);
}

#[test]
fn those_who_ask_at_once_share_one_answer() {
    let server = Server::start(Kind::Redis62);
    let desk = Arc::new(desk(job(&server)));
    let answers: Vec<Result<Answer, Untold>> = runtime().block_on(async {
        let asking = |_| {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move { desk.ask(PATIENCE).await })
        };
        let asking: Vec<_> = (0..20).map(asking).collect();
        let mut answers = Vec::new();
        for answer in asking {
            answers.push(answer.await.unwrap());
        }
        answers
    });
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(asked(&server), 1);
    // None is left behind, once the server has noticed: this one asks.
    eventually(PATIENCE, "closed connections", || {
        server.info_number("connected_clients") as u64 == 1
    });
}

/// Answers INFO, and nothing else; counts what else is asked.
fn deaf(listener: &UnixListener, unheard: &AtomicUsize) {
    let info = "redis_version:8.0.0\r\nmem_allocator:jemalloc-5.3.0\r\n";
    for stream in listener.incoming().map_while(Result::ok) {
        let mut bytes = [0; 512];
        while let Ok(length @ 1..) = (&stream).read(&mut bytes) {
            if String::from_utf8_lossy(&bytes[..length]).contains("INFO") {
                let reply = format!("${}\r\n{info}\r\n", info.len());
                (&stream).write_all(reply.as_bytes()).unwrap();
            } else {
                unheard.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

#[test]
fn a_question_that_was_given_up_is_not_asked_again_at_once() {
    let dir = short_dir();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let unheard = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&unheard);
    thread::spawn(move || deaf(&listener, &counted));
    let desk = desk(Job::new("a", Address::Unix(path)));
    let silent = Err(Untold::Trouble(Trouble::Silent));
    let patience = Duration::from_millis(300);
    assert_eq!(runtime().block_on(desk.ask(patience)), silent);
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(runtime().block_on(desk.ask(patience)), silent);
    }
    assert!(began.elapsed() < patience, "it is known without asking");
    assert_eq!(unheard.load(Ordering::SeqCst), 1);
}

#[test]
fn a_server_that_hangs_is_told_from_what_it_said_before() {
    let server = Server::builder(Kind::Redis82).socket_only().start();
    let (known, new) = (desk(job(&server)), desk(job(&server)));
    ask(&known).unwrap();
    server.pause();
    let from_before = ask(&known);
    let told = runtime().block_on(new.ask(Duration::from_millis(200)));
    server.resume();
    assert!(from_before.is_ok());
    assert_eq!(told, Err(Untold::Trouble(Trouble::Silent)));
    assert!(ask(&new).is_ok(), "INFO alone was not answered");
}

#[test]
fn a_server_that_loads_is_not_asked() {
    for kind in [Kind::Redis82, Kind::Valkey91] {
        let builder = Server::builder(kind).socket_only();
        let mut server = builder.arg("--key-load-delay", "200").start();
        server.fill(12 << 20);
        server.ok(&["SAVE"]);
        let job = job(&server);
        let told = thread::scope(|scope| {
            let onlooker = scope.spawn(|| {
                let mut told = None;
                eventually(PATIENCE * 4, "seen while it loads", || {
                    told = Some(ask(&desk(job.clone())));
                    told == Some(Err(Untold::Loading))
                });
                told
            });
            server.restart();
            onlooker.join().unwrap()
        });
        assert_eq!(told, Some(Err(Untold::Loading)), "{}", kind.name());
        // Between the end of loading and now nobody asked.
        assert_eq!(asked(&server), 0, "{}", kind.name());
    }
}

#[test]
fn what_is_missing_is_told_with_what_to_change() {
    let server = Server::start(Kind::Redis70);
    server.ok(&[
        "ACL",
        "SETUSER",
        "netdata",
        "on",
        ">pw",
        "resetkeys",
        "-@all",
        "+info",
    ]);
    let mut limited = job(&server);
    limited.credentials.username = Some(Template::literal("netdata"));
    limited.credentials.password = Some(Template::literal("pw"));
    let mut off = job(&server);
    off.size_classes = false;
    let libc = Server::start(Kind::Valkey91);
    let gone = Address::Unix(short_dir().path().join("s"));
    for (job, says) in [
        (limited.clone(), "+memory|malloc-stats"),
        (off, "size_classes: no"),
        (job(&libc), "built with libc"),
        (Job::new("gone", gone), "check address"),
    ] {
        let told = ask(&desk(job)).unwrap_err().to_string();
        assert!(told.contains(says), "{told}");
    }
    assert_eq!(asked(&libc), 0, "INFO says it all");
    server.ok(&["ACL", "SETUSER", "netdata", "+memory|malloc-stats"]);
    assert!(ask(&desk(limited)).is_ok());
}
