//! The process behind an address: told for certain, or not at all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::Value;

use crate::diagnose;
use crate::support::process::resident;
use crate::support::{Kind, Server};

/// What `diagnose` reports of the kernel's word on an address.
fn host(address: &str) -> Value {
    diagnose(address)["host"].clone()
}

#[test]
fn a_local_instance_has_its_process_over_socket_and_port() {
    for kind in Kind::ALL {
        let server = Server::start(kind);
        server.fill(30_000_000);
        for address in [server.unix_address(), server.tcp_address()] {
            let host = host(&address);
            assert_eq!(host["pid"], server.pid(), "{address}: {host}");
            let rss = host["rss"].as_f64().unwrap();
            let told = resident(server.pid()) as f64;
            // Pages come and go between the two.
            assert!(
                (rss / told - 1.0).abs() < 0.3,
                "{address}: {rss} beside {told}"
            );
            assert_eq!(host["unsure"], Value::Null);
            assert!(host["swap"].is_u64() && host["memory"].is_u64(), "{host}");
        }
    }
}

/// Passes bytes on, as a proxy or a published port of a container does.
fn relay_to(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ] {
                thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(length @ 1..) = from.read(&mut bytes) {
                        if to.write_all(&bytes[..length]).is_err() {
                            break;
                        }
                    }
                });
            }
        }
    });
    own
}

/// The relay's socket is its own, whatever the server behind it says its pid is.
#[test]
fn behind_a_relay_no_process_is_believed() {
    let server = Server::builder(Kind::Redis70).port_only().start();
    let relay = relay_to(server.port());
    let direct = host(&server.tcp_address());
    assert_eq!(direct["pid"], server.pid());
    let relayed = host(&format!("redis://127.0.0.1:{relay}"));
    assert!(
        relayed["pid"].is_null() && relayed["unsure"].is_string(),
        "{relayed}"
    );
}
