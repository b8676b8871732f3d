//! MEMORY MALLOC-STATS, whatever it says: no panic, and what is read hangs together, in
//! tables, reports and charts.
//!
//! Knows no server: the text is all.

use std::sync::Arc;
use std::time::Duration;

use redis_frag::app::report::classes::{self as report, Asked};
use redis_frag::app::report::classes_json;
use redis_frag::app::report::page::Style;
use redis_frag::model::info::Info;
use redis_frag::model::malloc_stats::Build;
use redis_frag::model::malloc_stats::report::MallocStats;
use redis_frag::model::sample::Sample;
use redis_frag::model::server::Server;
use redis_frag::model::size_classes::SizeClasses;
use redis_frag::model::thresholds::Thresholds;
use redis_frag::model::value_sizes::Layout;
use redis_frag::netdata::classes;
use redis_frag::source::size_classes::Told;
use serde_json::Value;

use super::views;
use super::watched::{AGENTS, Fate, Watched};

/// The server that told it.
const INFO: &[u8] = b"redis_version:8.2.3\nmem_allocator:jemalloc-5.3.0\nused_memory:1000000\n";

/// Bytes are what a server answers.
pub fn body(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let build = Build::parse(&text);
    let Ok(stats) = MallocStats::parse(&text) else {
        return;
    };
    for layout in [Layout::WithObject, Layout::WithKey, Layout::Unknown] {
        let found = SizeClasses::of(&stats, layout);
        if let Some(wasted) = found.wasted {
            let sum = found.classes.iter().filter_map(|class| class.wasted());
            assert_eq!(sum.sum::<u64>(), wasted);
        }
        for class in &found.classes {
            for share in [class.utilisation(), found.share(class)] {
                let share = share.unwrap_or(0.0);
                assert!((0.0..=1.0).contains(&share), "{share}");
            }
        }
        shown(Arc::new(found), build);
    }
}

fn shown(found: Arc<SizeClasses>, build: Option<Build>) {
    let info = Info::parse(INFO);
    let asked = Asked {
        instance: "one".to_owned(),
        address: "redis://127.0.0.1:6379".to_owned(),
        client: "redis-cli".to_owned(),
        found: Ok(Arc::new(Told {
            server: Server::of(&info),
            classes: Arc::clone(&found),
        })),
    };
    for all in [false, true] {
        let line = classes_json::line(&asked, all);
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
        for width in [80, 0] {
            let style = Style {
                width,
                colour: false,
            };
            let page = report::report(&asked, all, &style);
            let odd = |c: char| c.is_control() && c != '\n';
            assert!(!page.is_empty() && !page.contains(odd), "{page:?}");
        }
    }
    let mut watched = Watched::plain(Thresholds::default(), AGENTS[1]);
    let answer = classes::answer(&found, Duration::ZERO, "");
    views::answered(&answer, watched.agent());
    let mut sample = Sample::new(Duration::from_secs(1), &info, None);
    sample.build = build;
    sample.size_classes = Some(found);
    watched.moment(&sample, Fate::Read);
    watched.done();
}
