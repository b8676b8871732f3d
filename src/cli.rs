//! Arguments, as clap reads them. Types only.

pub mod alike;
pub mod examples;

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

/// The version, and in a release build the commit behind it; see packaging/build.rs.
pub const VERSION: &str = env!("REDIS_FRAG_VERSION");

/// Says where the memory of a Redis went and what would bring it back.
///
/// Without a command it is a plugin of a Netdata agent: it watches the configured
/// instances, and writes charts to stdout until stdin ends.
#[derive(Debug, Parser)]
#[command(
    name = "redis-frag",
    version = VERSION,
    subcommand_precedence_over_arg = true,
    after_long_help = examples::PROGRAM
)]
pub struct Cli {
    /// Seconds between collections, as the agent gives them
    #[arg(value_name = "UPDATE_EVERY", value_parser = update_every)]
    pub update_every: Option<u32>,

    /// Log more, to stderr
    #[arg(short, long, global = true)]
    pub debug: bool,

    /// What to do instead
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// Reads the arguments of this process.
    ///
    /// # Errors
    /// Help or version, which were asked for, or what is wrong.
    pub fn read() -> Result<Self, clap::Error> {
        Self::sound(Self::try_parse()?)
    }

    // clap's own way to keep the two apart knows no command behind an option.
    fn sound(cli: Self) -> Result<Self, clap::Error> {
        if cli.update_every.is_none() || cli.command.is_none() {
            return Ok(cli);
        }
        let told = "UPDATE_EVERY is for the plugin alone; leave it out before a command";
        Err(Self::command().error(ErrorKind::ArgumentConflict, told))
    }
}

/// What a person runs at a shell.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the jobs of the configuration as understood, secrets masked
    ///
    /// Exit code: 0 without an error, 1 with one; with --connect also 1 where a job
    /// does not answer.
    #[command(after_long_help = examples::CHECK_CONFIG)]
    CheckConfig {
        /// Try each job once, and tell how far that leads: reachable, authenticated,
        /// permitted, and what server it is
        #[arg(long)]
        connect: bool,

        /// This file instead of the agent's
        file: Option<PathBuf>,
    },
    /// Say where the memory of instances went and what would bring it back
    ///
    /// Exit code: 0 fine, 1 warning, 2 critical, 3 could not tell, 64 wrong usage;
    /// of several instances the worst, where 3 counts less than 1 and 2.
    #[command(after_long_help = examples::DIAGNOSE)]
    Diagnose(Diagnose),
    /// Tell what a verdict, an alert, a chart, a risk or a known defect means, and what to do
    ///
    /// From the same pages as the guide in docs. Exit code: 0 told, 64 no such thing.
    #[command(after_long_help = examples::EXPLAIN)]
    Explain(Explain),
    /// Diagnose recorded INFO texts, in the order of their time
    ///
    /// Exit code by the last one, as of diagnose; 3 where a file is no INFO text.
    #[command(after_long_help = examples::REPLAY)]
    Replay(Replay),
    /// Record an instance for replay, without secrets
    ///
    /// Kept: numbers, and what names server, version and allocator. Left out: all
    /// other texts, ports and process ids; run ids are numbered. Exit code: 0
    /// recorded, 3 not, 64 wrong usage.
    #[command(after_long_help = examples::RECORD)]
    Record(Record),
    /// Say which sizes of allocations waste an instance's memory
    ///
    /// Asks once for MEMORY MALLOC-STATS, which blocks the server for about a
    /// millisecond. Exit code: 0 told, 3 could not tell, 64 wrong usage.
    #[command(after_long_help = examples::SIZE_CLASSES)]
    SizeClasses(SizeClasses),
}

/// How instances are reached that are given by address, or found.
#[derive(Debug, Clone, Default, Args)]
pub struct Access {
    /// User for an ADDRESS that names none
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,

    /// File with the password for an ADDRESS that has none; else the variable
    /// REDIS_FRAG_PASSWORD is taken
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Longest wait for an instance, as 500ms, 3s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,

    /// TLS to an ADDRESS; any of these stands for rediss://
    #[command(flatten)]
    pub tls: Tls,
}

/// TLS to instances that are given by address.
#[derive(Debug, Clone, Default, Args)]
pub struct Tls {
    /// PEM file with the CAs to trust instead of the system's; this and the other
    /// --tls options stand for rediss://
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// PEM file with the certificate to show, where the server wants one
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with its private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Name that the server's certificate must be for, if not that of the ADDRESS
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,

    /// Trust whoever answers
    #[arg(long)]
    pub tls_skip_verify: bool,
}

/// `redis-frag diagnose`
#[derive(Debug, Args)]
pub struct Diagnose {
    /// Jobs of the configuration, or addresses: redis://host:port, host:port,
    /// rediss://host:port, unix:///path, /path; without any, all jobs, or what listens on this machine
    #[arg(value_name = "ADDRESS|JOB")]
    pub targets: Vec<String>,

    /// One JSON object a line for each instance
    #[arg(long)]
    pub json: bool,

    /// A live view where stdout is a terminal (? shows its keys); elsewhere report after
    /// report, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,

    /// Seconds between rounds of --watch
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = interval)]
    pub interval: u32,

    /// Ask each server once for MEMORY MALLOC-STATS, which blocks it for a
    /// millisecond and tells whether its build can defragment
    #[arg(long)]
    pub malloc_stats: bool,

    /// How they are reached
    #[command(flatten)]
    pub access: Access,
}

/// `redis-frag explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// Such as fragmented, redis_frag_ratio, redis_frag.ratio, near_limit, expires-stall-7.2;
    /// without any, all are listed
    #[arg(value_name = "VERDICT|ALERT|CONTEXT")]
    pub topics: Vec<String>,
}

/// `redis-frag replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// Texts of INFO, as redis-cli INFO or redis-frag record wrote them; a pipe must have its
    /// writer already
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// One JSON object a line for each file
    #[arg(long)]
    pub json: bool,

    /// What redis-cli CONFIG GET '*defrag*' printed
    #[arg(long, value_name = "FILE")]
    pub config_get: Option<PathBuf>,

    /// What redis-cli MEMORY MALLOC-STATS printed
    #[arg(long, value_name = "FILE")]
    pub malloc_stats: Option<PathBuf>,
}

/// `redis-frag record`
#[derive(Debug, Args)]
pub struct Record {
    /// A job of the configuration, or an address
    #[arg(value_name = "ADDRESS|JOB")]
    pub target: String,

    /// How long, as 60s, 5m
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub length: Duration,

    /// Time between samples
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub every: Duration,

    /// Folder for it: a new or an empty one
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    /// Ask each server once for MEMORY MALLOC-STATS, which blocks it for a
    /// millisecond and tells whether its build can defragment
    #[arg(long)]
    pub malloc_stats: bool,

    /// How it is reached
    #[command(flatten)]
    pub access: Access,
}

/// `redis-frag size-classes`
#[derive(Debug, Args)]
pub struct SizeClasses {
    /// A job of the configuration, or an address
    #[arg(value_name = "ADDRESS|JOB")]
    pub target: String,

    /// All size classes, not the ten worst alone
    #[arg(long)]
    pub all: bool,

    /// One JSON object
    #[arg(long)]
    pub json: bool,

    /// How it is reached
    #[command(flatten)]
    pub access: Access,
}

/// Reads an agent's interval. What is none is most likely a command that was misspelt.
fn update_every(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(seconds @ 1..=86_400) => Ok(seconds),
        Ok(_) => Err("an agent gives 1 to 86400 seconds".to_owned()),
        Err(_) => {
            let command = Cli::command();
            let names = || command.get_subcommands().map(clap::Command::get_name);
            Err(match alike::alike(text, names()).first() {
                Some(name) => format!("no such command; did you mean {name}?"),
                None => {
                    let names: Vec<&str> = names().collect();
                    format!("no such command; there are {}", names.join(", "))
                }
            })
        }
    }
}

/// Reads the seconds between rounds, as `5` or `5s`.
fn interval(text: &str) -> Result<u32, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse();
    let seconds = seconds
        .ok()
        .filter(|seconds| (1..=86_400).contains(seconds));
    seconds.ok_or_else(|| "write whole seconds from 1 to 86400, as 5".to_owned())
}

/// Reads `500ms`, `60s`, `5m`, `1h`, or bare seconds; at least 50 ms, at most a
/// week.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write a number and ms, s, m or h, as 60s".to_owned()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "write a number and ms, s, m or h, as 60s".to_owned())?;
    let time = Duration::from_millis(number.saturating_mul(millis));
    if (Duration::from_millis(50)..=Duration::from_secs(7 * 86_400)).contains(&time) {
        Ok(time)
    } else {
        Err("write a time from 50ms to 168h".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, millis) in [
            ("500ms", 500),
            ("60s", 60_000),
            ("2", 2000),
            ("5m", 300_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in [
            "",
            "s",
            "0s",
            "1ms",
            "-1s",
            "1.5s",
            "9999h",
            "1 s",
            "99999999999999999999s",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_option_may_stand_before_a_command_and_an_interval_not() {
        let read = |typed: &str| Cli::try_parse_from(typed.split(' ')).and_then(Cli::sound);
        for typed in [
            "redis-frag -d diagnose --watch x",
            "redis-frag diagnose -d x",
            "redis-frag --debug size-classes x",
        ] {
            let cli = read(typed).unwrap();
            assert!(cli.debug && cli.command.is_some(), "{typed}");
        }
        let plugin = read("redis-frag -d 5").unwrap();
        assert_eq!((plugin.update_every, plugin.debug), (Some(5), true));
        let error = read("redis-frag 5 diagnose x").unwrap_err().to_string();
        assert!(error.contains("leave it out before a command"), "{error}");
    }

    #[test]
    fn an_interval_is_whole_seconds() {
        assert_eq!((interval("5"), interval("86400s")), (Ok(5), Ok(86_400)));
        for bad in ["0", "", "s", "-1", "1.5", "500ms", "2m", "86401"] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_command_that_is_misspelt_is_met_by_the_right_one() {
        for (word, says) in [
            ("diagnos", "did you mean diagnose?"),
            ("sizeclasses", "did you mean size-classes?"),
            ("chek-config", "did you mean check-config?"),
            ("xyz", "there are check-config, diagnose, explain"),
            ("0", "an agent gives 1 to 86400 seconds"),
            ("86401", "an agent gives 1 to 86400 seconds"),
        ] {
            let told = update_every(word).unwrap_err();
            assert!(told.contains(says), "{word}: {told}");
        }
        assert_eq!(update_every("86400"), Ok(86_400));
    }
}
