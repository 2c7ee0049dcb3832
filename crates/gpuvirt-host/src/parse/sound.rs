//! Sound streams: `/proc/asound/cardN/pcmXY/subZ/status`.

/// An open stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenStream {
    /// The task that opened it, where the kernel knows one.
    pub owner: Option<u32>,
}

/// `closed`, or a `state:` with its owner.
pub fn open_stream(status: &str) -> Option<OpenStream> {
    if !status.contains("state:") {
        return None;
    }
    let owner = status.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "owner_pid").then(|| value.trim().parse().ok()).flatten()
    });
    Some(OpenStream { owner })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_closed_or_owned() {
        for (status, want) in [
            ("closed\n", None),
            ("", None),
            (
                "state: RUNNING\nowner_pid   : 1234\ntrigger_time: 12.3\n",
                Some(OpenStream { owner: Some(1234) }),
            ),
            ("state: SETUP\nowner_pid   : -1\n", Some(OpenStream { owner: None })),
        ] {
            assert_eq!(open_stream(status), want, "{status:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(state:|owner_pid|[ :0-9\n-]){0,20}") { let _ = open_stream(&text); }
    }
}
