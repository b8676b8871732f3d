//! The manual page: one for the program and all of its commands, from the command line's
//! own definition.

use std::process::Command as Program;

use clap::Command;
use clap_mangen::Man;

use crate::support::generated::hold;

const PATH: &str = "packaging/man/redis-frag.1";

/// What the definition of the command line does not have.
const REST: &str = r#".SH "EXIT STATUS"
.TP
\fB0\fR
Fine; or what was asked for was done.
.TP
\fB1\fR
A warning; of check\-config, a mistake or a job that does not answer; of the plugin, that it could not go on.
.TP
\fB2\fR
Critical; of check\-config and of the plugin, wrong usage.
.TP
\fB3\fR
Could not tell.
.TP
\fB64\fR
Wrong usage of a command whose exit status is a diagnosis.
.SH "SEE ALSO"
\fBredis\-cli\fR(1), \fBnetdata\fR(1)
.PP
The guide: redis\-frag explain, and /usr/share/doc/redis\-frag.
"#;

fn rendered(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut text = Vec::new();
    write(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// A command's own chapter, with the parts of a page of its own below it.
fn chapter(command: &Command) -> String {
    let name = command.get_name().to_owned();
    let command = command
        .clone()
        .bin_name(format!("redis-frag {name}"))
        .disable_help_subcommand(true);
    let man = Man::new(command);
    let parts = rendered(|out| {
        man.render_description_section(out)?;
        man.render_synopsis_section(out)?;
        man.render_options_section(out)?;
        man.render_extra_section(out)
    });
    // The parts of a chapter are one deeper than those of a page.
    let parts = parts
        .replace(".SH DESCRIPTION\n", "")
        .replace(".SH SYNOPSIS", ".SS Usage")
        .replace(".SH OPTIONS", ".SS Options")
        .replace(".SH EXTRA", ".SS Examples");
    assert!(!parts.contains(".SH "), "{parts}");
    format!(
        ".SH \"REDIS\\-FRAG {}\"\n{}",
        name.to_uppercase().replace('-', "\\-"),
        as_code(&parts)
    )
}

/// Examples and lists of files stand as they are written, line by line.
fn as_code(part: &str) -> String {
    let mut text = String::new();
    let mut is_code = false;
    for line in part.lines().filter(|line| *line != "Examples:") {
        let code = line.starts_with("  ");
        if code != is_code && !line.is_empty() {
            text += if code { ".nf\n" } else { ".fi\n" };
            is_code = code;
        }
        text += line;
        text.push('\n');
    }
    if is_code {
        text += ".fi\n";
    }
    text
}

fn page() -> String {
    let program = super::command().disable_help_subcommand(true);
    let commands: Vec<Command> = program.get_subcommands().cloned().collect();
    let man = Man::new(program);
    let mut text = rendered(|out| {
        man.render_title(out)?;
        man.render_name_section(out)?;
        man.render_synopsis_section(out)?;
        man.render_description_section(out)?;
        man.render_options_section(out)
    });
    for command in commands {
        text += &chapter(&command);
    }
    let extra = rendered(|out| man.render_extra_section(out));
    text += &as_code(&extra.replace(".SH EXTRA", ".SH EXAMPLES"));
    text + REST
}

#[test]
fn the_manual_is_that_of_the_command_line() {
    hold(PATH, &page());
}

#[test]
fn the_manual_names_every_command_and_option_with_an_example_each() {
    let text = page().replace("\\-", "-");
    for command in super::command().get_subcommands() {
        let title = format!(".SH \"REDIS-FRAG {}\"", command.get_name().to_uppercase());
        let (_, chapter) = text.split_once(&title).unwrap();
        let chapter = chapter.split("\n.SH ").next().unwrap();
        for argument in command.get_arguments() {
            if let Some(long) = argument.get_long() {
                assert!(chapter.contains(&format!("--{long}")), "{title}: {long}");
            }
        }
        assert!(chapter.contains("\n  redis-frag "), "{title}: no example");
    }
}

/// What formats manuals has nothing to object.
#[test]
fn the_manual_is_read_without_a_complaint() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    let run = Program::new("man")
        .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8"])
        .arg(&path)
        .env("MANWIDTH", "80")
        .output();
    let Ok(run) = run else {
        crate::support::skipped("there is no man here to read the manual");
        return;
    };
    let (said, errors) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    assert!(run.status.success() && errors.trim().is_empty(), "{errors}");
    assert!(said.contains("diagnose") || run.stdout.is_empty(), "{said}");
}
