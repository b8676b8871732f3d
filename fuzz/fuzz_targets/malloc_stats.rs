//! MEMORY MALLOC-STATS, whatever it says: no panic, and what is read hangs together.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use redis_frag::model::malloc_stats::Build;
use redis_frag::model::malloc_stats::report::MallocStats;
use redis_frag::model::size_classes::SizeClasses;
use redis_frag::model::value_sizes::Layout;
use redis_frag::netdata::classes;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let _ = Build::parse(&text);
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
            let used = class.utilisation().unwrap_or(0.0);
            assert!((0.0..=1.0).contains(&used), "{used}");
        }
        let answer = classes::answer(&found, Duration::ZERO, "");
        assert!(answer["data"].is_array());
    }
});
