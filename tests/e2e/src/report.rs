//! What the daemon says of its own start: what it made of what was asked for, and what it settled.

use serde_json::Value;

use crate::Lab;

impl Lab {
    /// `gpuvirt status` as a document.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.gpuvirt("status -o json").expect(0).json()
    }

    /// Waits, no longer than a minute, until no change is open any more: nobody does anything meanwhile.
    #[track_caller]
    pub fn until_settled(&self) {
        self.sh("timeout 60 bash -c 'while [ -n \"$(ls /var/lib/gpuvirt/journal)\" ]; do read -rt 0.2 <> <(:) || :; done'")
            .expect(0);
    }

    /// Fails the test unless the daemon tells that it settled the change of this GPU which an earlier one had begun: in its
    /// status, among its events and in the log.
    #[track_caller]
    pub fn assert_tells_settled(&self, gpu: &str) {
        let settled = format!("{gpu} is settled again");
        self.gpuvirt("status").expect(0).says(&format!("settled: {settled}"));
        self.gpuvirt("events").expect(0).says(&settled);
        self.sh("journalctl -b -o cat -u gpuvirtd").expect(0).says(&settled);
    }
}

/// How the start ended for a GPU, and what was said of it.
pub fn restored(status: &Value, address: &str) -> (String, String) {
    let gpus = status["restore"]["gpus"].as_array().unwrap_or_else(|| panic!("no restore in {status}"));
    let gpu = gpus.iter().find(|gpu| gpu["address"] == address).unwrap_or_else(|| panic!("{status}"));
    let word = |key: &str| gpu[key].as_str().unwrap_or_default().to_owned();
    (word("outcome"), word("what"))
}
