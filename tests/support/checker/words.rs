//! Splits a line into words as the agent does, and refuses what it would
//! split otherwise than it looks. Knows no keyword.

/// A word of a line, or the `=` between a name and its value.
pub(super) enum Token {
    Word(Word),
    Equals,
}

/// A word, without its quotes.
pub(super) struct Word {
    pub(super) text: String,
    pub(super) quoted: bool,
    double: bool,
}

/// Words are parted by one blank. The agent takes `=`, tabs and more blanks
/// as separators too, both kinds of quotes, and a backslash as an escape.
pub(super) fn split(line: &str) -> Result<Vec<Token>, String> {
    if let Some(c) = line.chars().find(|c| c.is_control()) {
        return Err(format!("control character {c:?}"));
    }
    if line.contains(char::REPLACEMENT_CHARACTER) {
        return Err("not valid UTF-8".to_string());
    }
    if line.contains('\\') {
        return Err("a backslash makes the agent skip what follows".to_string());
    }
    let mut tokens = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        if !tokens.is_empty() {
            rest = rest
                .strip_prefix(' ')
                .ok_or("no blank between two words, or a quote within a word")?;
        }
        rest = match rest.chars().next() {
            None => return Err("a blank at the end".to_string()),
            Some(' ') => return Err("a stray blank: the next field would move".to_string()),
            Some('=') => {
                tokens.push(Token::Equals);
                &rest[1..]
            }
            Some(quote @ ('\'' | '"')) => {
                let (text, after) = rest[1..].split_once(quote).ok_or("a quote is not closed")?;
                tokens.push(Token::Word(Word {
                    text: text.to_string(),
                    quoted: true,
                    double: quote == '"',
                }));
                after
            }
            Some(_) => {
                let end = rest.find([' ', '=', '\'', '"']).unwrap_or(rest.len());
                tokens.push(Token::Word(Word {
                    text: rest[..end].to_string(),
                    quoted: false,
                    double: false,
                }));
                &rest[end..]
            }
        };
    }
    if tokens.is_empty() {
        return Err("an empty line".to_string());
    }
    Ok(tokens)
}

/// The words of a line which has no `=` outside quotes.
pub(super) fn plain(tokens: &[Token], is_call: bool) -> Result<Vec<&str>, String> {
    tokens
        .iter()
        .map(|token| match token {
            Token::Equals => Err("'=' outside quotes separates words".to_string()),
            Token::Word(word) => word.checked(is_call),
        })
        .collect()
}

/// `first… name = value`: the words before the name's, the name, the value.
pub(super) fn assignment(tokens: &[Token]) -> Result<(Vec<&str>, &str, &str), String> {
    let (left, value) = match tokens {
        [left @ .., Token::Equals, Token::Word(value)] => (left, value),
        [.., Token::Equals] => return Err("no value after '='".to_string()),
        _ => return Err("wanted: name = value".to_string()),
    };
    let mut words = plain(left, false)?;
    let name = words.pop().ok_or("no name before '='")?;
    if value.quoted {
        return Err("a number needs no quotes".to_string());
    }
    Ok((words, name, &value.text))
}

impl Word {
    fn checked(&self, is_call: bool) -> Result<&str, String> {
        if !is_call && (self.double || self.text.contains(['"', '\''])) {
            return Err(format!(
                "a quote in or double quotes around {:?}",
                self.text
            ));
        }
        Ok(&self.text)
    }
}
