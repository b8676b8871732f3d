//! What the help of each command shows: examples, and what they answer. A test runs every
//! line of them.
//!
//! Data. A line to type begins with two spaces; what it does stands below it with six.

/// Of the program itself.
pub const PROGRAM: &str = "\
Examples:
  redis-frag diagnose
      where the memory of each instance went, and what would bring it back
  redis-frag diagnose --watch
      the same as a live view
  redis-frag explain fragmented
      what a verdict means, and what to do about it
  redis-frag check-config --connect
      whether each configured job can be reached, and what it may do
  redis-frag 1
      as an agent starts it: charts every second, on stdout

Files:
  /etc/netdata/redis-frag.conf             the operator's configuration
  /usr/lib/netdata/conf.d/redis-frag.conf  the one that comes with it, every key explained

Environment:
  REDIS_FRAG_PASSWORD      password for addresses that are given at a shell
  NETDATA_USER_CONFIG_DIR  where the operator's files are, as an agent says it
  NO_COLOR                 set: no colours; COLUMNS, LINES: the size of the screen";

/// Of `check-config`.
pub const CHECK_CONFIG: &str = "\
Examples:
  redis-frag check-config
      the jobs of the agent's files as understood, and every mistake with line and column
  redis-frag check-config --connect
      each job tried: reachable, authenticated, permitted, what server it is
  redis-frag check-config ./redis-frag.conf
      a file before it is put in place";

/// Of `diagnose`.
pub const DIAGNOSE: &str = "\
Examples:
  redis-frag diagnose
      all configured jobs, or what listens on this machine; the worst first
  redis-frag diagnose cache 127.0.0.1:6379
      a job by its name, and an address
  redis-frag diagnose /run/redis/cache.sock --malloc-stats
      by a socket, and whether its build can defragment at all
  redis-frag diagnose --watch --interval 5
      a live view, every five seconds; ? shows its keys
  redis-frag diagnose --json cache
      for programs: one object a line";

/// Of `explain`.
pub const EXPLAIN: &str = "\
Examples:
  redis-frag explain
      everything that can be explained, a line each
  redis-frag explain retained_pages
      a verdict: what it means, how to confirm it, what to do and what not
  redis-frag explain redis_frag_ratio
      an alert
  redis-frag explain redis_frag.wasted redis_frag.reclaimable
      two charts and their dimensions
  redis-frag explain expires-stall-7.2
      a known defect of a version";

/// Of `replay`.
pub const REPLAY: &str = "\
Examples:
  redis-frag replay DIR/info-*.txt
      a recording, moment by moment
  redis-cli INFO everything | redis-frag replay /dev/stdin
      an INFO text from anywhere";

/// Of `record`.
pub const RECORD: &str = "\
Examples:
  redis-frag record cache --for 60s -o DIR
      a minute of a job, a sample each second
  redis-frag record 127.0.0.1:6379 --for 5m --every 5s -o DIR2
      five minutes of an address, more coarsely";

/// Of `size-classes`.
pub const SIZE_CLASSES: &str = "\
Examples:
  redis-frag size-classes cache
      the ten worst size classes, and which values land there
  redis-frag size-classes 127.0.0.1:6379 --all
      every size class
  redis-frag size-classes cache --json
      for programs";
