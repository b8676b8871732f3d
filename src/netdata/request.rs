//! Requests that the agent writes to our stdin, read line by line.
//!
//! Pure: lines in, requests out, and never more kept than [`LONGEST_PAYLOAD`].
//! Lines that mean nothing to us are ignored, as an agent newer than us may say
//! more. Must not know which functions there are.

use std::time::Duration;

use crate::model::text::is_hidden;

/// Bytes of a payload that are taken; what is longer is refused.
pub const LONGEST_PAYLOAD: usize = 1 << 20;

/// Bytes of a function's name with its arguments. The dashboard's own are below
/// 200.
const LONGEST_FUNCTION: usize = 4 << 10;

/// Bytes of an id that are looked at. Those of agents have 32.
const LONGEST_ID: usize = 200;

/// Bytes kept of who asks.
const LONGEST_SOURCE: usize = 500;

/// Words of a line that are read; requests have at most seven.
const MOST_WORDS: usize = 16;

/// Longest time that a request may take, whatever it says.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);

/// What the agent wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// End now: the line `QUIT` (2.x), or the end of stdin.
    Quit,
    /// Run a function: `FUNCTION`, or `FUNCTION_PAYLOAD` to its end.
    Call(Call),
    /// Nobody waits any more for the call with this id: `FUNCTION_CANCEL`.
    Cancel(String),
    /// How far is the call with this id? `FUNCTION_PROGRESS`.
    Progress(String),
    /// A call that cannot be run. It is owed an answer all the same.
    Refused {
        /// The call's id.
        id: String,
        /// Why.
        why: Refusal,
    },
}

/// A function to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// The agent's name for this call; its answer begins with it.
    pub id: String,
    /// How long the agent waits; `None` where it does not say.
    pub timeout: Option<Duration>,
    /// The function's name and its arguments.
    pub function: String,
    /// What the caller may do, a hexadecimal bit field (from 1.45 on).
    pub access: String,
    /// Who asks (from 1.45 on).
    pub source: String,
    /// What was sent along.
    pub payload: Option<Payload>,
}

/// What is sent along with a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// `application/json` and the like.
    pub content_type: String,
    /// The text, without its last line end.
    pub text: String,
}

/// Why a call cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The line ends before the function's name.
    NoFunction,
    /// Name and arguments are too long.
    LongFunction,
    /// The payload is too long.
    LongPayload,
    /// Another request came before the payload's end.
    CutPayload,
}

impl Refusal {
    /// The code of its answer.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::NoFunction | Self::LongFunction | Self::CutPayload => 400,
            Self::LongPayload => 413,
        }
    }

    /// What its answer says.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::NoFunction => "the request names no function",
            Self::LongFunction => "the function's arguments are too long: use at most 4 KiB",
            Self::LongPayload => "the payload is too long: send at most 1 MiB, in lines of 64 KiB",
            Self::CutPayload => "the payload has no end: close it with FUNCTION_PAYLOAD_END",
        }
    }
}

/// Reads the lines of stdin; knows whether it is in the middle of a payload.
#[derive(Debug, Default)]
pub struct Reader {
    open: Option<Open>,
}

/// A call whose payload is being read.
#[derive(Debug)]
struct Open {
    call: Call,
    payload: Payload,
    /// Its answer was given: the rest is passed over.
    refused: bool,
}

impl Reader {
    /// Takes the next line; tells what it completes. `whole` is false where the
    /// line was too long to be kept and this is its beginning.
    ///
    /// No line of JSON or YAML begins as a request does, so that one inside of a
    /// payload means that the payload was never ended.
    pub fn feed(&mut self, line: &str, whole: bool) -> Vec<Request> {
        let keyword = line.split_ascii_whitespace().next().unwrap_or_default();
        let own = matches!(
            keyword,
            "FUNCTION" | "FUNCTION_PAYLOAD" | "FUNCTION_CANCEL" | "FUNCTION_PROGRESS" | "QUIT"
        );
        if keyword == "FUNCTION_PAYLOAD_END" {
            return self.complete().into_iter().collect();
        }
        if !own {
            return self.continue_payload(line, whole).into_iter().collect();
        }
        let mut requests: Vec<Request> = self.abandon().into_iter().collect();
        let mut words = words(line, Quotes::AtWords).into_iter().skip(1);
        let mut id = || shortened(words.next().unwrap_or_default(), LONGEST_ID);
        match keyword {
            "QUIT" => requests.push(Request::Quit),
            "FUNCTION_CANCEL" => requests.push(Request::Cancel(id())),
            "FUNCTION_PROGRESS" => requests.push(Request::Progress(id())),
            _ => requests.extend(self.call(line, whole, keyword == "FUNCTION_PAYLOAD")),
        }
        requests
    }

    /// Nothing more comes.
    pub fn end(&mut self) -> Vec<Request> {
        self.abandon().into_iter().chain([Request::Quit]).collect()
    }

    fn call(&mut self, line: &str, whole: bool, with_payload: bool) -> Option<Request> {
        let mut words = words(line, Quotes::AtWords).into_iter().skip(1);
        let mut next = || words.next().unwrap_or_default();
        let id = shortened(next(), LONGEST_ID);
        let timeout = next().parse().ok().filter(|seconds| *seconds > 0);
        let function = next();
        let refusal = if function.trim().is_empty() {
            Some(Refusal::NoFunction)
        } else if function.len() > LONGEST_FUNCTION || !whole {
            Some(Refusal::LongFunction)
        } else {
            None
        };
        let call = Call {
            id,
            timeout: timeout.map(|seconds| Duration::from_secs(seconds).min(LONGEST_TIMEOUT)),
            function: shortened(function, LONGEST_FUNCTION),
            access: shortened(next(), LONGEST_SOURCE),
            source: shortened(next(), LONGEST_SOURCE),
            payload: None,
        };
        let refused = refusal.is_some() || !is_answerable(&call.id);
        let request = refusal.map(|why| Request::Refused {
            id: call.id.clone(),
            why,
        });
        if with_payload {
            let payload = Payload {
                content_type: shortened(next(), LONGEST_SOURCE),
                text: String::new(),
            };
            self.open = Some(Open {
                call,
                payload,
                refused,
            });
            return request.filter(owed);
        }
        request.or(Some(Request::Call(call))).filter(owed)
    }

    fn continue_payload(&mut self, line: &str, whole: bool) -> Option<Request> {
        let open = self.open.as_mut().filter(|open| !open.refused)?;
        let line = line.strip_suffix('\n').unwrap_or(line);
        let text = &mut open.payload.text;
        if whole && text.len() + line.len() < LONGEST_PAYLOAD {
            text.push_str(line);
            text.push('\n');
            return None;
        }
        open.refused = true;
        open.payload = Payload::default();
        Some(Request::Refused {
            id: open.call.id.clone(),
            why: Refusal::LongPayload,
        })
    }

    fn complete(&mut self) -> Option<Request> {
        let mut open = self.open.take().filter(|open| !open.refused)?;
        open.payload.text.pop();
        open.call.payload = Some(open.payload);
        Some(Request::Call(open.call))
    }

    fn abandon(&mut self) -> Option<Request> {
        let open = self.open.take().filter(|open| !open.refused)?;
        Some(Request::Refused {
            id: open.call.id,
            why: Refusal::CutPayload,
        })
    }
}

/// Whether somebody waits for an answer to this.
fn owed(request: &Request) -> bool {
    match request {
        Request::Call(Call { id, .. }) | Request::Refused { id, .. } => is_answerable(id),
        _ => true,
    }
}

/// Whether an answer can name a call by this id: it is there, was text, and nothing of it
/// is replaced on the way out.
fn is_answerable(id: &str) -> bool {
    let odd = |c: char| is_hidden(c) || c == char::REPLACEMENT_CHARACTER;
    // Of blanks alone it would be read as none.
    !id.trim().is_empty() && !id.contains(odd)
}

fn shortened(mut text: String, longest: usize) -> String {
    let mut end = longest.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// Where a quote begins a quoted part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// At the beginning of a word, as agents have it.
    AtWords,
    /// Behind a colon too, as in `instance:'my cache'`.
    AtValues,
}

/// The words of a line as agents split it (`quoted_strings_splitter`): parted by
/// blanks; a word may begin with a quote of either kind and goes on to the next
/// of its kind, or to the end of the line; what a backslash precedes is taken as
/// it is, with the backslash.
#[must_use]
pub fn words(line: &str, quotes: Quotes) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.chars().peekable();
    while words.len() < MOST_WORDS {
        while rest.next_if(char::is_ascii_whitespace).is_some() {}
        let mut quote = rest.next_if(is_quote);
        if rest.peek().is_none() {
            break;
        }
        let mut word = String::new();
        while let Some(c) = rest.next() {
            match c {
                '\\' if rest.peek().is_some() => {
                    word.push(c);
                    word.extend(rest.next());
                }
                c if Some(c) == quote => break,
                c if quote.is_none() && c.is_ascii_whitespace() => break,
                c => {
                    word.push(c);
                    if c == ':' && quote.is_none() && quotes == Quotes::AtValues {
                        quote = rest.next_if(is_quote);
                    }
                }
            }
        }
        words.push(word);
    }
    words
}

fn is_quote(c: &char) -> bool {
    matches!(c, '\'' | '"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Vec<Request> {
        let mut reader = Reader::default();
        let mut requests: Vec<Request> = lines
            .iter()
            .flat_map(|line| reader.feed(line, true))
            .collect();
        requests.extend(reader.end());
        assert_eq!(requests.pop(), Some(Request::Quit));
        requests
    }

    fn refused(id: &str, why: Refusal) -> Request {
        Request::Refused { id: id.into(), why }
    }

    fn call(id: &str, seconds: u64, function: &str) -> Call {
        Call {
            id: id.into(),
            timeout: Some(seconds).filter(|s| *s > 0).map(Duration::from_secs),
            function: function.into(),
            ..Call::default()
        }
    }

    #[test]
    fn only_quit_quits() {
        for (line, want) in [
            ("QUIT", true),
            ("QUIT\r\n", true),
            ("  QUIT now", true),
            ("QUITE", false),
            ("FUNCTION x 10 \"QUIT\"", false),
            ("", false),
        ] {
            let got = read(&[line]).contains(&Request::Quit);
            assert_eq!(got, want, "{line:?}");
        }
    }

    #[test]
    fn words_are_split_as_agents_split_them() {
        for (line, want) in [
            ("a  b\tc\n", &["a", "b", "c"][..]),
            ("\"a b\" 'c d' e", &["a b", "c d", "e"]),
            ("'a \"b\"' \"c 'd'\"", &["a \"b\"", "c 'd'"]),
            ("a \"\" '' b", &["a", "", "", "b"]),
            ("\"a\"b", &["a", "b"]),
            ("it's a'b", &["it's", "a'b"]),
            ("a \"never ended b", &["a", "never ended b"]),
            ("a \"", &["a"]),
            ("\"a \\\" b\" c", &["a \\\" b", "c"]),
            ("a\\", &["a\\"]),
            ("größe \"ä ö\"", &["größe", "ä ö"]),
            ("x:'a b'", &["x:'a", "b'"]),
            ("", &[]),
        ] {
            assert_eq!(words(line, Quotes::AtWords), want, "{line:?}");
        }
        let line = "f instance:'a b' x:\"c:'d\" y:";
        let want = ["f", "instance:a b", "x:c:'d", "y:"];
        assert_eq!(words(line, Quotes::AtValues), want);
        assert_eq!(words(&"w ".repeat(999), Quotes::AtWords).len(), MOST_WORDS);
    }

    #[test]
    fn a_call_is_read_with_every_kind_of_quotes() {
        let want = Call {
            access: "0x8".into(),
            source: "method=none,role=any".into(),
            ..call("1e12bb", 2, "redis-frag:diagnosis info")
        };
        for line in [
            "FUNCTION 1e12bb 2 \"redis-frag:diagnosis info\" \"0x8\" \"method=none,role=any\"\n",
            "FUNCTION '1e12bb' '2' 'redis-frag:diagnosis info' 0x8 method=none,role=any",
        ] {
            assert_eq!(read(&[line]), [Request::Call(want.clone())], "{line}");
        }
        let short = "FUNCTION a soon name";
        assert_eq!(read(&[short]), [Request::Call(call("a", 0, "name"))]);
        let long = "FUNCTION a 99999999999 name";
        assert_eq!(read(&[long]), [Request::Call(call("a", 3600, "name"))]);
    }

    #[test]
    fn what_cannot_be_run_is_owed_an_answer_where_it_has_an_id() {
        for line in [
            "FUNCTION",
            "FUNCTION \"\" 10 x",
            "FUNCTION a\u{fffd} 10 x",
            "FUNCTION a\0b 10",
            "FUNCTION a\u{200b}b 10",
            "FUNCTION_PAYLOAD",
            "FUNCTION_PAYLOAD \u{1b}a 10 x",
        ] {
            assert_eq!(read(&[line, "FUNCTION_PAYLOAD_END"]), [], "{line}");
        }
        for line in ["FUNCTION a", "FUNCTION a 10", "FUNCTION a 10 \"\""] {
            assert_eq!(read(&[line]), [refused("a", Refusal::NoFunction)]);
        }
        let long = format!("FUNCTION a 10 {}", "x".repeat(9000));
        assert_eq!(read(&[&long]), [refused("a", Refusal::LongFunction)]);
        let mut reader = Reader::default();
        let cut = reader.feed("FUNCTION a 10 name", false);
        assert_eq!(cut, [refused("a", Refusal::LongFunction)]);
    }

    #[test]
    fn a_payload_goes_to_its_end_and_no_further() {
        let begin = "FUNCTION_PAYLOAD a 2 f 0x8 me application/json\n";
        let got = read(&[
            begin,
            "{\n",
            " FUNCTION\": 1}\n",
            "FUNCTION_PAYLOAD_END\n",
            "x",
        ]);
        let want = Call {
            access: "0x8".into(),
            source: "me".into(),
            payload: Some(Payload {
                content_type: "application/json".into(),
                text: "{\n FUNCTION\": 1}".into(),
            }),
            ..call("a", 2, "f")
        };
        assert_eq!(got, [Request::Call(want)]);
        let other = "FUNCTION b 1 f";
        let two = [
            refused("a", Refusal::CutPayload),
            Request::Call(call("b", 1, "f")),
        ];
        assert_eq!(read(&[begin, "{", other]), two);
        let end = "FUNCTION_PAYLOAD_END";
        assert_eq!(read(&[begin, "{", other, "}", end]), two);
        let quit = [refused("a", Refusal::CutPayload), Request::Quit];
        assert_eq!(read(&[begin, "{", "QUIT"]), quit);
        assert_eq!(read(&[begin, "{"]), [refused("a", Refusal::CutPayload)]);
        let cancelled = [
            refused("a", Refusal::CutPayload),
            Request::Cancel("a".into()),
        ];
        assert_eq!(read(&[begin, "FUNCTION_CANCEL a"]), cancelled);
    }

    #[test]
    fn a_payload_is_bounded_and_refused_once() {
        let line = "x".repeat(60_000);
        let mut reader = Reader::default();
        reader.feed("FUNCTION_PAYLOAD a 2 f", true);
        let mut got = Vec::new();
        for _ in 0..100 {
            got.extend(reader.feed(&line, true));
            let kept = reader.open.as_ref().map(|open| open.payload.text.len());
            assert!(kept <= Some(LONGEST_PAYLOAD));
        }
        got.extend(reader.feed("FUNCTION_PAYLOAD_END", true));
        got.extend(reader.feed("FUNCTION b 1 f", true));
        let want = [
            refused("a", Refusal::LongPayload),
            Request::Call(call("b", 1, "f")),
        ];
        assert_eq!(got, want);
        reader.feed("FUNCTION_PAYLOAD a 2 f", true);
        let cut = reader.feed("{\"half\":", false);
        assert_eq!(cut, [refused("a", Refusal::LongPayload)]);
    }
}
