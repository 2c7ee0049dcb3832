//! Bad input of every verb, for a real daemon over a real libvirt: refused by name, and nothing is changed.
//!
//! The table is tests/golden/bad-input.txt; crates/gpuvirt/tests/bad_input.rs sees that every verb has a line in it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

const TABLE: &str = include_str!("../../golden/bad-input.txt");
/// What ends the part of a case in the output of all.
const END: &str = "=== case ended ";

/// Everything that any verb could have changed: the host, the documents, the definitions.
fn whole_state(lab: &Lab) -> String {
    let files = "cd /var/lib/gpuvirt && for f in $(find . -type f | sort); do echo \"$f\"; cat \"$f\"; done
        for vm in $(virsh -q list --all --name); do virsh dumpxml --inactive --security-info $vm; done
        virsh -q list --all";
    lab.picture() + &lab.sh(files).expect(0).stdout
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let lab = Lab::fresh();
    let (shared, whole) = lab.vgpu_twin();
    lab.gpuvirt(&format!("gpu set {shared} --type shared-direct")).expect(0);
    lab.gpuvirt(&format!("gpu set {whole} --type direct --label whole")).expect(0);
    lab.guest("victim", "--vnc-password hunter2");
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let cases: Vec<[&str; 3]> =
        lines.map(|line| line.splitn(3, " | ").collect::<Vec<_>>().try_into().unwrap()).collect();
    let before = whole_state(&lab);
    // One session for all: each line would be a login else.
    let nic = lab.devices.get("PLAIN_NIC");
    let mut script = format!(
        "GPU={shared} WHOLE={whole} NIC={nic} VM=victim EVIL=$'x\\e]0;e\\a\\n../\\'\"</name>'\nexec 2>&1\n"
    );
    for [_, _, arguments] in &cases {
        script.push_str(&format!("timeout 30 gpuvirt {arguments} </dev/null\necho \"{END}$?\"\n"));
    }
    let said = lab.sh(&script).stdout;
    let parts: Vec<&str> = said.split_inclusive('\n').collect();
    let mut answers: Vec<(String, i32)> = Vec::new();
    let mut text = String::new();
    for line in parts {
        match line.strip_prefix(END) {
            Some(code) => answers.push((std::mem::take(&mut text), code.trim().parse().unwrap())),
            None => text.push_str(line),
        }
    }
    assert_eq!(answers.len(), cases.len(), "{said}");
    let wrong = |([exit, says, arguments], (text, code)): (&[&str; 3], &(String, i32))| {
        let sound = *exit == code.to_string() && text.contains(says) && !text.contains('\u{1b}');
        (!sound).then(|| format!("{arguments}\n  exit {code}, and it said:\n{text}"))
    };
    let wrong: Vec<String> = cases.iter().zip(&answers).filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(whole_state(&lab), before);
    lab.gpuvirt("status").expect(0);
}
