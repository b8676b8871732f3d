//! The live view of `diagnose --watch` in a terminal of its own: what a person sees after
//! each key, and that the terminal is given back as it was.

use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::SOON;
use crate::support::process::signal;
use crate::support::{Kind, Server, becomes_true};

fn size(lines: u16) -> NonZero<u16> {
    NonZero::new(lines).unwrap()
}

/// A terminal with the live view in it; what runs before and behind it is a shell.
struct Terminal {
    child: Child,
    screen: Arc<Mutex<vt100::Parser>>,
    /// All that was written, screens and all.
    said: Arc<Mutex<String>>,
    _home: TempDir,
}

impl Terminal {
    /// A screen of 100 columns and 12 lines; one job for each server.
    fn watch(servers: &[(&str, &Server)], env: &[(&str, &str)]) -> Self {
        Self::running(servers, env, "VIEW; echo \"CODE $?\"; stty -g")
    }

    /// The same in a shell that puts commands into groups of their own, as one that a person
    /// sits at: whenever the view has stopped, it waits for Enter and lets it go on.
    fn at_a_shell(servers: &[(&str, &Server)]) -> Self {
        let line = "set -m; VIEW; while [ -n \"$(jobs -s)\" ]; do echo STOPPED; stty -g; read x; fg; \
                    done; echo \"CODE $?\"; stty -g";
        Self::running(servers, &[], line)
    }

    /// A line for a shell; VIEW stands for the live view.
    fn running(servers: &[(&str, &Server)], env: &[(&str, &str)], line: &str) -> Self {
        let home = TempDir::new().unwrap();
        let jobs: String = servers
            .iter()
            .map(|(name, server)| {
                format!("  - name: {name}\n    address: {}\n", server.unix_address())
            })
            .collect();
        std::fs::write(
            home.path().join("redis-frag.conf"),
            format!("jobs:\n{jobs}"),
        )
        .unwrap();
        let view = format!(
            "'{}' diagnose --watch --interval 1",
            env!("CARGO_BIN_EXE_redis-frag")
        );
        let line = line.replace("VIEW", &view);
        let line = format!("stty cols 100 rows 12; stty -g; tty; {line}");
        let mut child = Command::new("script")
            .args(["-qefc", &line, "/dev/null"])
            .env("NETDATA_USER_CONFIG_DIR", home.path())
            .env("NETDATA_STOCK_CONFIG_DIR", home.path())
            .env("SHELL", "/bin/bash")
            .env("TERM", "xterm")
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL")
            .env_remove("LC_CTYPE")
            .env_remove("NO_COLOR")
            .env_remove("COLUMNS")
            .env_remove("LINES")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(size(12), size(100), 0)));
        let mut out = child.stdout.take().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (shown, heard) = (Arc::clone(&screen), Arc::clone(&said));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read) = out.read(&mut bytes) {
                if read == 0 {
                    break;
                }
                shown.lock().unwrap().process(&bytes[..read]);
                *heard.lock().unwrap() += &String::from_utf8_lossy(&bytes[..read]);
            }
        });
        Self {
            child,
            screen,
            said,
            _home: home,
        }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn press(&mut self, keys: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    fn until(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let reached = becomes_true(SOON, || is(&self.text()));
        assert!(reached, "{what}:\n{}", self.text());
        self.text()
    }

    /// What `stty -g` said before and said behind, and the exit code, once it has ended.
    fn ended(&self) -> (String, String, String) {
        let said = || self.said.lock().unwrap().clone();
        let is_state = |line: &&str| line.matches(':').count() > 10;
        let over = becomes_true(SOON, || {
            let said = said();
            let behind = said.split_once("CODE ").map(|(_, behind)| behind);
            behind.is_some_and(|behind| behind.lines().any(|line| is_state(&line)))
        });
        assert!(over, "it has not ended:\n{}", self.text());
        let said = said();
        let (before, behind) = said.split_once("CODE ").unwrap();
        let state = |text: &str| text.lines().find(is_state).unwrap().trim().to_owned();
        let code = behind.lines().next().unwrap().trim().to_owned();
        (state(before), state(behind), code)
    }

    /// The process in it.
    fn pid(&self) -> u32 {
        let mut pid = None;
        let found = becomes_true(SOON, || {
            let all = Command::new("pgrep")
                .args(["-P", &self.shell()])
                .output()
                .unwrap();
            pid = String::from_utf8(all.stdout).unwrap().trim().parse().ok();
            pid.is_some()
        });
        assert!(found);
        pid.unwrap()
    }

    fn shell(&self) -> String {
        let shell = Command::new("pgrep")
            .args(["-P", &self.child.id().to_string()])
            .output()
            .unwrap();
        String::from_utf8(shell.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server whose instance is fragmented.
fn fragmented() -> Server {
    let server = Server::start(Kind::Redis82);
    server.fill(300_000_000);
    server.delete_random(70);
    server
}

#[test]
fn what_is_pressed_is_seen_and_the_terminal_is_given_back() {
    let (worst, small) = (fragmented(), Server::start(Kind::Redis70));
    let mut terminal = Terminal::watch(&[("small", &small), ("worst", &worst)], &[]);
    let text = terminal.until("both have answered", |text| {
        text.contains("fragmented") && text.contains("small, ")
    });
    let (first, second) = (text.find("worst  ").unwrap(), text.find("small  ").unwrap());
    assert!(first < second, "the worst is first:\n{text}");
    assert!(
        text.contains("active defrag: ") && text.contains(" back"),
        "{text}"
    );
    terminal.until("its past grows", |text| text.contains("████"));

    terminal.press("\r");
    terminal.until("the report", |text| text.contains("Where the bytes are"));
    terminal.press("\u{1b}[F");
    terminal.until("its end", |text| {
        text.contains("redis-frag explain fragmented")
    });
    terminal.press("\u{1b}");
    terminal.until("back", |text| text.contains(">WARNING"));
    terminal.press("j");
    terminal.until("the next row", |text| text.contains(">FINE"));
    terminal.press(" ");
    terminal.until("it holds still", |text| text.contains("PAUSED"));
    terminal.press(" s?");
    terminal.until("the keys", |text| text.contains("PgUp PgDn"));
    terminal.press("qq");
    let (before, behind, code) = terminal.ended();
    assert_eq!((behind, code.as_str()), (before, "0"));
    let screen = terminal.screen.lock().unwrap();
    assert!(!screen.screen().hide_cursor() && !screen.screen().alternate_screen());
}

#[test]
fn every_way_out_gives_the_terminal_back() {
    let server = Server::start(Kind::Redis82);
    for way in ["Ctrl-C", "TERM", "HUP", "INT"] {
        let mut terminal = Terminal::watch(&[("one", &server)], &[]);
        terminal.until("it is there", |text| text.contains("small, "));
        match way {
            "Ctrl-C" => terminal.press("\u{3}"),
            name => assert!(signal(terminal.pid(), name)),
        }
        let (before, behind, code) = terminal.ended();
        assert_eq!((behind, code.as_str()), (before, "0"), "{way}");
        let screen = terminal.screen.lock().unwrap();
        assert!(!screen.screen().hide_cursor(), "{way}");
        assert!(!screen.screen().alternate_screen(), "{way}");
    }
}

#[test]
fn one_that_is_stuck_holds_up_no_other_and_one_that_is_gone_comes_back() {
    let (stuck, well) = (Server::start(Kind::Redis82), Server::start(Kind::Redis70));
    let terminal = Terminal::watch(&[("stuck", &stuck), ("well", &well)], &[]);
    terminal.until("both are there", |text| {
        text.matches("small, ").count() == 2
    });
    assert!(signal(stuck.pid(), "STOP"));
    let text = terminal.until("it is told", |text| text.contains("unreachable for 2 s"));
    let old = text
        .lines()
        .any(|line| line.contains("well") && line.contains(" old"));
    assert!(!old, "the other waited for it:\n{text}");
    assert!(signal(stuck.pid(), "CONT"));
    terminal.until("it is back", |text| text.matches("small, ").count() == 2);
}

#[test]
fn a_window_of_another_size_is_filled_at_once() {
    let server = Server::start(Kind::Redis82);
    let terminal = Terminal::watch(&[("one", &server)], &[]);
    let text = terminal.until("it is there", |text| text.contains("small, "));
    let tty = text.lines().find(|line| line.starts_with("/dev/pts/"));
    // The first screen is hidden: the name of the terminal stands on it.
    assert_eq!(tty, None);
    let tty = std::fs::read_link(format!("/proc/{}/fd/0", terminal.pid())).unwrap();
    let resized = Command::new("stty")
        .arg("-F")
        .arg(&tty)
        .args(["cols", "60", "rows", "6"])
        .status()
        .unwrap();
    assert!(resized.success());
    terminal
        .screen
        .lock()
        .unwrap()
        .screen_mut()
        .set_size(size(6), size(60));
    terminal.until("it fits", |text| {
        let lines: Vec<&str> = text.lines().collect();
        lines.len() == 6 && lines[5].starts_with("Enter report") && lines[5].chars().count() <= 60
    });
    // Erased behind its end, a line as wide as the screen would lose its last character.
    let said = terminal.said.lock().unwrap().clone();
    let before: Vec<&str> = said.split("\u{1b}[K").collect();
    let (_, before) = before.split_last().unwrap();
    assert!(before.len() > 6 && before.iter().all(|text| text.ends_with('H')));
}

/// What cannot be drawn over is told one below the other, without a code.
#[test]
fn a_dumb_terminal_gets_rounds_of_text() {
    let server = Server::start(Kind::Redis82);
    let mut terminal = Terminal::watch(&[("one", &server)], &[("TERM", "dumb")]);
    terminal.until("rounds", |text| text.contains("redis-frag explain small"));
    terminal.press("\u{3}");
    let (before, behind, code) = terminal.ended();
    assert!(!terminal.said.lock().unwrap().contains('\u{1b}'));
    assert_eq!((behind, code.as_str()), (before, "0"));
}

/// Ctrl-Z gives the terminal to the shell, and `fg` takes it again.
#[test]
fn it_stops_for_the_shell_and_goes_on() {
    let server = Server::start(Kind::Redis82);
    let mut terminal = Terminal::at_a_shell(&[("one", &server)]);
    terminal.until("it is there", |text| text.contains("small, "));
    let pid = terminal.pid();
    for (times, how) in [(1, "key"), (2, "signal")] {
        match how {
            "key" => terminal.press("\u{1a}"),
            _ => assert!(signal(pid, "TSTP")),
        }
        // The shell says it, so it has the terminal.
        let said = || terminal.said.lock().unwrap().clone();
        let states = || -> Vec<String> {
            let said = said();
            let states = said.lines().map(str::trim);
            let states = states.filter(|line| line.matches(':').count() > 10);
            states.map(str::to_owned).collect()
        };
        let stopped = becomes_true(SOON, || states().len() > times);
        assert!(stopped, "{how}:\n{}", terminal.text());
        assert_eq!(said().matches("STOPPED").count(), times, "{how}");
        assert_eq!(states()[times], states()[0], "{how}: as it was before");
        assert!(!terminal.screen.lock().unwrap().screen().alternate_screen());
        terminal.press("\n");
        terminal.until("it is back", |text| text.contains("small, "));
        assert!(terminal.screen.lock().unwrap().screen().alternate_screen());
    }
    terminal.press("q");
    assert_eq!(terminal.ended().2, "0");
}

/// Where no shell would let it go on, as with `ssh -t HOST COMMAND`, Ctrl-Z does nothing: it
/// would stand for ever.
#[test]
fn it_does_not_stop_where_nobody_would_let_it_go_on() {
    let server = Server::start(Kind::Redis82);
    let mut terminal = Terminal::watch(&[("one", &server)], &[]);
    terminal.until("it is there", |text| text.contains("small, "));
    assert!(signal(terminal.pid(), "TSTP"));
    terminal.press("\u{1a}?");
    terminal.until("it goes on", |text| text.contains("PgUp PgDn"));
    terminal.press("qq");
    let (before, behind, code) = terminal.ended();
    assert_eq!((behind, code.as_str()), (before, "0"));
}

/// What is logged does not come between the lines that are drawn; it is told in the end.
#[test]
fn the_log_waits_until_the_terminal_is_given_back() {
    let folder = TempDir::new().unwrap();
    let include = folder.path().join("without-config.conf");
    std::fs::write(&include, "rename-command CONFIG \"\"\n").unwrap();
    let server = Server::builder(Kind::Redis82)
        .arg("--include", &include.display().to_string())
        .start();
    let line = "VIEW --debug; echo \"CODE $?\"; stty -g";
    let mut terminal = Terminal::running(&[("one", &server)], &[], line);
    terminal.until("it is there", |text| text.contains("small, "));
    terminal.press("q");
    assert_eq!(terminal.ended().2, "0");
    let said = terminal.said.lock().unwrap().clone();
    let (before, during) = said.split_once("\u{1b}[?1049h").unwrap();
    let (during, behind) = during.split_once("\u{1b}[?1049l").unwrap();
    let logged = "CONFIG GET is not to be had";
    assert!(
        !before.contains(logged) && !during.contains(logged),
        "{said:?}"
    );
    assert!(behind.contains(logged), "{behind}");
}
