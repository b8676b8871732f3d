//! What a real agent of 2.10 sent, word for word but for the addresses.

use super::*;

const RECORDED: &str = include_str!("../fixtures/agent/netdata-2.10.0.dialogue.txt");

/// A request: its lines, its call, the code that the recorded plugin gave.
struct Request {
    lines: Vec<String>,
    id: String,
    about: String,
    code: String,
}

/// Both parts: until the agent ended, and from its next start on.
fn parts() -> Vec<Vec<Request>> {
    let mut parts = Vec::new();
    for line in RECORDED.lines() {
        if line.starts_with("# Part") {
            parts.push(Vec::new());
        }
        let Some(part): Option<&mut Vec<Request>> = parts.last_mut() else {
            continue;
        };
        if let Some(sent) = line.strip_prefix("< ") {
            if sent.starts_with("FUNCTION ") || sent.starts_with("FUNCTION_PAYLOAD ") {
                part.push(Request {
                    lines: Vec::new(),
                    id: sent.split(' ').nth(1).unwrap().to_owned(),
                    about: sent.split('"').nth(1).unwrap().to_owned(),
                    code: String::new(),
                });
            }
            part.last_mut().unwrap().lines.push(sent.to_owned());
        } else if let Some(rest) = line.strip_prefix("> FUNCTION_RESULT_BEGIN ") {
            let mut words = rest.split(' ');
            let id = words.next().unwrap();
            let request = part.iter_mut().find(|request| request.id == id).unwrap();
            request.code = words.next().unwrap().to_owned();
        }
    }
    parts
}

#[test]
fn the_recorded_requests_have_the_recorded_answers() {
    let (good, good2) = (Server::start(Kind::Redis70), Server::start(Kind::Redis82));
    let config = jobs(&[("local", &good.tcp_address())]);
    let parts = parts();
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [13, 4]);
    for part in parts {
        let mut hand = Hand::start(&config);
        hand.expect("local", "named", |config| config.creates == 1);
        for request in part {
            for line in &request.lines {
                let line = line
                    .replace("\"good\"", &format!("\"{}\"", good.unix_address()))
                    .replace("\"good2\"", &format!("\"{}\"", good2.unix_address()))
                    .replace("\"bad\"", &format!("\"{NOWHERE}\""));
                hand.run.send_line(&line).unwrap();
            }
            let seen = answer(&hand.run, &request.id);
            // The recorded plugin had its job running at once.
            let at_once = request.about.ends_with(" enable") && seen.code == "202";
            assert!(
                seen.code == request.code || at_once,
                "{}: {} for {}: {}",
                request.about,
                seen.code,
                request.code,
                seen.body
            );
            if request.about.contains("userconfig") {
                assert_eq!(seen.content_type, "application/yaml");
                assert!(seen.body.contains(&good2.unix_address()), "{}", seen.body);
            }
            if request.about.ends_with("newjob enable") {
                hand.expect_status("newjob", "running");
            }
            if request.about.ends_with("newjob get") {
                assert!(seen.body.contains(&good.unix_address()), "{}", seen.body);
            }
        }
        hand.expect_status("local", "running");
        let told = config_lines(&hand.run);
        hand.run.with_checker(|checker| {
            assert!(told[0].starts_with("CONFIG redis-frag:redis create accepted template"));
            assert!(told[1].starts_with("CONFIG redis-frag:redis:local create accepted job"));
            let ids: Vec<&str> = checker.answers().iter().map(|a| a.id.as_str()).collect();
            let mut once = ids.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), ids.len());
            checker.assert_clean();
        });
    }
}

fn config_lines(run: &PluginRun) -> Vec<String> {
    let lines = run.lines().into_iter().map(|(_, line)| line);
    lines.filter(|line| line.starts_with("CONFIG ")).collect()
}
