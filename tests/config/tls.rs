//! TLS as a file asks for it.

use redis_frag::config::load;

use super::commands::check;
use super::fixture;

#[test]
fn tls_is_meant_by_the_scheme_or_any_of_its_keys() {
    let jobs = load::from_file(&fixture("valid/tls.conf")).parsed.jobs;
    let shown: Vec<_> = jobs.iter().map(|job| job.url()).collect();
    assert_eq!(
        shown,
        [
            "rediss://h:6380",
            "rediss://h:6379",
            "redis://h:6379",
            "rediss://h:6379",
            "unix:///s"
        ]
    );
    let skips = |at: usize| jobs[at].tls.as_ref().map(|tls| tls.skip_verify);
    assert_eq!(
        [0, 1, 2, 3, 4].map(skips),
        [Some(true), Some(false), None, Some(true), None]
    );
    let (_, out, _) = check(&[fixture("valid/tls.conf").to_str().unwrap()], &[]);
    for line in [
        "  tls                  yes, any certificate is accepted\n",
        "  tls                  yes, by the CAs in /etc/ca.pem, for the name redis.internal, \
         showing /etc/cert.pem\n",
        "  tls                  no\n",
    ] {
        assert!(out.contains(line), "no {line:?} in\n{out}");
    }
}
