//! A server that answers by section, asked again and again: what it is asked for, and that
//! nothing is missing in between.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::poll::Poller;
use super::trouble::Trouble;
use crate::config::address::Address;
use crate::config::job::Job;
use crate::model::sample::Sample;

/// What is told in the section `server`, and in all others.
type Told = (String, String);

/// Answers INFO by what is asked for, an error where that is one, and notes that.
fn answer(listener: &UnixListener, told: &Mutex<Told>, asked: &Mutex<Vec<String>>) {
    for stream in listener.incoming().map_while(Result::ok) {
        let mut bytes = [0; 512];
        while let Ok(length @ 1..) = (&stream).read(&mut bytes) {
            let question = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let (server, rest) = told.lock().unwrap().clone();
            let text = match question.as_str() {
                other if !other.contains("INFO") => String::new(),
                few if few.contains("memory") && !few.contains("server") => rest,
                _ => format!("{server}{rest}"),
            };
            let reply = match text.strip_prefix('-') {
                Some(_) => format!("{text}\r\n"),
                None => format!("${}\r\n{text}\r\n", text.len()),
            };
            if question.contains("INFO") {
                asked.lock().unwrap().push(question);
            }
            (&stream).write_all(reply.as_bytes()).unwrap();
        }
    }
}

fn server(run_id: &str, uptime: u32) -> String {
    format!(
        "redis_version:8.2.3\nrun_id:{run_id}\nuptime_in_seconds:{uptime}\nprocess_id:77\n\
         db0:keys=9,expires=2,avg_ttl=0\n"
    )
}

const MOVING: &str = "mem_allocator:jemalloc-5.3.0\nused_memory:7\n";

/// A server that runs, and who asks it.
struct Scene {
    asked: Arc<Mutex<Vec<String>>>,
    poller: Poller,
    runtime: Runtime,
    _dir: TempDir,
}

impl Scene {
    /// Of a server that is up for so many seconds; what it tells can be changed.
    fn of(uptime: u32) -> (Self, Arc<Mutex<Told>>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let told = Arc::new(Mutex::new((server("a", uptime), MOVING.to_owned())));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (theirs, noted) = (Arc::clone(&told), Arc::clone(&asked));
        std::thread::spawn(move || answer(&listener, &theirs, &noted));
        let job = Arc::new(Job::new("x", Address::Unix(path)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let scene = Self {
            asked,
            poller: Poller::new(job, Instant::now()),
            runtime: runtime.unwrap(),
            _dir: dir,
        };
        (scene, told)
    }

    /// What comes of one collection, and what the server was asked for it.
    fn collect(&mut self) -> (Result<Sample, Trouble>, Vec<String>) {
        let collected = self.poller.collect(Duration::from_secs(5));
        let collected = self.runtime.block_on(collected);
        let questions = std::mem::take(&mut *self.asked.lock().unwrap());
        (collected, questions)
    }
}

#[test]
fn what_stays_is_asked_for_once_and_missing_never_and_another_server_is_noticed() {
    let (mut scene, told) = Scene::of(19);
    let mut collect = || {
        let (collected, questions) = scene.collect();
        let sample = collected.unwrap();
        assert_eq!(
            (sample.fields.process_id, sample.volatile_keys),
            (Some(77), Some(2))
        );
        assert_eq!(sample.fields.used_memory, Some(7));
        let kinds = questions.iter().map(|question| {
            match (question.contains("memory"), question.contains("server")) {
                (true, true) => "some",
                (true, false) => "few",
                _ => "all",
            }
        });
        let kinds: Vec<&str> = kinds.collect();
        let run_id = sample.server.as_ref().unwrap().run_id.clone().unwrap();
        (
            run_id.to_string(),
            sample.fields.uptime_in_seconds,
            kinds.join(" "),
        )
    };
    let seen = |run_id: &str, uptime, kinds: &str| (run_id.into(), Some(uptime), kinds.into());
    assert_eq!(
        collect(),
        seen("a", 19, "all"),
        "nobody knows yet what it takes"
    );
    told.lock().unwrap().0 = server("a", 20);
    assert_eq!(collect(), seen("a", 20, "some"), "it is young");
    told.lock().unwrap().0 = server("a", 21);
    assert_eq!(collect(), seen("a", 20, "few"));
    assert_eq!(collect(), seen("a", 20, "few"));
    // Behind a proxy it may be another one all of a sudden.
    *told.lock().unwrap() = (server("b", 50), MOVING.replace("jemalloc-5.3.0", "libc"));
    assert_eq!(collect(), seen("b", 50, "few some"));
    assert_eq!(collect(), seen("b", 50, "few"));
    let saved = |at: u32| format!("mem_allocator:libc\nused_memory:7\nrdb_last_save_time:{at}\n");
    *told.lock().unwrap() = (server("b", 50), saved(60));
    assert_eq!(collect(), seen("b", 50, "few some"), "it was saved");
    *told.lock().unwrap() = (server("c", 50), saved(70));
    assert_eq!(collect(), seen("c", 50, "few some"), "one of its kind");
}

#[test]
fn a_server_that_is_busy_is_asked_once_and_by_section_again_when_it_is_not() {
    let (mut scene, told) = Scene::of(50);
    let mut collect = || {
        let (collected, questions) = scene.collect();
        let plain = |question: &&String| !question.contains("memory");
        (
            collected.is_ok(),
            questions.len(),
            questions.iter().filter(plain).count(),
        )
    };
    assert_eq!(collect(), (true, 1, 1), "nobody knows yet what it takes");
    assert_eq!(collect(), (true, 1, 0));
    *told.lock().unwrap() = (String::new(), "-BUSY a script runs".to_owned());
    assert_eq!(collect(), (false, 1, 0));
    assert_eq!(collect(), (false, 1, 0));
    *told.lock().unwrap() = (server("a", 50), MOVING.to_owned());
    assert_eq!(collect(), (true, 1, 0));
}
