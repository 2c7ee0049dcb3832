//! Rules of udev as text: what a file's lines are, and what a rule's parts (udev(7); systemd, src/udev/udev-rules.c).

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its first line, from 1.
    pub first: usize,
    /// Its last one.
    pub last: usize,
    /// All of it, in one line.
    pub text: String,
}

/// What a part does with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Is,
    /// `!=`
    IsNot,
    /// `=`, `+=`, `-=`, `:=`
    Sets,
}

/// A part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// Such as `ATTR{vendor}`.
    pub key: &'a str,
    /// What is done with it.
    pub operator: Operator,
    /// What stands between the quotes.
    pub value: &'a str,
}

/// The rules of a file. A line that ends in a backslash goes on in the next one. A line that begins with `#` counts for nothing
/// wherever it stands, and what looks like a continuation of it is a rule. One that the file ends in the middle of is none: udev
/// ignores it ("Unexpected EOF after line continuation").
pub fn rules(text: &str) -> Vec<Rule> {
    let mut found = Vec::new();
    let mut begun: Option<Rule> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        let mut rule = begun.take().unwrap_or(Rule { first: number, last: number, text: String::new() });
        rule.last = number;
        match line.strip_suffix('\\') {
            Some(part) => {
                rule.text.push_str(part);
                begun = Some(rule);
            }
            None => {
                rule.text.push_str(line);
                found.push(rule);
            }
        }
    }
    found.retain(|rule| !rule.text.trim().is_empty());
    found
}

/// The parts of a rule, which commas or blanks lie between; none where it is not made of such.
pub fn parts(rule: &str) -> Option<Vec<Part<'_>>> {
    const OPERATORS: [(&str, Operator); 6] = [
        ("==", Operator::Is),
        ("!=", Operator::IsNot),
        ("+=", Operator::Sets),
        ("-=", Operator::Sets),
        (":=", Operator::Sets),
        ("=", Operator::Sets),
    ];
    let between = |c: char| c == ',' || c.is_whitespace();
    let mut found = Vec::new();
    let mut left = rule.trim_matches(between);
    while !left.is_empty() {
        let (key, rest) = left.split_at_checked(key_length(left))?;
        let rest = rest.trim_start();
        let (operator, rest) =
            OPERATORS.iter().find_map(|(text, operator)| Some((*operator, rest.strip_prefix(text)?)))?;
        let rest = rest.trim_start();
        // e"..." has escapes, i"..." is compared without regard to case.
        let rest = rest.strip_prefix(['e', 'i']).unwrap_or(rest).strip_prefix('"')?;
        let (value, rest) = rest.split_at_checked(value_length(rest)?)?;
        found.push(Part { key, operator, value });
        left = rest.strip_prefix('"')?.trim_start_matches(between);
    }
    Some(found)
}

/// Up to a blank or an operator that is not within braces.
fn key_length(text: &str) -> usize {
    let mut within = false;
    let end = text.find(|c: char| {
        within = (within || c == '{') && c != '}';
        !within && (c.is_whitespace() || "=!+-:".contains(c))
    });
    end.unwrap_or(text.len())
}

/// Up to the quote that ends it.
fn value_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_may_have_several_lines_comments_are_never_continued_and_one_that_is_cut_off_is_none() {
        let text = "# mine \\\nKERNEL==\"a\", \\\n# between\n  MODE=\"0\"\n\nTAG+=\"x\"\n";
        let want = [(2, 4, "KERNEL==\"a\", MODE=\"0\""), (6, 6, "TAG+=\"x\"")];
        let want = want.map(|(first, last, text)| Rule { first, last, text: text.to_owned() });
        assert_eq!(rules(text), want);
        for cut_off in ["last \\", "last \\\n", "last \\\n# no more\n", "last \\\n more \\\n"] {
            assert_eq!(rules(&format!("{text}{cut_off}")), want, "{cut_off:?}");
        }
    }

    #[test]
    fn parts_have_a_key_an_operator_and_a_value() {
        let rule =
            r#"KERNEL!="a,b" ATTR{power/control}="au\"to", RUN+="/bin/sh -c 'x == y'",ENV{A-B}==e"1","#;
        let want = [
            ("KERNEL", Operator::IsNot, "a,b"),
            ("ATTR{power/control}", Operator::Sets, r#"au\"to"#),
            ("RUN", Operator::Sets, "/bin/sh -c 'x == y'"),
            ("ENV{A-B}", Operator::Is, "1"),
        ];
        assert_eq!(parts(rule).unwrap(), want.map(|(key, operator, value)| Part { key, operator, value }));
        for none in ["nonsense", "KERNEL==a", "KERNEL==\"a", "KERNEL=~\"a\""] {
            assert_eq!(parts(none), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = rules(&text).iter().filter(|rule| parts(&rule.text).is_some()).count();
        }
    }
}
