//! The allocator's size classes: read from captures, from texts made up after
//! other versions' layouts, from chance, and from real servers.

mod captures;
mod chance;
mod desk;
mod layouts;
mod servers;
mod shown;

use redis_frag::model::malloc_stats::report::MallocStats;
use redis_frag::model::size_classes::SizeClasses;
use redis_frag::model::value_sizes::Layout;

/// A report of a server, with its waste.
fn view(text: &str) -> SizeClasses {
    SizeClasses::of(&MallocStats::parse(text).unwrap(), Layout::Unknown)
}
