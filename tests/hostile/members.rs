//! What nodes of a cluster and Sentinels say of their members: names, hosts and shards
//! that become jobs, ids and labels.

use super::{assert_tame, bulk, words};
use crate::support::Fake;
use crate::watching::{SOON, plugin};

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let head = format!("*{}\r\n", items.len()).into_bytes();
    [head, items.concat()].concat()
}

/// A member as a flat list of names and values; `word` is whatever it can be.
fn member(id: &[u8], ip: &[u8], port: usize, word: &[u8]) -> Vec<u8> {
    let port = port.to_string();
    let pairs = [
        ("id", id),
        ("name", word),
        ("port", port.as_bytes()),
        ("ip", ip),
        ("endpoint", ip),
        ("hostname", word),
        ("role", word),
        ("health", word),
        ("flags", word),
        ("shard-id", word),
    ];
    let flat = pairs
        .iter()
        .flat_map(|(name, value)| [bulk(name.as_bytes()), bulk(value)]);
    list(&flat.collect::<Vec<_>>())
}

/// Tells of three members: one could be had, and two are nobody.
fn telling(word: &[u8], number: usize) -> Fake {
    let word = word.to_vec();
    Fake::answering(move |asked| {
        let id = format!("{number:040x}");
        let members = [
            member(id.as_bytes(), b"127.0.0.1", number + 1, &word),
            member(&word, b"127.0.0.1", number + 1, &word),
            member(id.as_bytes(), &word, number + 1, &word),
        ];
        let asked = asked.join(" ").to_ascii_uppercase();
        match asked.as_str() {
            "SENTINEL MASTERS" => list(&members),
            _ if asked.starts_with("SENTINEL ") => list(&[]),
            "CLUSTER SHARDS" => list(&[list(&[
                bulk(b"slots"),
                list(&[b":0\r\n".to_vec(), b":99\r\n".to_vec()]),
                bulk(b"nodes"),
                list(&members),
            ])]),
            _ => b"-ERR no\r\n".to_vec(),
        }
    })
}

#[test]
fn members_become_charts_and_their_names_nothing_else() {
    let mut config = "discovery: {local: no}\njobs:\n".to_owned();
    let told = words().into_iter().enumerate();
    let fakes: Vec<(&str, Fake)> = told
        .map(|(number, (key, word))| (key, telling(&word, number)))
        .collect();
    for (key, fake) in &fakes {
        let address = fake.unix_address();
        config += &format!("- {{name: c-{key}, address: '{address}', cluster: yes}}\n");
        config += &format!("- {{name: s-{key}, sentinel: {{addresses: ['{address}']}}}}\n");
    }
    let mut run = plugin(&config).arg("--debug").start();
    for (key, _) in &fakes {
        for kind in ["c", "s"] {
            let start = format!("redis_frag_{kind}-{key}");
            run.expect(SOON, &start, |c| {
                c.charts().iter().any(|id| id.starts_with(&start))
            });
        }
    }
    run.with_checker(|checker| {
        checker.assert_clean();
        let charts = checker.charts();
        let odd = |id: &&&str| !id.starts_with("redis_frag_c-") && !id.starts_with("redis_frag_s-");
        assert_eq!(charts.iter().find(odd), None);
        // Nobody was taken for a member who has no address.
        let status = charts.iter().filter(|id| id.ends_with(".status"));
        assert!(status.count() <= 4 * fakes.len(), "{charts:?}");
    });
    assert_tame("the log", &run.stderr(), 2_100);
    for (_, line) in run.lines() {
        assert_tame("the protocol", &line, 15_000);
    }
    run.close_stdin();
    run.wait_exit(SOON).unwrap();
}
