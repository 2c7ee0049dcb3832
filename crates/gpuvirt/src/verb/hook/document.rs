//! The domain's XML as libvirt hands it over, and what is to be done where it can't be read.
//!
//! libvirt starts what our reader is wary of: hundreds of nested elements in somebody's `<metadata>`, say. What such a
//! definition has is unknown, so a plain look at its bytes tells whether it may have a device of ours.

use std::io::Read;

use gpuvirt_domain::request::NAMESPACE;
use gpuvirt_model::chain;
use gpuvirt_state::State;

/// The largest document that is looked at. libvirt takes 4 MiB of anybody, its limit on a string of its protocol, and adds to it.
const LIMIT: u64 = 16 << 20;
/// What only a document with devices of the host has.
const DEVICES: [&str; 3] = ["<hostdev", "<interface", "<disk"];

/// What came on the standard input.
pub(super) struct Given {
    /// What of it is text.
    text: String,
    /// It is all there was.
    whole: bool,
    /// Why it is no document.
    wrong: Option<String>,
}

impl Given {
    pub(super) fn of(input: impl Read) -> Self {
        let mut bytes = Vec::new();
        let torn = match input.take(LIMIT + 1).read_to_end(&mut bytes) {
            Ok(amount) if amount as u64 > LIMIT => Some(format!("it is larger than {LIMIT} bytes")),
            result => result.err().map(|error| error.to_string()),
        };
        let (text, no_text) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(error.utf8_error().to_string()))
            }
        };
        Self { text, whole: torn.is_none(), wrong: torn.or(no_text) }
    }

    /// Whether a device of the host's may be in it: most VMs have none, and end here.
    pub(super) fn may_concern_us(&self) -> bool {
        !self.whole || self.has(NAMESPACE) || DEVICES.iter().any(|part| self.has(part))
    }

    /// What it says, or why it can't be read.
    pub(super) fn read(&self) -> Result<gpuvirt_domain::DomainXml, String> {
        match &self.wrong {
            Some(wrong) => Err(wrong.clone()),
            None => gpuvirt_domain::read(&self.text).map_err(|error| chain(&error)),
        }
    }

    /// Why a VM whose definition can't be read must not start; none where no device of it can be ours.
    pub(super) fn unread(&self, vm: &str, why: &str, stored: Option<&State>) -> Option<String> {
        if self.has(NAMESPACE) {
            return Some(format!("VM {vm} asks for GPUs, and its definition can't be read: {why}"));
        }
        let devices = !self.whole || self.has("<hostdev") || self.has("type='hostdev'");
        // Without a readable state any GPU may be a managed one.
        let managed = stored.is_none_or(|state| !state.desired.gpus.is_empty());
        (devices && managed).then(|| {
            format!(
                "VM {vm} has devices of the host, its definition can't be read ({why}), and one of them may be a GPU of \
                 gpuvirt's; try: virsh edit, and take out of its <metadata> what nobody needs"
            )
        })
    }

    fn has(&self, part: &str) -> bool {
        self.text.contains(part)
    }
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::{ClassCode, DesiredGpu, PciAddress, PciIdentity};

    use super::*;

    /// A domain with this in its metadata, and these devices.
    fn domain(metadata: &str, devices: &str) -> String {
        format!(
            "<domain><name>deep</name><uuid>00000000-0000-4000-8000-000000000001</uuid><metadata>{metadata}</metadata>\
             <devices>{devices}</devices></domain>"
        )
    }

    const HOSTDEV: &str = "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='0x41' \
                           slot='0' function='0'/></source></hostdev>";
    const NETWORK_CARD: &str =
        "<interface type='hostdev'><source><address bus='0x41' slot='0' function='4'/></source></interface>";

    /// What our reader does not take, and libvirt does.
    fn absurd() -> [String; 4] {
        [
            format!("{}{}", "<a>".repeat(201), "</a>".repeat(201)),
            format!("<a{}/>", (0..101).map(|n| format!(" a{n}=''")).collect::<String>()),
            format!("<a>{}</a>", "<b xmlns='b'/>".repeat(501)),
            "x".repeat(4 << 20),
        ]
    }

    fn given(text: &str) -> Given {
        Given::of(text.as_bytes())
    }

    fn managing() -> State {
        let mut state = State::default();
        let identity = PciIdentity {
            vendor: 0x10de,
            device: 1,
            subsystem_vendor: 0,
            subsystem_device: 0,
            class: ClassCode(0x03_00_00),
        };
        let gpu = PciAddress::parse("0000:41:00.0").unwrap();
        state.desired.gpus.push(DesiredGpu::new(gpu, identity, gpuvirt_model::ConfiguredType::Shared));
        state
    }

    #[test]
    fn what_cant_be_read_and_has_devices_of_the_host_does_not_start_where_a_gpu_is_managed() {
        let request = "<r xmlns='urn:gpuvirt:requests:1'/>";
        let (managing, none_managed) = (managing(), State::default());
        for metadata in absurd() {
            for (devices, concerns) in
                [("", false), ("<disk/>", false), (HOSTDEV, true), (NETWORK_CARD, true)]
            {
                let given = given(&domain(&metadata, devices));
                let why = given.read().unwrap_err();
                let judged = |stored| given.unread("deep", &why, stored).is_some();
                assert_eq!(judged(Some(&managing)), concerns, "{devices}: {why}");
                assert_eq!(judged(None), concerns, "{devices}: {why}");
                assert!(!judged(Some(&none_managed)), "{devices}: {why}");
                assert!(given.may_concern_us() || !concerns);
            }
            let asking = given(&domain(&(metadata + request), ""));
            let said = asking.unread("deep", &asking.read().unwrap_err(), Some(&none_managed)).unwrap();
            assert!(said.starts_with("VM deep asks for GPUs"), "{said}");
        }
        let given = given(&domain(&absurd()[0], HOSTDEV));
        let said = given.unread("deep", &given.read().unwrap_err(), Some(&managing)).unwrap();
        assert!(said.contains("levels of elements") && said.contains("try: virsh edit"), "{said}");
    }

    #[test]
    fn bytes_that_are_no_text_and_what_never_ends_hide_no_device() {
        let mut bytes = domain("", HOSTDEV).into_bytes();
        bytes[10] = 0xff;
        let given = Given::of(bytes.as_slice());
        let why = given.read().unwrap_err();
        assert!(given.may_concern_us() && given.unread("x", &why, Some(&managing())).is_some(), "{why}");
        let endless = Given::of(std::io::repeat(b'x'));
        let why = endless.read().unwrap_err();
        assert!(endless.may_concern_us() && endless.unread("x", &why, Some(&managing())).is_some(), "{why}");
        assert!(why.contains("larger than"), "{why}");
    }

    #[test]
    fn what_can_be_read_is() {
        assert_eq!(given(&domain("", HOSTDEV)).read().unwrap().hostdevs.len(), 1);
        assert!(!given(&domain("", "")).may_concern_us());
    }
}
