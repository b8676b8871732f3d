//! The pictures of README: that they are there, are pictures, and show the charts by the
//! titles that they have today. `make pictures` makes them anew.

use std::fs;
use std::path::Path;

use redis_frag::model::charts::CHARTS;

use super::project_file;

/// The charts that the picture of the dashboard shows.
const SHOWN: [&str; 4] = ["ratio", "allocator_ratio", "wasted", "reclaimable"];

#[test]
fn every_picture_is_one_and_is_shown() {
    let readme = project_file("README.md");
    for name in ["dashboard", "terminal", "watch"] {
        let path = format!("docs/{name}.png");
        let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "{path}");
        assert!(bytes.len() < 150_000, "{path}: {} bytes", bytes.len());
        assert!(
            readme.contains(&format!("]({path})")),
            "README does not show {path}"
        );
    }
}

#[test]
fn the_picture_of_the_dashboard_shows_the_titles_of_today() {
    let titles = SHOWN.map(|id| {
        let chart = CHARTS.iter().find(|chart| chart.id == id);
        chart.unwrap().title
    });
    let shown = project_file("docs/pictures/dashboard.txt");
    assert_eq!(
        shown.lines().collect::<Vec<_>>(),
        titles,
        "the picture is older than the charts: make pictures"
    );
}
